"""Edits that put a member into a mapping or an item into a list of a YAML text. Pure.

What is put in is one line, in brackets where it has parts, so that it fits either style around it. Where the
text leaves a doubt (an alias that other places share, an empty value) there is no edit.
"""

from __future__ import annotations

import json
import re

from lading.inspect.lint.model import Edit
from lading.inspect.lint.yaml_file import Value

_PLAIN = re.compile(r"[A-Za-z/_][A-Za-z0-9/_.-]*|\d+(?:[KMGTP]i?|m)")
_WORDS_OF_YAML = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})


def as_flow(value: object) -> str:
    """The value in brackets on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{as_flow(key)}: {as_flow(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(as_flow(part) for part in value) + "]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS_OF_YAML:
        return value
    return json.dumps(value)


def add_member(mapping: Value, key: str, value: object) -> Edit | None:
    """`key: value` as the first member, or after a `name` that stands first."""
    text = f"{as_flow(key)}: {as_flow(value)}"
    if mapping.shared or not isinstance(mapping.data, dict):
        return None
    if mapping.flow:
        gap = ", " if mapping.keys else ""
        return Edit(start=mapping.start + 1, end=mapping.start + 1, text=text + gap)
    if not mapping.keys:
        return None
    first, *others = sorted(mapping.keys, key=lambda name: mapping.keys[name])
    place = mapping.keys[others[0] if first == "name" and others else first]
    return Edit(start=place, end=place, text=f"{text}\n{' ' * mapping.column}")


def add_item(sequence: Value, value: object) -> Edit | None:
    """`value` as the first item."""
    if sequence.shared or not isinstance(sequence.data, list):
        return None
    if sequence.flow:
        gap = ", " if sequence.items else ""
        return Edit(start=sequence.start + 1, end=sequence.start + 1, text=as_flow(value) + gap)
    if not sequence.items:
        return None
    text = f"- {as_flow(value)}\n{' ' * sequence.column}"
    return Edit(start=sequence.start, end=sequence.start, text=text)


def add_to_list(owner: Value, key: str, value: object) -> Edit | None:
    """`value` as an item of the list `owner.key`, which is made where it is absent."""
    found = owner.get(key)
    if found is not None:
        return add_item(found, value)
    return None if key in owner.members else add_member(owner, key, [value])


def replace_scalar(scalar: Value, text: str) -> Edit | None:
    """Another text for a scalar on one line, inside the quotes that it has."""
    if scalar.shared or not isinstance(scalar.data, str):
        return None
    if scalar.end - scalar.start != len(scalar.data) + 2 * scalar.quoted:
        return None  # a block, or something escaped
    start = scalar.start + scalar.quoted
    return Edit(start=start, end=start + len(scalar.data), text=text)
