"""Numbers and tables as people read them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

_UNITS = ("B", "kB", "MB", "GB", "TB")


def format_size(size_bytes: float) -> str:
    """Decimal units, at most three digits: `0 B`, `812 kB`, `3.1 GB`."""
    value = float(size_bytes)
    units = iter(_UNITS)
    unit = next(units)
    while round(value) >= 1000 and unit != _UNITS[-1]:
        value /= 1000
        unit = next(units)
    digits = 1 if value < 9.95 and unit not in ("B", "kB") else 0
    return f"{value:.{digits}f} {unit}"


def format_seconds(seconds: float) -> str:
    """`0.04 s`, `2.3 s`, `48 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    if seconds < 0.995:
        return f"{seconds:.2f} s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def format_count(count: int, noun: str, plural: str | None = None) -> str:
    """`1 layer`, `61 wheels`."""
    return f"{count} {noun}" if count == 1 else f"{count} {plural or noun + 's'}"


def format_table(rows: Sequence[Sequence[str]], *, right: frozenset[int] = frozenset()) -> list[str]:
    """Columns two spaces apart; those in `right` aligned to the right. No trailing blanks."""
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            text.rjust(width) if column in right else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines
