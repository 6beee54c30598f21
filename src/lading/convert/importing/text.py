"""The text of a lading.toml that was imported. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lading.project.render import toml_key, toml_value

_TABLES = ("files", "step")


def document_text(document: Mapping[str, Any], header: str) -> str:
    lines = [header]
    for name, table in document.items():
        lines += ["", f"[{toml_key(name)}]"]
        apart = {key: value for key, value in table.items() if name == "image" and key in _TABLES}
        inner = {key: value for key, value in table.items() if isinstance(value, Mapping) and len(value) > 1}
        plain = {key: value for key, value in table.items() if key not in apart and key not in inner}
        lines += [f"{toml_key(key)} = {_value(value)}" for key, value in plain.items()]
        for key, value in inner.items():
            lines += ["", f"[{toml_key(name)}.{toml_key(key)}]"]
            lines += [f"{toml_key(one)} = {_value(member)}" for one, member in value.items()]
        for key, entries in apart.items():
            for entry in entries:
                lines += ["", f"[[{name}.{key}]]"]
                lines += [f"{toml_key(one)} = {_value(member)}" for one, member in entry.items()]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    """A text of several lines stays readable."""
    if isinstance(value, str) and value.endswith("\n") and "'''" not in value and _is_plain(value):
        return f"'''\n{value}'''"
    return toml_value(value)


def _is_plain(text: str) -> bool:
    return all(sign in "\n\t" or (ord(sign) >= 32 and ord(sign) != 127) for sign in text)
