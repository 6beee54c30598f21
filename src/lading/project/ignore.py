"""Which files of a folder do not belong to it: `.gitignore` and `.dockerignore` grammar. Pure.

gitignore(5): the last matching pattern decides, `!` takes back, a pattern with an inner or leading slash is
anchored, `**` spans folders, a trailing slash means folders only; nothing inside an ignored folder can be
taken back. `.dockerignore` differs in two ways: every pattern is anchored, and something inside an ignored
folder can be taken back. Small and without a library because `lading run` passes here at every start.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Pattern:
    """One line. `anchored` patterns match the whole path below the file's folder, others the last name."""

    glob: str
    negated: bool = False
    anchored: bool = False
    folders_only: bool = False

    def matches(self, path: str, name: str, is_folder: bool) -> bool:
        """`path` is relative to the ignore file's folder, `name` its last part."""
        if self.folders_only and not is_folder:
            return False
        subject = path if self.anchored else name
        if self._literal is not None:
            return subject == self._literal
        return self._expression is not None and self._expression.fullmatch(subject) is not None

    @cached_property
    def _literal(self) -> str | None:
        return None if re.search(r"[*?\[\\]", self.glob) else self.glob

    @cached_property
    def _expression(self) -> re.Pattern[str] | None:
        return _translate(self.glob)


def _translate(glob: str) -> re.Pattern[str] | None:
    """The regular expression of a glob; None for one that matches nothing (wildmatch.c)."""
    parts: list[str] = []
    at = 0
    while at < len(glob):
        character = glob[at]
        if glob.startswith("**/", at) and (at == 0 or glob[at - 1] == "/"):
            parts.append("(?:[^/]+/)*")
            at += 3
        elif glob.startswith("/**", at) and at + 3 == len(glob):
            parts.append("/.+")
            at += 3
        elif character == "*":
            while at < len(glob) and glob[at] == "*":
                at += 1
            parts.append("[^/]*")
        elif character == "?":
            parts.append("[^/]")
            at += 1
        elif character == "[":
            found = _bracket(glob, at)
            if found is None:
                return None
            parts.append(found[0])
            at = found[1]
        elif character == "\\":
            if at + 1 == len(glob):
                return None
            parts.append(re.escape(glob[at + 1]))
            at += 2
        else:
            parts.append(re.escape(character))
            at += 1
    return re.compile("".join(parts), re.DOTALL)


_CLASSES = {
    "alnum": "a-zA-Z0-9", "alpha": "a-zA-Z", "blank": " \\t", "digit": "0-9", "lower": "a-z", "space": "\\s",
    "upper": "A-Z", "xdigit": "0-9a-fA-F", "punct": re.escape("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
    "cntrl": "\\x00-\\x1f\\x7f", "graph": "\\x21-\\x7e", "print": "\\x20-\\x7e",
}  # fmt: skip


def _bracket(glob: str, start: int) -> tuple[str, int] | None:
    """A `[…]` set as a regular expression and where it ends; None when it is never closed."""
    at = start + 1
    negated = at < len(glob) and glob[at] in "!^"
    at += negated
    members: list[str] = []
    first = True
    while at < len(glob) and (first or glob[at] != "]"):
        first = False
        if glob.startswith("[:", at) and (end := glob.find(":]", at)) > 0:
            if glob[at + 2 : end] not in _CLASSES:
                return None
            members.append(_CLASSES[glob[at + 2 : end]])
            at = end + 2
            continue
        low, at = _member(glob, at)
        if at < len(glob) - 1 and glob[at] == "-" and glob[at + 1] != "]":
            high, at = _member(glob, at + 1)
            if low <= high:
                members.append(f"{re.escape(low)}-{re.escape(high)}")
            continue
        members.append(re.escape(low))
    if at >= len(glob):
        return None
    body = "".join(members)
    if negated:
        return f"[^/{body}]", at + 1
    return (f"(?!/)[{body}]" if body else "(?!)"), at + 1


def _member(glob: str, at: int) -> tuple[str, int]:
    if glob[at] == "\\" and at + 1 < len(glob):
        return glob[at + 1], at + 2
    return glob[at], at + 1


def gitignore_patterns(text: str) -> tuple[Pattern, ...]:
    """The patterns of a file in gitignore grammar, in order."""
    patterns = []
    for line in text.removeprefix("\ufeff").split("\n"):
        line = _without_trailing_spaces(line.removesuffix("\r"))
        if not line or line.startswith("#"):
            continue
        negated = line.startswith("!")
        line = line[negated:]
        folders_only = line.endswith("/")
        line = line[: -1 if folders_only else None]
        anchored = "/" in line
        if line := line.removeprefix("/"):
            patterns.append(Pattern(line, negated, anchored, folders_only))
    return tuple(patterns)


def _without_trailing_spaces(line: str) -> str:
    stripped = line.rstrip(" ")
    backslashes = len(stripped) - len(stripped.rstrip("\\"))
    return stripped + " " if backslashes % 2 and stripped != line else stripped


def dockerignore_patterns(text: str) -> tuple[Pattern, ...]:
    """The patterns of a `.dockerignore`: all anchored at the root."""
    patterns = []
    for line in text.removeprefix("\ufeff").splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        negated = line.startswith("!")
        line = line[negated:].strip().removeprefix("./").strip("/")
        if line and line != ".":
            patterns.append(Pattern(line, negated, anchored=True))
    return tuple(patterns)


def decide(patterns: Iterable[Pattern], path: str, is_folder: bool) -> bool | None:
    """True: ignored; False: taken back; None: no pattern says anything. The last one that matches decides."""
    name = path.rpartition("/")[2]
    verdict: bool | None = None
    for pattern in patterns:
        if pattern.matches(path, name, is_folder):
            verdict = not pattern.negated
    return verdict
