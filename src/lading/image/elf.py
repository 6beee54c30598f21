"""What a shared object or program needs, from its dynamic section (ELF specification, chapter 5).

Pure, and only reads: every offset is checked against the bytes at hand.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_MACHINES = {0x3E: "x86_64", 0xB7: "aarch64", 0x03: "i386", 0x28: "arm"}
_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_NULL, _DT_NEEDED, _DT_STRTAB, _DT_STRSZ, _DT_SONAME = 0, 1, 5, 10, 14
_MOST_ENTRIES = 4096
_MOST_SEGMENTS = 4096
_LONGEST_NAME_BYTES = 4096
"""Bounds for hostile files: what is longer is no name that a linker would look for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfNeeds:
    soname: str | None
    needed: tuple[str, ...]
    """Names of the shared objects it wants, in its order."""
    machine: str
    """As `uname -m` says it; `machine-N` for others."""


def elf_needs(content: bytes | memoryview) -> ElfNeeds | None:
    """None for what is no 64-bit little-endian ELF file, or one that is broken."""
    view = memoryview(content)
    if len(view) < 64 or bytes(view[:6]) != b"\x7fELF\x02\x01":
        return None
    try:
        return _read(view)
    except (struct.error, ValueError, OverflowError):
        return None


def _read(view: memoryview) -> ElfNeeds:
    (machine,) = struct.unpack_from("<H", view, 18)
    (table,) = struct.unpack_from("<Q", view, 32)
    entry_bytes, count = struct.unpack_from("<HH", view, 54)
    if entry_bytes != 56 or count > _MOST_SEGMENTS:
        raise ValueError("unknown program header")
    segments: list[tuple[int, int, int]] = []
    dynamic: tuple[int, int] | None = None
    for index in range(count):
        kind, _, offset, address, _, size = struct.unpack_from("<IIQQQQ", view, table + index * 56)
        if kind == _PT_LOAD:
            segments.append((address, offset, size))
        elif kind == _PT_DYNAMIC:
            dynamic = offset, size
    name = _MACHINES.get(machine, f"machine-{machine}")
    if dynamic is None:
        return ElfNeeds(soname=None, needed=(), machine=name)
    tags = _tags(view, *dynamic)
    strings = _file_offset(dict(tags).get(_DT_STRTAB, 0), segments)
    size = dict(tags).get(_DT_STRSZ, 0)
    needed = tuple(_string(view, strings, size, value) for tag, value in tags if tag == _DT_NEEDED)
    sonames = [_string(view, strings, size, value) for tag, value in tags if tag == _DT_SONAME]
    return ElfNeeds(soname=sonames[0] if sonames else None, needed=needed, machine=name)


def _tags(view: memoryview, offset: int, size: int) -> list[tuple[int, int]]:
    tags = []
    for index in range(min(size // 16, _MOST_ENTRIES)):
        tag, value = struct.unpack_from("<QQ", view, offset + index * 16)
        if tag == _DT_NULL:
            break
        tags.append((tag, value))
    return tags


def _file_offset(address: int, segments: list[tuple[int, int, int]]) -> int:
    for start, offset, size in segments:
        if start <= address < start + size:
            return address - start + offset
    raise ValueError("an address outside every segment")


def _string(view: memoryview, table: int, size: int, offset: int) -> str:
    if not 0 <= offset < size or table + size > len(view):
        raise ValueError("a name outside the string table")
    longest = bytes(view[table + offset : table + min(size, offset + _LONGEST_NAME_BYTES)])
    name, end, _ = longest.partition(b"\0")
    if not end:
        raise ValueError("a name without an end")
    return name.decode("utf-8", errors="replace")
