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

BLOCK_BYTES = 512
_MAX_RECORD_BYTES = 1 << 20
_MAX_SIZE_BYTES = 1 << 50
_ZERO_BLOCK = bytes(BLOCK_BYTES)


class TarRefused(ValueError):
    """A rule was broken. `rule` names it; the message says where."""

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(f"{detail} [{rule}]")
        self.rule = rule


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
    extra: dict[str, str] = {}
    while not reader.at_end():
        block = reader.read_exactly(BLOCK_BYTES)
        if block == _ZERO_BLOCK:
            _expect_only_zeros(reader)
            break
        _verify_checksum(block)
        flag = block[156:157]
        if flag in (b"x", b"g", b"L", b"K"):
            _take_extra(reader, block, flag, extra)
            continue
        if not _is_left_out(block, flag, extra):
            yield _entry(block, flag, extra)
        extra = {}
    if extra:
        raise TarRefused("tar-extension", "an extended header with no member after it")


def _is_left_out(block: bytes, flag: bytes, extra: dict[str, str]) -> bool:
    """A device in /dev, which many root archives hold: a container's /dev is the engine's own."""
    if flag not in (b"3", b"4"):
        return False
    path = clean_path(extra.get("path") or _ustar_name(block))
    size = extra["size"] if "size" in extra else str(_number(block[124:136], "size"))
    return path.startswith("dev/") and size == "0"


def _take_extra(reader: Reader, block: bytes, flag: bytes, extra: dict[str, str]) -> None:
    size = _number(block[124:136], "size")
    if size > _MAX_RECORD_BYTES:
        raise TarRefused("tar-extension", f"an extended header of {size} bytes")
    body = reader.read_exactly(padded(size))[:size]
    if flag in (b"L", b"K"):
        records = {"path" if flag == b"L" else "linkpath": _text(body.rstrip(b"\0"))}
    else:
        records = _pax_records(body)
    if flag == b"g":
        if bad := {"path", "linkpath", "size"} & records.keys():
            raise TarRefused("tar-extension", f"a global extended header sets {sorted(bad)}")
        return
    if twice := extra.keys() & records.keys():
        raise TarRefused("tar-extension", f"two extended headers set {sorted(twice)}")
    extra.update(records)


def _pax_records(body: bytes) -> dict[str, str]:
    records: dict[str, str] = {}
    while body:
        digits, space, _ = body.partition(b" ")
        if not space or not digits.isdigit() or len(digits) > 9:
            raise TarRefused("tar-pax", "a malformed pax record")
        record, body = body[: int(digits)], body[int(digits) :]
        if len(record) != int(digits) or not record.endswith(b"\n") or len(record) <= len(digits) + 1:
            raise TarRefused("tar-pax", "a pax record with a wrong length")
        key, equals, value = record[len(digits) + 1 : -1].partition(b"=")
        if not key or not equals:
            raise TarRefused("tar-pax", "a pax record without a key")
        name = _text(key)
        if name.startswith("GNU.sparse"):
            raise TarRefused("tar-kind", "a sparse file")
        if name not in ("path", "linkpath", "size", "mtime"):
            continue
        if name in records:
            raise TarRefused("tar-pax", f"two pax records for {name!r}")
        records[name] = _text(value)
    return records


def _entry(block: bytes, flag: bytes, extra: dict[str, str]) -> Entry:
    raw_name = extra.get("path") or _ustar_name(block)
    kind = _KINDS.get(flag)
    if kind is None:
        what = _REFUSED.get(flag, f"a member of unknown type {flag!r}")
        raise TarRefused("tar-kind", f"{raw_name!r} is {what}")
    if flag == b"\0" and raw_name.endswith("/"):
        kind = Kind.DIRECTORY
    size = _pax_number(extra["size"]) if "size" in extra else _number(block[124:136], "size")
    if not 0 <= size <= _MAX_SIZE_BYTES:
        raise TarRefused("tar-number", f"{raw_name!r} has the size {size}")
    if size and kind is not Kind.REGULAR:
        raise TarRefused("tar-size", f"{raw_name!r}, a {kind}, has a payload of {size} bytes")
    link = ""
    if kind in (Kind.HARDLINK, Kind.SYMLINK):
        link = extra.get("linkpath") or _text(block[157:257].split(b"\0", 1)[0])
        if not link:
            raise TarRefused("tar-link", f"{raw_name!r} is a link to nothing")
    path = clean_path(raw_name)
    if kind is Kind.HARDLINK:
        link = clean_path(link)
    if not path and kind is not Kind.DIRECTORY:
        raise TarRefused("tar-root", f"the root is a {kind}, not a folder")
    return Entry(
        path,
        kind,
        _number(block[100:108], "mode") & 0o1777,
        size,
        _mtime(block, extra),
        link,
    )


def clean_path(raw: str) -> str:
    """`./a//b/` and `/a/b` as `a/b`. Raises TarRefused for `..` and control characters."""
    parts = [part for part in raw.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise TarRefused("tar-path", f"{raw!r} leaves the layer")
    if "\0" in raw:
        raise TarRefused("tar-path", f"{raw!r} has a NUL")
    return "/".join(parts)


def _ustar_name(block: bytes) -> str:
    name = block[:100].split(b"\0", 1)[0]
    if block[257:263] == b"ustar\0":
        prefix = block[345:500].split(b"\0", 1)[0]
        if prefix:
            name = prefix + b"/" + name
    return _text(name)


def _text(raw: bytes) -> str:
    if b"\0" in raw:
        raise TarRefused("tar-path", f"a name with a NUL: {raw[:80]!r}")
    return raw.decode("utf-8", "surrogateescape")


def _mtime(block: bytes, extra: dict[str, str]) -> int:
    if "mtime" in extra:
        whole, _, fraction = extra["mtime"].partition(".")
        if not whole.lstrip("-").isdigit() or not (fraction.isdigit() or not fraction) or len(whole) > 13:
            raise TarRefused("tar-number", f"the time {extra['mtime'][:40]!r}")
        return int(whole) * 1_000_000_000 + int((fraction + "0" * 9)[:9])
    return min(max(_number(block[136:148], "mtime", signed=True), -(1 << 33)), 1 << 34) * 1_000_000_000


def _pax_number(text: str) -> int:
    if not text.isdigit() or not text.isascii() or len(text) > 18:
        raise TarRefused("tar-number", f"the number {text[:40]!r}")
    return int(text)


def _number(field: bytes, what: str, *, signed: bool = False) -> int:
    if field[0] & 0x80:
        value = (
            int.from_bytes(field, "big", signed=True)
            if field[0] == 0xFF
            else int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        )
        if value < 0 and not signed:
            raise TarRefused("tar-number", f"a negative {what}")
        return value
    digits = field.split(b"\0", 1)[0].strip(b" ")
    if not digits:
        return 0
    try:
        if not digits.isdigit():
            raise ValueError
        return int(digits, 8)
    except ValueError:
        raise TarRefused("tar-number", f"{what} is {digits!r}") from None


def _verify_checksum(block: bytes) -> None:
    claimed = _number(block[148:156], "checksum")
    if claimed != sum(block) - sum(block[148:156]) + 8 * 32:
        raise TarRefused("tar-checksum", "a header with a wrong checksum")


def _expect_only_zeros(reader: Reader) -> None:
    while not reader.at_end():
        if reader.read_exactly(BLOCK_BYTES) != _ZERO_BLOCK:
            raise TarRefused("tar-end", "data after the end of the archive")
