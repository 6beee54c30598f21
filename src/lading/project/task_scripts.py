"""Scripts that tasks name: whether they are there, and whether they enter the image.

Knows how the usual commands name a script; a command of another form is left alone, since only a run can
tell. Looks at the folder's names, never at contents.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from lading.project.model import Code, Finding, ImageSettings, Task
from lading.project.report import nearest

_INTERPRETER = re.compile(r"python(?:3(?:\.[0-9]+)?)?|sh|bash")
_SHELL = re.compile(r"[|&;<>()$`\n*?\[\]~#!]")
_PLAIN_OPTIONS = frozenset({"-u", "-O", "-OO", "-B", "-E", "-I", "-s", "-S", "-e", "-x", "-eu", "-ex"})
"""Of interpreters, without a value; what follows any other option is not known to be a script."""


def task_script(run: str) -> str | None:
    """The project's script that a command runs: of `python -u src/fit.py --n 3`, `src/fit.py`. Pure."""
    if _SHELL.search(run):
        return None
    try:
        words = shlex.split(run)
    except ValueError:
        return None
    if words and _INTERPRETER.fullmatch(words[0]):
        words = words[1:]
        while words and words[0] in _PLAIN_OPTIONS:
            words = words[1:]
        candidate = words[0] if words and words[0].endswith((".py", ".sh")) else ""
    else:
        candidate = words[0] if words and words[0].startswith("./") else ""
    path = posixpath.normpath(candidate) if candidate else ""
    if not path or path.startswith(("/", "../", "-")) or "{" in path:
        return None
    return path


def missing_scripts(
    root: Path, tasks: Mapping[str, Task], targets: Mapping[str, ImageSettings], code: Code
) -> Iterator[Finding]:
    """A finding for each task whose script is not there, or does not enter the image."""
    entering = {file.path for file in code.files}
    for task in tasks.values():
        script = task_script(task.run)
        target = targets.get(task.target)
        if script is None or script in entering or target is None or target.files or target.steps:
            continue  # added files and steps may make it
        if any(str(parent) in entering for parent in PurePosixPath(script).parents):
            continue  # below a link
        close = nearest(script, [path for path in entering if path.endswith((".py", ".sh"))])
        because = "is there, but the ignore rules keep it out of the image"
        if not (root / script).exists():
            because = f"is not there; did you mean {close}?" if close else "is not there"
        yield Finding(what=f"script of {task.name}", value=script, because=because, missing=True)
