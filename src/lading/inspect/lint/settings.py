"""`[lint]` of the nearest `lading.toml` or `[tool.lading]` above a linted file. Reads files, knows no rule's
content.

Nearest means: the folder of the file, then those above it; the first with a `lint` table counts, alone.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from lading.inspect.lint.model import Severity
from lading.inspect.lint.rule import all_rules
from lading.project.config import read_written
from lading.project.report import Report, did_you_mean
from lading.project.settings import read_settings

OF_HADOLINT = re.compile(r"(?:DL|SC)\d{4}")
"""Its ids, and those of the shell linter inside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LintSettings:
    """What holds for one file."""

    severities: Mapping[str, Severity] = field(default_factory=dict)
    fail_on: Severity = Severity.ERROR
    hadolint: bool = False


class ProjectSettings:
    """The settings of many files: each folder is looked at once."""

    def __init__(self) -> None:
        self._found: dict[Path, LintSettings] = {}

    def of(self, path: Path) -> LintSettings:
        """Raises ConfigError with everything that is wrong in the table."""
        return self._of_folder(path.absolute().parent)

    def _of_folder(self, folder: Path) -> LintSettings:
        if folder not in self._found:
            own = _settings_in(folder)
            if own is None:
                own = LintSettings() if folder.parent == folder else self._of_folder(folder.parent)
            self._found[folder] = own
        return self._found[folder]


def _settings_in(folder: Path) -> LintSettings | None:
    """None where nothing is written. What else is wrong in the file is for the commands that use it."""
    if not (folder / "lading.toml").is_file() and not _has_table(folder / "pyproject.toml"):
        return None
    problems = Report()
    written = read_written(folder, problems)
    table = written.document.get("lint")
    if isinstance(table, dict) and "run" in table:
        table = None  # a task of that name
    if table is not None:
        settings = read_settings({"lint": table}, written.report, date.max).lint
        for rule in settings.get("severity", {}):
            if rule not in all_rules() and not OF_HADOLINT.fullmatch(rule):
                written.report(("lint", "severity", rule), "is no rule", did_you_mean(rule, all_rules()))
    _stop_if_any(problems, folder)
    if table is None:
        return None
    return LintSettings(
        severities={rule: Severity.of(level) for rule, level in settings.get("severity", {}).items()},
        fail_on=Severity.of(settings.get("fail_on", "error")),
        hadolint=settings.get("hadolint", False),
    )


def _has_table(path: Path) -> bool:
    """Whether a `pyproject.toml` has `[tool.lading]`. One that is no TOML is named when it is linted."""
    try:
        document = tomllib.loads(path.read_text("utf-8") if path.is_file() else "")
    except (OSError, ValueError, RecursionError):
        return False
    tool = document.get("tool")
    return isinstance(tool, dict) and "lading" in tool


def _stop_if_any(problems: Report, folder: Path) -> None:
    """Places are told from where the command was called."""
    before = Path(os.path.relpath(folder))
    problems.problems = [replace(problem, place=str(before / problem.place)) for problem in problems.problems]
    problems.stop_if_any()
