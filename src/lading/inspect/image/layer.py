"""One layer is read: every member counted and hashed, databases and GPU code taken out on the way.

What was read is kept in the store by the layer's digest, so a layer is read once, whichever images have it.
Thin: what the bytes mean is decided in tar.py, databases.py and fatbin.py.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable
from typing import IO, Any, Protocol

from lading.inspect.image import databases
from lading.inspect.image.fatbin import FatbinScanner, OffsetMap
from lading.inspect.image.model import GpuCode, LayerEvidence, Member, MemberKind
from lading.inspect.image.stream import LayerStream, packing_of
from lading.inspect.image.tar import Head, TarReader
from lading.oci.digest import DiffId, Digest

_LEAST_GPU_BYTES = 4096
_MOST_DOCUMENT_BYTES = 256 << 20
"""Of all databases of a layer together; what is beyond is not looked into."""


class Look(Protocol):
    """Somebody who looks at one file while it passes: all of its bytes, front to back, then the end."""

    def feed(self, data: bytes | memoryview) -> None: ...
    def finish(self) -> None: ...


class Observer(Protocol):
    """Somebody who looks at a layer while it is read. Nothing may be trusted before the layer was checked."""

    def look_at(self, head: Head) -> Look | None: ...


def read_layer(
    open_blob: Callable[[], IO[bytes]],
    place: str,
    *,
    digest: Digest | None,
    diff_id: DiffId | None,
    progress: Callable[[int], None] = lambda size_bytes: None,
    observer: Observer | None = None,
) -> LayerEvidence:
    """The evidence of one layer, checked against what its image promises.

    Raises ImageRefused, DigestMismatch, StoreError, EngineError (zstd without a decoder).
    """
    with LayerStream(open_blob, place) as stream:
        reading = _Reading(stream, place, progress, observer)
        reading.run()
        totals = stream.finish(digest, diff_id)
    assert totals.digest is not None and totals.diff_id is not None, "the stream has ended"
    files = sum(1 for member in reading.members if member.size_bytes)
    return LayerEvidence(
        digest=totals.digest,
        diff_id=totals.diff_id,
        packing=packing_of(totals, files),
        compression=totals.compression,
        packed_bytes=totals.packed_bytes,
        unpacked_bytes=totals.unpacked_bytes,
        end_bytes=reading.reader.end_bytes,
        packed_end_bytes=totals.packed_bytes - reading.reader.end_packed_start,
        members=tuple(reading.members),
        documents=reading.documents,
        gpu_code=reading.gpu_code,
    )


class _Reading:
    def __init__(
        self,
        stream: LayerStream,
        place: str,
        progress: Callable[[int], None],
        observer: Observer | None,
    ) -> None:
        self.reader = TarReader(stream, place)
        self.members: list[Member] = []
        self.documents: dict[str, dict[str, Any]] = {}
        self.gpu_code: dict[str, tuple[GpuCode, ...]] = {}
        self._stream = stream
        self._progress = progress
        self._observer = observer
        self._document_bytes = 0

    def run(self) -> None:
        pending: tuple[Head, str, int, int] | None = None
        for head in self.reader:
            if pending is not None:
                self._add(*pending, packed_end=head.packed_start)
            sha256 = self._payload(head)
            packed_payload_end = self._stream.packed_position()
            pending = head, sha256, packed_payload_end, self.reader.skip_padding(head.size_bytes)
        if pending is not None:
            self._add(*pending, packed_end=self.reader.end_packed_start)

    def _add(
        self, head: Head, sha256: str, packed_payload_end: int, padding_bytes: int, *, packed_end: int
    ) -> None:
        self.members.append(
            Member(
                head.path,
                head.kind,
                head.mode,
                head.uid,
                head.gid,
                head.mtime_seconds,
                head.size_bytes,
                head.header_bytes,
                padding_bytes,
                head.packed_payload - head.packed_start,
                packed_payload_end - head.packed_payload,
                packed_end - packed_payload_end,
                head.link_target,
                sha256,
            )
        )
        self._progress(head.header_bytes + head.size_bytes + padding_bytes)

    def _payload(self, head: Head) -> str:
        look = self._observer.look_at(head) if self._observer is not None else None
        if not head.size_bytes:
            return ""
        if head.kind is MemberKind.FILE and self._is_document(head):
            content = self._stream.read_exactly(head.size_bytes)
            self._document_bytes += len(content)
            document = databases.read_document(head.path, content)
            if document is not None:
                self.documents[head.path] = document
            if look is not None:
                look.feed(content)
                look.finish()
            return hashlib.sha256(content).hexdigest()
        return self._hashed(head, look)

    def _is_document(self, head: Head) -> bool:
        room = min(databases.LARGEST_BYTES, _MOST_DOCUMENT_BYTES - self._document_bytes)
        return head.size_bytes <= room and databases.is_wanted(head.path)

    def _hashed(self, head: Head, look: Look | None) -> str:
        state = hashlib.sha256()
        scanner: FatbinScanner | None = None
        offsets = OffsetMap(self._stream.packed_position())
        offset = 0
        for piece in self._stream.pieces(head.size_bytes):
            state.update(piece)
            if offset == 0 and head.size_bytes >= _LEAST_GPU_BYTES and bytes(piece[:4]) == b"\x7fELF":
                scanner = FatbinScanner()
            offset += len(piece)
            if scanner is not None:
                scanner.feed(piece)
                offsets.add(offset, self._stream.packed_position())
            if look is not None:
                look.feed(piece)
        if look is not None:
            look.finish()
        if scanner is not None and scanner.entries:
            self.gpu_code[head.path] = _summed(scanner, offsets)
        return state.hexdigest()


def _summed(scanner: FatbinScanner, offsets: OffsetMap) -> tuple[GpuCode, ...]:
    sums: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0, 0])
    for entry in scanner.entries:
        row = sums[entry.kind, entry.arch]
        row[0] += 1
        row[1] += entry.end - entry.start
        row[2] += offsets.packed_at(entry.end) - offsets.packed_at(entry.start)
    return tuple(
        GpuCode(kind=kind, arch=arch, count=count, size_bytes=size, packed_size_bytes=packed)
        for (kind, arch), (count, size, packed) in sorted(sums.items())
    )
