"""`lading lint`: rules over Dockerfiles, compose files, manifests, Python projects, and built images."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lading.cli.building import parse_platform
from lading.cli.drivers import parse_driver
from lading.cli.explain import parse_gpu
from lading.cli.format import format_count
from lading.cli.lint_words import closing_line, explain_rule, say_passed_over
from lading.cli.parser import Parser
from lading.cli.session import Session
from lading.errors import OutsideError, UsageError

if TYPE_CHECKING:
    from lading.inspect.lint.engine import Report
    from lading.inspect.lint.model import Finding, Severity
    from lading.inspect.lint.settings import ProjectSettings

FORMATS = ("text", "sarif", "github")
_ROUNDS = 8
ABOUT = """Find what wastes GPUs, breaks builds or leaks credentials in Dockerfiles, manifests, requirements.

Only what is certain is said; where a value cannot be known the rule stays silent. A finding is taken back by
a comment on its line or above it, with a reason: # lading: ignore LDD001 compiles kernels when it starts"""
EXAMPLES = """Examples:
  lading lint                           everything below this folder
  lading lint Dockerfile --fix          show the mends as a diff, and make them
  lading lint --format sarif            for code scanning
  lading lint --baseline lint.json      only what is new
  lading lint --severity LDD001=off
  lading lint --explain LDD001          the page of a rule
  lading lint --hadolint                with the generic rules of hadolint
  lading lint registry.example/team/app:1.4 --driver 535 --gpu sm_86     a built image"""


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="files and folders, default this folder; and images, by tag or digest or as oci:DIR,"
        " oci-archive:FILE, docker-archive:FILE, docker:NAME, podman:NAME",
    )
    parser.option(
        "--format",
        variable="LADING_LINT_FORMAT",
        metavar="FORMAT",
        help=f"one of {', '.join(FORMATS)}",
        convert=_format,
        default="text",
    )
    parser.option(
        "--fail-on",
        variable="LADING_LINT_FAIL_ON",
        metavar="LEVEL",
        help="exit 1 for findings of this level or worse: error, warning, info, off",
        convert=_severity,
        shown_default="error",
    )
    parser.option(
        "--severity",
        variable="LADING_LINT_SEVERITY",
        metavar="RULE=LEVEL",
        help="another level for a rule",
        convert=_override,
        repeat=True,
    )
    parser.option(
        "--baseline",
        variable="LADING_LINT_BASELINE",
        metavar="FILE",
        help="say nothing of the findings in FILE",
    )
    parser.flag(
        "--write-baseline", variable="LADING_LINT_WRITE_BASELINE", help="write today's findings to FILE"
    )
    parser.flag("--fix", variable="LADING_LINT_FIX", help="show what can be mended as a diff, then mend it")
    parser.option(
        "--platform",
        variable="LADING_PLATFORM",
        metavar="OS/ARCH",
        convert=parse_platform,
        help="of images: which of several; default: this host's",
    )
    parser.option(
        "--driver",
        variable="LADING_LINT_DRIVER",
        metavar="VERSION",
        convert=parse_driver,
        help="of images: say when NVIDIA's driver of this version cannot run them: 535",
    )
    parser.option(
        "--gpu",
        variable="LADING_GPU",
        metavar="sm_NN",
        convert=parse_gpu,
        help="of images: say what has no code for this GPU: sm_86",
    )
    parser.flag("--dry-run", variable="LADING_LINT_DRY_RUN", help="with --fix: only show the diff")
    parser.option(
        "--explain",
        variable="LADING_LINT_EXPLAIN",
        metavar="RULE",
        help="print the page of a rule and look at nothing",
    )
    parser.flag(
        "--hadolint",
        variable="LADING_LINT_HADOLINT",
        help="run hadolint on the Dockerfiles too, without its false alarms on ML files",
    )


def execute(options: argparse.Namespace, session: Session) -> int:
    from lading.inspect.lint.engine import lint_files
    from lading.inspect.lint.settings import ProjectSettings

    if options.explain:
        return explain_rule(options.explain, session)
    _refuse_halves(options)
    images = [word for word in options.paths if is_image(word)]
    paths = [Path(word) for word in options.paths or ["."] if word not in images]
    overrides: dict[str, Severity] = dict(options.severity)
    projects = ProjectSettings()
    mends = options.fix and not options.dry_run

    def with_hadolint(path: Path) -> bool:
        return options.hadolint or projects.of(path).hadolint

    report = lint_files(paths, overrides, projects, with_hadolint=None if mends else with_hadolint)
    of_images = _lint_images(images, options, overrides, projects, report, session)
    report.findings += of_images
    if options.write_baseline:
        return _write_baseline(report, options.baseline, len(images), session)
    if options.baseline:
        known = _baseline(Path(options.baseline))
        report.findings = [finding for finding in report.findings if finding.key not in known]
    if options.fix:
        for _ in range(_ROUNDS):  # of two mends at one place the second waits for the next round
            if not _fix(report, session, write=mends) or not mends:
                break
            report = lint_files(paths, overrides, projects)
            report.findings += of_images
            if options.baseline:
                report.findings = [finding for finding in report.findings if finding.key not in known]
    if mends:  # the generic rules mend nothing: they are asked about what is left
        report = lint_files(paths, overrides, projects, with_hadolint=with_hadolint)
        report.findings += of_images
        if options.baseline:
            report.findings = [finding for finding in report.findings if finding.key not in known]
    _print(report.findings, options.format, session)
    say_passed_over(report, session)
    as_text = options.format == "text" and not session.as_json
    session.printer.note(closing_line(report, len(images), names_page=as_text))
    return int(report.fails(options.fail_on))


