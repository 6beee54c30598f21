"""Edits applied to a text, and the difference to show before. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from lading.inspect.lint.model import Edit, Finding


def mended(text: str, findings: Iterable[Finding]) -> str:
    """The text with every finding's edits, a finding whole or not at all: one that overlaps another's
    waits.
    """
    taken: list[tuple[int, int]] = []
    edits: list[Edit] = []
    for finding in findings:
        spans = [(edit.start, edit.end) for edit in finding.edits]
        if any(
            (start < end2 and start2 < end) or start == start2
            for start, end in spans
            for start2, end2 in taken
        ):
            continue
        taken += spans
        edits += finding.edits
    for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def difference(path: str, before: str, after: str) -> str:
    """A unified diff, as `git apply` and `patch -p1` take it."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"a/{path}", f"b/{path}"
    )
    return "".join(
        line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines
    )
