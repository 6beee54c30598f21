"""A report as the documents other programs read: `--json`, and SARIF 2.1.0. Pure.

The JSON is a promise: fields are added, never renamed; `schema` counts what breaks that.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any
from urllib.parse import quote

from lading.inspect.explain.explanation import shown
from lading.inspect.scan.model import Check, Finding
from lading.inspect.scan.report import ScanReport

SCHEMA = 1
_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"
_TITLES = {
    Check.SECRETS: "A secret in the image",
    Check.ALTERED: "A file of a wheel that differs from its RECORD",
    Check.STARTUP: "Code that runs whenever Python starts",
    Check.SETUID: "A program with other rights than its caller's",
    Check.VULNERABILITIES: "A known vulnerability",
}
_LEVELS = {"critical": "error", "high": "error", "medium": "warning", "unknown": "warning"}


def as_json(report: ScanReport) -> dict[str, Any]:
    image = report.explanation.image
    database = report.advice.database if report.advice is not None else None
    return {
        "type": "scan",
        "schema": SCHEMA,
        "name": image.name,
        "digest": image.digest,
        "config_digest": image.config_digest,
        "platform": image.platform,
        "checks": list(report.checks),
        "findings": [_finding(finding) for finding in report.findings],
        "samples": report.sample_count,
        "not_searched": [
            {"kind": kind, "files": files, "size_bytes": size}
            for kind, (files, size) in report.unsearched.items()
        ],
        "advisories": None
        if database is None
        else {
            "records": database.record_count,
            "newest": database.newest,
            "ecosystems": sorted(database.ecosystems),
        },
        "not_judged": dict(report.unjudged),
        "unused_exceptions": [str(entry) for entry in report.judged.unused],
        "metrics": dict(report.metrics),
        "gate": report.verdict.as_json(),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "check": finding.check,
        "id": finding.id,
        "message": finding.message,
        "path": shown(finding.path),
        "layer": finding.layer,
        "line": finding.line,
        "package": finding.package,
        "version": finding.version,
        **finding.details,
        "allowed": finding.allowed or None,
    }


def sarif(report: ScanReport) -> dict[str, Any]:
    """One run. What an exception lets be is a result that is suppressed, with the reason."""
    ids = sorted({_rule(finding) for finding in report.findings})
    described = {_rule(finding): _description(finding) for finding in report.findings}
    return {
        "$schema": _SARIF,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "lading",
                        "rules": [{"id": one, **described[one]} for one in ids],
                    }
                },
                "results": [
                    _result(report, finding, ids.index(_rule(finding))) for finding in report.findings
                ],
            }
        ],
    }


def _rule(finding: Finding) -> str:
    return finding.id if finding.check is Check.VULNERABILITIES else str(finding.check)


def _description(finding: Finding) -> dict[str, Any]:
    if finding.check is not Check.VULNERABILITIES:
        return {"shortDescription": {"text": _TITLES[finding.check]}}
    described: dict[str, Any] = {"shortDescription": {"text": finding.message}}
    if finding.details["score"] is not None:  # code scanning sorts by it
        described["properties"] = {"security-severity": str(finding.details["score"])}
    return described


def _result(report: ScanReport, finding: Finding, index: int) -> dict[str, Any]:
    is_flaw = finding.check is Check.VULNERABILITIES
    default = "error" if finding.check in (Check.SECRETS, Check.ALTERED) else "note"
    where = finding.path or report.explanation.image.name
    message = f"{finding.package} {finding.version}: {finding.message}" if is_flaw else finding.message
    result: dict[str, Any] = {
        "ruleId": _rule(finding),
        "ruleIndex": index,
        "level": _LEVELS.get(finding.details["severity"], "note") if is_flaw else default,
        "message": {"text": message},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(shown(where))},
                    "region": {"startLine": finding.line or 1},
                }
            }
        ],
        "partialFingerprints": {
            "finding/v1": sha256(
                f"{finding.id}\t{where}\t{finding.package}".encode("utf-8", "replace")
            ).hexdigest()
        },
    }
    if finding.allowed:
        result["suppressions"] = [{"kind": "external", "justification": finding.allowed}]
    return result
