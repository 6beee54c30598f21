"""Collecting everything that is wrong with what the user wrote, each with its place. Pure.

Knows how a problem is put into words; not what is right or wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from lading.errors import ConfigError, Problem
from lading.project.places import KeyLines, KeyPath

COMMAND_LINE = "command line"


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice most like `word`, capital or small letters, or None when none is like it."""
    from difflib import get_close_matches  # only mistakes need it

    by_letters = {choice.lower(): choice for choice in sorted(choices, reverse=True)}
    found = get_close_matches(word.lower(), by_letters, n=1, cutoff=0.6)
    return by_letters[found[0]] if found else None


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """`did you mean "x"?`, or the list of what there is."""
    known = sorted(choices)
    close = nearest(word, known)
    if close is not None:
        return f"did you mean {close!r}?"
    return f"known: {', '.join(known)}" if known else "none is defined"


def dotted(path: KeyPath) -> str:
    """A key path as people write it: `train.inputs.digits`, `image.apt[0]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


@dataclass(slots=True)
class Report:
    """Problems found so far. One is shared by a whole load."""

    problems: list[Problem] = field(default_factory=list)

    def add(self, place: str, key: str, message: str, suggestion: str | None = None) -> None:
        problem = Problem(place=place, key=key, message=message, suggestion=suggestion)
        if problem not in self.problems:
            self.problems.append(problem)

    def stop_if_any(self) -> None:
        """Raises ConfigError with all problems, if there is one."""
        if self.problems:
            raise ConfigError(tuple(self.problems))


@dataclass(slots=True)
class ConfigReport:
    """The view of a Report from inside one TOML document: takes key paths, adds file and line.

    `prefix` is where our keys begin in the document (`tool.lading`); it is left out of the key shown.
    """

    report: Report
    file: str
    text: str | None = None
    prefix: KeyPath = ()
    _lines: KeyLines | None = None

    def __call__(self, path: KeyPath, message: str, suggestion: str | None = None) -> None:
        self.report.add(self.place(path), dotted(path) or self.file, message, suggestion)

    def place(self, path: KeyPath) -> str:
        """`file:line` of a key path."""
        if self.text is None:
            return self.file
        if self._lines is None:
            self._lines = KeyLines(self.text)
        return f"{self.file}:{self._lines.line((*self.prefix, *path))}"

    def inside(self, prefix: KeyPath) -> ConfigReport:
        """The same document, with other keys taken as the beginning."""
        return ConfigReport(self.report, self.file, self.text, prefix, self._lines)
