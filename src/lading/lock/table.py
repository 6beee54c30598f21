"""A TOML table read strictly: every key once, none left over, each of the expected kind. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_HEX = re.compile(r"[0-9a-f]{64}")


class Damage(Exception):
    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path


class Table:
    """One table being read: every key is taken once, and none may be left."""

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise Damage(path, "a table is expected")
        self._left: dict[str, Any] = dict(value)
        self.path = path

    def text(self, key: str) -> str:
        value = self._take(key, str)
        assert isinstance(value, str)
        return value

    def optional_text(self, key: str) -> str | None:
        return self.text(key) if key in self._left else None

    def number(self, key: str) -> int:
        value = self._take(key, int)
        if isinstance(value, bool) or value < 0:
            raise Damage(f"{self.path}.{key}", "a number of bytes is expected")
        return int(value)

    def hexadecimal(self, key: str) -> str:
        value = self.text(key)
        if _HEX.fullmatch(value) is None:
            raise Damage(f"{self.path}.{key}", "64 lower-case hex digits are expected")
        return value

    def digest(self, key: str) -> str:
        value = self.text(key)
        if not value.startswith("sha256:") or _HEX.fullmatch(value[7:]) is None:
            raise Damage(f"{self.path}.{key}", "sha256: and 64 lower-case hex digits are expected")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        values = self._take(key, list)
        if not all(isinstance(value, str) for value in values):
            raise Damage(f"{self.path}.{key}", "a list of texts is expected")
        return tuple(values)

    def text_table(self, key: str) -> dict[str, str]:
        values = self._take(key, dict)
        if not all(isinstance(value, str) for value in values.values()):
            raise Damage(f"{self.path}.{key}", "a table of texts is expected")
        return dict(values)

    def has(self, key: str) -> bool:
        return key in self._left

    def table(self, key: str) -> Table:
        return Table(self._take(key, dict), f"{self.path}.{key}")

    def tables(self, key: str) -> list[Table]:
        values = self._take(key, list) if key in self._left else []
        return [Table(value, f"{self.path}.{key}[{index}]") for index, value in enumerate(values)]

    def named_tables(self, key: str) -> dict[str, Table]:
        values = self._take(key, dict) if key in self._left else {}
        return {name: Table(value, f"{self.path}.{key}.{name}") for name, value in values.items()}

    def end(self) -> None:
        if self._left:
            raise Damage(f"{self.path}.{min(self._left)}", "unknown key")

    def _take(self, key: str, kind: type) -> Any:
        if key not in self._left:
            raise Damage(f"{self.path}.{key}", "is missing")
        value = self._left.pop(key)
        if not isinstance(value, kind):
            raise Damage(f"{self.path}.{key}", f"{_KINDS[kind]} is expected")
        return value


_KINDS: Mapping[type, str] = {str: "a text", int: "a number", list: "a list", dict: "a table"}
