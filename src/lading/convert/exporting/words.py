"""How values are written in a Dockerfile and in the shell lines of its RUN. Pure."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Sequence

from lading.errors import ProjectError

_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=~-]+")


def quoted(value: str) -> str:
    """A value of ENV or LABEL. Raises ProjectError for what no Dockerfile can say."""
    if "\n" in value or "\r" in value or "\0" in value:
        raise ProjectError(
            f"a value with a line break cannot stand in a Dockerfile: {value!r}",
            hints=("write it in one line, or set it where the container is started",),
        )
    if _PLAIN.fullmatch(value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'


def pairs(instruction: str, values: Iterable[tuple[str, str]]) -> list[str]:
    """`ENV A=1 \\` and one line for each further pair."""
    words = [f"{_key(name)}={quoted(value)}" for name, value in values]
    return [f"{instruction} " + " \\\n    ".join(words)] if words else []


def _key(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else quoted(name)


def copy(source: str, target: str, *, options: str = "") -> str:
    """One COPY. Raises ProjectError for a name that Docker would read as a pattern."""
    for name in (source, target):
        if re.search(r"[*?\[\]\\\n\r]", name):
            raise ProjectError(
                f"{name!r} cannot be copied by a Dockerfile: it would be read as a pattern",
                place=name,
                hints=("rename it",),
            )
    head = f"COPY {options} " if options else "COPY "
    if _PLAIN.fullmatch(source) and _PLAIN.fullmatch(target):
        return f"{head}{source} {target}"
    return head + json.dumps([source.replace("$", "\\$"), target.replace("$", "\\$")], ensure_ascii=False)


def run(commands: Sequence[str], mounts: Sequence[str] = ()) -> str:
    """One RUN of several shell commands, each after the success of the one before.

    A command may have several lines; the shell gets them as one.
    """
    head = "".join(f"--mount={mount} \\\n    " for mount in mounts)
    lines = (command.strip().replace("\n", " \\\n    ") for command in commands)
    return f"RUN {head}" + " && \\\n    ".join(lines)


def exports(values: Iterable[tuple[str, str]]) -> str:
    return "export " + " ".join(f"{name}={shlex.quote(value)}" for name, value in values)
