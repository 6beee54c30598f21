"""The kinds of values a key may hold: how each is checked, and how a JSON schema says the same. Pure.

A check returns the value as the rest of lading wants it, or reports what is wrong and returns None.
Knows no key and no table.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Protocol

from lading.project.places import KeyPath
from lading.project.quantity import (
    DURATION_PATTERN,
    SIZE_PATTERN,
    BadQuantity,
    parse_duration,
    parse_size,
)
from lading.project.report import nearest
from lading.project.tokens import token_in


class Reporter(Protocol):
    def __call__(self, path: KeyPath, message: str, suggestion: str | None = None) -> None: ...


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value: `check(value, path, report)` and a JSON schema."""

    check: Callable[[object, KeyPath, Reporter], Any]
    schema: Mapping[str, Any]


def type_name(value: object) -> str:
    """What TOML calls the type of `value`."""
    names: tuple[tuple[type, str], ...] = (
        (bool, "a boolean"),
        (int, "an integer"),
        (float, "a float"),
        (str, "a string"),
        (list, "an array"),
        (dict, "a table"),
        (datetime.date, "a date"),
        (datetime.time, "a time"),
    )
    return next((name for kind, name in names if isinstance(value, kind)), type(value).__name__)


def _wrong_type(value: object, wanted: str, path: KeyPath, report: Reporter) -> None:
    suggestion = None
    if wanted == "a string" and isinstance(value, (int, float)):
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        suggestion = f'write it in quotes: "{shown}"'
    elif wanted.startswith("a list") and isinstance(value, str):
        suggestion = f'write ["{value}"]'
    report(path, f"must be {wanted}, not {type_name(value)}", suggestion)


def text(
    pattern: str | None = None, says: str = "", *, secret_free: bool = False, may_be_empty: bool = False
) -> Kind:
    """A string; `pattern` must match the whole of it, `says` explains the pattern."""
    form = re.compile(pattern) if pattern is not None else None

    def check(value: object, path: KeyPath, report: Reporter) -> str | None:
        if not isinstance(value, str):
            _wrong_type(value, "a string", path, report)
            return None
        if not value.strip() and not may_be_empty:
            report(path, "is empty", "leave the key out, or give it a value")
        elif "\0" in value:
            report(path, "holds a NUL character")
        elif form is not None and form.fullmatch(value) is None:
            report(path, f"{value!r} is not {says}")
        elif secret_free and token_in(value.encode("utf-8", "surrogatepass")):
            report(
                path, "looks like a credential", "name it under `secrets` of a task and set it when you run"
            )
        else:
            return value
        return None

    schema: dict[str, Any] = {"type": "string"} if may_be_empty else {"type": "string", "minLength": 1}
    return Kind(check, {**schema, "pattern": f"^(?:{pattern})$"} if pattern is not None else schema)


def choice(*choices: str) -> Kind:
    """One of a few words."""

    def check(value: object, path: KeyPath, report: Reporter) -> str | None:
        if not isinstance(value, str):
            _wrong_type(value, "a string", path, report)
            return None
        if value in choices:
            return value
        close = nearest(value, choices)
        hint = f"did you mean {close!r}?" if close is not None else None  # the message lists all
        report(path, f"{value!r} is not one of {', '.join(choices)}", hint)
        return None

    return Kind(check, {"enum": list(choices)})


def integer(least: int, most: int) -> Kind:
    def check(value: object, path: KeyPath, report: Reporter) -> int | None:
        if isinstance(value, bool) or not isinstance(value, int):
            _wrong_type(value, "an integer", path, report)
            return None
        if least <= value <= most:
            return value
        report(path, f"{value} is not between {least} and {most}")
        return None

    return Kind(check, {"type": "integer", "minimum": least, "maximum": most})


def _check_boolean(value: object, path: KeyPath, report: Reporter) -> bool | None:
    if isinstance(value, bool):
        return value
    suggestion = "write true or false, without quotes" if isinstance(value, str) else None
    report(path, f"must be true or false, not {type_name(value)}", suggestion)
    return None


def _check_number(value: object, path: KeyPath, report: Reporter) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        report(path, f"must be a number, not {type_name(value)}")
    elif not math.isfinite(value) or not 0 < value <= 1_000_000:
        report(path, f"{value} is not a number above 0")
    else:
        return float(value)
    return None


def _quantity(parse: Callable[[str], int | float], noun: str, unit: str) -> Callable[..., Any]:
    def check(value: object, path: KeyPath, report: Reporter) -> int | float | None:
        if not isinstance(value, str):
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            hint = f'write a unit: "{value}{unit}"' if number else None
            report(path, f"must be a {noun} in quotes, not {type_name(value)}", hint)
            return None
        try:
            return parse(value)
        except BadQuantity as error:
            report(path, str(error), error.suggestion)
            return None

    return check


