"""Instructions as people see them, and what ARG and ENV declare. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lading.inspect.lint.dockerfile import Instruction, Word
from lading.project.tokens import token_in, without_userinfo

_SHOWN = 100
"""Characters of an instruction in the table."""


def declared(entry: Instruction) -> Iterator[tuple[str, Word | None]]:
    """The names of an ARG or ENV, and what they are given."""
    given = dict(entry.pairs)
    if entry.keyword == "ENV":
        yield from given.items()
        return
    for word in entry.words:
        name = word.text.partition("=")[0]
        yield name, given.get(name)


def shown_line(keyword: str, text: str) -> str:
    """The instruction on one line, shortened, without what looks like a credential."""
    if token_in(text.encode("utf-8", "surrogatepass")):
        return f"{keyword} …"
    line = " ".join(without_userinfo(text).split())
    line = line if line.upper().startswith(keyword) else f"{keyword} {line}"
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"
