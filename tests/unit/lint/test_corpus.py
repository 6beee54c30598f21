"""Over the corpus: no false error, at most 2 % false warnings, nothing missed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from lading.inspect.lint.engine import lint_text
from lading.inspect.lint.model import Severity
from lading.inspect.lint.rule import all_rules
from lint.corpus import corpus

PAGE = Path(__file__).parents[3] / "docs/internals/lint-corpus.md"


def test_what_is_said_is_what_was_put_in() -> None:
    told, false, missed = Counter[str](), Counter[str](), Counter[str]()
    wrong = []
    for sample in corpus():
        found = {finding.rule for finding in lint_text(sample.name, sample.text, {})}
        told.update(found & sample.expected)
        false.update(found - sample.expected)
        missed.update(sample.expected - found)
        if found != sample.expected:
            wrong.append((sample.text, found - sample.expected, sample.expected - found))
    errors = sum(count for rule, count in false.items() if all_rules()[rule].severity is Severity.ERROR)
    assert errors == 0, wrong[:1]
    assert false.total() <= 0.02 * told.total(), wrong[:1]
    assert missed.total() == 0, wrong[:1]
    for rule in told:
        assert f"| {rule} | {told[rule]} | {false[rule]} | {missed[rule]} |" in PAGE.read_text("utf-8")