def _check_scalar(value: object, path: KeyPath, report: Reporter) -> str | int | float | bool | None:
    if isinstance(value, float) and not math.isfinite(value):
        report(path, f"{value} cannot be a parameter: JSON has no such number")
    elif isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        report(path, f"{value} does not fit into 64 bits", "write it as a string")
    elif isinstance(value, str) and token_in(value.encode("utf-8", "surrogatepass")):
        report(path, "looks like a credential; parameters are recorded", "name it under `secrets` instead")
    elif isinstance(value, str) and "\0" in value:
        report(path, "holds a NUL character")
    elif isinstance(value, (str, int, float)):
        return value
    else:
        report(path, f"must be a string, number or boolean, not {type_name(value)}")
    return None


def _check_inside_path(value: object, path: KeyPath, report: Reporter) -> str | None:
    checked: str | None = text().check(value, path, report)
    if checked is None:
        return None
    pure = PurePosixPath(checked)
    if pure.is_absolute() or checked.startswith("~") or ".." in pure.parts or pure == PurePosixPath("."):
        report(path, f"{checked!r} is not a path inside the project folder", 'write it relative: "out"')
        return None
    return str(pure)


def _check_words(value: object, path: KeyPath, report: Reporter) -> tuple[str, ...] | None:
    if not isinstance(value, list):
        _wrong_type(value, "a list of strings", path, report)
        return None
    checked = [_WORD.check(word, (*path, index), report) for index, word in enumerate(value)]
    if not value:
        report(path, "is empty", "leave the key out, or name a program")
    return None if None in checked or not value else tuple(checked)


def _check_date(value: object, path: KeyPath, report: Reporter) -> datetime.date | None:
    if isinstance(value, datetime.datetime):
        return value.date()
    if isinstance(value, datetime.date):
        return value
    try:
        return datetime.date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        report(path, f"must be a date, not {type_name(value)}", "write it as 2027-01-31")
        return None


BOOLEAN = Kind(_check_boolean, {"type": "boolean"})
NUMBER = Kind(_check_number, {"type": "number", "exclusiveMinimum": 0, "maximum": 1_000_000})
SIZE = Kind(_quantity(parse_size, "size", "GB"), {"type": "string", "pattern": SIZE_PATTERN})
DURATION = Kind(_quantity(parse_duration, "duration", "s"), {"type": "string", "pattern": DURATION_PATTERN})
SCALAR = Kind(_check_scalar, {"type": ["string", "number", "boolean"]})
INSIDE_PATH = Kind(_check_inside_path, {"type": "string", "minLength": 1})
_WORD = text(secret_free=True, may_be_empty=True)
WORDS = Kind(_check_words, {"type": "array", "items": {"type": "string"}, "minItems": 1})
"""A program and its arguments; a word may be there twice."""
DATE = Kind(_check_date, {"type": "string", "format": "date"})


def list_of(kind: Kind, *, or_one: bool = False) -> Kind:
    """An array without repetitions; with `or_one`, a single value stands for an array of one."""

    def check(value: object, path: KeyPath, report: Reporter) -> tuple[Any, ...] | None:
        if or_one and isinstance(value, str):
            value = [value]
        if not isinstance(value, list):
            _wrong_type(value, "a list of strings", path, report)
            return None
        checked = [kind.check(member, (*path, index), report) for index, member in enumerate(value)]
        for index, member in enumerate(checked):
            if member is not None and member in checked[:index]:
                report((*path, index), f"{member!r} is there twice", "remove one of them")
        if or_one and not value:
            report(path, "is empty", "leave the key out, or name one")
        return None if None in checked else tuple(checked)

    schema: dict[str, Any] = {"type": "array", "items": dict(kind.schema), "uniqueItems": True}
    if or_one:
        return Kind(check, {"anyOf": [dict(kind.schema), {**schema, "minItems": 1}]})
    return Kind(check, schema)


def table_of(kind: Kind, name_pattern: str, says: str) -> Kind:
    """A table whose names match `name_pattern` (which `says` explains) and whose values are all of `kind`."""
    form = re.compile(name_pattern)

    def check(value: object, path: KeyPath, report: Reporter) -> dict[str, Any] | None:
        if not isinstance(value, dict):
            _wrong_type(value, "a table", path, report)
            return None
        checked = {}
        for name, member in value.items():
            if form.fullmatch(name) is None:
                report((*path, name), f"{name!r} is not {says}")
            checked[name] = kind.check(member, (*path, name), report)
        return None if None in checked.values() else checked

    return Kind(
        check,
        {
            "type": "object",
            "propertyNames": {"pattern": f"^(?:{name_pattern})$"},
            "additionalProperties": dict(kind.schema),
        },
    )
