"""docs/guides/export.md lists every difference of an export, in the words of the table of the suite."""

from __future__ import annotations

import tomllib
from pathlib import Path

TESTS = Path(__file__).parent.parent.parent
GUIDE = (TESTS.parent / "docs/guides/export.md").read_text()
TABLE = tomllib.loads((TESTS / "integration/export_differences.toml").read_text())


def test_the_guide_has_each_reason_once_and_no_other() -> None:
    rows = [line.strip("|").split(" | ") for line in GUIDE.partition("## What differs")[2].splitlines()]
    said = [row[-1].strip() for row in rows if len(row) == 3][1:]
    held = [entry["reason"] for entries in TABLE.values() for entry in entries]
    assert sorted(set(said)) == sorted(set(held))
    assert len(said) == len(set(said))
