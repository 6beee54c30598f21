"""Findings in the formats other programs read: SARIF 2.1.0 and GitHub's annotations. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from lading.inspect.lint.model import Finding, Severity
from lading.inspect.lint.rule import all_rules

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def as_json(finding: Finding) -> dict[str, object]:
    return {
        "rule": finding.rule,
        "severity": finding.severity.label,
        "path": finding.path,
        "line": finding.line,
        "column": finding.column,
        "message": finding.message,
        "can_fix": bool(finding.edits),
    }


def sarif(findings: Iterable[Finding]) -> dict[str, Any]:
    """One run, with the rules that found something."""
    found = list(findings)
    used = sorted({finding.rule for finding in found})
    rules = all_rules()
    described = [
        {"id": id, **({"shortDescription": {"text": rules[id].title}} if id in rules else {})} for id in used
    ]
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "lading", "rules": described}},
                "columnKind": "unicodeCodePoints",
                "results": [_result(finding, used.index(finding.rule)) for finding in found],
            }
        ],
    }


def _result(finding: Finding, index: int) -> dict[str, Any]:
    region = {"startLine": finding.line, "startColumn": finding.column}
    uri = quote(PurePath(finding.path).as_posix())
    return {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": _LEVELS[finding.severity],
        "message": {"text": finding.message},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": uri}, "region": region}}],
        "partialFingerprints": {"finding/v1": sha256(finding.key.encode()).hexdigest()},
    }


def github(finding: Finding) -> str:
    """A workflow command: the finding stands beside its line in the pull request."""
    message = finding.message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    path = finding.path.replace("%", "%25").replace(",", "%2C").replace(":", "%3A")
    return (
        f"::{_COMMANDS[finding.severity]} file={path},line={finding.line},col={finding.column},"
        f"title={finding.rule}::{message}"
    )
