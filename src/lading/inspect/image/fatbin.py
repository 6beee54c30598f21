"""GPU code in a shared object: how much there is for which architecture. Pure.

Most of it stands in the section .nv_fatbin; libraries that compile at run time keep more in .rodata.

Fed with a file's bytes as they pass; keeps headers only. A fat binary is a container (magic, header size,
size) of entries: PTX or a cubin for one architecture, mostly compressed. Layout as public decoders of it have
it; every length is checked against what encloses it, and a container that does not add up is not counted.
"""

from __future__ import annotations

import bisect
import struct
from typing import NamedTuple

MAGIC = b"\x50\xed\x55\xba"
_CONTAINER = struct.Struct("<IHHQ")
_ENTRY = struct.Struct("<HHIQIIHHI")
_ENTRY_BYTES = 64
_KINDS = {1: "ptx", 2: "sass"}
_MOST_ENTRY_HEADER_BYTES = 4096
_LARGEST_CONTAINER_BYTES = 1 << 34


class Entry(NamedTuple):
    kind: str
    arch: int
    start: int
    """Offset in the file, of the entry's header."""
    end: int


class FatbinScanner:
    """Feed a file front to back, then read `entries`."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._kept = b""
        self._base = 0
        """Offset of the first byte of `_kept`."""
        self._container_end = 0
        self._pending: list[Entry] = []
        self._next: int | None = None
        """Where the next entry of an open container begins."""

    def feed(self, data: bytes | memoryview) -> None:
        """All of `data` is used; headers that cross its end wait for more."""
        buffer = self._kept + bytes(data) if self._kept else bytes(data)
        position = 0
        while True:
            found = self._step(buffer, position)
            if found is None:
                break
            position = found
        wanted = position if self._next is None else self._next - self._base
        keep = min(wanted, len(buffer))
        self._kept, self._base = buffer[keep:], self._base + keep

    def _step(self, buffer: bytes, position: int) -> int | None:
        """One header further; None when more bytes are needed. A skip beyond the buffer waits too."""
        if self._next is not None:
            return self._entry(buffer)
        at = buffer.find(MAGIC, position)
        if at < 0:
            rest = max(position, len(buffer) - len(MAGIC) + 1)
            return None if rest == position else rest
        if at + _CONTAINER.size > len(buffer):
            return None if at == position else at
        _, version, header_bytes, size = _CONTAINER.unpack_from(buffer, at)
        if version != 1 or header_bytes != _CONTAINER.size or not 0 < size < _LARGEST_CONTAINER_BYTES:
            return at + len(MAGIC)
        self._next = self._base + at + _CONTAINER.size
        self._container_end = self._next + int(size)
        self._pending = []
        return at + _CONTAINER.size

    def _entry(self, buffer: bytes) -> int | None:
        assert self._next is not None
        at = self._next - self._base
        if self._next == self._container_end:
            if at > len(buffer):
                return None  # what was promised must come before it counts
            self.entries += self._pending
            self._next = None
            return min(at, len(buffer))
        if at + _ENTRY_BYTES > len(buffer):
            return None
        kind, _, header_bytes, size, _, _, _, _, arch = _ENTRY.unpack_from(buffer, at)
        end = self._next + int(header_bytes) + int(size)
        if not _ENTRY_BYTES <= header_bytes <= _MOST_ENTRY_HEADER_BYTES or end > self._container_end:
            self._next = None  # no container after all: its magic was data
            return at
        self._pending.append(Entry(_KINDS.get(kind, f"other-{kind}"), arch, self._next, end))
        self._next = end
        return min(end - self._base, len(buffer))


class OffsetMap:
    """Stored bytes by offset in a file: exact where a piece ended, by proportion between."""

    def __init__(self, packed_start: int) -> None:
        self._offsets = [0]
        self._packed = [packed_start]

    def add(self, offset: int, packed: int) -> None:
        self._offsets.append(offset)
        self._packed.append(packed)

    def packed_at(self, offset: int) -> int:
        right = bisect.bisect_left(self._offsets, offset)
        if right >= len(self._offsets):
            return self._packed[-1]
        if right == 0 or self._offsets[right] == offset:
            return self._packed[right]
        low, high = self._offsets[right - 1], self._offsets[right]
        share = (self._packed[right] - self._packed[right - 1]) * (offset - low) // (high - low)
        return self._packed[right - 1] + share
