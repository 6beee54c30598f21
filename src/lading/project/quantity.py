"""Sizes and durations as people write them: `16GB`, `512MiB`, `6h`, `1h30m`. Pure.

Units mean what the standards say (IEC 80000-13): `GB` is 10^9 bytes, `GiB` and Kubernetes' `Gi` are 2^30.
A lone `G` is refused, because Docker and Kubernetes read it differently.
"""

from __future__ import annotations

import re
from decimal import Decimal

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)", re.ASCII)
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|d|h|m|s)", re.ASCII)

_SIZE_UNITS = {
    "B": 1,
    **{f"{letter}B": 1000**power for power, letter in enumerate("KMGTP", 1)},
    "kB": 1000,
    **{f"{letter}iB": 1024**power for power, letter in enumerate("KMGTP", 1)},
    **{f"{letter}i": 1024**power for power, letter in enumerate("KMGTP", 1)},
}
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_LARGEST_BYTES = 2**63 - 1
_LONGEST_SECONDS = 10 * 365 * 86400

SIZE_PATTERN = r"^[0-9]+(\.[0-9]+)?\s*(B|kB|[KMGTP]B|[KMGTP]iB?)$"
DURATION_PATTERN = r"^([0-9]+(\.[0-9]+)?\s*(ms|d|h|m|s)\s*)+$"


class BadQuantity(ValueError):
    """Not a size or duration. `suggestion` is a form that would be right, where one is evident."""

    def __init__(self, message: str, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.suggestion = suggestion


def parse_size(text: str) -> int:
    """Bytes that `text` means. Raises BadQuantity."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise BadQuantity(f"{text!r} is not a size", 'a number and a unit, as in "16GB" or "512MiB"')
    amount, unit = match.groups()
    if unit not in _SIZE_UNITS:
        raise BadQuantity(
            f"unit {unit!r} of {text!r} is not one of B, KB, MB, GB, TB, KiB, MiB, GiB, TiB",
            _unit(amount, unit),
        )
    size_bytes = Decimal(amount) * _SIZE_UNITS[unit]
    if size_bytes != int(size_bytes):
        raise BadQuantity(f"{text!r} is not a whole number of bytes")
    if not 0 < size_bytes <= _LARGEST_BYTES:
        raise BadQuantity(f"{text!r} is not between 1 byte and 8 EiB")
    return int(size_bytes)


def _unit(amount: str, unit: str) -> str | None:
    for letter in "KMGTP":
        if unit.upper() in {letter, f"{letter}B", f"{letter}I", f"{letter}IB"}:
            return f'"{amount}{letter}B" (10^n bytes) or "{amount}{letter}iB" (2^n bytes)'
    return None


def format_size(size_bytes: int) -> str:
    """The shortest text that `parse_size` reads as `size_bytes`."""
    forms = [f"{size_bytes}B"]
    for unit, factor in _SIZE_UNITS.items():
        if size_bytes % factor == 0 and unit.endswith("B") and unit != "kB":
            forms.append(f"{size_bytes // factor}{unit}")
    return min(forms, key=lambda form: (len(form), form))


def parse_duration(text: str) -> float:
    """Seconds that `text` means. Raises BadQuantity."""
    compact = text.strip()
    at = 0
    milliseconds = Decimal(0)
    while match := _DURATION_PART.match(compact, at):
        amount, unit = match.groups()
        milliseconds += Decimal(amount) * (1 if unit == "ms" else 1000 * _SECONDS[unit])
        at = match.end()
        while at < len(compact) and compact[at] == " ":
            at += 1
    if at != len(compact) or not compact:
        raise BadQuantity(
            f"{text!r} is not a duration", 'a number and a unit, as in "90s", "30m", "6h" or "1h30m"'
        )
    seconds = float(milliseconds / 1000)
    if not 0 < seconds <= _LONGEST_SECONDS:
        raise BadQuantity(f"{text!r} is not more than nothing and at most ten years")
    return seconds


def format_duration(seconds: float) -> str:
    """The shortest text that `parse_duration` reads as `seconds`."""
    if seconds == int(seconds):
        whole = int(seconds)
        return min(
            (f"{whole // size}{unit}" for unit, size in _SECONDS.items() if whole % size == 0), key=len
        )
    return f"{Decimal(repr(seconds)):f}s"
