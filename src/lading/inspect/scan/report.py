"""All that a scan of one image says, as a value. Pure: the image was read, the database too."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from lading.inspect.explain.explanation import Explanation
from lading.inspect.scan.advisories import Database
from lading.inspect.scan.config import find_config_secrets
from lading.inspect.scan.findings import (
    find_altered,
    find_secrets,
    find_setuid,
    find_startup,
    sample_count,
)
from lading.inspect.scan.model import Check, Finding, LayerFacts
from lading.inspect.scan.policy import WORDS, Judged, apply_exceptions, default_gate, measure
from lading.inspect.scan.vulnerabilities import Subjects, find_vulnerabilities, uncovered
from lading.project.scan_settings import Allowed
from lading.run.gate import Outcome, Verdict, evaluate

_CHECKS = tuple(Check)


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """The database that was asked, and of what."""

    database: Database
    subjects: Subjects
    chances: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanReport:
    explanation: Explanation
    checks: tuple[Check, ...]
    judged: Judged
    sample_count: int
    """Look-alikes in the tests, examples and documents of packages, which are no findings."""
    unsearched: Mapping[str, tuple[int, int]]
    """Kind of content → files and bytes that no secrets were looked for in."""
    advice: Advice | None
    unjudged: Mapping[str, int]
    """Why packages were not held against advisories → how many."""
    metrics: Mapping[str, float]
    verdict: Verdict

    @property
    def findings(self) -> tuple[Finding, ...]:
        return self.judged.findings


def scan_image(
    explanation: Explanation,
    facts: tuple[LayerFacts, ...],
    *,
    checks: Collection[Check],
    advice: Advice | None,
    allowed: Sequence[Allowed],
    gate: str | None,
    today: date,
) -> ScanReport:
    """`advice` is wanted where vulnerabilities are among `checks`. Raises ProjectError for no gate."""
    held = tuple(check for check in _CHECKS if check in checks)
    found: list[Finding] = []
    unjudged: dict[str, int] = {}
    if Check.SECRETS in held:
        found += find_secrets(explanation, facts)
        found += find_config_secrets(explanation.image.config)
    if Check.ALTERED in held:
        found += find_altered(explanation)
    if Check.STARTUP in held:
        found += find_startup(explanation, facts)
    if Check.SETUID in held:
        found += find_setuid(explanation, facts)
    if Check.VULNERABILITIES in held and advice is not None:
        found += find_vulnerabilities(advice.subjects, advice.database, advice.chances)
        missing = uncovered(advice.subjects, advice.database)
        unjudged = {
            **advice.subjects.unjudged,
            **{f"{name}: not in the database": n for name, n in missing.items()},
        }
    judged = apply_exceptions(sorted(found, key=_order), allowed, today)
    age_days = None
    if advice is not None and advice.database.newest:
        age_days = max(0, (today - date.fromisoformat(advice.database.newest)).days)
    metrics = measure(judged.findings, held, unjudged=sum(unjudged.values()), age_days=age_days)
    return ScanReport(
        explanation=explanation,
        checks=held,
        judged=judged,
        sample_count=sample_count(explanation, facts) if Check.SECRETS in held else 0,
        unsearched=_added_up(facts) if Check.SECRETS in held else {},
        advice=advice,
        unjudged=unjudged,
        metrics=metrics,
        verdict=_verdict(gate or default_gate(held), metrics),
    )


def _verdict(gate: str, metrics: Mapping[str, float]) -> Verdict:
    """Where nothing must hold, all does."""
    return evaluate(gate, metrics) if gate else Verdict(gate="", outcome=Outcome.PASS, terms=())


def _order(finding: Finding) -> tuple[int, int, float, str, int, str]:
    """By check; the worst flaw first."""
    severity = WORDS.index(finding.details["severity"]) if "severity" in finding.details else 0
    score = -(finding.details.get("score") or 0.0)
    number = _CHECKS.index(finding.check)
    return number, severity, score, finding.path or finding.package, finding.layer or 0, finding.id


def _added_up(facts: tuple[LayerFacts, ...]) -> dict[str, tuple[int, int]]:
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for layer in facts:
        for kind, (files, size_bytes) in layer.unsearched.items():
            sums[kind][0] += files
            sums[kind][1] += size_bytes
    return {kind: (files, size) for kind, (files, size) in sorted(sums.items(), key=lambda item: -item[1][1])}
