"""A stand-in for the driver's library: a shared object of one function that returns one number."""

from __future__ import annotations

import platform
import struct

_BASE = 0


def library(function: str, status: int) -> bytes:
    """ELF for this processor: header, segments, code, and what the linker looks a symbol up by."""
    arm = platform.machine() == "aarch64"
    code = (
        struct.pack("<II", 0x52800000 | status << 5, 0xD65F03C0)  # mov w0, #status; ret
        if arm
        else b"\xb8" + struct.pack("<I", status) + b"\xc3"  # mov eax, status; ret
    )
    strings = b"\0" + function.encode() + b"\0"
    start = 64 + 2 * 56
    at_strings = (start + len(code) + 7) // 8 * 8
    at_symbols = (at_strings + len(strings) + 7) // 8 * 8
    at_hash = at_symbols + 48
    at_dynamic = (at_hash + 20 + 7) // 8 * 8
    symbols = bytes(24) + struct.pack("<IBBHQQ", 1, 0x12, 0, 1, start, len(code))
    table = struct.pack("<IIIII", 1, 2, 1, 0, 0)  # one bucket with the one symbol
    tags = [(4, at_hash), (5, at_strings), (6, at_symbols), (10, len(strings)), (11, 24), (0, 0)]
    dynamic = b"".join(struct.pack("<QQ", *tag) for tag in tags)
    size = at_dynamic + len(dynamic)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        *(b"\x7fELF\x02\x01\x01", 3, 183 if arm else 62, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0),
    )
    load = struct.pack("<IIQQQQQQ", 1, 7, 0, _BASE, _BASE, size, size, 0x1000)
    place = struct.pack("<IIQQQQQQ", 2, 6, at_dynamic, at_dynamic, at_dynamic, len(dynamic), len(dynamic), 8)
    parts = {start: code, at_strings: strings, at_symbols: symbols, at_hash: table, at_dynamic: dynamic}
    content = bytearray(size)
    content[: len(header + load + place)] = header + load + place
    for at, part in parts.items():
        content[at : at + len(part)] = part
    return bytes(content)
