"""Commands that install Python packages, told apart by the program they run. Pure."""

from __future__ import annotations

import re

from lading.convert.importing.managers import conda_command, pipenv_command, poetry_command, uv_command
from lading.convert.importing.model import Fate
from lading.convert.importing.pip_commands import pip_command
from lading.convert.importing.wanted import Said, Wanted, Where

_CONDA_PROGRAMS = ("conda", "mamba", "micromamba")


def python_command(words: tuple[str, ...], where: Where, wanted: Wanted) -> list[Said] | None:
    """What a command asks for goes into `wanted`; None for a command that is none of these."""
    program, rest = _program(words)
    if program == "pip" and rest:
        return pip_command(rest[0], rest[1:], where, wanted)
    if program == "uv" and rest:
        return uv_command(rest[0], rest[1:], where, wanted)
    if program == "poetry" and rest:
        return poetry_command(rest, where, wanted)
    if program == "pipenv" and rest:
        return pipenv_command(rest, where, wanted)
    if program in _CONDA_PROGRAMS and rest:
        return conda_command(rest, where, wanted)
    if program == "venv":
        folders = [word for word in rest if not word.startswith("-")]
        wanted.prefixes.update((where.absolute(folder), None) for folder in folders[:1])
        wanted.environments.update((where.absolute(folder), None) for folder in folders[:1])
        return [(Fate.NOT_NEEDED, "an image has one environment, /opt/venv")]
    return None


def _program(words: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """What is run, with `python -m`, paths and version suffixes taken off."""
    name = words[0].rpartition("/")[2]
    if re.fullmatch(r"python3?(?:\.\d+)?|pypy3?", name) and len(words) > 2 and words[1] == "-m":
        module = words[2]
        return {"virtualenv": "venv", "ensurepip": "venv"}.get(module, module), words[3:]
    if re.fullmatch(r"pip3?(?:\.\d+)?", name):
        return "pip", words[1:]
    if name == "virtualenv":
        return "venv", words[1:]
    if name in _CONDA_PROGRAMS and len(words) > 1 and words[1] == "run":
        inner = _without_options(words[2:])
        return _program(inner) if inner else (name, words[1:])
    return name, words[1:]


def _without_options(words: tuple[str, ...]) -> tuple[str, ...]:
    """The command in `conda run [options] COMMAND`."""
    at = 0
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] in ("-n", "--name", "-p", "--prefix", "--cwd") else 1
    return words[at:]
