"""Findings against exceptions and a gate: the same expressions that stand before a model. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fnmatch import fnmatchcase

from lading.inspect.scan.cvss import LEVELS
from lading.inspect.scan.model import Check, Finding
from lading.inspect.scan.vulnerabilities import UNKNOWN
from lading.project.expression import metric_names, parse
from lading.project.scan_settings import Allowed
from lading.run.gate import Outcome, Verdict

WORDS = (*reversed(LEVELS), UNKNOWN)
"""Of severity, the worst first; `unknown` is nobody's word."""
_FIXABLE = "fixable"
METRICS = (
    *Check,
    *WORDS,
    *(f"{_FIXABLE}.{word}" for word in WORDS),
    *(_FIXABLE, "score", "epss", "unjudged", "age_days"),
)
"""All that a gate may name; a scan has those of its checks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    findings: tuple[Finding, ...]
    unused: tuple[Allowed, ...]
    """Exceptions that nothing was found for."""


def apply_exceptions(findings: Iterable[Finding], allowed: Sequence[Allowed], today: date) -> Judged:
    """Findings with the reason that lets them be. An expired exception lets nothing be."""
    valid = [entry for entry in allowed if entry.expires >= today]
    used: set[int] = set()
    judged = []
    for finding in findings:
        fitting = [number for number, entry in enumerate(valid) if _fits(entry, finding)]
        used.update(fitting)
        judged.append(replace(finding, allowed=valid[fitting[0]].reason) if fitting else finding)
    unused = tuple(entry for number, entry in enumerate(valid) if number not in used)
    return Judged(findings=tuple(judged), unused=unused)


def _fits(entry: Allowed, finding: Finding) -> bool:
    if entry.finding.lower() not in {one.lower() for one in finding.ids}:
        return False
    packages = {finding.package, *finding.details.get("packages", ())}
    if entry.package and entry.package not in packages:
        return False
    return not entry.path or fnmatchcase(finding.path, entry.path.lstrip("/"))


def default_gate(checks: Collection[Check]) -> str:
    """What must hold when nobody says: no secret, no changed wheel, no grave flaw that has a fix.

    Empty for checks that none of this is about: what is usual in an image is told and fails nothing.
    """
    terms = [f"{check} == 0" for check in (Check.SECRETS, Check.ALTERED) if check in checks]
    if Check.VULNERABILITIES in checks:
        terms.append("fixable.critical + fixable.high + fixable.unknown == 0")
    return " and ".join(terms)


def unknown_metrics(gate: str) -> tuple[str, ...]:
    """Names in a gate that no scan has. Raises ProjectError for text that is no gate."""
    return tuple(name for name in metric_names(parse(gate)) if name not in METRICS)


def blamed(findings: Iterable[Finding], verdict: Verdict) -> tuple[Finding, ...]:
    """The findings, exceptions aside, that the terms which do not hold have counted."""
    names = {
        name
        for term in verdict.terms
        if term.outcome is Outcome.FAIL
        for name in metric_names(parse(term.text))
    }
    return tuple(finding for finding in findings if not finding.allowed and names & _counted_as(finding))


def _counted_as(finding: Finding) -> set[str]:
    """Metrics that a finding moves."""
    if finding.check is not Check.VULNERABILITIES:
        return {finding.check.value}
    severity, details = finding.details["severity"], finding.details
    names = {finding.check.value, severity}
    if details["fixed"] is not None:
        names |= {_FIXABLE, f"{_FIXABLE}.{severity}"}
    return names | {name for name in ("score", "epss") if details[name]}


def measure(
    findings: Iterable[Finding], checks: Collection[Check], *, unjudged: int, age_days: int | None
) -> Mapping[str, float]:
    """The metrics of a gate. What was not looked for is absent, and so never a pass."""
    open_ones = [finding for finding in findings if not finding.allowed]
    counts = Counter(finding.check for finding in open_ones)
    metrics: dict[str, float] = {check.value: float(counts[check]) for check in checks}
    if Check.VULNERABILITIES not in checks:
        return metrics
    flaws = [finding for finding in open_ones if finding.check is Check.VULNERABILITIES]
    for word in WORDS:
        with_word = [flaw for flaw in flaws if flaw.details["severity"] == word]
        metrics[word] = len(with_word)
        metrics[f"{_FIXABLE}.{word}"] = sum(flaw.details["fixed"] is not None for flaw in with_word)
    metrics[_FIXABLE] = sum(flaw.details["fixed"] is not None for flaw in flaws)
    metrics["score"] = max((flaw.details["score"] or 0.0 for flaw in flaws), default=0.0)
    metrics["epss"] = max((flaw.details["epss"] or 0.0 for flaw in flaws), default=0.0)
    metrics["unjudged"] = unjudged
    if age_days is not None:
        metrics["age_days"] = age_days
    return metrics
