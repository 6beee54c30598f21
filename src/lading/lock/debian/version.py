"""Debian version numbers: their order (Debian Policy 5.6.12, deb-version(7)).

Pure. Knows versions only; what a relation between packages means stands in relation.py.
"""

from __future__ import annotations

import functools
import re

_PARTS = re.compile(r"(\D*)(\d*)")
_FORM = re.compile(r"(?:\d+:)?[0-9A-Za-z.+~:-]+")


def _character_order(character: str) -> int:
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256


def _part_key(text: str) -> tuple[tuple[tuple[int, ...], int], ...]:
    """A key that sorts as Debian does: non-digits by character with `~` first, digits as numbers.

    The end of a part sorts after `~` and before anything else: hence the closing 0.
    """
    key = []
    for letters, digits in _PARTS.findall(text):
        key.append(((*map(_character_order, letters), 0), int(digits or "0")))
    return tuple(key)


@functools.lru_cache(maxsize=65536)
def version_key(version: str) -> tuple[object, ...]:
    """What to sort versions by. Raises ValueError for text that is no version."""
    if _FORM.fullmatch(version) is None:
        raise ValueError(f"not a Debian version: {version!r}")
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, hyphen, revision = rest.rpartition("-")
    if not hyphen:
        upstream, revision = rest, ""
    return int(epoch), _part_key(upstream), _part_key(revision or "0")


def compare_versions(left: str, right: str) -> int:
    """-1, 0 or 1, as `dpkg --compare-versions` orders them. Raises ValueError."""
    left_key, right_key = version_key(left), version_key(right)
    if left_key == right_key:
        return 0
    return -1 if left_key < right_key else 1


def version_satisfies(version: str, operator: str, wanted: str) -> bool:
    """Whether `version` stands in `operator` (`<<`, `<=`, `=`, `>=`, `>>`) to `wanted`."""
    order = compare_versions(version, wanted)
    return {"<<": order < 0, "<=": order <= 0, "=": order == 0, ">=": order >= 0, ">>": order > 0}[operator]
