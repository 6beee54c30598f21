"""`lading doctor`: what is wrong on this host, each with its proof and its remedy."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lading.cli.parser import Parser
from lading.cli.session import Session
from lading.errors import UsageError

if TYPE_CHECKING:
    from lading.inspect.doctor.model import Finding, Severity

ABOUT = """Say what keeps containers and GPUs from working here: the cause, its proof, one command to copy.

Reads and asks only; changes nothing."""
EXAMPLES = """Examples:
  lading doctor                         this host
  lading doctor --online                and what it is configured to fetch from
  lading doctor --fail-on warning       exit 3 for warnings, too
  lading doctor --explain seccomp       the page of a cause
  lading doctor --json | jq .findings"""


def add_arguments(parser: Parser) -> None:
    parser.add_argument("run", nargs="?", metavar="RUN", help="a run that ended badly; default: this host")
    parser.option(
        "--fail-on",
        variable="LADING_DOCTOR_FAIL_ON",
        metavar="LEVEL",
        help="end with a finding's exit code from this level on: error, warning, info, off",
        convert=_severity,
        shown_default="error",
    )
    parser.flag(
        "--online",
        variable="LADING_DOCTOR_ONLINE",
        help="also ask the package indexes, mirrors and registries that are configured here",
    )
    parser.option(
        "--explain",
        variable="LADING_DOCTOR_EXPLAIN",
        metavar="CAUSE",
        help="print the page of a cause and look at nothing",
    )


def execute(options: argparse.Namespace, session: Session) -> int:
    from lading.inspect.doctor.model import Severity

    if options.explain:
        return _explain(options.explain, session)
    if options.run is not None:
        raise UsageError("lading doctor looks at this host", hints=("lading doctor",))
    findings = _host_findings(session, online=options.online)
    print_findings(findings, session)
    return exit_status(findings, Severity.ERROR if options.fail_on is None else options.fail_on)


def _host_findings(session: Session, *, online: bool = False) -> tuple[Finding, ...]:
    from datetime import UTC, datetime
    from pathlib import Path

    from lading.inspect.doctor.cause import HOST_AREAS, diagnose
    from lading.inspect.doctor.gather.whole import gather_host
    from lading.inspect.doctor.machine import Machine

    try:
        folder = Path.cwd()
    except OSError:  # it was removed
        folder = Path("/")
    machine = Machine(environment=session.environment, folder=folder, now=datetime.now(UTC))
    return diagnose(HOST_AREAS, gather_host(machine, online=online))


def print_findings(findings: tuple[Finding, ...], session: Session) -> None:
    """Text or one JSON document on standard output."""
    if session.as_json:
        session.document({"type": "doctor", "findings": [finding.as_json() for finding in findings]})
        return
    for finding in findings:
        session.line(f"{finding.severity.label} {finding.cause}: {finding.title}")
        for line in finding.proof:
            session.line(f"  {line}")
        session.line(f"  remedy  {finding.remedy}")
        if finding.remedy != finding.explain:
            session.line(f"  more    {finding.explain}")
    if not findings:
        session.printer.note("nothing found")


def exit_status(findings: tuple[Finding, ...], fail_on: Severity) -> int:
    """Of the worst finding, if it is of `fail_on` or worse. Pure."""
    from lading.inspect.doctor.model import Severity

    if fail_on is Severity.OFF:
        return 0
    bad = [finding for finding in findings if finding.severity >= fail_on]
    return max(bad, key=lambda finding: finding.severity).exit_status if bad else 0


def _explain(name: str, session: Session) -> int:
    from lading.cli.parser import closest
    from lading.inspect.doctor.cause import all_causes

    cause = all_causes().get(name)
    if cause is None:
        near = closest(name, all_causes())
        raise UsageError(
            f"there is no cause `{name}`",
            hints=(f"lading doctor --explain {near}" if near else "lading doctor",),
        )
    if session.as_json:
        session.document(
            {
                "type": "cause",
                "cause": cause.id,
                "title": cause.title,
                "severity": cause.severity.label,
                "page": cause.page,
            }
        )
        return 0
    session.line(f"{cause.id}: {cause.title}\n\n{cause.page}\n\nSource: {cause.source}")
    return 0


def _severity(text: str) -> Severity:
    from lading.inspect.doctor.model import Severity

    try:
        return Severity.of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
