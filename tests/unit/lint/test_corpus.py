"""Over the corpus: no false error, at most 2 % false warnings, nothing missed; and what mends do to it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml

from lading.inspect.lint.dockerfile import read_dockerfile
from lading.inspect.lint.engine import lint_text
from lading.inspect.lint.fix import mended
from lading.inspect.lint.model import Finding, Severity
from lading.inspect.lint.rule import all_rules
from lading.inspect.lint.surroundings import Neighbourhood
from lint.corpus import Sample, corpus, written

PAGE = Path(__file__).parents[3] / "docs/internals/lint-corpus.md"


def findings(sample: Sample, text: str | None = None) -> list[Finding]:
    """Files that were written by hand lie in folders, with what they need beside them."""
    path = Path(sample.name)
    around = Neighbourhood().of(path) if path.is_absolute() else None
    return lint_text(sample.name, sample.text if text is None else text, {}, around)


def test_what_is_said_is_what_was_put_in() -> None:
    told, false, missed = Counter[str](), Counter[str](), Counter[str]()
    wrong = []
    for sample in [*corpus(), *written()]:
        found = {finding.rule for finding in findings(sample)}
        told.update(found & sample.expected)
        false.update(found - sample.expected)
        missed.update(sample.expected - found)
        if found != sample.expected:
            wrong.append((sample.name, sample.text, found - sample.expected, sample.expected - found))
    errors = sum(count for rule, count in false.items() if all_rules()[rule].severity is Severity.ERROR)
    assert errors == 0, wrong[:1]
    assert false.total() <= 0.02 * told.total(), wrong[:1]
    assert missed.total() == 0, wrong[:1]
    rows = [
        f"| {rule} | {told[rule]} | {false[rule]} | {missed[rule]} |"
        for rule in sorted(told | false | missed)
    ]
    held = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith(("| LDC", "| LDD"))]
    assert held == rows


@pytest.mark.parametrize(
    "sample", [*corpus(), *written()], ids=lambda sample: "-".join(Path(sample.name).parts[-2:])
)
def test_a_mended_file_is_still_one_and_a_second_mend_changes_nothing(sample: Sample) -> None:
    before = findings(sample)
    after = mended(sample.text, before)
    again = findings(sample, after)
    assert mended(after, again) == after
    assert Counter(finding.rule for finding in again) <= Counter(finding.rule for finding in before)
    if Path(sample.name).name.startswith("Dockerfile"):
        read_dockerfile(after)
    else:
        yaml.safe_load(after)
