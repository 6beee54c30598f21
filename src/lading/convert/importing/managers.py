"""uv, Poetry, Pipenv and conda: whose lock or file says what is wanted. Pure. Sources: the tools' manuals."""

from __future__ import annotations

import re

from lading.convert.importing.model import Fate
from lading.convert.importing.pip_commands import pip_command
from lading.convert.importing.wanted import Said, Wanted, Where, options


def uv_command(command: str, words: tuple[str, ...], where: Where, wanted: Wanted) -> list[Said] | None:
    if command == "pip" and words:
        return pip_command(words[0], words[1:], where, wanted)
    if command == "venv":
        return _uv_venv(words, where, wanted)
    if command == "python":
        found = [word for word in words[1:] if re.fullmatch(r"3\.\d+(?:\.\d+)?", word)]
        if found:
            wanted.python = ".".join(found[0].split(".")[:2])
            return [(Fate.CARRIED, f'python = "{wanted.python}"')]
        return [(Fate.NOT_NEEDED, "Python is chosen in lading.toml")]
    if command in ("sync", "export"):
        return _uv_sync(command, words, where, wanted)
    if command in ("lock", "cache", "self", "--version", "version"):
        return [(Fate.NOT_NEEDED, "it leaves nothing in an image")]
    if command == "tool":
        return [(Fate.LOST, "tools apart from the environment: add them to the requirements")]
    if command == "add":
        return [(Fate.LOST, "it changes pyproject.toml in the image alone: run it in the project")]
    return None


def _uv_venv(words: tuple[str, ...], where: Where, wanted: Wanted) -> list[Said]:
    folder = ".venv"
    for option, value in options(words):
        if option in ("--python", "-p") and re.fullmatch(r"3\.\d+(?:\.\d+)?", value):
            wanted.python = ".".join(value.split(".")[:2])
        elif not option:
            folder = value
    wanted.prefixes.setdefault(where.absolute(folder))
    return [(Fate.NOT_NEEDED, "an image has one environment, /opt/venv")]


def _uv_sync(command: str, words: tuple[str, ...], where: Where, wanted: Wanted) -> list[Said]:
    groups: list[str] = []
    dev, output = "dev" in where.groups, None
    for option, value in options(words):
        if option in ("--group", "--extra", "--only-group"):
            groups.append(value)
            dev = dev and option != "--only-group"
        elif option in ("--no-dev", "--no-default-groups"):
            dev = False
        elif option in ("--all-groups", "--all-extras"):
            groups += sorted(where.groups)
        elif option in ("-o", "--output-file"):
            output = value
    groups += ["dev"] if dev else []
    wanted.groups.update((name, None) for name in groups)
    if command == "export":
        if output is not None:
            wanted.exported[where.absolute(output)] = "uv"
        return [(Fate.NOT_NEEDED, "uv.lock is read as it is")]
    wanted.managers.setdefault("uv")
    wanted.prefixes.setdefault(where.absolute(".venv"))
    more = f", groups {', '.join(dict.fromkeys(groups))}" if groups else ""
    return [(Fate.CARRIED, f"uv.lock, as it is{more}")]


def poetry_command(rest: tuple[str, ...], where: Where, wanted: Wanted) -> list[Said] | None:
    command = next((word for word in rest if not word.startswith("-")), "")
    words = rest[rest.index(command) + 1 :] if command else ()
    if command == "export":
        output = next((value for option, value in options(words) if option in ("-o", "--output")), None)
        output = output or next(
            (words[i + 1] for i, w in enumerate(words[:-1]) if w in ("-o", "--output")), None
        )
        if output is not None:
            wanted.exported[where.absolute(output)] = "poetry"
        return [(Fate.NOT_NEEDED, "the requirements are written beside lading.toml")]
    if command in ("install", "sync"):
        groups = []
        for option, value in options(words):
            if option in ("--with", "-E", "--extras"):
                groups += re.split(r"[ ,]+", value.strip())
        wanted.managers.setdefault("poetry")
        wanted.groups.update((name, None) for name in groups if name)
        wanted.prefixes.setdefault(where.absolute(".venv"))
        return [(Fate.CARRIED, "the dependencies in pyproject.toml, as poetry.lock has them")]
    if command in ("config", "self", "lock", "check", "env", "cache", "--version"):
        return [(Fate.NOT_NEEDED, "it leaves nothing in an image")]
    return None


def pipenv_command(rest: tuple[str, ...], where: Where, wanted: Wanted) -> list[Said] | None:
    if rest[0] in ("install", "sync"):
        wanted.managers.setdefault("pipenv")
        return [(Fate.CARRIED, "what Pipfile.lock has locked")]
    if rest[0] in ("lock", "requirements", "--version"):
        return [(Fate.NOT_NEEDED, "it leaves nothing in an image")]
    return None


def conda_command(rest: tuple[str, ...], where: Where, wanted: Wanted) -> list[Said] | None:
    command, words = rest[0], rest[1:]
    if command == "env" and words:
        command, words = words[0], words[1:]
    if command not in ("create", "install", "update"):
        known = ("clean", "init", "config", "activate", "info", "list", "run", "shell", "remove", "upgrade")
        return [(Fate.NOT_NEEDED, "an image has one environment, /opt/venv")] if command in known else None
    said: list[Said] = []
    for option, value in options(words):
        if option in ("-f", "--file"):
            said += _conda_file(value, where, wanted)
        elif option in ("-p", "--prefix"):
            wanted.prefixes.setdefault(where.absolute(value))
        elif not option:
            said += _conda_spec(value, wanted)
    return said or [(Fate.NOT_NEEDED, "conda itself is not in the image")]


def _conda_file(path: str, where: Where, wanted: Wanted) -> list[Said]:
    found = where.to_context(where.absolute(path))
    if found is None or not found.endswith((".yml", ".yaml")):
        return [(Fate.LOST, f"{path} is no environment.yml of the build context")]
    wanted.environment = found
    return [(Fate.CARRIED, f"{found}, translated into wheels")]


def _conda_spec(spec: str, wanted: Wanted) -> list[Said]:
    if spec.rpartition("::")[2] in ("conda", "mamba", "pip", "conda-libmamba-solver"):
        return []
    wanted.conda.setdefault(spec)
    return [(Fate.CARRIED, f"dependency {spec}, translated into a wheel")]
