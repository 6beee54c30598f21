"""Over manifests and Python projects written by hand: no false error, at most 2 % false warnings."""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path

from lading.inspect.lint.documents import is_candidate
from lading.inspect.lint.engine import lint_files
from lading.inspect.lint.model import Severity
from lading.inspect.lint.rule import all_rules

FOLDER = Path(__file__).parent / "manifests"
PAGE = Path(__file__).parents[3] / "docs/internals/lint-corpus.md"
FAMILIES = ("LDK", "LDA", "LDP")


def said_of(path: Path) -> set[str]:
    """Nothing of what only lies beside the others, such as a lading.toml."""
    if not is_candidate(path.name):
        return set()
    report = lint_files([path], {})
    assert not report.unread, report.unread
    return {finding.rule for finding in report.findings if finding.rule.startswith(FAMILIES)}


def test_what_is_said_is_what_was_labelled() -> None:
    labels = tomllib.loads((FOLDER / "labels.toml").read_text("utf-8"))
    files = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file()}
    assert files - {"labels.toml"} == labels.keys()
    told, false, missed = Counter[str](), Counter[str](), Counter[str]()
    wrong = {}
    for name, label in labels.items():
        found, expected = said_of(FOLDER / name), set(label)
        told.update(found & expected)
        false.update(found - expected)
        missed.update(expected - found)
        if found != expected:
            wrong[name] = (found - expected, expected - found)
    errors = sum(count for rule, count in false.items() if all_rules()[rule].severity is Severity.ERROR)
    assert errors == 0, wrong
    assert false.total() <= 0.02 * told.total(), wrong
    assert missed.total() == 0, wrong
    page = PAGE.read_text("utf-8")
    assert f"{len(labels)} files" in page
    for rule in sorted(told):
        assert f"| {rule} | {told[rule]} | {false[rule]} | {missed[rule]} |" in page, (
            f"| {rule} | {told[rule]} |"
        )
