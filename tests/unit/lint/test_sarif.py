"""SARIF as GitHub's code scanning reads it: the structure of version 2.1.0, nothing else, whatever is found.

The schema below says what of OASIS's `sarif-schema-2.1.0.json` lading writes, with its required properties
and its closed objects.
"""

from __future__ import annotations

from typing import Any

import jsonschema
from hypothesis import given
from hypothesis import strategies as st

from lading.inspect.lint.model import Finding, Severity
from lading.inspect.lint.output import sarif
from lading.inspect.lint.rule import all_rules


def closed(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **optional},
        "required": list(required),
        "additionalProperties": False,
    }


TEXT = {"type": "string"}
MESSAGE = closed({"text": TEXT})
RULE = closed({"id": TEXT}, shortDescription=MESSAGE)
REGION = closed(
    {"startLine": {"type": "integer", "minimum": 1}, "startColumn": {"type": "integer", "minimum": 1}}
)
LOCATION = closed(
    {
        "physicalLocation": closed(
            {
                "artifactLocation": closed({"uri": {"type": "string", "format": "uri-reference"}}),
                "region": REGION,
            }
        )
    }
)
RESULT = closed(
    {
        "ruleId": TEXT,
        "ruleIndex": {"type": "integer", "minimum": 0},
        "level": {"enum": ["none", "note", "warning", "error"]},
        "message": MESSAGE,
        "locations": {"type": "array", "items": LOCATION, "uniqueItems": True},
        "partialFingerprints": {"type": "object", "additionalProperties": TEXT},
    }
)
RUN = closed(
    {
        "tool": closed(
            {"driver": closed({"name": TEXT, "rules": {"type": "array", "items": RULE, "uniqueItems": True}})}
        ),
        "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
        "results": {"type": "array", "items": RESULT},
    }
)
LOG = closed(
    {"$schema": {"type": "string", "format": "uri"}, "version": {"const": "2.1.0"},
     "runs": {"type": "array", "items": RUN, "minItems": 1}}
)  # fmt: skip
FINDINGS = st.builds(
    Finding,
    rule=st.sampled_from([*sorted(all_rules()), "LDL001"]),
    severity=st.sampled_from([Severity.INFO, Severity.WARNING, Severity.ERROR]),
    path=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1),
    line=st.integers(1),
    column=st.integers(1),
    message=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
)


@given(st.lists(FINDINGS, max_size=6))
def test_whatever_is_found_is_a_log_of_version_2_1_0(findings: list[Finding]) -> None:
    log = sarif(findings)
    checker = jsonschema.Draft202012Validator(LOG, format_checker=jsonschema.FormatChecker())
    checker.validate(log)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    assert [rules[result["ruleIndex"]]["id"] for result in run["results"]] == [one.rule for one in findings]
