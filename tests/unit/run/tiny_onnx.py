"""Real ONNX models of a hundred bytes, written by hand: protobuf's wire format, onnx.proto3's numbers."""

from __future__ import annotations


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    body = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(body)) + body


def value_info(name: str, element: int, shape: tuple[int | str, ...]) -> bytes:
    dims = b"".join(field(1, field(1, size) if isinstance(size, int) else field(2, size)) for size in shape)
    return field(1, name) + field(2, field(1, field(1, element) + field(2, dims)))


def external_tensor(name: str, location: str) -> bytes:
    entry = field(1, "location") + field(2, location)
    return field(1, 2) + field(2, 1) + field(8, name) + field(13, entry) + field(14, 1)


def doubling_model(*, weights: str | None = None, name: str = "double") -> bytes:
    """Y = X + X for FP32 rows of two; `weights` adds an initializer kept in that file."""
    node = field(1, "X") + field(1, "X") + field(2, "Y") + field(4, "Add")
    graph = field(1, node) + field(2, name)
    if weights is not None:
        graph += field(5, external_tensor("W", weights)) + field(11, value_info("W", 1, (2,)))
    graph += field(11, value_info("X", 1, ("rows", 2))) + field(12, value_info("Y", 1, ("rows", 2)))
    return field(1, 8) + field(8, field(2, 13)) + field(7, graph)
