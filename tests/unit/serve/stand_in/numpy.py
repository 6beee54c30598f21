"""The few words of numpy that the runtime says, for tests without the real one."""

from __future__ import annotations

from typing import Any


class dtype:  # noqa: N801 - numpy's own name
    def __init__(self, name: str) -> None:
        self.name = str(name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, dtype) and other.name == self.name

    __hash__ = None  # type: ignore[assignment]


class Array:
    def __init__(self, values: list[Any], kind: str) -> None:
        self.values, self.dtype, self.shape = list(values), dtype(kind), (len(values),)

    def reshape(self, shape: Any) -> Array:
        other = Array(self.values, self.dtype.name)
        other.shape = (len(self.values),) if shape == -1 else tuple(shape)
        return other

    def tolist(self) -> list[Any]:
        return self.values


def array(values: list[Any], dtype: str) -> Array:
    return Array(values, dtype)
