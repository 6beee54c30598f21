"""Comparing what a service answers with what was recorded when its model was sealed. Pure.

Whole numbers, booleans and texts must be equal; floating-point numbers within a tolerance, because another
processor adds in another order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

RELATIVE_TOLERANCE = 1e-4
ABSOLUTE_TOLERANCE = 1e-6
_LOOSER = {"FP16": 1e-2}


def differences(expected: Sequence[Mapping[str, Any]], actual: Sequence[Mapping[str, Any]]) -> list[str]:
    """Each way in which `actual` outputs differ from the `expected` ones, in words; empty when they agree.

    Outputs that are only in `actual` are no difference: a recorded response may name some of them.
    """
    by_name = {item.get("name"): item for item in actual}
    found: list[str] = []
    for item in expected:
        name = item.get("name")
        if name not in by_name:
            found.append(f"output {name!r} is missing")
        else:
            found += _compare(str(name), item, by_name[name])
    return found


def _compare(name: str, expected: Mapping[str, Any], actual: Mapping[str, Any]) -> list[str]:
    for key in ("datatype", "shape"):
        if key in expected and expected[key] != actual.get(key):
            return [f"output {name!r}: {key} is {actual.get(key)}, was {expected[key]}"]
    wanted, got = list(_flat(expected.get("data", []))), list(_flat(actual.get("data", [])))
    if len(wanted) != len(got):
        return [f"output {name!r}: {len(got)} values, there were {len(wanted)}"]
    datatype = str(actual.get("datatype"))
    relative = _LOOSER.get(datatype, RELATIVE_TOLERANCE)
    wrong = [
        index
        for index, (left, right) in enumerate(zip(wanted, got, strict=True))
        if not _equal(left, right, datatype, relative)
    ]
    if not wrong:
        return []
    first = wrong[0]
    return [
        f"output {name!r}: {len(wrong)} of {len(wanted)} values differ, "
        f"first at {first}: {got[first]!r}, was {wanted[first]!r}"
    ]


def _equal(expected: Any, actual: Any, datatype: str, relative: float) -> bool:
    if not datatype.startswith("FP"):
        return type(expected) is type(actual) and bool(expected == actual)
    try:
        return math.isclose(expected, actual, rel_tol=relative, abs_tol=ABSOLUTE_TOLERANCE)
    except TypeError:
        return False


def _flat(data: Any) -> list[Any]:
    if not isinstance(data, list):
        return [data]
    level = data
    while any(isinstance(item, list) for item in level):
        level = [inner for item in level for inner in (item if isinstance(item, list) else [item])]
    return level
