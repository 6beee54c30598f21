"""What several Dockerfile rules ask: the commands of RUN, what pip installs, what a stage starts. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lading.inspect.lint.dockerfile import Dockerfile, Instruction, Stage, split_words
from lading.inspect.lint.shell import ShellCommand, read_shell

_PIP = re.compile(r"pip(?:3(?:\.\d+)?)?")
_PYTHON = re.compile(r"python(?:3(?:\.\d+)?)?")
_NAME = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(\[[^\]]*\])?\s*((?:[=<>!~]=?|@).*)?")
PIP_OPTIONS_WITH_VALUE = frozenset(
    {
        "-r", "--requirement", "-c", "--constraint", "-i", "--index-url", "--extra-index-url", "-f",
        "--find-links", "-t", "--target", "--prefix", "--root", "--timeout", "--retries", "--python",
        "--platform", "--python-version", "--abi", "--proxy", "--cert", "--cache-dir", "--trusted-host",
        "-e", "--editable", "--no-binary", "--only-binary", "--progress-bar", "--global-option",
        "--config-settings", "--index", "--torch-backend", "--default-index", "--index-strategy",
        "--use-feature", "--log", "--src", "--report", "--upgrade-strategy"
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RunCommand:
    """A command of a RUN. `offset` is its place in the file."""

    instruction: Instruction
    command: ShellCommand
    offset: int

    @property
    def values(self) -> tuple[str, ...]:
        return self.command.values


def run_commands(stage: Stage) -> Iterator[RunCommand]:
    """Every command of the stage's RUNs that the shell grammar understands wholly; heredoc scripts too."""
    if not all(_is_posix(entry) for entry in stage.all("SHELL")):
        return  # another shell, another language: nothing is said about it
    for entry in stage.all("RUN"):
        yield from _commands(entry)


def _is_posix(entry: Instruction) -> bool:
    """Whether a SHELL reads commands as `sh` does: `/bin/bash -o pipefail -c`."""
    words = entry.json_words or ()
    return (
        len(words) > 1 and words[0].rpartition("/")[2] in {"sh", "bash", "ash", "dash"} and words[-1] == "-c"
    )


def _commands(entry: Instruction) -> Iterator[RunCommand]:
    words = entry.json_words
    if words is not None:
        return
    if entry.heredocs:
        if entry.body.strip().startswith("<<") and len(entry.words) == 1:
            heredoc = entry.heredocs[0]
            script = read_shell(heredoc.content)
            if script.understood and not heredoc.content.startswith("#!"):
                for command in script.commands:
                    yield RunCommand(entry, command, heredoc.start + command.start)
        return
    shell = read_shell(entry.body)
    if shell.understood:
        for command in shell.commands:
            yield RunCommand(entry, command, entry.offset(entry.body_start + command.start))


@dataclass(frozen=True, slots=True)
class Install:
    """One package that a pip command names: normalized name, extras, the version text; its place in the
    file.
    """

    name: str
    extras: str
    version: str
    offset: int


def pip_arguments(values: tuple[str, ...]) -> int | None:
    """Where the arguments of `pip install` begin in a command; None for any other command."""
    for at, value in enumerate(values):
        name = value.rpartition("/")[2]
        if _PIP.fullmatch(name) and values[at + 1 : at + 2] == ("install",):
            if at == 0 or values[at - 1] == "-m" or values[:at] == ("uv",):
                return at + 2
            return None
    return None


def pip_installs(run: RunCommand) -> Iterator[Install]:
    """The packages named in words; requirement files and paths are not opened."""
    begin = pip_arguments(run.values)
    if begin is None:
        return
    skip = False
    for word in run.command.words[begin:]:
        if skip:
            skip = False
        elif word.value.startswith("-"):
            skip = word.value in PIP_OPTIONS_WITH_VALUE
        elif (match := _NAME.fullmatch(word.value)) and "/" not in word.value.split("@")[0]:
            name = re.sub(r"[-_.]+", "-", match[1]).lower()
            yield Install(name, match[2] or "", match[3] or "", run.offset + word.start - run.command.start)


def has_option(run: RunCommand, *names: str) -> bool:
    return any(value.partition("=")[0] in names for value in run.values)


def final_stage(document: Dockerfile) -> Stage:
    return document.stages[-1]


def start_words(entry: Instruction) -> tuple[str, ...]:
    """What CMD or ENTRYPOINT starts, as words; nothing where a shell decides more than one command."""
    if entry.json_words is not None:
        words = entry.json_words
        if len(words) == 3 and words[0].rpartition("/")[2] in {"sh", "bash"} and words[1] in {"-c", "-lc"}:
            return tuple(word.value for word in split_words(words[2].removeprefix("exec ")))
        return words
    return tuple(word.value for word in split_words(entry.body.removeprefix("exec ")))


def image_name(image: str) -> tuple[str, str]:
    """Repository without Docker Hub's prefixes, and tag; `latest` where there is neither tag nor digest."""
    name, _, digest = image.partition("@")
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        repository, tag = name, "" if digest else "latest"
    for prefix in ("docker.io/", "index.docker.io/", "registry-1.docker.io/", "library/"):
        repository = repository.removeprefix(prefix)
    return repository, tag


def is_python(word: str) -> bool:
    return _PYTHON.fullmatch(word.rpartition("/")[2]) is not None
