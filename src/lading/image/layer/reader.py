"""The way back of the layer writer: from a layer's blob to its diff ID and to the index of its files.

Only what `writer` writes can be read: payloads begin and end with gzip members, so that the index is the one
that writing gave. Knows tar, gzip and the store; must not know wheels, packages, projects or registries.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from isal import isal_zlib

from lading.image.layer import tar
from lading.image.layer.tree import EntryKind
from lading.image.layer.writer import IndexEntry
from lading.oci.digest import DiffId, Digest
from lading.oci.tar_header import decimal, number, pax_records, ustar_name
from lading.store import Store
from lading.store.atomic import store_errors

_InflateError = cast(type[Exception], isal_zlib.error)
_FIRST_BYTES = 16 << 10
"""Most members are smaller, and what was handed over in vain is copied."""
_MORE_BYTES = 256 << 10
_LARGEST_HEADERS_BYTES = 64 << 20
_LARGEST_PAX_BYTES = 1 << 20
_KINDS = {
    tar.DIRECTORY: EntryKind.DIRECTORY,
    tar.SYMLINK: EntryKind.SYMLINK,
    tar.HARDLINK: EntryKind.HARDLINK,
    tar.REGULAR: EntryKind.FILE,
}


class ForeignFormat(ValueError):
    """The blob is no layer as `writer` writes them; the text is a clause that says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLayer:
    """What a blob holds; `digest` is computed from its bytes."""

    digest: Digest
    diff_id: DiffId
    unpacked_bytes: int
    index: tuple[IndexEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    entry: IndexEntry
    size_bytes: int


def read_layer(store: Store, digest: Digest) -> ReadLayer:
    """Read the blob once, front to back. Raises ForeignFormat, StoreError."""
    path = store.blobs.path(digest)
    with store_errors("reading a layer", path), path.open("rb") as file:
        try:
            with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as content:
                content.madvise(mmap.MADV_SEQUENTIAL)
                return _read(content)
        except ValueError as error:  # also TarRefused, and an empty file, which cannot be mapped
            raise ForeignFormat(str(error)) from None


def _read(content: mmap.mmap) -> ReadLayer:
    members = _Members(content)
    unpacked = hashlib.sha256()
    index: list[IndexEntry] = []
    unpacked_bytes = 0
    padding = b""
    while True:
        block = members.whole(_LARGEST_HEADERS_BYTES)
        unpacked.update(block)
        if not block.startswith(padding):
            raise ForeignFormat("a file is not filled up with zeros")
        headers, ended = _headers(block[len(padding) :])
        index += (header.entry for header in headers)
        if ended:
            break
        if not headers or not headers[-1].size_bytes:
            raise ForeignFormat("a gzip member holds no file and no end")
        last = headers[-1]
        index[-1] = _payload(members, last, unpacked)
        unpacked_bytes += last.size_bytes
        padding = tar.padding(last.size_bytes)
    if members.offset != len(content):
        raise ForeignFormat("something follows the end of the archive")
    with memoryview(content) as view:
        digest = Digest.from_hex(hashlib.sha256(view).hexdigest())
    return ReadLayer(
        digest=digest,
        diff_id=DiffId.from_hex(unpacked.hexdigest()),
        unpacked_bytes=unpacked_bytes,
        index=tuple(index),
    )


def _payload(members: _Members, header: _Header, unpacked: Any) -> IndexEntry:
    start = members.offset
    content = hashlib.sha256()
    seen = 0
    while seen < header.size_bytes:
        for piece in members.pieces():
            seen += len(piece)
            content.update(piece)
            unpacked.update(piece)
    if seen != header.size_bytes:
        raise ForeignFormat(f"/{header.entry.path} does not end with a gzip member")
    entry = header.entry
    return IndexEntry(
        path=entry.path,
        kind=entry.kind,
        mode=entry.mode,
        size_bytes=header.size_bytes,
        content=content.hexdigest(),
        offset=start,
        length=members.offset - start,
    )


class _Members:
    """The row of gzip members, one after the other. `offset` is where the next one begins."""

    def __init__(self, content: mmap.mmap) -> None:
        self._content = content
        self.offset = 0

    def whole(self, limit_bytes: int) -> bytes:
        """The next member's content."""
        content = bytearray()
        for piece in self.pieces():
            content += piece
            if len(content) > limit_bytes:
                raise ForeignFormat("a gzip member of headers is too large")
        return bytes(content)

    def pieces(self) -> Iterator[bytes]:
        """The next member's content in pieces; not empty."""
        state = isal_zlib.decompressobj(31)
        position = self.offset
        size_bytes = _FIRST_BYTES
        while not state.eof:
            fed = self._content[position : position + size_bytes]
            if not fed:
                raise ForeignFormat("it ends within a gzip member")
            position += len(fed)
            size_bytes = _MORE_BYTES
            try:
                piece = state.decompress(fed)
            except _InflateError as error:
                raise ForeignFormat(f"it is no gzip file: {error}") from None
            if piece:
                yield piece
        self.offset = position - len(state.unused_data)


def _headers(block: bytes) -> tuple[list[_Header], bool]:
    """The entries that `block` announces, and whether the archive ends with it."""
    headers: list[_Header] = []
    extended: dict[str, bytes] = {}
    position = 0
    while position < len(block):
        if block[position:] == tar.END:
            return headers, True
        header = block[position : position + tar.BLOCK_BYTES]
        position += tar.BLOCK_BYTES
        if headers and headers[-1].size_bytes:
            raise ForeignFormat(f"/{headers[-1].entry.path} does not begin with a gzip member")
        if len(header) < tar.BLOCK_BYTES:
            raise ForeignFormat("a tar header is cut off")
        if header[156:157] == tar.PAX:
            length = number(header[124:136], "size")
            if length > _LARGEST_PAX_BYTES:
                raise ForeignFormat("a pax header is too large")
            extended = dict(pax_records(block[position : position + length]))
            position += length + len(tar.padding(length))
            continue
        headers.append(_header(header, extended))
        extended = {}
    return headers, False


def _header(block: bytes, extended: dict[str, bytes]) -> _Header:
    kind = _KINDS.get(block[156:157])
    if kind is None:
        raise ForeignFormat(f"it holds an entry of kind {block[156:157]!r}")
    path = extended.get("path") or ustar_name(block)
    link = extended.get("linkpath") or block[157:257].partition(b"\0")[0]
    size_bytes = decimal(extended["size"]) if "size" in extended else number(block[124:136], "size")
    if kind is not EntryKind.FILE and size_bytes:
        raise ForeignFormat("an entry that is no file has a size")
    content = hashlib.sha256().hexdigest() if kind is EntryKind.FILE else _decoded(link)
    entry = IndexEntry(
        path=_decoded(path.rstrip(b"/")),
        kind=kind,
        mode=number(block[100:108], "mode"),
        size_bytes=0,
        content=content,
    )
    return _Header(entry=entry, size_bytes=size_bytes)


def _decoded(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
