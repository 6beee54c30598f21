"""Medians, ratios and the Markdown table. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One comparison: all measurements in the row's unit, in the order taken."""

    name: str
    unit: str
    lading: tuple[float, ...]
    other: tuple[float, ...]
    other_name: str
    wanted: str
    """What must hold, as the project promises it: `at least 12 times faster`."""

    @property
    def ratio(self) -> float | None:
        """The other's median over lading's: above 1, lading is better."""
        return median(self.other) / median(self.lading) if self.other and self.lading else None

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio}


def render_table(rows: Sequence[Row]) -> str:
    """GitHub's Markdown, medians only."""
    lines = ["| | lading | compared with | times better | wanted |", "|---|---|---|---|---|"]
    for row in rows:
        other = f"{_number(row.other)} {row.unit} {row.other_name}" if row.other else row.other_name
        ratio = f"{row.ratio:.2f}" if row.ratio is not None else ""
        lines.append(f"| {row.name} | {_number(row.lading)} {row.unit} | {other} | {ratio} | {row.wanted} |")
    return "\n".join(lines)


def _number(values: Sequence[float]) -> str:
    value = median(values)
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}" if value < 10 else f"{value:.1f}"
