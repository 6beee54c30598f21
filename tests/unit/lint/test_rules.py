"""Each rule catches its cases, leaves others alone, and mends only what it found."""

from __future__ import annotations

from collections import Counter

import pytest
import yaml

from lading.inspect.lint.dockerfile import read_dockerfile
from lading.inspect.lint.engine import lint_text
from lading.inspect.lint.fix import mended
from lading.inspect.lint.model import Severity
from lading.inspect.lint.rule import all_rules
from lint.cases import CASES
from lint.cases_folder import FOLDERS
from lint.image_cases import IMAGES
from lint.python_cases import PYTHON
from lint.test_manifest_rules import CASES as MANIFESTS
from lint.test_mends import WRITTEN_OUT

CATCH = [(rule, name, text) for rule, (name, caught, _) in CASES.items() for text in caught]
ASKED_FOR = {rule.id: Severity.INFO for rule in all_rules().values() if rule.severity is Severity.OFF}
"""Rules that say nothing unless they are asked for."""
LEAVE = [(rule, name, text) for rule, (name, _, left) in CASES.items() for text in left]


def found(name: str, text: str) -> list[str]:
    return [finding.rule for finding in lint_text(name, text, ASKED_FOR)]


@pytest.mark.parametrize(("rule", "name", "text"), CATCH)
def test_a_rule_catches_its_cases(rule: str, name: str, text: str) -> None:
    assert rule in found(name, text)


@pytest.mark.parametrize(("rule", "name", "text"), LEAVE)
def test_a_rule_leaves_other_files_alone(rule: str, name: str, text: str) -> None:
    assert rule not in found(name, text)


def test_every_rule_has_three_cases_of_each_and_a_page() -> None:
    with_cases = (CASES, FOLDERS, MANIFESTS, PYTHON, IMAGES)
    assert {rule for cases in with_cases for rule in cases} == all_rules().keys()
    for rule, (caught, left) in {**{rule: case[1:] for rule, case in CASES.items()}, **FOLDERS}.items():
        assert len(caught) >= 3 <= len(left), rule
        assert all(part in all_rules()[rule].page for part in ("Bad:", "Good:")), rule


@pytest.mark.parametrize(("rule", "name", "text"), CATCH)
def test_a_mend_removes_its_finding_and_brings_no_other(rule: str, name: str, text: str) -> None:
    findings = lint_text(name, text, {})
    after = mended(text, findings)
    again = lint_text(name, after, {})
    assert mended(after, again) == after, "a second mend changes nothing"
    kept = Counter(finding.rule for finding in findings if not finding.edits)
    assert Counter(finding.rule for finding in again) <= kept, "a mend may settle another finding too"
    if after != text:
        assert all_rules()[rule].mends or rule not in {finding.rule for finding in findings if finding.edits}


@pytest.mark.parametrize(("rule", "name", "text"), [case for case in CATCH if case[0] not in WRITTEN_OUT])
def test_a_mend_changes_nothing_but_what_was_found(rule: str, name: str, text: str) -> None:
    findings = [finding for finding in lint_text(name, text, {}) if finding.edits and finding.rule == rule]
    if not findings:
        return
    after = mended(text, findings)
    if name == "Dockerfile":
        before_all, after_all = (
            [entry.text for entry in read_dockerfile(version).instructions] for version in (text, after)
        )
        changed = [
            line.replace(" & ", " && ") for line in before_all if "ENV CUDA_VISIBLE_DEVICES" not in line
        ]
        assert after_all == changed
    else:
        before, now = yaml.safe_load(text), yaml.safe_load(after)
        assert _without(before) == _without(now)


def _without(value: object) -> object:
    """A YAML value without what the mends write."""
    if isinstance(value, dict):
        cleaned = {key: _without(part) for key, part in value.items()}
        return {
            key: part
            for key, part in cleaned.items()
            if key not in {"capabilities", "nvidia.com/gpu"}
            and not (key in {"limits", "requests"} and not part)
        }
    return [_without(part) for part in value] if isinstance(value, list) else value
