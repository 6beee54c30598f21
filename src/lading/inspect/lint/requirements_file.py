"""A requirements file as entries with offsets. Pure. Names and versions by `packaging`; options are
counted, not followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

_EDITABLE = re.compile(r"(?:-e|--editable)[ =]\s*")
_COMMENT = re.compile(r"(?:^|\s)#.*")
_OPTION = re.compile(r"\s--(?:hash|config-settings?)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """`release`: major and minor of an exact pin, `pin` the whole version, which `pin_start` finds in the
    file. `url`: of a direct reference.
    """

    start: int
    name: str = ""
    url: str = ""
    release: tuple[int, int] | None = None
    marker: bool = False
    pin: str = ""
    pin_start: int | None = None
    specifier: str = ""
    extras: frozenset[str] = frozenset()
    hashed: bool = False

    @property
    def is_exact(self) -> bool:
        """Whether every day gives the same version: a pin without a pattern, or a reference."""
        return bool(self.url) or (bool(self.pin) and not self.pin.endswith("*"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A requirement of a requirements file, or an option of it."""

    start: int
    text: str
    """Without comments; continued lines are one."""

    @property
    def is_option(self) -> bool:
        return self.text.startswith("-") and _EDITABLE.match(self.text) is None


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lines(text: str) -> Iterator[Line]:
    at, start, parts = 0, 0, list[str]()
    for raw in text.split("\n"):
        begin, at = at, at + len(raw) + 1
        line = _COMMENT.sub("", raw.strip("\ufeff\r"))
        if not parts:
            start = begin + len(raw) - len(raw.lstrip("\ufeff \t"))
        stripped = line.strip()
        continued = stripped.endswith("\\")
        parts.append(stripped.removesuffix("\\").strip())
        if continued:
            continue
        whole, parts = " ".join(part for part in parts if part), []
        if whole:
            yield Line(start=start, text=whole)
    if whole := " ".join(part for part in parts if part):
        yield Line(start=start, text=whole)


def read_entries(lines: Iterator[Line] | tuple[Line, ...], text: str) -> Iterator[Entry]:
    for line in lines:
        if line.is_option:
            continue
        written = _EDITABLE.sub("", _OPTION.split(line.text)[0]).strip()
        if not written:
            continue
        if "://" in written.split()[0]:
            yield Entry(start=line.start, url=written.split()[0])
        elif (entry := entry_of(written, line.start, hashed=" --hash" in line.text)) is not None:
            yield _placed(entry, text)


def entry_of(written: str, start: int, *, hashed: bool = False) -> Entry | None:
    """None for what is no requirement, such as a path."""
    try:
        requirement = Requirement(written)
    except InvalidRequirement:
        return None
    pin = _pin(requirement)
    return Entry(
        start=start,
        name=normalized(requirement.name),
        url=requirement.url or "",
        release=_release(pin),
        marker=requirement.marker is not None,
        pin=pin,
        specifier=str(requirement.specifier),
        extras=frozenset(normalized(extra) for extra in requirement.extras),
        hashed=hashed,
    )


def _placed(entry: Entry, text: str) -> Entry:
    """With the place of its pin, where the line says it plainly."""
    from dataclasses import replace

    end = text.find("\n", entry.start)
    line = text[entry.start : end if end >= 0 else len(text)]
    match = re.match(r"[A-Za-z0-9._-]+(?:\[[^\]]*\])?\s*==\s*", line)
    if match and entry.pin and line.startswith(entry.pin, match.end()):
        return replace(entry, pin_start=entry.start + match.end())
    return entry


def _pin(requirement: Requirement) -> str:
    pins = [one.version for one in requirement.specifier if one.operator in {"==", "==="}]
    return pins[0] if len(pins) == 1 and len(requirement.specifier) == 1 else ""


def _release(pin: str) -> tuple[int, int] | None:
    try:
        version = Version(pin.removesuffix(".*"))
    except InvalidVersion:
        return None
    return (version.major, version.minor) if len(version.release) > 1 else None
