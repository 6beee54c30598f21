"""`[scan]` of a project: the gate of `lading scan`, its databases, and what may be there all the same. Pure.

An exception that has expired stops `lading scan` alone, so nothing here looks at a clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from lading.project.keys import SCAN_ALLOW_KEYS, SCAN_KEYS, check_table
from lading.project.kinds import type_name
from lading.project.places import KeyPath
from lading.project.report import ConfigReport

_WIDE = ("secret", "altered", "startup", "setuid")
"""Findings that are not one thing, as an advisory is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """A finding that may be there until `expires`. Empty `package` and `path` mean any."""

    finding: str
    package: str
    path: str
    reason: str
    expires: date
    key: KeyPath
    """Where it is written."""

    def __str__(self) -> str:
        return " ".join(part for part in (self.finding, self.package, self.path) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanSettings:
    gate: str | None = None
    vulnerabilities: tuple[str, ...] = ()
    epss: str | None = None
    allowed: tuple[Allowed, ...] = ()


def read_scan(table: Mapping[str, object], report: ConfigReport) -> ScanSettings:
    plain = {name: value for name, value in table.items() if name != "allow"}
    checked = check_table(plain, SCAN_KEYS, ("scan",), report)
    return ScanSettings(
        gate=checked.get("gate"),
        vulnerabilities=checked.get("vulnerabilities", ()),
        epss=checked.get("epss"),
        allowed=_allowed(table.get("allow", []), report),
    )


def _allowed(value: object, report: ConfigReport) -> tuple[Allowed, ...]:
    path: KeyPath = ("scan", "allow")
    if not isinstance(value, list):
        report(path, f"must be an array of tables, not {type_name(value)}", "write [[scan.allow]]")
        return ()
    allowed = []
    for index, entry in enumerate(value):
        here = (*path, index)
        if not isinstance(entry, dict):
            report(here, f"must be a table, not {type_name(entry)}", "write [[scan.allow]]")
            continue
        required = ("finding", "reason", "expires")
        checked = check_table(entry, SCAN_ALLOW_KEYS, here, report, required=required)
        if checked.get("finding") in _WIDE and not {"path", "package"} & checked.keys():
            report(here, f"would allow every {checked['finding']!r}", 'say where: path = "app/keys/*"')
        elif all(name in checked for name in required):
            allowed.append(Allowed(**{"package": "", "path": "", **checked}, key=here))
    return tuple(allowed)
