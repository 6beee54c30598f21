"""Tensors as the Open Inference Protocol's REST form has them: JSON ↔ flat values. Pure.

Source: open-inference-protocol, inference_rest.md, "Tensor Data". What a request says is not trusted: shape,
type and range of every value are checked here, before any model sees them.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

MAXIMUM_DIMENSIONS = 32
_INTEGERS = {
    **{f"INT{bits}": (-(1 << bits - 1), (1 << bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": (0, (1 << bits) - 1) for bits in (8, 16, 32, 64)},
}
_FLOATS = {"FP16": "<e", "FP32": "<f", "FP64": "<d"}
DATATYPES = ("BOOL", *_INTEGERS, *_FLOATS, "BYTES")


class BadRequest(Exception):
    """The request cannot be served; `status` is the HTTP status that says why."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class TensorSpec:
    """What a model takes or gives; -1 stands for a dimension of any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


@dataclass(frozen=True)
class Tensor:
    name: str
    datatype: str
    shape: tuple[int, ...]
    values: Sequence[Any]
    """Row-major, flat."""
    parameters: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Raises BadRequest (422) for a NaN or an infinity: JSON has no word for them."""
        if self.datatype in _FLOATS and not all(map(math.isfinite, self.values)):
            raise BadRequest(f"output {self.name!r} holds NaN or an infinity, which JSON cannot carry", 422)
        document: dict[str, Any] = {
            "name": self.name,
            "datatype": self.datatype,
            "shape": list(self.shape),
            "data": list(self.values),
        }
        if self.parameters:
            document["parameters"] = self.parameters
        return document


def read_tensor(document: Any) -> Tensor:
    """One entry of a request's `inputs`. Raises BadRequest: 400 for its form, 422 for its values."""
    if not isinstance(document, dict):
        raise BadRequest("each input is a JSON object")
    name, datatype, shape = document.get("name"), document.get("datatype"), document.get("shape")
    if not isinstance(name, str) or not name:
        raise BadRequest("each input needs a name")
    if datatype not in DATATYPES:
        raise BadRequest(f"input {name!r}: datatype {datatype!r} is none of {', '.join(DATATYPES)}")
    shape = _shape(name, shape)
    count = math.prod(shape)
    if "data" not in document:
        raise BadRequest(f"input {name!r} has no data")
    values = _flatten(name, document["data"], shape)
    if len(values) != count:
        raise BadRequest(f"input {name!r}: shape {shape} holds {count} values, {len(values)} were sent", 422)
    return Tensor(name, datatype, tuple(shape), [_value(name, datatype, value) for value in values])


def check_tensor(tensor: Tensor, spec: TensorSpec) -> None:
    """Raises BadRequest (422) when the model does not take this tensor."""
    if tensor.datatype != spec.datatype:
        raise BadRequest(f"input {tensor.name!r} is {spec.datatype}, {tensor.datatype} was sent", 422)
    fits = len(tensor.shape) == len(spec.shape) and all(
        wanted in (-1, sent) for wanted, sent in zip(spec.shape, tensor.shape, strict=True)
    )
    if not fits:
        raise BadRequest(
            f"input {tensor.name!r} has shape {list(spec.shape)}, {list(tensor.shape)} was sent", 422
        )


def _shape(name: str, shape: Any) -> list[int]:
    if not isinstance(shape, list) or len(shape) > MAXIMUM_DIMENSIONS:
        raise BadRequest(f"input {name!r} needs a shape of {MAXIMUM_DIMENSIONS} dimensions at most")
    for size in shape:
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 1 << 40:
            raise BadRequest(f"input {name!r}: {_short(size)} is no dimension")
    return shape


def _flatten(name: str, data: Any, shape: list[int]) -> list[Any]:
    """Flat data as it is; nested data must nest just as `shape` says."""
    if not isinstance(data, list):
        raise BadRequest(f"input {name!r}: data is no list")
    if not any(isinstance(item, list) for item in data):
        return data
    level = [data]
    for depth, size in enumerate(shape):
        if any(not isinstance(item, list) or len(item) != size for item in level):
            raise BadRequest(f"input {name!r}: nested data does not fit dimension {depth} of {shape}", 422)
        level = [inner for item in level for inner in item]
    return level


def _value(name: str, datatype: str, value: Any) -> Any:
    if datatype in _FLOATS:
        return _float(name, datatype, value)
    if datatype in _INTEGERS:
        low, high = _INTEGERS[datatype]
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
    elif datatype == "BOOL":
        if isinstance(value, bool) or (isinstance(value, int) and value in (0, 1)):
            return bool(value)
    elif isinstance(value, str):
        return value
    raise BadRequest(f"input {name!r}: {_short(value)} is no {datatype}", 422)


def _float(name: str, datatype: str, value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
            struct.pack(_FLOATS[datatype], number)
        except OverflowError:
            raise BadRequest(f"input {name!r}: {_short(value)} is too large for {datatype}", 422) from None
        if math.isfinite(number):
            return number
    raise BadRequest(f"input {name!r}: {_short(value)} is no {datatype}", 422)


def _short(value: Any) -> str:
    text = "a list" if isinstance(value, list) else repr(value)
    return text if len(text) <= 40 else text[:37] + "…"
