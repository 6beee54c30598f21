"""A signed Release: what it says, and whether it may be believed now (the archive's repository format).

Pure: the clock and the last accepted Release come in as values.
"""

from __future__ import annotations

import datetime
import email.utils
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lading.errors import SignatureRefused

FUTURE_SKEW_SECONDS = 600
"""How far ahead of our clock a Release may be dated: clocks differ, archives do not come from the future."""

_ENTRY = re.compile(r" ([0-9a-f]{64}) +(\d{1,15}) +(\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseFile:
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    suite: str
    """The archive's changing name: `stable`, `oldstable-updates`."""
    codename: str
    date: str
    valid_until: str | None
    by_hash: bool
    architectures: tuple[str, ...]
    all_in_each: bool
    """Packages of architecture `all` are listed in each architecture's index."""
    files: Mapping[str, ReleaseFile] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastSeen:
    """What was accepted last time from the same mirror and suite."""

    date: str
    suite: str
    codename: str


def parse_release(text: bytes, *, name: str) -> Release:
    """Raises SignatureRefused: a signed text that is no Release is as little use as an unsigned one."""
    fields: dict[str, str] = {}
    key = ""
    for line in text.decode("utf-8", errors="replace").split("\n"):
        if line[:1] in (" ", "\t"):
            fields[key] = fields.get(key, "") + "\n" + line
        elif line.strip():
            key, colon, value = line.partition(":")
            key = key.lower()
            if not colon or key in fields:
                raise SignatureRefused(f"{name} is malformed at {line[:60]!r}", place=name)
            fields[key] = value.strip()
    files = {}
    for line in fields.get("sha256", "").split("\n")[1:]:
        match = _ENTRY.fullmatch(line)
        if match is None or match[3] in files:
            raise SignatureRefused(f"{name} has a malformed file list at {line[:60]!r}", place=name)
        files[match[3]] = ReleaseFile(sha256=match[1], size_bytes=int(match[2]))
    for needed in ("codename", "date"):
        if not fields.get(needed):
            raise SignatureRefused(f"{name} has no {needed.capitalize()}", place=name)
    architectures = tuple(fields.get("architectures", "").split())
    return Release(
        suite=fields.get("suite", ""),
        codename=fields["codename"],
        date=fields["date"],
        valid_until=fields.get("valid-until"),
        by_hash=fields.get("acquire-by-hash", "").lower() == "yes",
        architectures=architectures,
        all_in_each=(
            "all" not in architectures
            or "Packages" in fields.get("no-support-for-architecture-all", "").split()
        ),
        files=files,
    )


def check_release(
    release: Release,
    *,
    codename: str,
    now: datetime.datetime,
    last: LastSeen | None,
    allow_expired: bool,
    name: str,
) -> tuple[str, ...]:
    """Whether `release` is the one asked for, and of now. Returns warnings.

    `allow_expired` (a snapshot, on purpose) waives expiry and rollback, each with a warning; a Release from
    the future and another suite's are refused always. Raises SignatureRefused.
    """
    warnings = []

    def waive(detail: str, hint: str) -> None:
        if not allow_expired:
            raise SignatureRefused(f"{name} refused: {detail}", place=name, hints=(hint,))
        warnings.append(f"{name}: {detail}; allowed on purpose (snapshot)")

    if release.codename != codename:
        raise SignatureRefused(
            f"{name} refused: {codename} was asked for, the archive says it is {release.codename}", place=name
        )
    date = _parse_date(release.date, name)
    if date > now + datetime.timedelta(seconds=FUTURE_SKEW_SECONDS):
        raise SignatureRefused(
            f"{name} refused: it is dated {release.date}, in the future", place=name, hints=("date --utc",)
        )
    if release.valid_until is not None and _parse_date(release.valid_until, name) < now:
        waive(
            f"it expired on {release.valid_until}",
            "use a mirror that is up to date: LADING_DEBIAN_MIRROR=URL",
        )
    if last is not None and date < _parse_date(last.date, name):
        waive(
            f"it is of {release.date}, older than the one accepted before ({last.date}): a rollback",
            "use a mirror that is up to date: LADING_DEBIAN_MIRROR=URL",
        )
    if last is not None and last.suite != release.suite:
        warnings.append(
            f"{name}: {codename} was {last.suite or 'unnamed'} and is now {release.suite or 'unnamed'}"
        )
    return tuple(warnings)


def _parse_date(text: str, name: str) -> datetime.datetime:
    try:
        date = email.utils.parsedate_to_datetime(text)
    except ValueError:
        raise SignatureRefused(f"{name} has a date nobody can read: {text!r}", place=name) from None
    return date if date.tzinfo is not None else date.replace(tzinfo=datetime.UTC)
