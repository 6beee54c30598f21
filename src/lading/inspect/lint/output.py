"""Findings in the formats other programs read: SARIF 2.1.0 and GitHub's annotations. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from inspect import cleandoc
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from lading import __version__
from lading.inspect.lint.model import Finding, Severity
from lading.inspect.lint.rule import Rule, all_rules

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note", Severity.OFF: "none"}
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
        **({"image": finding.image, "layer": finding.layer} if finding.image else {}),
    }


def sarif(findings: Iterable[Finding], base: PurePath) -> dict[str, Any]:
    """One run, with the rules that found something. Paths are told from `base`, the folder of the call."""
    found = list(findings)
    used = sorted({finding.rule for finding in found})
    rules = all_rules()
    described = [_described(rules[id]) if id in rules else {"id": id} for id in used]
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "lading", "version": __version__, "rules": described}},
                "columnKind": "unicodeCodePoints",
                "results": [_result(finding, used.index(finding.rule), base) for finding in found],
            }
        ],
    }


def _described(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "help": {"text": cleandoc(rule.page)},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
    }


def _result(finding: Finding, index: int, base: PurePath) -> dict[str, Any]:
    region = {"startLine": finding.line, "startColumn": finding.column}
    uri = quote(finding.path or finding.image) if finding.image else _uri(PurePath(finding.path), base)
    return {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": _LEVELS[finding.severity],
        "message": {"text": finding.message},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": uri}, "region": region}}],
        "partialFingerprints": {"finding/v1": sha256(finding.key.encode()).hexdigest()},
    }


def _uri(path: PurePath, base: PurePath) -> str:
    """Relative where it can be: code scanning knows files from the repository's root."""
    if path.is_relative_to(base):
        path = path.relative_to(base)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())


def github(finding: Finding) -> str:
    """A workflow command: the finding stands beside its line in the pull request."""
    message = finding.message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    path = finding.path.replace("%", "%25").replace(",", "%2C").replace(":", "%3A")
    return (
        f"::{_COMMANDS[finding.severity]} file={path},line={finding.line},col={finding.column},"
        f"title={finding.rule}::{message}"
    )
