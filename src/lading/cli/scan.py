"""`lading scan`: secrets, changed wheels, code that starts by itself, setuid programs, known flaws."""

from __future__ import annotations

import argparse
import glob
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from lading.cli.format import format_count, format_size
from lading.cli.inspected import FORMS, add_platform, default_platform, find_source
from lading.cli.parser import Parser, one_of
from lading.cli.session import Session
from lading.errors import GateFailed, GateInconclusive, UsageError

if TYPE_CHECKING:
    from lading.inspect.explain.explanation import Explanation
    from lading.inspect.scan.model import Check, Finding
    from lading.inspect.scan.report import Advice, ScanReport
    from lading.project.scan_settings import ScanSettings

CHECKS = ("secrets", "altered", "startup", "setuid", "vulnerabilities")
FORMATS = ("text", "sarif")
ABOUT = """Look for what must not be in an image, whoever made it, in every layer; nothing of it is run.

Secrets (also in archives, bytecode, Git's objects, variables and history), files of wheels that differ from
RECORD, code that runs when Python starts, setuid programs; with a file of advisories known flaws too.
Exit code 5 when the gate fails, 6 when it cannot be judged."""
EXAMPLES = """Examples:
  lading scan                                       the project's image
  lading scan registry.example/team/app:1.4 --vulnerabilities pypi.zip --vulnerabilities debian.zip
  lading scan docker:app:1.4 --only secrets
  lading scan app:1.4 --vulnerabilities advisories/ --gate "critical + high == 0 and epss < 0.1"
  lading scan oci:layout --format sarif > scan.sarif"""
_ROWS = 30
_ALLOWED_DAYS = 90
"""How long the exception that is proposed lasts."""


def add_arguments(parser: Parser) -> None:
    parser.add_argument("image", metavar="IMAGE", nargs="?", help=FORMS)
    add_platform(parser)
    parser.option(
        "--only",
        variable="LADING_SCAN_ONLY",
        metavar="CHECK",
        convert=one_of(*CHECKS),
        repeat=True,
        help=f"look for this alone: {', '.join(CHECKS)}",
    )
    parser.option(
        "--vulnerabilities",
        variable="LADING_VULNERABILITIES",
        metavar="FILE",
        repeat=True,
        help="advisories in OSV's format: .zip, .jsonl, .json, or a folder of these",
    )
    parser.option("--epss", variable="LADING_EPSS", metavar="FILE", help="EPSS scores: .csv or .csv.gz")
    parser.option(
        "--gate",
        variable="LADING_SCAN_GATE",
        metavar="EXPRESSION",
        help="what must hold, over the metrics that --json shows; default: no secret, no changed wheel, no"
        " critical, high or unknown flaw that has a fix",
    )
    parser.option(
        "--format",
        variable="LADING_SCAN_FORMAT",
        metavar="FORMAT",
        convert=one_of(*FORMATS),
        default="text",
        help=f"one of {', '.join(FORMATS)}",
    )
    parser.flag("--all", variable="LADING_ALL", help="every finding, and those that exceptions let be")


def execute(options: argparse.Namespace, session: Session) -> int:
    from lading.inspect.explain.explanation import explain_image
    from lading.inspect.scan.kept import read_with_facts
    from lading.inspect.scan.model import Check
    from lading.inspect.scan.report import scan_image

    today = datetime.now(UTC).date()
    settings = _written(today)
    if options.gate is not None:
        _check_gate(options.gate)
    databases = tuple(map(Path, options.vulnerabilities or settings.vulnerabilities))
    checks = _checks(options.only, databases)
    epss = _scores(options.epss, settings.epss, checks)
    if Check.VULNERABILITIES in checks:
        _refuse_missing((*databases, epss) if epss is not None else databases)
    source = find_source(options.image, options.platform or default_platform(), session)
    with session.store.using(), session.printer.progress(f"reading {source.name}") as phase:
        image, facts = read_with_facts(source, session.store, progress=phase.advance)
    explanation = explain_image(image)
    advice = None
    if Check.VULNERABILITIES in checks:
        advice = _advice(explanation, databases, epss, session)
    report = scan_image(
        explanation,
        facts,
        checks=checks,
        advice=advice,
        allowed=settings.allowed,
        gate=options.gate or settings.gate,
        today=today,
    )
    _print(report, options, session)
    return _judge(report, session, today)


def _refuse_missing(paths: tuple[Path, ...]) -> None:
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path} is not there", place=str(path), hints=(f"ls {path.parent}",))


