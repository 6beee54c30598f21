"""Small ELF files, laid out by hand: a header, one segment, a dynamic section and its strings."""

from __future__ import annotations

import struct
from collections.abc import Sequence

_BASE = 0x1000
_TABLE = 64 + 2 * 56


def shared_object(needed: Sequence[str] = (), soname: str | None = None, *, padding: int = 0) -> bytes:
    """A shared object for x86-64 that a linker could read; `padding` bytes stand before its tables."""
    strings = bytearray(b"\0")
    tags: list[tuple[int, int]] = []
    for tag, name in [*((1, name) for name in needed), *([(14, soname)] if soname else [])]:
        tags.append((tag, len(strings)))
        strings += name.encode() + b"\0"
    start = _TABLE + padding
    tags += [(5, _BASE + start), (10, len(strings)), (0, 0)]
    dynamic = b"".join(struct.pack("<QQ", *tag) for tag in tags)
    size = start + len(strings) + len(dynamic)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 3, 0x3E, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0
    )
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    place = start + len(strings)
    section = struct.pack("<IIQQQQQQ", 2, 6, place, place, place, len(dynamic), len(dynamic), 8)
    return header + load + section + b"\xcc" * padding + bytes(strings) + dynamic
