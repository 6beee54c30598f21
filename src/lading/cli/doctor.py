"""`lading doctor`: what is wrong on this host, or was with a run, each with its proof and its remedy."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lading.cli.containers import add_all, asked_project
from lading.cli.parser import Parser
from lading.cli.session import Session
from lading.errors import UsageError

if TYPE_CHECKING:
    from lading.inspect.doctor.model import Finding, Severity

ABOUT = """Say what keeps containers and GPUs from working here, or why a run died: the cause, its proof, one
command to copy.

Reads and asks only; changes nothing, and writes only the archive it is asked for.

  lading doctor                this host
  lading doctor RUN|TASK       a run that ended badly, from its record; the newest of a task
  lading doctor bundle [RUN]   one archive for a bug report, without secrets; default: the last run that
                               ended badly"""
EXAMPLES = """Examples:
  lading doctor                         this host
  lading doctor --online                and what it is configured to fetch from
  lading doctor train                   why the newest run of a task died
  lading doctor bundle                  lading-bundle-7f3a12ab.tar.gz
  lading doctor --fail-on warning       exit 3 for warnings, too
  lading doctor --explain seccomp       the page of a cause
  lading doctor --json | jq .findings"""


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "words",
        nargs="*",
        metavar="[RUN|TASK] | bundle [RUN|TASK]",
        help="a run that ended badly; default: this host",
    )
    parser.option(
        "--output", variable="LADING_DOCTOR_OUTPUT", metavar="FILE", help="where `bundle` writes its archive"
    )
    add_all(parser)
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
    if options.words:
        return _about_run(options, session)
    findings = _host_findings(session, online=options.online)
    print_findings(findings, session)
    return exit_status(findings, Severity.ERROR if options.fail_on is None else options.fail_on)


def _about_run(options: argparse.Namespace, session: Session) -> int:
    """Of a run an explanation is what was asked for: it fails only where --fail-on says so."""
    from lading.cli.dead_runs import explain_run, no_run_named_bundle, write_report
    from lading.inspect.doctor.model import Severity

    no_run_named_bundle(options.words)
    if options.words[0] == "bundle":
        word = options.words[1] if len(options.words) > 1 else None
        return write_report(word, options.output, _host_findings(session), session)
    findings = explain_run(options.words[0], asked_project(options), session)
    return exit_status(findings, Severity.OFF if options.fail_on is None else options.fail_on)


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
    from lading.cli.dead_runs import print_finding

    for finding in findings:
        print_finding(finding, f"{finding.severity.label} ", session)
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
