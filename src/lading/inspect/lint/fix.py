"""Edits applied to a text, and the difference to show before. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from lading.inspect.lint.model import Edit, Finding


def mended(text: str, findings: Iterable[Finding], file: str = "") -> str:
    """The text with every finding's edits, a finding whole or not at all: one that overlaps another's
    waits. `file`: the text is that of a file beside the one with the findings, as their edits name it.
    """
    taken: dict[Edit, None] = {}
    for edits in (_edits(finding, file) for finding in findings):
        if not any(_meet(edit, other) for edit in edits for other in taken):
            taken.update(dict.fromkeys(edits))
    for edit in sorted(taken, key=lambda edit: edit.start, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def files_beside(findings: Iterable[Finding]) -> tuple[str, ...]:
    """The other files that the findings' edits name."""
    return tuple(sorted({edit.beside for finding in findings for edit in finding.edits if edit.beside}))


def _edits(finding: Finding, file: str) -> tuple[Edit, ...]:
    return tuple(edit for edit in finding.edits if edit.beside == file)


def _meet(edit: Edit, other: Edit) -> bool:
    """Whether two edits cannot both be made. The same edit twice is one; two that put different members
    before the same one go together.
    """
    if edit == other:
        return False
    if edit.start == edit.end == other.start == other.end:
        return edit.text.partition(":")[0] == other.text.partition(":")[0]
    return (edit.start < other.end and other.start < edit.end) or edit.start == other.start


def difference(path: str, before: str, after: str) -> str:
    """A unified diff, as `git apply` and `patch -p1` take it."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"a/{path}", f"b/{path}"
    )
    return "".join(
        line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines
    )
