"""A layer's tar, member by member, with every byte accounted for.

Reads what images hold in practice: ustar, old GNU, pax, long names, sparse files, devices, whiteouts. What
two readers could take for different trees is refused. Knows no package and no image.
Sources: POSIX.1-2017 pax, tar(5), the GNU tar manual on sparse formats, OCI image-spec layer.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from lading.errors import ImageRefused
from lading.inspect.image.model import MemberKind
from lading.oci.tar_header import (
    BLOCK_BYTES,
    ZERO_BLOCK,
    TarRefused,
    clean_path,
    decimal,
    number,
    pax_records,
    ustar_name,
    verify_checksum,
)

_LARGEST_EXTENSION_BYTES = 4 << 20
_LARGEST_SIZE_BYTES = 1 << 50
_MOST_MEMBERS = 4_000_000
_KINDS = {
    b"0": MemberKind.FILE,
    b"\0": MemberKind.FILE,
    b"7": MemberKind.FILE,
    b"S": MemberKind.FILE,
    b"1": MemberKind.HARDLINK,
    b"2": MemberKind.SYMLINK,
    b"3": MemberKind.DEVICE,
    b"4": MemberKind.DEVICE,
    b"5": MemberKind.DIRECTORY,
    b"6": MemberKind.FIFO,
}
_CAPABILITIES = "SCHILY.xattr.security.capability"
_OPAQUE = ".wh..wh..opq"
_WHITEOUT = ".wh."


class Stream(Protocol):
    position: int

    def packed_position(self) -> int: ...
    def at_end(self) -> bool: ...
    def read_exactly(self, size_bytes: int) -> bytes: ...
    def read_up_to(self, size_bytes: int) -> bytes: ...
    def pieces(self, size_bytes: int) -> Iterator[memoryview]: ...


@dataclass(slots=True)
class Head:
    """What stands before a payload. The caller reads exactly `size_bytes` after it, then `skip_padding`."""

    path: str
    kind: MemberKind
    mode: int
    uid: int
    gid: int
    mtime_seconds: int
    size_bytes: int
    header_bytes: int
    packed_start: int
    packed_payload: int
    link_target: str
    has_capabilities: bool
    """It has rights of root of its own (the attribute security.capability)."""


@dataclass(slots=True)
class _Extra:
    """Extended headers that wait for their member."""

    records: dict[str, bytes] = field(default_factory=dict)

    def add(self, records: dict[str, bytes]) -> None:
        if twice := {"path", "linkpath", "size"} & self.records.keys() & records.keys():
            raise TarRefused("tar-extension", f"two extended headers set {sorted(twice)}")
        self.records.update(records)


class TarReader:
    """Iterate for the heads; afterwards `end_bytes` is what stood behind the last member."""

    def __init__(self, stream: Stream, place: str) -> None:
        self._stream = stream
        self._place = place
        self.end_bytes = 0
        self.end_packed_start = 0

    def __iter__(self) -> Iterator[Head]:
        """Raises ImageRefused."""
        try:
            yield from self._heads()
        except TarRefused as refused:
            raise ImageRefused(self._place, refused.rule, refused.detail) from None

    def _heads(self) -> Iterator[Head]:
        stream, extra, count = self._stream, _Extra(), 0
        start, packed_start = stream.position, stream.packed_position()
        while True:
            block = stream.read_up_to(BLOCK_BYTES)
            if not block or block == ZERO_BLOCK or (len(block) < BLOCK_BYTES and not block.strip(b"\0")):
                self._read_end(block, extra, packed_start)
                return
            if len(block) < BLOCK_BYTES:
                raise TarRefused("tar-truncated", "the archive ends within a header")
            verify_checksum(block)
            flag = block[156:157]
            if flag in b"xgLK" and flag:
                self._read_extra(block, flag, extra)
                continue
            head = self._head(block, flag, extra.records)
            if flag == b"S":
                self._skip_sparse_blocks(block)
            head.header_bytes = stream.position - start
            head.packed_start, head.packed_payload = packed_start, stream.packed_position()
            count += 1
            if count > _MOST_MEMBERS:
                raise TarRefused("tar-members", f"more than {_MOST_MEMBERS} members")
            yield head
            extra = _Extra()
            start, packed_start = stream.position, stream.packed_position()

    def skip_padding(self, size_bytes: int) -> int:
        """Read what fills the payload's last block; how much it was. A last block may be cut short."""
        return len(self._stream.read_up_to(-size_bytes % BLOCK_BYTES))

    def _read_end(self, block: bytes, extra: _Extra, packed_start: int) -> None:
        if extra.records:
            raise TarRefused("tar-extension", "an extended header with no member after it")
        self.end_packed_start = packed_start
        self.end_bytes = len(block)
        while more := self._stream.read_up_to(1 << 16):
            if more.strip(b"\0"):
                raise TarRefused("tar-end", "data after the end of the archive")
            self.end_bytes += len(more)

    def _read_extra(self, block: bytes, flag: bytes, extra: _Extra) -> None:
        size = number(block[124:136], "size")
        if size > _LARGEST_EXTENSION_BYTES:
            raise TarRefused("tar-extension", f"an extended header of {size} bytes")
        body = self._stream.read_exactly(size + -size % BLOCK_BYTES)[:size]
        if flag in (b"L", b"K"):
            extra.add({"path" if flag == b"L" else "linkpath": body.rstrip(b"\0")})
            return
        records = dict(pax_records(body))
        if flag == b"g":
            if bad := {"path", "linkpath", "size"} & records.keys():
                raise TarRefused("tar-extension", f"a global extended header sets {sorted(bad)}")
            return
        extra.add(records)

    def _head(self, block: bytes, flag: bytes, extra: dict[str, bytes]) -> Head:
        raw = extra.get("GNU.sparse.name") or extra.get("path") or ustar_name(block)
        shown = raw.decode("utf-8", "backslashreplace")[:200]
        kind = _KINDS.get(flag)
        if kind is None:
            raise TarRefused("tar-kind", f"{shown!r} is a member of unknown type {flag!r}")
        if flag == b"\0" and raw.endswith(b"/"):
            kind = MemberKind.DIRECTORY
        size = decimal(extra["size"]) if "size" in extra else number(block[124:136], "size")
        if size > _LARGEST_SIZE_BYTES:
            raise TarRefused("tar-number", f"{shown!r} has the size {size}")
        if size and kind is not MemberKind.FILE:
            raise TarRefused("tar-size", f"{shown!r}, a {kind}, has a payload of {size} bytes")
        link = ""
        if kind in (MemberKind.HARDLINK, MemberKind.SYMLINK):
            raw_link = extra.get("linkpath") or block[157:257].split(b"\0", 1)[0]
            link = raw_link.decode("utf-8", "surrogateescape")
            if kind is MemberKind.HARDLINK:
                link = clean_path(raw_link)
        path = clean_path(raw)
        kind, path = _whiteout(kind, path)
        return Head(
            path=path,
            kind=kind,
            mode=number(block[100:108], "mode") & 0o7777,
            uid=number(block[108:116], "owner"),
            gid=number(block[116:124], "group"),
            mtime_seconds=self._mtime(block, extra),
            size_bytes=size,
            header_bytes=0,
            packed_start=0,
            packed_payload=0,
            link_target=link,
            has_capabilities=_CAPABILITIES in extra,
        )

    def _skip_sparse_blocks(self, block: bytes) -> None:
        more = block[482:483] not in (b"\0", b"")
        while more:
            more = self._stream.read_exactly(BLOCK_BYTES)[504:505] != b"\0"

    def _mtime(self, block: bytes, extra: dict[str, bytes]) -> int:
        if "mtime" in extra:
            try:
                return int(float(extra["mtime"]))
            except (ValueError, OverflowError):
                raise TarRefused("tar-number", f"the time {extra['mtime'][:40]!r}") from None
        return number(block[136:148], "time", signed=True)


def _whiteout(kind: MemberKind, path: str) -> tuple[MemberKind, str]:
    folder, slash, name = path.rpartition("/")
    if not name.startswith(_WHITEOUT) or kind is MemberKind.DIRECTORY:
        return kind, path
    if name == _OPAQUE:
        return MemberKind.OPAQUE, folder
    return MemberKind.WHITEOUT, f"{folder}{slash}{name.removeprefix(_WHITEOUT)}"