def _check_gate(gate: str) -> None:
    """Before an image is read. Raises ProjectError for no gate, UsageError for a name of no metric."""
    from lading.inspect.scan.policy import METRICS, unknown_metrics
    from lading.project.report import did_you_mean

    if unknown := unknown_metrics(gate):
        name = unknown[0]
        raise UsageError(
            f"--gate: `{name}` is no metric of a scan: {did_you_mean(name, map(str, METRICS))}",
            hints=("lading scan IMAGE --json: its `metrics` are what a gate may name",),
        )


def _scores(given: str | None, written: str | None, checks: frozenset[Check]) -> Path | None:
    """The file of EPSS scores. Raises UsageError where it was asked for and says nothing."""
    from lading.inspect.scan.model import Check

    if given is not None and Check.VULNERABILITIES not in checks:
        raise UsageError(
            "--epss says how likely known flaws are to be used, and none are looked for",
            hints=(f"lading scan --vulnerabilities all.zip --epss {given}",),
        )
    chosen = given or written
    return Path(chosen) if chosen is not None else None


def _checks(only: list[str], databases: tuple[Path, ...]) -> frozenset[Check]:
    from lading.inspect.scan.model import Check

    wanted = frozenset(Check(word) for word in only)
    if Check.VULNERABILITIES in wanted and not databases:
        raise UsageError(
            "looking for vulnerabilities needs a file of advisories",
            hints=("lading scan --only vulnerabilities --vulnerabilities all.zip",),
        )
    return wanted or frozenset(check for check in Check if check is not Check.VULNERABILITIES or databases)


def _advice(
    explanation: Explanation, databases: tuple[Path, ...], epss: Path | None, session: Session
) -> Advice:
    from lading.inspect.scan.advisories import normal_name, read_database
    from lading.inspect.scan.epss import read_chances
    from lading.inspect.scan.report import Advice
    from lading.inspect.scan.vulnerabilities import find_subjects

    subjects = find_subjects(explanation)
    with session.printer.progress("reading advisories"):
        names = frozenset(normal_name(subject.name) for subject in subjects.judged)
        database = read_database(databases, names)
    ids = {one for found in database.advisories for one in (found.id, *found.aliases, *found.upstream)}
    chances = read_chances(epss, ids) if epss is not None else {}
    return Advice(database=database, subjects=subjects, chances=chances)


def _written(today: date) -> ScanSettings:
    """`[scan]` of this folder, and what `[[image.allow_secret]]` lets into an image.

    Raises ConfigError, also for an exception that has expired.
    """
    from lading.inspect.scan.policy import METRICS, unknown_metrics
    from lading.project.config import read_written
    from lading.project.report import Report, did_you_mean
    from lading.project.scan_settings import Allowed
    from lading.project.settings import read_settings

    problems = Report()
    written = read_written(Path.cwd(), problems)
    document = {"scan": written.document["scan"]} if "scan" in written.document else {}
    image = written.document.get("image")
    if isinstance(image, dict) and "allow_secret" in image:
        document["image"] = {"allow_secret": image["allow_secret"]}
    settings = read_settings(document, written.report, today)
    for name in unknown_metrics(settings.scan.gate) if settings.scan.gate is not None else ():
        suggestion = did_you_mean(name, map(str, METRICS))
        written.report(("scan", "gate"), f"`{name}` is no metric of a scan", suggestion)
    for entry in settings.scan.allowed:
        if entry.expires < today:
            written.report(
                (*entry.key, "expires"),
                f"the exception for {entry} expired on {entry.expires}",
                "take it out, or set a new day and say why",
            )
    problems.stop_if_any()
    let_in = tuple(
        Allowed(
            finding="secret",
            package="",
            path=f"app/{secret.path}",
            reason=secret.reason,
            expires=date.fromisoformat(secret.expires),
            key=(),
        )
        for secret in settings.allowed_secrets
    )
    return replace(settings.scan, allowed=(*settings.scan.allowed, *let_in))


def _print(report: ScanReport, options: argparse.Namespace, session: Session) -> None:
    from lading.inspect.scan.output import as_json, sarif

    if options.format == "sarif":
        session.document(sarif(report))
    elif session.as_json:
        session.document(as_json(report))
    else:
        quiet = session.verbosity < 0
        for line in failing_lines(report) if quiet else report_lines(report, everything=options.all):
            session.line(line)
    for entry in report.judged.unused:
        if entry.key:
            session.printer.note(f"nothing was found for the exception {entry}: it can go")


def _judge(report: ScanReport, session: Session, today: date) -> int:
    """The exit code, in words where no document has it. Raises GateFailed, GateInconclusive."""
    from lading.run.gate import Outcome

    verdict = report.verdict
    errors = {Outcome.FAIL: GateFailed, Outcome.INCONCLUSIVE: GateInconclusive}
    if verdict.outcome not in errors:
        return 0
    error = errors[verdict.outcome]
    if session.as_json:
        return error.exit_status
    image = report.explanation.image.name
    words = "failed" if error is GateFailed else "is inconclusive"
    hints = _remedies(report, today) if error is GateFailed else ()
    metrics = f"lading scan {image} --json: its `metrics` are what a gate may name"
    raise error(f"the gate `{verdict.gate}` {words}: {verdict}", place=image, hints=hints or (metrics,))


