"""Whether a version is affected, by OSV's own algorithm, in the order of its ecosystem. Pure."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lading.inspect.scan.advisories import Affected

Key = Callable[[str], Any]
_ORDER = {"fixed": 0, "introduced": 1, "last_affected": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """How an ecosystem orders versions. `key` raises ValueError for what is no version."""

    key: Key


def python_key(version: str) -> Any:
    """PEP 440, without the local part: `2.6.0+cu124` is 2.6.0 built otherwise, and has its flaws."""
    from packaging.version import Version

    return Version(version.partition("+")[0])


def debian_key(version: str) -> Any:
    from lading.lock.debian.version import version_key

    return version_key(version)


SCHEMES = {"PyPI": Scheme(key=python_key), "Debian": Scheme(key=debian_key), "Ubuntu": Scheme(key=debian_key)}


def is_affected(entry: Affected, version: str, scheme: Scheme) -> bool:
    """A range whose versions cannot be read counts as one that holds: silence is no evidence."""
    if version in entry.versions:
        return True
    try:
        ours = scheme.key(version)
    except ValueError:
        return False  # only the list can name it
    if any(_equal(listed, ours, scheme) for listed in entry.versions):
        return True
    return any(_in_range(events, ours, scheme) for events in entry.ranges)


def fixed_version(entry: Affected, version: str, scheme: Scheme) -> str | None:
    """The lowest version above ours that is named as fixed."""
    try:
        ours = scheme.key(version)
        fixed = [
            (scheme.key(value), value) for events in entry.ranges for kind, value in events if kind == "fixed"
        ]
    except ValueError:
        return None
    return min((pair for pair in fixed if pair[0] > ours), default=(None, None), key=lambda pair: pair[0])[1]


def _equal(listed: str, ours: Any, scheme: Scheme) -> bool:
    try:
        return bool(scheme.key(listed) == ours)
    except ValueError:
        return False


def _in_range(events: tuple[tuple[str, str], ...], ours: Any, scheme: Scheme) -> bool:
    try:
        keyed = [
            (kind, None if value == "0" else scheme.key(value)) for kind, value in events if kind in _ORDER
        ]
    except ValueError:
        return True
    affected = False
    for kind, key in sorted(keyed, key=functools.cmp_to_key(_compare)):
        if kind == "introduced" and (key is None or ours >= key):
            affected = True
        elif (kind == "fixed" and (key is None or ours >= key)) or (
            kind == "last_affected" and (key is None or ours > key)
        ):
            affected = False
    return affected


def _compare(left: tuple[str, Any], right: tuple[str, Any]) -> int:
    """By version, the beginning of all things first."""
    if left[1] is None or right[1] is None:
        return (left[1] is not None) - (right[1] is not None) or _ORDER[left[0]] - _ORDER[right[0]]
    if left[1] == right[1]:
        return _ORDER[left[0]] - _ORDER[right[0]]
    return -1 if left[1] < right[1] else 1
