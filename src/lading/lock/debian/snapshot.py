"""Where an archive that forgets nothing has a locked package: a server laid out as Debian's snapshot service.

Pure. `BASE/archive/debian/TIME/pool/…` shows the archive as it was at TIME, or at the last look before it.
"""

from __future__ import annotations

import datetime
import email.utils
from collections.abc import Iterable

from lading.fetch.address import split_credentials
from lading.lock.model import LockedPackage, LockedSuite

VARIABLE = "LADING_DEBIAN_SNAPSHOT"
_LATER = (datetime.timedelta(days=1), datetime.timedelta(0), datetime.timedelta(days=7))
"""An index is seen by others hours after it was dated, and what it names stays for a day at least."""


def snapshot_urls(base: str, package: LockedPackage, suites: Iterable[LockedSuite]) -> tuple[str, ...]:
    """Where to look for `package`, best first; nothing where no suite says when it was locked."""
    archive = "debian-security" if package.suite.endswith("-security") else "debian"
    dates = [date for suite in suites if suite.suite == package.suite if (date := _date(suite.date))]
    plain, _ = split_credentials(base)
    return tuple(
        f"{plain.rstrip('/')}/archive/{archive}/{date + later:%Y%m%dT%H%M%SZ}/{package.filename}"
        for date in dates
        for later in _LATER
    )


def _date(text: str) -> datetime.datetime | None:
    try:
        date = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return date.replace(tzinfo=datetime.UTC) if date.tzinfo is None else date.astimezone(datetime.UTC)