def _remedies(report: ScanReport, today: date) -> tuple[str, ...]:
    """What mends the first finding that fails the gate, and what lets it be; nothing where none does."""
    from lading.inspect.explain.explanation import shown
    from lading.inspect.scan.policy import blamed

    finding = next(iter(blamed(report.findings, report.verdict)), None)
    if finding is None:
        return ()
    fixed = finding.details.get("fixed")
    remedy = f"{finding.package} {fixed} or newer mends {finding.id}" if fixed else ""
    place = f"path = {_quoted(glob.escape(finding.path))}" if finding.path else ""
    place = place or f"package = {_quoted(finding.package)}"
    expires = today + timedelta(days=_ALLOWED_DAYS)
    entry = f'[[scan.allow]]\nfinding = {_quoted(finding.id)}\n{place}\nreason = "why"\nexpires = {expires}'
    lines = "\n".join(f"  {line}" for line in entry.splitlines())
    return tuple(filter(None, (shown(remedy), f"let it be for a time, in lading.toml:\n{lines}")))


def _quoted(text: str) -> str:
    """A string of TOML; what cannot be printed is escaped."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


def failing_lines(report: ScanReport) -> list[str]:
    """What fails the gate, a line each. Pure."""
    from lading.inspect.scan.policy import blamed

    return [f"{finding.check}:{_row(finding)[1:]}" for finding in blamed(report.findings, report.verdict)]


def report_lines(report: ScanReport, *, everything: bool) -> list[str]:
    """All of it, as people read it. Pure."""
    from lading.inspect.scan.model import Check

    image = report.explanation.image
    lines = [f"{image.name}  {image.platform}  {format_count(len(image.layers), 'layer')}"]
    for check in report.checks:
        held = [finding for finding in report.findings if finding.check is check]
        open_ones = [finding for finding in held if not finding.allowed]
        allowed = f", {len(held) - len(open_ones)} allowed" if len(held) > len(open_ones) else ""
        lines += ["", f"{check}: {len(open_ones) or 'none'}{allowed}{_database_words(report, check)}"]
        rows = held if everything else open_ones
        cut = rows if everything else rows[:_ROWS]
        lines += [_row(finding) for finding in cut]
        if len(rows) > len(cut):
            lines.append(f"  {format_count(len(rows) - len(cut), 'more line')}: --all")
    lines.append("")
    if Check.SECRETS in report.checks:
        lines += _left_out(report)
    if report.unjudged:
        parts = ", ".join(f"{name} ({count})" for name, count in report.unjudged.items())
        lines.append(f"packages not judged: {parts}")
    gate = report.verdict.gate
    lines.append(
        f"gate {report.verdict.outcome}: {gate}" if gate else "no gate: none is usual for what was looked for"
    )
    return lines


def _database_words(report: ScanReport, check: Check) -> str:
    from lading.inspect.scan.model import Check

    if check is not Check.VULNERABILITIES or report.advice is None:
        return ""
    database = report.advice.database
    newest = f", the newest of {database.newest}" if database.newest else ""
    return f" ({format_count(database.record_count, 'advisory', 'advisories')}{newest})"


def _row(finding: Finding) -> str:
    from lading.inspect.explain.explanation import shown
    from lading.inspect.scan.model import Check

    tail = f"  [allowed: {finding.allowed}]" if finding.allowed else ""
    if finding.check is not Check.VULNERABILITIES:
        return shown(f"  {finding.place}: {finding.message}{tail}")
    details = finding.details
    score = f" {details['score']:.1f}" if details["score"] is not None else ""
    chance = f", EPSS {details['epss']:.1%}" if details["epss"] is not None else ""
    fixed = f" → {details['fixed']}" if details["fixed"] else ", no fix"
    package = f"{finding.package} {finding.version}{fixed}"
    return shown(f"  {details['severity']}{score}  {finding.id}  {package}{chance}: {finding.message}{tail}")


def _left_out(report: ScanReport) -> list[str]:
    lines = []
    if report.unsearched:
        parts = [f"{kind} {files} ({format_size(size)})" for kind, (files, size) in report.unsearched.items()]
        lines.append(f"not searched for secrets: {', '.join(parts)}")
    if report.sample_count:
        lines.append(f"samples in packages' own tests and documents, no findings: {report.sample_count}")
    return lines
