"""What the words `[DIR] [NAME]` of a command mean: a project, and a task or target in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lading.cli.building import open_project
from lading.cli.parser import closest
from lading.cli.session import Session
from lading.errors import UsageError

if TYPE_CHECKING:
    from lading.project.model import Project


def find_target(words: list[str], session: Session) -> tuple[Project, str | None]:
    """The project and the task or target that `[DIR] [NAME]` means. Raises UsageError.

    One word is a name where the project in this folder has it, else a folder; `./NAME` is always a folder.
    """
    if len(words) > 2:
        raise UsageError(
            f"`{words[2]}` is one word too many; a command stands after `--`",
            hints=(f"lading run {words[0]} -- {' '.join(words[1:])}",),
        )
    if len(words) == 2:
        project = open_project(words[0], session)
        _check_name(words[1], project)
        return project, words[1]
    if not words:
        return open_project(".", session), None
    word = words[0]
    if "/" in word or word in (".", ".."):
        return open_project(word, session), None
    project = open_project(".", session)
    if word not in (*project.tasks, *project.targets) and Path(word).is_dir():
        return open_project(word, session), None
    _check_name(word, project)
    return project, word


def _check_name(word: str, project: Project) -> None:
    known = (*project.tasks, *project.targets)
    if word not in known:
        near = closest(word, known)
        listed = ", ".join(dict.fromkeys(known))
        hints = (f"lading run {near}",) if near else (f"lading run -- {word}",)
        raise UsageError(f"`{word}` is no task or target here; there are {listed}", hints=hints)
