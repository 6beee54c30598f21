"""`# lading: ignore LDD001 why`: comments that take a finding back, with a reason. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_ID = r"LD[A-Z]\d{3}|DL\d{4}|SC\d{4}"
_COMMENT = re.compile(rf"(?:^|\s)#\s*lading:\s*ignore\s+((?:{_ID})(?:\s*,\s*(?:{_ID}))*)[ \t:]*(.*?)\s*$")


@dataclass(frozen=True, slots=True)
class Ignore:
    """Holds for its own line and, when it stands alone, for the next line that is not a comment."""

    rules: tuple[str, ...]
    reason: str
    line: int
    lines: frozenset[int]


def read_ignores(text: str) -> tuple[Ignore, ...]:
    return tuple(_ignores(text.split("\n")))


def _ignores(lines: list[str]) -> Iterator[Ignore]:
    for number, line in enumerate(lines, start=1):
        match = _COMMENT.search(line)
        if match is None:
            continue
        held = {number}
        if line.lstrip().startswith("#"):
            after = number
            while after < len(lines) and lines[after].lstrip().startswith("#"):
                after += 1
            held.add(after + 1)
        rules = tuple(rule.strip() for rule in match[1].split(","))
        yield Ignore(rules, match[2], number, frozenset(held))


def is_ignored(rule: str, line: int, ignores: Iterable[Ignore]) -> bool:
    """Only an ignore with a reason counts."""
    return any(entry.reason and rule in entry.rules and line in entry.lines for entry in ignores)
