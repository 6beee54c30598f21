"""Files in, findings out: reads, asks each rule, drops what is ignored, sorts.

Knows no rule by name. `lint_text` is pure; `lint_files` reads the file system.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lading.errors import OutsideError
from lading.inspect.lint.documents import Unreadable, is_dockerfile, read_documents
from lading.inspect.lint.ignores import is_ignored, read_ignores
from lading.inspect.lint.model import Finding, Severity
from lading.inspect.lint.rule import all_rules
from lading.inspect.lint.settings import LintSettings, ProjectSettings
from lading.inspect.lint.surroundings import Neighbourhood, Surroundings
from lading.inspect.lint.walk import LARGEST_BYTES, Found, find_files

NO_REASON = "LDL001"
"""The engine's own finding: an ignore without a reason."""


@dataclass(kw_only=True)
class Report:
    """`unread`: files that could not be parsed, each with the reason."""

    findings: list[Finding] = field(default_factory=list)
    unread: list[tuple[str, str]] = field(default_factory=list)
    place: Found = field(default_factory=Found)
    texts: dict[str, str] = field(default_factory=dict)
    """Of the files with findings, as they were read."""
    limits: dict[str, Severity] = field(default_factory=dict)
    """Of the files with findings: from which level on their project fails."""

    @property
    def unread_files(self) -> frozenset[str]:
        return frozenset(path for path, _ in self.unread)

    @property
    def read_count(self) -> int:
        """How many files were looked at."""
        return sum(str(path) not in self.unread_files for path in self.place.files)

    def fails(self, limit: Severity | None) -> bool:
        """Whether a finding is as bad as `limit`, or as its own project's where that is None."""
        for finding in self.findings:
            held = self.limits.get(finding.path, Severity.ERROR) if limit is None else limit
            if held is not Severity.OFF and finding.severity >= held:
                return True
        return False


def lint_files(
    paths: Iterable[Path],
    severities: Mapping[str, Severity],
    projects: ProjectSettings | None = None,
    *,
    with_hadolint: Callable[[Path], bool] | None = None,
) -> Report:
    """`severities` override those of a file's project, which override the rules' own. `projects` None: no
    project is asked. `with_hadolint` says of which Dockerfiles hadolint is asked too.

    Raises UsageError, OutsideError and ConfigError.
    """
    place = find_files(paths)
    report, files = Report(place=place), list(place.files)
    dockerfiles = [path for path in files if is_dockerfile(path.name)]
    asked = [path for path in dockerfiles if with_hadolint is not None and with_hadolint(path)]
    if not asked:
        _own_findings(files, severities, projects, report)
        return report
    from lading.inspect.lint.hadolint import Hadolint

    with Hadolint(asked) as running:  # its processes work while the own rules do
        read = _own_findings(files, severities, projects, report)
        for remark, severity in running.remarks({path: text for path, (text, _) in read.items()}):
            text, settings = read[remark.path]
            report.limits[remark.path] = settings.fail_on
            severity = {**settings.severities, **severities}.get(remark.code, severity)
            ignored = is_ignored(remark.code, remark.line, read_ignores(text))
            if severity is not Severity.OFF and not ignored:
                report.findings.append(remark.finding(severity))
        report.unread += running.unread
    order = {str(path): at for at, path in enumerate(files)}
    report.findings.sort(key=lambda found: (order[found.path], found.line, found.column, found.rule))
    return report


def _own_findings(
    files: Iterable[Path],
    severities: Mapping[str, Severity],
    projects: ProjectSettings | None,
    report: Report,
) -> dict[str, tuple[str, LintSettings]]:
    """Into the report. Gives the Dockerfiles that could be read, and what holds for them."""
    neighbourhood = Neighbourhood()
    read: dict[str, tuple[str, LintSettings]] = {}
    for path in files:
        try:
            if path.stat().st_size > LARGEST_BYTES:
                report.unread.append((str(path), "it is larger than 2 MB"))
                continue
            text = path.read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            report.unread.append((str(path), "it is not UTF-8"))
            continue
        except FileNotFoundError:
            continue  # it has gone since it was found
        except OSError as error:
            raise OutsideError(f"{path} cannot be read: {error.strerror}", place=str(path)) from error
        try:
            settings = LintSettings() if projects is None else projects.of(path)
            levels = {**settings.severities, **severities}
            found = lint_text(str(path), text, levels, neighbourhood.of(path))
        except Unreadable as error:
            report.unread.append((str(path), str(error)))
            continue
        if is_dockerfile(path.name):
            read[str(path)] = text, settings
        if found:
            report.findings += found
            report.texts[str(path)] = text
            report.limits[str(path)] = settings.fail_on
    return read


def lint_text(
    path: str, text: str, severities: Mapping[str, Severity], around: Surroundings | None = None
) -> list[Finding]:
    """The findings of one file, by place. Raises Unreadable."""
    starts = [0, *(at + 1 for at, character in enumerate(text) if character == "\n")]
    ignores = read_ignores(text)
    around = around or Surroundings(name=Path(path).name)
    found = []
    for kind, document in read_documents(Path(path).name, text):
        for rule in all_rules().values():
            severity = severities.get(rule.id, rule.level_in(Path(path).name))
            if rule.kind is not kind or severity is Severity.OFF:
                continue
            spots = rule.check(document, around) if rule.looks_around else rule.check(document)
            for spot in spots:
                line = bisect.bisect_right(starts, spot.start)
                if not is_ignored(rule.id, line, ignores):
                    found.append(
                        Finding(
                            rule=rule.id,
                            severity=severity,
                            path=path,
                            line=line,
                            column=spot.start - starts[line - 1] + 1,
                            message=spot.message,
                            edits=spot.edits,
                        )
                    )
    for entry in ignores:
        if not entry.reason and severities.get(NO_REASON) is not Severity.OFF:
            message = f"an ignore needs a reason: # lading: ignore {entry.rules[0]} because …"
            found.append(
                Finding(
                    rule=NO_REASON,
                    severity=Severity.WARNING,
                    path=path,
                    line=entry.line,
                    column=1,
                    message=message,
                )
            )
    return sorted(dict.fromkeys(found), key=lambda finding: (finding.line, finding.column, finding.rule))
