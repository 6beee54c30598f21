"""Rules about the order of a Dockerfile's instructions. They ask for requirements files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from posixpath import join, normpath

from lading.inspect.lint.dockerfile import Dockerfile, Instruction, Stage
from lading.inspect.lint.model import Edit, Severity, Spot
from lading.inspect.lint.rule import Kind, rule
from lading.inspect.lint.rules.context import build_context, requirement_names
from lading.inspect.lint.rules.scripts import RunCommand, pip_arguments, run_commands
from lading.inspect.lint.surroundings import Surroundings

_PLAIN = re.compile(r"[A-Za-z0-9_.-]+")


@rule(
    "LDD010", "The whole project is copied before its dependencies are installed", Kind.DOCKERFILE,
    Severity.WARNING, "docs.docker.com/build/cache/optimize: order your layers",
    mends=True, looks_around=True,
)  # fmt: skip
def copy_before_install(document: Dockerfile, around: Surroundings) -> Iterator[Spot]:
    """Each edit of any file then installs all of them again: minutes and gigabytes where torch is among
    them.

    Bad:

        COPY . .
        RUN pip install -r requirements.txt

    Good:

        COPY requirements.txt .
        RUN pip install -r requirements.txt
        COPY . .

    The mend puts the two lines before the COPY, where the RUN stands right after it, does nothing else, and
    the file that it installs lies in the context and names packages alone.
    """
    for stage in document.stages:
        whole = None
        installs = [run for run in run_commands(stage) if pip_arguments(run.values) is not None]
        for entry in stage.instructions:
            if entry.keyword in {"COPY", "ADD"}:
                sources = [word.value for word in entry.words[:-1]]
                remote = any(flag.text.startswith("--from") for flag in entry.flags)
                if not remote and any(source in {".", "./"} for source in sources):
                    whole = whole or entry
                elif whole is None and any(
                    re.search(r"require|\.txt$|lock|pyproject", source) for source in sources
                ):
                    break
            for run in installs:
                if whole is not None and run.instruction is entry and _only_file(run.values):
                    yield Spot(
                        start=whole.start,
                        message="every edit of the project installs all dependencies again: "
                        "copy the requirements file first, install, then copy the rest",
                        edits=_reordered(document, stage, whole, run, around),
                    )
                    whole = None
                    break
            if entry.keyword == "RUN" and any(run.instruction is entry for run in installs) and whole is None:
                break


def _only_file(values: tuple[str, ...]) -> bool:
    """`pip install -r requirements.txt` and nothing of the project itself."""
    begin = pip_arguments(values) or 0
    words = values[begin:]
    return ("-r" in words or "--requirement" in words) and not any(
        word in {".", "-e", "--editable"} or word.startswith((".[", "./")) for word in words
    )


def _reordered(
    document: Dockerfile, stage: Stage, whole: Instruction, run: RunCommand, around: Surroundings
) -> tuple[Edit, ...]:
    """The file copied by itself, the RUN, and then the whole."""
    at = stage.instructions.index(whole)
    name = _installed_file(stage, whole, run)
    context = build_context(document, around)
    if stage.instructions[at + 1 : at + 2] != [run.instruction] or not name or context is None:
        return ()
    text = context.folder.read(name)
    alone = [other for other in run_commands(stage) if other.instruction is run.instruction] == [run]
    if text is None or requirement_names(text) is None or context.is_ignored(name) or not alone:
        return ()
    end, start = _end(document, whole), run.instruction.start
    between = document.text[end:start]
    if between.strip() or run.instruction.heredocs or whole.json_words is not None:
        return ()
    flags = "".join(f"{flag.text} " for flag in whole.flags)
    target = whole.words[-1].text.rstrip("/") or ""
    line = "\r\n" if "\r\n" in document.text else "\n"
    last = _end(document, run.instruction)
    moved = f"COPY {flags}{name} {target}/{line}{document.text[start:last]}{between}"
    return (Edit(start=whole.start, end=last, text=moved + document.text[whole.start : end]),)


def _end(document: Dockerfile, entry: Instruction) -> int:
    """Where the instruction's last line ends."""
    end = document.text.find("\n", entry.offset(len(entry.text) - 1))
    end = len(document.text) if end < 0 else end
    return end - document.text.startswith("\r", end - 1)


def _installed_file(stage: Stage, whole: Instruction, run: RunCommand) -> str:
    """The one requirements file of the command, by its name in the context; empty where it is not certain."""
    words = run.values
    files = [words[at + 1] for at, word in enumerate(words[:-1]) if word in {"-r", "--requirement"}]
    if len(files) != 1 or len(whole.words) != 2 or whole.keyword != "COPY" or "$" in whole.body:
        return ""
    folder, target, file = _folder(stage, whole), whole.words[-1].value, files[0]
    if target in {".", "./"} and _PLAIN.fullmatch(file):
        return file
    target, path = normpath(join(folder, target)), normpath(join(folder, file))
    name = path.removeprefix(target.rstrip("/") + "/")
    return name if target.startswith("/") and name != path and _PLAIN.fullmatch(name) else ""


def _folder(stage: Stage, until: Instruction) -> str:
    """The working folder at an instruction; empty when only the base knows it."""
    folder = ""
    for entry in stage.instructions[: stage.instructions.index(until)]:
        if entry.keyword == "WORKDIR" and entry.words:
            folder = join(folder, entry.words[0].value)
    return folder if folder.startswith("/") and "$" not in folder else ""
