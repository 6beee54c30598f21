"""Read a layer's tar strictly: what two readers could take for different trees is refused.

Values out, no files: `entries` takes a reader and yields members in order. Understands POSIX ustar, pax
records `path`, `linkpath`, `size`, `mtime` and GNU long names; sparse members, devices and unknown kinds are
refused, but for devices in /dev, which are left out.
Sources: POSIX.1-2017 pax, tar(5), OCI image-spec layer.md; catalogue of parser differentials CVE-2025-62518
(pax size), CVE-2025-13462 (long name with an old-style type).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from lading.oci.tar_header import (
    BLOCK_BYTES,
    ZERO_BLOCK,
    TarRefused,
    clean_path,
    decimal,
    number,
    pax_records,
    text,
    ustar_name,
    verify_checksum,
)

_MAX_RECORD_BYTES = 1 << 20
_MAX_SIZE_BYTES = 1 << 50


class Kind(StrEnum):
    REGULAR = "regular"
    HARDLINK = "hardlink"
    SYMLINK = "symlink"
    DIRECTORY = "directory"
    FIFO = "fifo"


@dataclass(frozen=True, slots=True)
class Entry:
    """One member. `path` has no leading slash, no `.` and no `..`; it is empty for the root itself."""

    path: str
    kind: Kind
    mode: int
    size_bytes: int
    mtime_nanoseconds: int
    link_target: str = ""


class Reader(Protocol):
    def read_exactly(self, size_bytes: int) -> bytes:
        """Raises TarRefused when the stream ends first."""
        ...

    def at_end(self) -> bool: ...

    def skip(self, size_bytes: int) -> None: ...


_KINDS = {
    b"0": Kind.REGULAR,
    b"\0": Kind.REGULAR,
    b"7": Kind.REGULAR,
    b"1": Kind.HARDLINK,
    b"2": Kind.SYMLINK,
    b"5": Kind.DIRECTORY,
    b"6": Kind.FIFO,
}
_REFUSED = {b"3": "a character device", b"4": "a block device", b"S": "a sparse file"}


def padded(size_bytes: int) -> int:
    return size_bytes + -size_bytes % BLOCK_BYTES


def entries(reader: Reader) -> Iterator[Entry]:
    """Members in order. After each regular one the caller reads its padded payload. Raises TarRefused."""
    extra: dict[str, bytes] = {}
    while not reader.at_end():
        block = reader.read_exactly(BLOCK_BYTES)
        if block == ZERO_BLOCK:
            _expect_only_zeros(reader)
            break
        verify_checksum(block)
        flag = block[156:157]
        if flag in (b"x", b"g", b"L", b"K"):
            _take_extra(reader, block, flag, extra)
            continue
        if not _is_left_out(block, flag, extra):
            yield _entry(block, flag, extra)
        extra = {}
    if extra:
        raise TarRefused("tar-extension", "an extended header with no member after it")


def _is_left_out(block: bytes, flag: bytes, extra: dict[str, bytes]) -> bool:
    """A device in /dev, which many root archives hold: a container's /dev is the engine's own."""
    if flag not in (b"3", b"4"):
        return False
    path = clean_path(extra.get("path") or ustar_name(block))
    return path.startswith("dev/") and _size_bytes(block, extra) == 0


def _take_extra(reader: Reader, block: bytes, flag: bytes, extra: dict[str, bytes]) -> None:
    size = number(block[124:136], "size")
    if size > _MAX_RECORD_BYTES:
        raise TarRefused("tar-extension", f"an extended header of {size} bytes")
    body = reader.read_exactly(padded(size))[:size]
    if flag in (b"L", b"K"):
        records = {"path" if flag == b"L" else "linkpath": body.rstrip(b"\0")}
    else:
        records = _known_records(body)
    if flag == b"g":
        if bad := {"path", "linkpath", "size"} & records.keys():
            raise TarRefused("tar-extension", f"a global extended header sets {sorted(bad)}")
        return
    if twice := extra.keys() & records.keys():
        raise TarRefused("tar-extension", f"two extended headers set {sorted(twice)}")
    extra.update(records)


def _known_records(body: bytes) -> dict[str, bytes]:
    records: dict[str, bytes] = {}
    for name, value in pax_records(body):
        if name.startswith("GNU.sparse"):
            raise TarRefused("tar-kind", "a sparse file")
        if name not in ("path", "linkpath", "size", "mtime"):
            continue
        if name in records:
            raise TarRefused("tar-pax", f"two pax records for {name!r}")
        records[name] = value
    return records


def _entry(block: bytes, flag: bytes, extra: dict[str, bytes]) -> Entry:
    raw_name = extra.get("path") or ustar_name(block)
    shown = text(raw_name)
    kind = _KINDS.get(flag)
    if kind is None:
        what = _REFUSED.get(flag, f"a member of unknown type {flag!r}")
        raise TarRefused("tar-kind", f"{shown!r} is {what}")
    if flag == b"\0" and raw_name.endswith(b"/"):
        kind = Kind.DIRECTORY
    size = _size_bytes(block, extra)
    if not 0 <= size <= _MAX_SIZE_BYTES:
        raise TarRefused("tar-number", f"{shown!r} has the size {size}")
    if size and kind is not Kind.REGULAR:
        raise TarRefused("tar-size", f"{shown!r}, a {kind}, has a payload of {size} bytes")
    path = clean_path(raw_name)
    if not path and kind is not Kind.DIRECTORY:
        raise TarRefused("tar-root", f"the root is a {kind}, not a folder")
    return Entry(
        path=path,
        kind=kind,
        mode=number(block[100:108], "mode") & 0o1777,
        size_bytes=size,
        mtime_nanoseconds=_mtime(block, extra),
        link_target=_link(block, kind, extra, shown) if kind in (Kind.HARDLINK, Kind.SYMLINK) else "",
    )


def _link(block: bytes, kind: Kind, extra: dict[str, bytes], shown: str) -> str:
    raw = extra.get("linkpath") or block[157:257].split(b"\0", 1)[0]
    if not raw:
        raise TarRefused("tar-link", f"{shown!r} is a link to nothing")
    return clean_path(raw) if kind is Kind.HARDLINK else text(raw)


def _size_bytes(block: bytes, extra: dict[str, bytes]) -> int:
    return decimal(extra["size"]) if "size" in extra else number(block[124:136], "size")


def _mtime(block: bytes, extra: dict[str, bytes]) -> int:
    if "mtime" in extra:
        whole, _, fraction = extra["mtime"].partition(b".")
        if not whole.lstrip(b"-").isdigit() or not (fraction.isdigit() or not fraction) or len(whole) > 13:
            raise TarRefused("tar-number", f"the time {extra['mtime'][:40]!r}")
        return int(whole) * 1_000_000_000 + int((fraction + b"0" * 9)[:9])
    return min(max(number(block[136:148], "mtime", signed=True), -(1 << 33)), 1 << 34) * 1_000_000_000


def _expect_only_zeros(reader: Reader) -> None:
    while not reader.at_end():
        if reader.read_exactly(BLOCK_BYTES) != ZERO_BLOCK:
            raise TarRefused("tar-end", "data after the end of the archive")
