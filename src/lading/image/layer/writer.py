"""The layer writer: entries in, one blob out, hashed three ways while it is written.

The blob is a row of gzip members: `[headers][payload][headers][payload]…[end]`. A payload is either a
DEFLATE stream taken over as it stands (`relocate`) or content compressed here (`file`). Knows tar, gzip and
the store's blob writer; must not know wheels, packages or projects.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from lading.errors import ProjectError
from lading.image.layer import tar
from lading.image.layer.framing import (
    MEMBER_HEAD,
    Buffer,
    compressed_member,
    stored_blocks,
    stored_member,
    trailer,
)
from lading.image.layer.recipe import CHUNK_BYTES
from lading.image.layer.tree import EntryKind, TreeEntry
from lading.oci.digest import DiffId, Digest
from lading.store.blobs import BlobWriter

_BUFFER_BYTES = 1 << 20
_LARGE_BYTES = 1 << 18

Progress = Callable[[int], None]
"""Told the uncompressed bytes just written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexEntry:
    """Where one path's payload lies in the blob, so that a file is read without unpacking the layer."""

    path: str
    kind: EntryKind
    mode: int
    size_bytes: int
    content: str
    """FILE: sha256 hex; links: the target; DIRECTORY: empty."""
    offset: int = 0
    length: int = 0
    """Compressed bytes, whole gzip members."""

    def as_json(self) -> list[Any]:
        return [self.path, self.kind, self.mode, self.size_bytes, self.content, self.offset, self.length]

    @classmethod
    def from_json(cls, row: list[Any]) -> IndexEntry:
        path, kind, mode, size_bytes, content, offset, length = row
        return cls(
            path=path,
            kind=EntryKind(kind),
            mode=mode,
            size_bytes=size_bytes,
            content=content,
            offset=offset,
            length=length,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenLayer:
    digest: Digest
    diff_id: DiffId
    size_bytes: int
    unpacked_bytes: int
    index: tuple[IndexEntry, ...]


class LayerWriter:
    """Writes one layer. Entries come in final order; missing parent directories are added as they are met.

    A path may be written once: image-spec layer.md forbids duplicates.
    """

    def __init__(self, blob: BlobWriter, *, progress: Progress | None = None) -> None:
        self._blob = blob
        self._buffer = bytearray()
        self._position = 0
        self._headers = bytearray()
        self._tar = hashlib.sha256()
        self._directories: set[str] = {""}
        self._paths: set[str] = set()
        self._index: list[IndexEntry] = []
        self._unpacked_bytes = 0
        self._progress = progress

    def entries(self, entries: Iterable[TreeEntry]) -> None:
        """Write a whole tree; parents before children."""
        for entry in entries:
            self.entry(entry)

    def entry(self, entry: TreeEntry) -> None:
        match entry.kind:
            case EntryKind.DIRECTORY:
                self.directory(entry.path, mode=entry.mode, uid=entry.uid, gid=entry.gid)
            case EntryKind.FILE:
                self.file(entry.path, entry.read(), mode=entry.mode, uid=entry.uid, gid=entry.gid)
            case EntryKind.SYMLINK | EntryKind.HARDLINK:
                self._link(entry)

    def directory(self, path: str, *, mode: int = 0o755, uid: int = 0, gid: int = 0) -> None:
        if path in self._directories:
            return
        self._parents(path)
        self._claim(path)
        self._directories.add(path)
        self._headers += tar.header(path, tar.DIRECTORY, mode=mode, uid=uid, gid=gid)
        self._index.append(
            IndexEntry(path=path, kind=EntryKind.DIRECTORY, mode=mode, size_bytes=0, content="")
        )

    def file(self, path: str, content: bytes, *, mode: int, uid: int = 0, gid: int = 0) -> None:
        """A file whose content is compressed here."""
        self._begin(path, mode, len(content), uid, gid)
        start = self._position
        for cut in range(0, len(content), CHUNK_BYTES):
            chunk = content[cut : cut + CHUNK_BYTES]
            self._tar.update(chunk)
            self._emit(compressed_member(chunk))
        self._end(path, mode, len(content), hashlib.sha256(content).hexdigest(), start)

    def stream(
        self, path: str, chunks: Iterable[bytes], *, mode: int, size_bytes: int, compress: bool = True
    ) -> str:
        """A file that is not held in memory whole; returns the sha256 hex of its content.

        `chunks` are CHUNK_BYTES long but for the last, and `size_bytes` in all, else the layer is no archive:
        raises ProjectError. Compressed, the bytes are those of `file`.
        """
        self._begin(path, mode, size_bytes, 0, 0)
        start = self._position
        content_hash = hashlib.sha256()
        seen = 0
        for chunk in chunks:
            seen += len(chunk)
            content_hash.update(chunk)
            self._tar.update(chunk)
            self._emit(compressed_member(chunk) if compress else stored_member(chunk))
        if seen != size_bytes:
            raise ProjectError(f"/{path} changed its size while it was read", hints=("run the build again",))
        digest = content_hash.hexdigest()
        self._end(path, mode, size_bytes, digest, start)
        return digest

    def relocate(
        self,
        path: str,
        *,
        mode: int,
        size_bytes: int,
        crc32: int,
        deflated: bool,
        pieces: Iterable[tuple[Buffer, Buffer]],
    ) -> str:
        """A file whose compressed stream is taken over. Returns the sha256 hex of its content.

        `pieces` are (stream bytes, what they inflate to); for `deflated=False` both are the content. The
        caller vouches that sizes and CRC are right before it calls `finish`.
        """
        self._begin(path, mode, size_bytes, 0, 0)
        start = self._position
        content_hash = hashlib.sha256()
        if size_bytes:
            self._emit(MEMBER_HEAD)
            seen = 0
            for stream, content in pieces:
                seen += len(content)
                if deflated:
                    self._emit(stream)
                else:
                    for part in stored_blocks(content, last=seen == size_bytes):
                        self._emit(part)
                content_hash.update(content)
                self._tar.update(content)
            self._emit(trailer(crc32, size_bytes))
        else:
            for _ in pieces:  # lets the reader check a member that holds nothing
                pass
        digest = content_hash.hexdigest()
        self._end(path, mode, size_bytes, digest, start)
        return digest

    def finish(self) -> WrittenLayer:
        """End the archive and make the blob durable."""
        self._headers += tar.END
        self._flush_headers()
        self._flush()
        digest = self._blob.commit()
        return WrittenLayer(
            digest=digest,
            diff_id=DiffId.from_hex(self._tar.hexdigest()),
            size_bytes=self._blob.size_bytes,
            unpacked_bytes=self._unpacked_bytes,
            index=tuple(self._index),
        )

    def _link(self, entry: TreeEntry) -> None:
        self._parents(entry.path)
        self._claim(entry.path)
        kind = tar.SYMLINK if entry.kind is EntryKind.SYMLINK else tar.HARDLINK
        target = entry.link_target or ""
        self._headers += tar.header(
            entry.path, kind, mode=entry.mode, link_target=target, uid=entry.uid, gid=entry.gid
        )
        self._index.append(
            IndexEntry(path=entry.path, kind=entry.kind, mode=entry.mode, size_bytes=0, content=target)
        )

    def _begin(self, path: str, mode: int, size_bytes: int, uid: int, gid: int) -> None:
        self._parents(path)
        self._claim(path)
        self._headers += tar.header(path, tar.REGULAR, mode=mode, size_bytes=size_bytes, uid=uid, gid=gid)
        if size_bytes:
            self._flush_headers()

    def _end(self, path: str, mode: int, size_bytes: int, digest: str, start: int) -> None:
        self._headers += tar.padding(size_bytes)
        self._unpacked_bytes += size_bytes
        self._index.append(
            IndexEntry(
                path=path,
                kind=EntryKind.FILE,
                mode=mode,
                size_bytes=size_bytes,
                content=digest,
                offset=start if size_bytes else 0,
                length=self._position - start if size_bytes else 0,
            )
        )
        if self._progress is not None:
            self._progress(size_bytes)

    def _claim(self, path: str) -> None:
        if path in self._paths or path in self._directories:
            raise ProjectError(f"two files of one layer are both /{path}", place=f"/{path}")
        self._paths.add(path)

    def _parents(self, path: str) -> None:
        parent, _, _ = path.rpartition("/")
        if parent in self._directories:
            return
        if parent in self._paths:
            raise ProjectError(f"/{parent} is a file, yet /{path} lies under it", place=f"/{parent}")
        self.directory(parent)

    def _flush_headers(self) -> None:
        block = bytes(self._headers)
        self._headers.clear()
        self._tar.update(block)
        self._emit(compressed_member(block))

    def _emit(self, data: Buffer) -> None:
        self._position += len(data)
        if len(data) >= _LARGE_BYTES:
            self._flush()
            self._blob.write(data)
            return
        self._buffer += data
        if len(self._buffer) >= _BUFFER_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._buffer:
            self._blob.write(self._buffer)
            self._buffer = bytearray()
