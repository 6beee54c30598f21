"""Programs of the system that commands run: which Debian packages they are in, and where they write. Pure."""

from __future__ import annotations

import re

from lading.convert.importing.copying import absolute
from lading.convert.importing.places import CODE
from lading.inspect.lint.shell import read_shell

_PACKAGES = {
    "curl": "curl", "wget": "wget", "git": "git", "unzip": "unzip", "make": "make", "gcc": "gcc",
    "g++": "g++", "cmake": "cmake", "xz": "xz-utils", "bzip2": "bzip2", "ffmpeg": "ffmpeg", "jq": "jq",
    "aria2c": "aria2", "rsync": "rsync", "ssh": "openssh-client", "tini": "tini", "dumb-init": "dumb-init",
    "nc": "netcat-openbsd",
}  # fmt: skip
_COMPILES = frozenset(("make", "cmake", "gcc", "g++", "ninja", "cc", "c++"))
_TO = {"curl": ("-o", "--output"), "wget": ("-O", "--output-document", "-P", "--directory-prefix")}
_INTO = {"tar": ("-C", "--directory"), "unzip": ("-d",)}
_REDIRECT = re.compile(r"(?<![0-9&])>{1,2}\s*([^\s&;|<>()]+)")


def packages_of(text: str) -> list[str]:
    """Debian packages with the programs that a shell text runs."""
    return list(dict.fromkeys(_PACKAGES[name] for name in _programs(text) if name in _PACKAGES))


def compiles(text: str) -> bool:
    """Whether a compiler is run, so that headers are wanted too."""
    return any(name in _COMPILES for name in _programs(text))


def _programs(text: str) -> list[str]:
    commands = read_shell(text).commands
    return [command.values[0].rpartition("/")[2] for command in commands if command.words]


def writes_into_code(text: str, folder: str) -> bool:
    """Whether a text, run in `folder` of lading's image, plainly writes below the code: no step can."""
    for command in read_shell(text).commands:
        values = [value for value in command.values if value]
        if len(values) > 1 and values[0] == "cd":
            folder = absolute(folder, values[1])
        elif values and any(_is_code(absolute(folder, path)) for path in _written(values)):
            return True
    redirected = [path.strip("\"'") for path in _REDIRECT.findall(text) if "$" not in path]
    return any(_is_code(absolute(folder, path)) for path in redirected)


def folder_after(text: str, folder: str) -> str:
    """The working folder, once `text` has run in `folder`."""
    for command in read_shell(text).commands:
        if len(command.values) == 2 and command.values[0] == "cd":
            folder = absolute(folder, command.values[1])
    return folder


def _is_code(path: str) -> bool:
    return path == CODE or path.startswith(f"{CODE}/")


def _written(words: list[str]) -> list[str]:
    """The paths that a command of a known kind writes to; `.` where it is the working folder."""
    name, rest = words[0].rpartition("/")[2], words[1:]
    bare = [word for word in rest if not word.startswith("-")]
    if name in _TO:
        named = [rest[at + 1] for at, word in enumerate(rest[:-1]) if word in _TO[name] or _is_to(name, word)]
        plain = name == "wget" or any(re.match(r"-[a-zA-Z]*O$|--remote-name$", word) for word in rest)
        return [path for path in named if path != "-"] or (["."] if plain and not named else [])
    if name in _INTO and any("x" in word for word in rest[:1] if name == "tar") | (name == "unzip"):
        return [rest[at + 1] for at, word in enumerate(rest[:-1]) if word in _INTO[name]] or ["."]
    if name == "git" and bare[:1] == ["clone"]:
        return bare[2:3] or ["."]
    if name in ("touch", "mkdir"):
        return bare
    if name == "chmod":
        return bare[1:]
    if name in ("cp", "mv", "ln") and len(bare) > 1:
        return bare[-1:]
    return []


def _is_to(name: str, word: str) -> bool:
    """`curl -fsSLo FILE`"""
    return name == "curl" and re.fullmatch(r"-[a-zA-Z]*o", word) is not None
