"""What a ZIP file holds, as values. Pure; the readers are `zip_directory` and `zip`."""

from __future__ import annotations

from dataclasses import dataclass

from lading.image.wheel.rules import Judge

STORED = 0
DEFLATED = 8
FLAG_ENCRYPTED = 0x0001
FLAG_DESCRIPTOR = 0x0008
FLAG_UTF8 = 0x0800
SENTINEL = 0xFFFF_FFFF
"""In a 32-bit field: the value stands in the ZIP64 field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipMember:
    """One member as the central directory tells it; the local header is checked by `data_offset`."""

    name: str
    method: int
    crc32: int
    compressed_size_bytes: int
    size_bytes: int
    header_offset: int
    end_offset: int
    """Where the next member's header, or the central directory, begins."""
    flags: int
    mode: int
    """Unix st_mode; 0 when the archive was not made by a Unix tool."""

    @property
    def is_directory(self) -> bool:
        return self.name.endswith("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipDirectory:
    """All members, in the order of their bytes."""

    filename: str
    members: tuple[ZipMember, ...]
    directory_offset: int
    source_size_bytes: int
    lenient: bool = False
    warnings: tuple[str, ...] = ()

    def judge(self) -> Judge:
        return Judge(self.filename, lenient=self.lenient)
