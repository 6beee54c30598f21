"""Tar headers: POSIX ustar, with a pax record only where ustar cannot say it (POSIX.1-2017, pax).

One entry value, one byte string. No names of users, no devices, one mtime for all.
"""

from __future__ import annotations

from lading.image.layer.recipe import MTIME_SECONDS

BLOCK_BYTES = 512
END = bytes(2 * BLOCK_BYTES)

REGULAR = b"0"
HARDLINK = b"1"
SYMLINK = b"2"
DIRECTORY = b"5"
PAX = b"x"

_MTIME = b"%011o\0" % MTIME_SECONDS
_MAGIC = b"ustar\x0000"
_TAIL = bytes(32) + bytes(32) + b"0000000\x000000000\x00"
_MAX_SIZE = 0o77777777777
_MAX_ID = 0o7777777


def padding(size_bytes: int) -> bytes:
    """The zeros after a payload of `size_bytes`."""
    return bytes(-size_bytes % BLOCK_BYTES)


def header(
    path: str,
    kind: bytes,
    *,
    mode: int,
    size_bytes: int = 0,
    link_target: str = "",
    uid: int = 0,
    gid: int = 0,
) -> bytes:
    """The block(s) before one entry's payload. `path` is POSIX, relative; directories get their slash here.

    Raises ValueError for an id that ustar cannot hold.
    """
    if not (0 <= uid <= _MAX_ID and 0 <= gid <= _MAX_ID):
        raise ValueError(f"uid {uid} or gid {gid} does not fit a tar header")
    name = path.encode("utf-8", "surrogateescape") + (b"/" if kind == DIRECTORY else b"")
    link = link_target.encode("utf-8", "surrogateescape")
    records: list[tuple[bytes, bytes]] = []
    prefix, short = _split(name)
    if short is None:
        records.append((b"path", name))
        prefix, short = b"", name[:100]
    if len(link) > 100:
        records.append((b"linkpath", link))
        link = link[:100]
    written_size = size_bytes
    if size_bytes > _MAX_SIZE:
        records.append((b"size", b"%d" % size_bytes))
        written_size = 0
    block = _block(short, prefix, kind, mode, written_size, link, uid, gid)
    if not records:
        return block
    body = b"".join(_pax_record(key, value) for key, value in records)
    return _block(b"pax", b"", PAX, 0o644, len(body), b"", 0, 0) + body + padding(len(body)) + block


def _split(name: bytes) -> tuple[bytes, bytes | None]:
    """ustar's prefix and name, the name None when neither field pair holds it."""
    if len(name) <= 100:
        return b"", name
    cut = name.rfind(b"/", 0, min(156, len(name) - 1))
    if cut > 0 and len(name) - cut - 1 <= 100:
        return name[:cut], name[cut + 1 :]
    return b"", None


def _block(
    name: bytes, prefix: bytes, kind: bytes, mode: int, size_bytes: int, link: bytes, uid: int, gid: int
) -> bytes:
    head = b"%s%07o\0%07o\0%07o\0%011o\0%s" % (name.ljust(100, b"\0"), mode, uid, gid, size_bytes, _MTIME)
    rest = kind + link.ljust(100, b"\0") + _MAGIC + _TAIL + prefix.ljust(155, b"\0") + bytes(12)
    checksum = sum(head) + 8 * 32 + sum(rest)
    return head + b"%06o\0 " % checksum + rest


def _pax_record(key: bytes, value: bytes) -> bytes:
    length = len(key) + len(value) + 3
    digits = len(str(length))
    while len(str(length + digits)) != digits:
        digits = len(str(length + digits))
    return b"%d %s=%s\n" % (length + digits, key, value)
