"""A requirements file as entries with offsets. Pure. Names and versions by `packaging`; options are
passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

_EDITABLE = re.compile(r"(?:-e|--editable)[ =]\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """`release`: major and minor of an exact pin. `url`: of a direct reference."""

    start: int
    name: str = ""
    url: str = ""
    release: tuple[int, int] | None = None
    marker: bool = False


def read_requirements(text: str) -> tuple[Entry, ...]:
    return tuple(_entries(text))


def _entries(text: str) -> Iterator[Entry]:
    at, continued = 0, False
    for line in text.split("\n"):
        start, at = at + len(line) - len(line.lstrip()), at + len(line) + 1
        skip, continued = continued, line.rstrip().endswith("\\")
        written = re.split(r"(?:^|\s)#|\s--(?:hash|config-settings?)\b|\s*\\\s*$", line.strip("\ufeff \t\r"))[
            0
        ].strip()
        written = _EDITABLE.sub("", written)
        if skip or not written or written.startswith("-"):
            continue
        if "://" in written.split()[0]:
            yield Entry(start=start, url=written.split()[0])
            continue
        try:
            requirement = Requirement(written)
        except InvalidRequirement:
            continue
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        yield Entry(
            start=start,
            name=name,
            url=requirement.url or "",
            release=_release(requirement),
            marker=requirement.marker is not None,
        )


def _release(requirement: Requirement) -> tuple[int, int] | None:
    pins = [specifier.version for specifier in requirement.specifier if specifier.operator == "=="]
    if len(pins) != 1 or len(requirement.specifier) != 1:
        return None
    try:
        version = Version(pins[0].removesuffix(".*"))
    except InvalidVersion:
        return None
    return (version.major, version.minor) if len(version.release) > 1 else None
