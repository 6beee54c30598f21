"""Crafted wheels: raw ZIP bytes in which every field can be made wrong, one at a time.

Written from APPNOTE.TXT 6.3.10 with nothing but `struct` and `zlib`: it shares no code with what it tests.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

FILENAME = "demo-1.0-py3-none-any.whl"
INFO = "demo-1.0.dist-info"
METADATA = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n\nA demonstration.\n"
WHEEL = b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
SENTINEL = 0xFFFFFFFF


def deflate(data: bytes, level: int = 6) -> bytes:
    compressor = zlib.compressobj(level, zlib.DEFLATED, -15)
    return compressor.compress(data) + compressor.flush()


def extra_field(kind: int, data: bytes) -> bytes:
    return struct.pack("<HH", kind, len(data)) + data


@dataclass(kw_only=True)
class Entry:
    """One member. `local` and `central` override single header fields; the rest follows from `data`."""

    name: str | bytes
    data: bytes = b""
    method: int = 8
    mode: int = 0o100644
    system: int = 3
    flags: int = 0
    payload: bytes | None = None
    """The compressed bytes, when they shall not be what `data` compresses to."""
    local: Mapping[str, Any] = field(default_factory=dict)
    central: Mapping[str, Any] = field(default_factory=dict)
    local_extra: bytes = b""
    central_extra: bytes = b""
    comment: bytes = b""
    descriptor: bytes = b""
    after: bytes = b""
    """Bytes between this member and the next."""
    in_archive: bool = True
    in_directory: bool = True

    @property
    def raw_name(self) -> bytes:
        return self.name if isinstance(self.name, bytes) else self.name.encode()

    @property
    def stream(self) -> bytes:
        if self.payload is not None:
            return self.payload
        return deflate(self.data) if self.method == 8 else self.data

    def fields(self, overrides: Mapping[str, Any]) -> dict[str, Any]:
        flags = self.flags | (0 if self.raw_name.isascii() else 0x800)
        found: dict[str, Any] = {
            "version": 20,
            "flags": flags,
            "method": self.method,
            "crc32": zlib.crc32(self.data),
            "compressed": len(self.stream),
            "size": len(self.data),
            "name": self.raw_name,
            "disk": 0,
            "attributes": self.mode << 16,
        }
        return {**found, **overrides}


def local_header(entry: Entry) -> bytes:
    f = entry.fields(entry.local)
    fixed = struct.pack(
        "<4sHHHHHIIIHH",
        f.get("signature", b"PK\3\4"),
        f["version"],
        f["flags"],
        f["method"],
        0,
        0x21,
        f["crc32"],
        f["compressed"],
        f["size"],
        len(f["name"]),
        len(entry.local_extra),
    )
    return fixed + f["name"] + entry.local_extra


def central_entry(entry: Entry, offset: int) -> bytes:
    f = entry.fields(entry.central)
    fixed = struct.pack(
        "<4sBBHHHHHIIIHHHHHII",
        b"PK\1\2",
        20,
        entry.system,
        f["version"],
        f["flags"],
        f["method"],
        0,
        0x21,
        f["crc32"],
        f["compressed"],
        f["size"],
        len(f["name"]),
        len(entry.central_extra),
        len(entry.comment),
        f["disk"],
        0,
        f["attributes"],
        f.get("offset", offset),
    )
    return fixed + f["name"] + entry.central_extra + entry.comment


def end_record(**values: Any) -> bytes:
    """`count`, `size`, `offset` and, if wished, `disk`, `disk_count`, `comment`."""
    return struct.pack(
        "<4sHHHHIIH",
        b"PK\5\6",
        values.get("disk", 0),
        values.get("disk", 0),
        values.get("disk_count", values["count"]),
        values["count"],
        values["size"],
        values["offset"],
        len(values.get("comment", b"")),
    ) + values.get("comment", b"")


def end64_record(count: int, size: int, offset: int, *, extensible: bytes = b"") -> bytes:
    return (
        struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44 + len(extensible), 45, 45, 0, 0, count, count, size, offset)
        + extensible
    )


def locator(offset: int) -> bytes:
    return struct.pack("<4sIQI", b"PK\6\7", 0, offset, 1)


def archive(
    entries: Iterable[Entry],
    *,
    prefix: bytes = b"",
    gap: bytes = b"",
    trailing: bytes = b"",
    end: Mapping[str, Any] | None = None,
    zip64: str = "",
) -> bytes:
    """The archive. `gap` stands before the central directory, `zip64` is one of "", "whole", "no-locator",
    "wrong-locator", "no-end" and "extensible"; `end` overrides fields of the end record."""
    out = bytearray(prefix)
    directory = bytearray()
    count = 0
    for entry in entries:
        offset = len(out)
        if entry.in_archive:
            out += local_header(entry) + entry.stream + entry.descriptor + entry.after
        if entry.in_directory:
            directory += central_entry(entry, offset)
            count += 1
    out += gap
    values: dict[str, Any] = {"count": count, "size": len(directory), "offset": len(out)}
    out += directory
    if zip64:
        end64_offset = len(out)
        out += end64_record(**values, extensible=b"1234" if zip64 == "extensible" else b"")
        if zip64 != "no-locator":
            out += locator(end64_offset + (8 if zip64 == "wrong-locator" else 0))
        values |= {"count": 0xFFFF, "size": SENTINEL, "offset": SENTINEL}
    if zip64 != "no-end":
        out += end_record(**{**values, **(end or {})})
    return bytes(out) + trailing


def record_rows(entries: Iterable[Entry]) -> list[list[str]]:
    return [
        [
            entry.raw_name.decode("utf-8", "surrogateescape"),
            "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(entry.data).digest()).rstrip(b"=").decode(),
            str(len(entry.data)),
        ]
        for entry in entries
        if not entry.raw_name.endswith(b"/")
    ]


def record_text(rows: Iterable[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", "surrogateescape")


def members(
    files: Mapping[str, bytes] | None = None,
    *,
    extra: Iterable[Entry] = (),
    metadata: bytes = METADATA,
    wheel: bytes = WHEEL,
    record: bytes | None = None,
    info: str = INFO,
) -> list[Entry]:
    """The entries of a valid wheel: `files`, `extra`, METADATA, WHEEL and a RECORD that lists them all."""
    content = {"demo/__init__.py": b"answer = 42\n"} if files is None else files
    entries = [Entry(name=name, data=data) for name, data in content.items()]
    entries += extra
    entries += [Entry(name=f"{info}/METADATA", data=metadata), Entry(name=f"{info}/WHEEL", data=wheel)]
    if record is None:
        rows = record_rows(entry for entry in entries if entry.in_directory)
        record = record_text([*rows, [f"{info}/RECORD", "", ""]])
    return [*entries, Entry(name=f"{info}/RECORD", data=record)]


def wheel(files: Mapping[str, bytes] | None = None, **arguments: Any) -> bytes:
    """The bytes of a valid wheel; see `members`."""
    return archive(members(files, **arguments))


class MemorySource:
    """A ByteSource over bytes that keeps a list of what was read: (offset, length)."""

    def __init__(self, raw: bytes, name: str = FILENAME) -> None:
        self.name = name
        self.size_bytes = len(raw)
        self.reads: list[tuple[int, int]] = []
        self._raw = memoryview(raw)

    def read(self, offset: int, length: int) -> memoryview:
        assert 0 <= offset <= offset + length <= self.size_bytes, "a read outside the file"
        self.reads.append((offset, length))
        return self._raw[offset : offset + length]

    def close(self) -> None:
        self._raw.release()


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row of the wheel catalogue: `rule` refuses it, None accepts it."""

    id: str
    raw: bytes
    rule: str | None
    lenient: str | None = "same"
    """The rule that refuses it under lenient reading; "same" as `rule` unless said otherwise."""
    filename: str = FILENAME
    warns: str | None = None
    """The rule of a warning that must be given when it is accepted strictly."""

    @property
    def lenient_rule(self) -> str | None:
        return self.rule if self.lenient == "same" else self.lenient
