"""What an ONNX file says about itself: versions, inputs, outputs and the data files it refers to.

A reader of the protobuf wire format for just these fields (onnx.proto3; protobuf "Encoding"), so that a
multi-gigabyte model needs neither the onnx package nor its bytes in memory. The file comes from a container:
every length is checked, nothing is followed.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lading.errors import ProjectError

_DATATYPES = {
    1: "FP32",
    2: "UINT8",
    3: "INT8",
    4: "UINT16",
    5: "INT16",
    6: "INT32",
    7: "INT64",
    8: "BYTES",
    9: "BOOL",
    10: "FP16",
    11: "FP64",
    12: "UINT32",
    13: "UINT64",
}
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_MAXIMUM_NAME_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxValue:
    """An input or output of the graph; -1 for a dimension of any size."""

    name: str
    datatype: str | None
    """In the Open Inference Protocol's words; None for sequences, maps and unknown element types."""
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxSummary:
    ir_version: int
    opsets: tuple[tuple[str, int], ...]
    inputs: tuple[OnnxValue, ...]
    outputs: tuple[OnnxValue, ...]
    external_files: tuple[str, ...]
    """Relative paths of weights kept beside the model, sorted."""


class _Malformed(ValueError):
    pass


def read_onnx(path: Path) -> OnnxSummary:
    """Raises ProjectError for what is no ONNX model, is cut short or refers to files outside its folder."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
            view = memoryview(mapped)
            try:
                return _model(view)
            finally:
                view.release()
    except (ValueError, UnicodeDecodeError) as error:  # an empty file cannot be mapped: ValueError too
        raise ProjectError(
            f"{path.name} is no ONNX model or is cut short: {error}", place=str(path)
        ) from error
    except OSError as error:
        raise ProjectError(f"{path.name} could not be read: {error.strerror}", place=str(path)) from error


def _model(view: memoryview) -> OnnxSummary:
    ir_version, opsets, graph = 0, [], None
    for number, kind, value in _fields(view, 0, len(view)):
        if number == 1 and kind == _VARINT:
            ir_version = value[0]
        elif number == 8 and kind == _LENGTH:
            opsets.append(_opset(view, value))
        elif number == 7 and kind == _LENGTH:
            graph = value
    if graph is None or ir_version == 0:
        raise _Malformed("it has no graph or no version")
    inputs: list[OnnxValue] = []
    outputs: list[OnnxValue] = []
    initializers: set[str] = set()
    external: set[str] = set()
    for number, kind, value in _fields(view, *graph):
        if kind != _LENGTH:
            continue
        if number == 11:
            inputs.append(_value(view, value))
        elif number == 12:
            outputs.append(_value(view, value))
        elif number == 5:
            initializers.add(_initializer(view, value, external))
    if not outputs:
        raise _Malformed("its graph has no output")
    return OnnxSummary(
        ir_version=ir_version,
        opsets=tuple(opsets),
        # Before IR version 4 every weight was listed as an input as well.
        inputs=tuple(item for item in inputs if item.name not in initializers),
        outputs=tuple(outputs),
        external_files=tuple(sorted(external)),
    )


def _opset(view: memoryview, span: tuple[int, int]) -> tuple[str, int]:
    domain, version = "", 0
    for number, kind, value in _fields(view, *span):
        if number == 1 and kind == _LENGTH:
            domain = _text(view, value)
        elif number == 2 and kind == _VARINT:
            version = value[0]
    return domain, version


def _value(view: memoryview, span: tuple[int, int]) -> OnnxValue:
    name, datatype = "", None
    shape: tuple[int, ...] = ()
    for number, kind, value in _fields(view, *span):
        if number == 1 and kind == _LENGTH:
            name = _text(view, value)
        elif number == 2 and kind == _LENGTH:
            for inner, inner_kind, inner_value in _fields(view, *value):
                if inner == 1 and inner_kind == _LENGTH:
                    datatype, shape = _tensor_type(view, inner_value)
    return OnnxValue(name=name, datatype=datatype, shape=shape)


def _tensor_type(view: memoryview, span: tuple[int, int]) -> tuple[str | None, tuple[int, ...]]:
    datatype, shape = None, []
    for number, kind, value in _fields(view, *span):
        if number == 1 and kind == _VARINT:
            datatype = _DATATYPES.get(value[0])
        elif number == 2 and kind == _LENGTH:
            for inner, _, dimension in _fields(view, *value):
                if inner == 1:
                    shape.append(_dimension(view, dimension))
    return datatype, tuple(shape)


def _dimension(view: memoryview, span: tuple[int, int]) -> int:
    for number, kind, value in _fields(view, *span):
        if number == 1 and kind == _VARINT and value[0] < 1 << 40:
            return value[0]
    return -1


def _initializer(view: memoryview, span: tuple[int, int], external: set[str]) -> str:
    name = ""
    for number, kind, value in _fields(view, *span):
        if number == 8 and kind == _LENGTH:
            name = _text(view, value)
        elif number == 13 and kind == _LENGTH:
            entry = {inner: _text(view, text) for inner, how, text in _fields(view, *value) if how == _LENGTH}
            if entry.get(1) == "location":
                external.add(_inside(entry.get(2, "")))
    return name


def _inside(location: str) -> str:
    parts = location.split("/")
    if not location or location.startswith("/") or ".." in parts or "\\" in location or "\0" in location:
        raise _Malformed(f"it refers to weights outside its folder: {location[:100]!r}")
    return location


def _text(view: memoryview, span: tuple[int, int]) -> str:
    start, end = span
    if end - start > _MAXIMUM_NAME_BYTES:
        raise _Malformed("a name is longer than any name")
    return bytes(view[start:end]).decode()


def _fields(view: memoryview, start: int, end: int) -> Iterator[tuple[int, int, tuple[int, int]]]:
    """(field number, wire type, value) of one message.

    The value is (start, end) of a length-delimited field, (number, 0) of a varint; fixed ones are skipped.
    """
    position = start
    while position < end:
        tag, position = _varint(view, position, end)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            raise _Malformed(f"field number 0 at byte {position}")
        if kind == _VARINT:
            value, position = _varint(view, position, end)
            yield number, kind, (value, 0)
        elif kind in (_FIXED64, _FIXED32):
            position += 8 if kind == _FIXED64 else 4
        elif kind == _LENGTH:
            length, position = _varint(view, position, end)
            if length > end - position:
                raise _Malformed(f"a field of {length} bytes at byte {position} ends beyond its message")
            yield number, kind, (position, position + length)
            position += length
        else:
            raise _Malformed(f"wire type {kind} at byte {position}")
    if position != end:
        raise _Malformed("a field ends beyond its message")


def _varint(view: memoryview, position: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while position < end and shift < 70:
        byte = view[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise _Malformed(f"a number at byte {position} does not end")