def _refuse_halves(options: argparse.Namespace) -> None:
    """Raises UsageError for an option without the one that it is about."""
    if options.write_baseline and not options.baseline:
        raise UsageError(
            "--write-baseline needs --baseline FILE",
            hints=("lading lint --baseline lint.json --write-baseline",),
        )
    if options.dry_run and not options.fix:
        raise UsageError(
            "--dry-run is about --fix, which is not there", hints=("lading lint --fix --dry-run",)
        )


def _write_baseline(report: Report, path: str, images: int, session: Session) -> int:
    """Two findings that differ in their line alone are one of the baseline."""
    keys = sorted({finding.key for finding in report.findings})
    _write(Path(path), json.dumps(keys, indent=1) + "\n")
    say_passed_over(report, session)
    session.printer.note(closing_line(report, images, names_page=False))
    session.printer.note(f"wrote {format_count(len(keys), 'finding')} to {path}")
    return 0


def is_image(word: str) -> bool:
    """Whether `word` names an image: a tag, a digest, a form such as oci:DIR; and no file that is there."""
    return (":" in word or "@" in word) and not Path(word).exists()


def _lint_images(
    words: list[str],
    options: argparse.Namespace,
    overrides: Mapping[str, Severity],
    projects: ProjectSettings,
    report: Report,
    session: Session,
) -> list[Finding]:
    """By the levels of this folder's project, which also says from which level on they fail."""
    if not words:
        return []
    settings = projects.of(Path("lading.toml"))
    levels = {**settings.severities, **overrides}
    found = [finding for word in words for finding in _lint_image(word, options, levels, session)]
    report.limits.update({finding.path: settings.fail_on for finding in found})
    return found


def _lint_image(
    word: str, options: argparse.Namespace, severities: Mapping[str, Severity], session: Session
) -> list[Finding]:
    from lading.cli.inspected import ask_attached, default_platform, find_source
    from lading.inspect.explain.explanation import explain_image
    from lading.inspect.lint.built import BuiltImage, lint_image
    from lading.inspect.scan.kept import read_with_facts

    platform = options.platform or default_platform()
    source = find_source(word, platform, session)
    attached = (
        source.attached if source.attached is not None else ask_attached(word, platform, source, session)
    )
    with session.store.using(), session.printer.progress(f"reading {source.name}") as phase:
        image, facts = read_with_facts(source, session.store, progress=phase.advance)
    explanation = explain_image(image)
    return lint_image(
        BuiltImage(
            explanation=explanation,
            facts=facts,
            attached=attached,
            driver=options.driver,
            gpu=options.gpu,
        ),
        severities,
    )


def _print(findings: list[Finding], form: str, session: Session) -> None:
    from lading.inspect.lint.output import as_json, github, sarif

    if form == "sarif":
        session.document(sarif(findings, Path.cwd()))
    elif session.as_json:
        session.document({"type": "lint", "findings": [as_json(finding) for finding in findings]})
    else:
        for finding in findings:
            text = f"{finding.place}: {finding.severity.label} {finding.rule}: {finding.message}"
            session.line(github(finding) if form == "github" else text)


def _fix(report: Report, session: Session, *, write: bool) -> bool:
    """Whether there was something to mend."""
    from lading.inspect.lint.fix import difference

    changed = False
    for path, before, after in _changes(report):
        if after == before:
            continue
        changed = True
        session.stderr.write(difference(path, before, after))
        if write:
            _write(Path(path), after)
    return changed


def _changes(report: Report) -> Iterator[tuple[str, str, str]]:
    """Each file that findings change, its text before and after; files beside the linted ones last."""
    from lading.inspect.lint.fix import files_beside, mended

    others: dict[str, tuple[str, str]] = {}
    for path, before in report.texts.items():
        findings = [finding for finding in report.findings if finding.path == path]
        yield path, before, mended(before, findings)
        for name in files_beside(findings):
            other = os.path.normpath(Path(path).parent / name)
            if other not in others:  # a second Dockerfile's wishes wait for the next round
                text = _text(Path(other))
                others[other] = text, mended(text, findings, name)
    yield from ((path, before, after) for path, (before, after) in others.items())


def _text(path: Path) -> str:
    """Of a file that a mend may make: nothing when it is not there."""
    if path.exists() and not path.is_file():
        raise OutsideError(f"{path} cannot be read: it is no regular file", place=str(path))
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise OutsideError(f"{path} cannot be read: {error}", place=str(path)) from error


def _write(path: Path, text: str) -> None:
    try:
        path.write_bytes(text.encode("utf-8"))
    except OSError as error:
        raise OutsideError(f"{path} cannot be written: {error.strerror}", place=str(path)) from error


def _baseline(path: Path) -> frozenset[str]:
    hint = f"lading lint --baseline {path} --write-baseline"
    try:
        keys = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"the baseline {path} cannot be read: {error.strerror}", hints=(hint,)) from error
    except ValueError as error:
        raise UsageError(f"the baseline {path} is not JSON: {error}", hints=(hint,)) from error
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise UsageError(f"the baseline {path} is no list of findings", hints=(hint,))
    return frozenset(keys)


def _format(text: str) -> str:
    if text not in FORMATS:
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(FORMATS)}")
    return text


def _severity(text: str) -> Severity:
    from lading.inspect.lint.model import Severity

    try:
        return Severity.of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _override(text: str) -> tuple[str, Severity]:
    from lading.inspect.lint.rule import all_rules
    from lading.inspect.lint.settings import OF_HADOLINT

    name, equals, level = text.partition("=")
    if not equals or (name not in all_rules() and not OF_HADOLINT.fullmatch(name)):
        raise argparse.ArgumentTypeError(f"{text!r} is not RULE=LEVEL with a rule lading knows")
    return name, _severity(level)
