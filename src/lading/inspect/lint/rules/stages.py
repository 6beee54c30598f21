"""What a stage sets and starts, and where a line is put into it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lading.inspect.lint.dockerfile import Dockerfile, Instruction, Stage, Word, split_words
from lading.inspect.lint.model import Edit
from lading.inspect.lint.rules.scripts import final_stage, image_name, is_python
from lading.inspect.lint.shell import read_shell

PLAIN = frozenset({"python", "debian", "ubuntu", "alpine"})
"""Bases that hold an operating system, Python at most, and set nothing that a rule asks for."""
NO_SETTINGS = PLAIN | frozenset(
    {
        "nvidia/cuda", "nvcr.io/nvidia/cuda", "pytorch/pytorch", "tensorflow/tensorflow",
        "continuumio/miniconda3", "condaforge/miniforge3", "condaforge/mambaforge"
    }
)  # fmt: skip
"""Bases of which it is known that they have neither PYTHONUNBUFFERED nor HEALTHCHECK."""
SERVERS = frozenset(
    {
        "uvicorn", "gunicorn", "hypercorn", "bentoml", "tritonserver", "tensorflow_model_server", "vllm",
        "vllm.entrypoints.openai.api_server", "mlflow models", "fastapi", "waitress-serve"
    }
)  # fmt: skip
PYTHON_SERVERS = SERVERS - {"tritonserver", "tensorflow_model_server", "mlflow models"}
_SUBCOMMANDS = {"bentoml": "serve", "vllm": "serve", "fastapi": "run"}
_WRAPPERS = frozenset({"tini", "dumb-init", "exec", "env", "nice", "catchsegv", "opentelemetry-instrument"})
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*")


@dataclass(frozen=True, kw_only=True)
class Program:
    """What is started, wrappers taken off: `python -m uvicorn app:app` is uvicorn with one word.

    `words` are the program's own; `script` whether Python was asked for a file or a module by name; `wrapped`
    what stands before it.
    """

    program: str
    words: tuple[str, ...]
    script: bool = False
    wrapped: tuple[str, ...] = ()

    @property
    def serves(self) -> bool:
        return self.program in SERVERS

    def option(self, *names: str) -> tuple[str, ...]:
        """Every value given to an option of one of these names."""
        found = []
        for at, word in enumerate(self.words):
            name, equals, value = word.partition("=")
            if name in names and equals:
                found.append(value)
            elif word in names and at + 1 < len(self.words):
                found.append(self.words[at + 1])
        return tuple(found)

    def has(self, *names: str) -> bool:
        return any(word.partition("=")[0] in names for word in self.words)


@dataclass(frozen=True, kw_only=True)
class Start(Program):
    """`entry` is the instruction that starts it."""

    entry: Instruction


def start(document: Dockerfile) -> Start | None:
    """None when nothing is started, or a shell decides what is."""
    line = document.ancestry(final_stage(document))
    entry = next((last for member in line if (last := _last(member, "ENTRYPOINT"))), None)
    above = [member for member in line if entry is None or entry in member.instructions or member is line[0]]
    command = next((last for member in above[:1] if (last := _last(member, "CMD"))), None)
    if entry is None:
        command = next((last for member in line if (last := _last(member, "CMD"))), None)
        return None if command is None else as_start(_words(command), command)
    words = _words(entry)
    if not words:
        return None if command is None else as_start(_words(command), command)
    if entry.json_words is not None and command is not None and command.json_words is not None:
        words += command.json_words
    return as_start(words, entry)


def _last(stage: Stage, keyword: str) -> Instruction | None:
    return next(iter(reversed(list(stage.all(keyword)))), None)


def _words(entry: Instruction) -> tuple[str, ...]:
    """The words of the one command that is started; none when there are several."""
    words = entry.json_words
    if words is None:
        return command_words(entry.body)
    shells = {"sh", "bash"}
    if len(words) == 3 and words[0].rpartition("/")[2] in shells and words[1] in {"-c", "-lc", "-ec"}:
        return command_words(words[2])
    return words


def command_words(text: str) -> tuple[str, ...]:
    """The words of a shell text that is one command; none when it is more."""
    shell = read_shell(text.strip())
    if not shell.understood or len(shell.commands) != 1 or set(text) & set("|;&<>"):
        return ()
    return tuple(word.value for word in split_words(text.strip()))


def as_start(words: tuple[str, ...], entry: Instruction) -> Start | None:
    found = as_program(words)
    return None if found is None else Start(**{**vars(found), "entry": entry})


def as_program(words: tuple[str, ...]) -> Program | None:
    """Wrappers off: tini, env, `conda run`, `python -m`."""
    rest = words
    while rest:
        name = rest[0].rpartition("/")[2]
        if name in _WRAPPERS or _ASSIGNMENT.fullmatch(rest[0]):
            rest = rest[1:]
            while rest and rest[0].startswith("-") and rest[0] != "--":
                rest = rest[1:]
            rest = rest[1:] if rest and rest[0] == "--" else rest
        elif name in {"poetry", "uv", "pipenv", "pixi"} and rest[1:2] == ("run",):
            rest = rest[2:]
            if rest and rest[0].startswith("-"):
                return None
        elif is_python(name):
            return _python_program(words, rest)
        else:
            return _program(name, rest[1:], wrapped=words[: len(words) - len(rest)])
    return None


def _python_program(words: tuple[str, ...], rest: tuple[str, ...]) -> Program | None:
    wrapped = words[: len(words) - len(rest)]
    at = 1
    while at < len(rest) and rest[at].startswith("-") and rest[at] not in {"-m", "-c"}:
        at += 2 if rest[at] in {"-X", "-W"} else 1
    before = rest[:at]
    if rest[at : at + 1] == ("-m",) and len(rest) > at + 1:
        return _program(rest[at + 1], rest[at + 2 :], script=True, wrapped=wrapped + before)
    if at < len(rest) and rest[at].endswith(".py"):
        return Program(program="python", words=rest[at:], script=True, wrapped=wrapped + before)
    return None


def _program(name: str, words: tuple[str, ...], *, script: bool = False, wrapped: tuple[str, ...]) -> Program:
    if name == "mlflow" and words[:2] == ("models", "serve"):
        name = "mlflow models"
    if name == "mlflow" and words[:1] in (("server",), ("ui",)):
        name = "mlflow server"
    if name in _SUBCOMMANDS and words[:1] != (_SUBCOMMANDS[name],):
        name = f"{name} {words[0] if words else ''}"
    return Program(program=name, words=words, script=script, wrapped=wrapped)


def settings(document: Dockerfile, stage: Stage) -> dict[str, tuple[Word, Instruction]]:
    """What ENV of the stage and those it is built from sets, the nearest last word."""
    found: dict[str, tuple[Word, Instruction]] = {}
    for member in reversed(document.ancestry(stage)):
        for entry in member.all("ENV"):
            found.update({name: (value, entry) for name, value in entry.pairs})
    return found


def base_name(document: Dockerfile, stage: Stage) -> tuple[str, str]:
    """Repository and tag of the registry's image under the stage; empty when it cannot be known."""
    base = document.base(stage)
    return image_name(base) if base else ("", "")


def line_before(document: Dockerfile, entry: Instruction, text: str) -> Edit:
    """A new line of instruction above `entry` and the comments that belong to it."""
    at = document.text.rfind("\n", 0, entry.start) + 1
    while at:
        above = document.text.rfind("\n", 0, at - 1) + 1
        if not document.text[above:at].lstrip().startswith("#"):
            break
        at = above
    end = "\r\n" if "\r\n" in document.text else "\n"
    return Edit(start=at, end=at, text=text + end)


def remove_line(document: Dockerfile, entry: Instruction) -> tuple[Edit, ...]:
    """Nothing for an instruction of several lines: comments may stand between them."""
    if len(entry.pieces) != 1:
        return ()
    end = entry.start + len(entry.text)
    end += document.text.startswith("\r", end)
    return (Edit(start=entry.start, end=min(end + 1, len(document.text)), text=""),)


def started_at(document: Dockerfile) -> Instruction | None:
    """The first CMD or ENTRYPOINT of the final stage: lines for the start stand before it."""
    return next(final_stage(document).all("CMD", "ENTRYPOINT"), None)
