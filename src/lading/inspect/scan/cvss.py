"""The base score of a CVSS 3.0 or 3.1 vector, by chapter 7 and appendix A of the specification. Pure.

Version 4 is a table and has no formula: databases say its severity in words, which are used then.
"""

from __future__ import annotations

import re

_VECTOR = re.compile(r"CVSS:3\.([01])((?:/[A-Z]{1,3}:[A-Z])+)")
_WEIGHTS = {
    "AV": {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2},
    "AC": {"L": 0.77, "H": 0.44},
    "UI": {"N": 0.85, "R": 0.62},
    "C": {"H": 0.56, "L": 0.22, "N": 0.0},
    "I": {"H": 0.56, "L": 0.22, "N": 0.0},
    "A": {"H": 0.56, "L": 0.22, "N": 0.0},
}
_PRIVILEGES = {"U": {"N": 0.85, "L": 0.62, "H": 0.27}, "C": {"N": 0.85, "L": 0.68, "H": 0.5}}
LEVELS = ("none", "low", "medium", "high", "critical")


def base_score(vector: str) -> float | None:
    """0.0 to 10.0; None for what is no vector of version 3, or lacks a base metric."""
    match = _VECTOR.fullmatch(vector.strip().rstrip("/"))
    if match is None:
        return None
    metrics = dict(part.split(":") for part in match[2][1:].split("/"))
    try:
        weights = {name: table[metrics[name]] for name, table in _WEIGHTS.items()}
        privileges = _PRIVILEGES[metrics["S"]][metrics["PR"]]
    except KeyError:
        return None
    is_changed = metrics["S"] == "C"
    loss = 1 - (1 - weights["C"]) * (1 - weights["I"]) * (1 - weights["A"])
    impact = 7.52 * (loss - 0.029) - 3.25 * (loss - 0.02) ** 15 if is_changed else 6.42 * loss
    if impact <= 0:
        return 0.0
    exploitability = 8.22 * weights["AV"] * weights["AC"] * privileges * weights["UI"]
    factor = 1.08 if is_changed else 1.0
    return _rounded_up(min(factor * (impact + exploitability), 10.0))


def _rounded_up(value: float) -> float:
    """To one place, by whole numbers: 3.1's way, so that 4.000000000001 is 4.0 on every processor."""
    scaled = round(value * 100_000)
    return scaled / 100_000 if scaled % 10_000 == 0 else (scaled // 10_000 + 1) / 10


def level_of(score: float) -> str:
    """The specification's word for a score."""
    limits = ((9.0, "critical"), (7.0, "high"), (4.0, "medium"), (0.1, "low"))
    return next((word for least, word in limits if score >= least), "none")
