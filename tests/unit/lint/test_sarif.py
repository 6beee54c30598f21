"""SARIF is what version 2.1.0 says, whatever is found.

`sarif-2.1.0.json` is OASIS's own schema without its descriptions.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lading.inspect.lint.model import Finding, Severity
from lading.inspect.lint.output import sarif
from lading.inspect.lint.rule import all_rules

SCHEMA = jsonschema.Draft202012Validator(
    json.loads((Path(__file__).parent / "sarif-2.1.0.json").read_text("utf-8")),
    format_checker=jsonschema.FormatChecker(),
)
BASE = PurePosixPath("/work/project")
FINDINGS = st.builds(
    Finding,
    rule=st.sampled_from([*sorted(all_rules()), "LDL001"]),
    severity=st.sampled_from([Severity.INFO, Severity.WARNING, Severity.ERROR]),
    path=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1),
    line=st.integers(1),
    column=st.integers(1),
    message=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
)


@settings(max_examples=25)
@given(st.lists(FINDINGS, max_size=4))
def test_whatever_is_found_is_a_log_of_version_2_1_0(findings: list[Finding]) -> None:
    log = sarif(findings, BASE)
    SCHEMA.validate(log)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    assert [rules[result["ruleIndex"]]["id"] for result in run["results"]] == [one.rule for one in findings]


def test_the_schema_would_find_a_mistake() -> None:
    log = sarif([], BASE)
    log["runs"][0]["tool"]["driver"]["rule"] = []
    assert not SCHEMA.is_valid(log)


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("Dockerfile", "Dockerfile"),
        ("a b/ü.yaml", "a%20b/%C3%BC.yaml"),
        ("/work/project/k8s/job.yaml", "k8s/job.yaml"),
        ("/elsewhere/job.yaml", "file:///elsewhere/job.yaml"),
        ("../job.yaml", "../job.yaml"),
    ],
)
def test_a_path_is_told_from_the_folder_of_the_call(path: str, uri: str) -> None:
    """A reference that begins with a slash is not relative; code scanning wants the repository's paths."""
    finding = Finding(rule="LDK001", severity=Severity.ERROR, path=path, line=1, column=1, message="m")
    (result,) = sarif([finding], BASE)["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": uri}
