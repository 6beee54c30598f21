"""What `lading lint` says beside its findings: the closing line, what it passed over, the page of a rule."""

from __future__ import annotations

import re
from collections.abc import Iterable
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING

from lading.cli.format import format_count
from lading.cli.session import Session
from lading.errors import UsageError

if TYPE_CHECKING:
    from lading.inspect.lint.engine import Report
    from lading.inspect.lint.model import Finding

_NO_REASON_PAGE = """Who reads the file later must see why a finding was taken back, so an ignore without
a reason does not count.

Bad:

    # lading: ignore LDD001

Good:

    # lading: ignore LDD001 the server compiles its kernels when it starts"""


def say_passed_over(report: Report, session: Session) -> None:
    """What was not looked at although it was given or has the name, a line each."""
    for path, reason in (*report.unread, *report.place.passed.items()):
        session.printer.note(f"{path} was not read: {reason}")
    for folder in report.place.empty:
        layout = Path(folder, "oci-layout").is_file()
        session.printer.note(
            f"{folder} holds nothing to lint"
            + (f"; of its image: lading lint oci:{folder}" if layout else "")
        )


def closing_line(report: Report, images: int, *, names_page: bool) -> str:
    """How much was looked at and found, and what to do: `12 files, 3 findings; --fix mends 2 of them`."""
    counts = [format_count(images, "image")] if images else []
    if report.read_count or not images:
        counts.append(format_count(report.read_count, "file"))
    counts.append(format_count(len(report.findings), "finding"))
    if unread := report.unread_files | report.place.passed.keys():
        counts.append(f"{format_count(len(unread), 'file')} not read")
    if report.place.exported:
        counts.append(f"{format_count(report.place.exported, 'file')} of exports left out")
    said = [", ".join(counts)]
    if mends := sum(bool(finding.edits) for finding in report.findings):
        said.append(f"--fix mends {'it' if len(report.findings) == 1 else f'{mends} of them'}")
    if names_page and report.findings:
        said.append(f"lading lint --explain {_worst(report.findings).rule} says why")
    return "; ".join(said)


def _worst(findings: Iterable[Finding]) -> Finding:
    return max(findings, key=lambda finding: finding.severity)


def explain_rule(word: str, session: Session) -> int:
    """The page of a rule. Raises UsageError for an id that is none."""
    from lading.cli.parser import closest
    from lading.inspect.lint.engine import NO_REASON
    from lading.inspect.lint.rule import all_rules
    from lading.inspect.lint.settings import OF_HADOLINT

    name = word.upper()
    if elsewhere := _page_elsewhere(name) if OF_HADOLINT.fullmatch(name) else None:
        raise UsageError(f"{name} is a rule of hadolint, and its page is {elsewhere}")
    rule = all_rules().get(name)
    if rule is not None:
        page = cleandoc(rule.page)
        reads, level, mends, source = rule.kind.value, rule.severity.label, rule.mends, rule.source
        title = rule.title
    elif name == NO_REASON:
        page, title, reads, level, mends, source = (
            _NO_REASON_PAGE, "An ignore without a reason", "every file", "warning", False, "lading itself"
        )  # fmt: skip
    else:
        near = closest(name, (*all_rules(), NO_REASON))
        raise UsageError(
            f"there is no rule `{word}`", hints=(f"lading lint --explain {near}" if near else "lading lint",)
        )
    if session.as_json:
        described = {"rule": name, "title": title, "reads": reads, "severity": level, "can_fix": mends}
        session.document({"type": "rule", **described, "page": page, "source": source})
        return 0
    about = ", ".join([reads, level, *(["--fix mends it"] if mends else [])])
    session.line(f"{name}: {title} ({about})\n\n{page}\n\nSource: {source}")
    return 0


def _page_elsewhere(name: str) -> str:
    if re.match("SC", name):
        return f"https://www.shellcheck.net/wiki/{name}"
    return f"https://github.com/hadolint/hadolint/wiki/{name}"
