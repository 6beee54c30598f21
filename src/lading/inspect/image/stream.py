"""A layer's stored bytes as a checked stream of tar bytes that knows how far in the stored bytes it is.

Inflates and hashes on one thread while another reads. gzip of any number of members, zstd of any number of
frames and plain tar are understood; the bytes decide, not a media type. Until `finish` has returned, nothing
that was read may be trusted. Knows nothing of tar.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, NamedTuple

from lading.errors import DigestMismatch, EngineError, ImageRefused, StoreError
from lading.inspect.image.model import Packing
from lading.oci.digest import DiffId, Digest

_FEED_BYTES = 16 << 10
"""So finely is known which stored bytes a member came from."""
_READ_BYTES = 1 << 20
_BATCH_BYTES = 1 << 20
_QUEUED_BATCHES = 8
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPED = b"\x2a\x4d\x18"
_ZSTD_WINDOW_BYTES = 128 << 20
_RATIO_LIMIT = 1100
_FREE_BYTES = 64 << 20
"""A layer may unpack to this and `_RATIO_LIMIT` times its bytes: deflate reaches 1032, and then it ends."""


class Piece(NamedTuple):
    """Bytes that came out, and how many stored bytes went in for them."""

    data: bytes
    packed_bytes: int


@dataclass(slots=True)
class Totals:
    """What was seen of a layer, complete when its stream has ended."""

    compression: str = "none"
    digest: Digest | None = None
    diff_id: DiffId | None = None
    packed_bytes: int = 0
    unpacked_bytes: int = 0
    gzip_members: int = 0


class LayerStream:
    """Use as a context manager. `open_blob` gives a file of exactly the layer's stored bytes."""

    def __init__(self, open_blob: Callable[[], IO[bytes]], place: str) -> None:
        self._open_blob = open_blob
        self._place = place
        self._queue: queue.Queue[list[Piece] | BaseException | None] = queue.Queue(_QUEUED_BATCHES)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._produce, daemon=True)
        self._batch: list[Piece] = []
        self._next = 0
        self._piece = Piece(b"", 0)
        self._view = memoryview(b"")
        self._packed_before = 0
        self._ended = False
        self.totals = Totals()
        self.position = 0

    def __enter__(self) -> LayerStream:
        self._thread.start()
        return self

    def __exit__(self, *ignored: object) -> None:
        self._stop.set()
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=0.05)
            except queue.Empty:
                continue
        self._thread.join()

    # -- the reading side --

    def packed_position(self) -> int:
        """How many stored bytes went in for what was read so far, between two known points by proportion."""
        total = len(self._piece.data)
        if not total:
            return self._packed_before
        read = total - len(self._view)
        return self._packed_before + self._piece.packed_bytes * read // total

    def at_end(self) -> bool:
        return not self._more()

    def pieces(self, size_bytes: int) -> Iterator[memoryview]:
        """The next `size_bytes`, as they come. Raises ImageRefused when the stream ends first."""
        while size_bytes:
            if not self._more():
                raise ImageRefused(self._place, "tar-truncated", "the archive ends within a member")
            piece = self._view[:size_bytes]
            self._view = self._view[len(piece) :]
            self.position += len(piece)
            size_bytes -= len(piece)
            yield piece

    def read_exactly(self, size_bytes: int) -> bytes:
        if len(self._view) >= size_bytes:
            data = bytes(self._view[:size_bytes])
            self._view = self._view[size_bytes:]
            self.position += size_bytes
            return data
        return b"".join(self.pieces(size_bytes))

    def read_up_to(self, size_bytes: int) -> bytes:
        """As `read_exactly`, but what there is where the stream ends first."""
        parts = []
        while size_bytes and self._more():
            part = bytes(self._view[:size_bytes])
            self._view = self._view[len(part) :]
            self.position += len(part)
            size_bytes -= len(part)
            parts.append(part)
        return b"".join(parts)

    def finish(self, digest: Digest | None, diff_id: DiffId | None) -> Totals:
        """The totals, when all was read and was what was promised. Raises DigestMismatch, ImageRefused."""
        if not self.at_end():
            raise ImageRefused(self._place, "tar-end", "data after the end of the archive")
        totals = self.totals
        if digest is not None and totals.digest != digest:
            raise DigestMismatch(
                f"a layer has the digest {totals.digest}, and its image names {digest}", place=self._place
            )
        if diff_id is not None and totals.diff_id != diff_id:
            raise DigestMismatch(
                f"layer {totals.digest} unpacks to {totals.diff_id}, and its image promises {diff_id}",
                place=self._place,
            )
        return totals

    def _more(self) -> bool:
        while not self._view:
            if self._next < len(self._batch):
                self._packed_before += self._piece.packed_bytes
                self._piece = self._batch[self._next]
                self._next += 1
                self._view = memoryview(self._piece.data)
                continue
            if self._ended:
                return False
            item = self._queue.get()
            if item is None:
                self._ended = True
            elif isinstance(item, BaseException):
                self._ended = True
                raise self._explained(item)
            else:
                self._batch, self._next = item, 0
        return True

    # -- the writing side, on its own thread --

    def _produce(self) -> None:
        try:
            with self._open_blob() as blob:
                self._inflate(blob)
            self._queue.put(None)
        except BaseException as error:  # noqa: BLE001 - carried to the reading thread
            self._queue.put(error)

    def _inflate(self, blob: IO[bytes]) -> None:
        stored = hashlib.sha256()
        unpacked = hashlib.sha256()
        batch: list[Piece] = []
        batch_bytes = carried = 0
        start = blob.read(4)
        decoder, self.totals.compression = _decoder(start, self.totals)
        for block in _blocks(blob, start):
            stored.update(block)
            self.totals.packed_bytes += len(block)
            for data, packed_bytes in decoder.feed(block):
                carried += packed_bytes
                if not data:
                    continue
                unpacked.update(data)
                batch.append(Piece(data, carried))
                batch_bytes, carried = batch_bytes + len(data), 0
                self.totals.unpacked_bytes += len(data)
                if batch_bytes >= _BATCH_BYTES:
                    self._check_growth()
                    self._queue.put(batch)
                    batch, batch_bytes = [], 0
            if self._stop.is_set():
                return
        decoder.finish()
        self._check_growth()
        self.totals.digest = Digest.from_hex(stored.hexdigest())
        self.totals.diff_id = DiffId.from_hex(unpacked.hexdigest())
        if batch:
            self._queue.put(batch)

    def _check_growth(self) -> None:
        limit = _FREE_BYTES + _RATIO_LIMIT * self.totals.packed_bytes
        if self.totals.unpacked_bytes > limit:
            raise ImageRefused(
                self._place, "layer-bomb", f"the layer unpacks to more than {_RATIO_LIMIT} times its bytes"
            )

    def _explained(self, error: BaseException) -> BaseException:
        if isinstance(error, _Damaged):
            return ImageRefused(self._place, "layer-damaged", str(error))
        if isinstance(error, OSError):
            return StoreError(f"reading a layer failed: {error.strerror or error}", place=self._place)
        return error


class _Damaged(Exception):
    """The compressed bytes are not what their format allows."""


class _Plain:
    def feed(self, block: bytes) -> Iterator[tuple[bytes, int]]:
        yield block, len(block)

    def finish(self) -> None: ...


class _Gzip:
    """Members one after another, each its own piece at least."""

    def __init__(self, totals: Totals) -> None:
        from isal import isal_zlib  # costs 10 ms to import; only reading a layer needs it

        self._module: Any = isal_zlib
        self._totals = totals
        self._member: Any = None

    def feed(self, block: bytes) -> Iterator[tuple[bytes, int]]:
        for start in range(0, len(block), _FEED_BYTES):
            left = block[start : start + _FEED_BYTES]
            while left:
                if self._member is None:
                    self._member = self._module.decompressobj(31)
                    self._totals.gzip_members += 1
                try:
                    data = self._member.decompress(left)
                except self._module.error as error:
                    raise _Damaged(f"the gzip stream is damaged: {error}") from None
                rest = self._member.unused_data if self._member.eof else b""
                yield data, len(left) - len(rest)
                if self._member.eof:
                    self._member = None
                left = rest

    def finish(self) -> None:
        if self._member is not None:
            raise _Damaged("the gzip stream ends too early")


class _Zstd:
    def __init__(self) -> None:
        try:
            import zstandard
        except ImportError:
            raise EngineError(
                "the layer is compressed with zstd, and reading it needs the package zstandard",
                hints=("pip install 'lading[zstd]'",),
            ) from None
        self._error = zstandard.ZstdError
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
        self._frame: Any = None

    def feed(self, block: bytes) -> Iterator[tuple[bytes, int]]:
        for start in range(0, len(block), _FEED_BYTES):
            left = block[start : start + _FEED_BYTES]
            while left:
                self._frame = self._frame or self._decompressor.decompressobj()
                try:
                    data = self._frame.decompress(left)
                except self._error as error:
                    raise _Damaged(f"the zstd stream is damaged: {error}") from None
                rest = self._frame.unused_data if self._frame.eof else b""
                yield data, len(left) - len(rest)
                if self._frame.eof:
                    self._frame = None
                left = rest

    def finish(self) -> None:
        if self._frame is not None:
            raise _Damaged("the zstd stream ends too early")


def _decoder(magic: bytes, totals: Totals) -> tuple[_Plain | _Gzip | _Zstd, str]:
    if magic[:2] == _GZIP_MAGIC:
        return _Gzip(totals), "gzip"
    if magic == _ZSTD_MAGIC or (magic[1:] == _ZSTD_SKIPPED and magic[0] & 0xF0 == 0x50):
        return _Zstd(), "zstd"
    return _Plain(), "none"


def _blocks(blob: IO[bytes], start: bytes) -> Iterator[bytes]:
    block = start + blob.read(_READ_BYTES)
    while block:
        yield block
        block = blob.read(_READ_BYTES)


def packing_of(totals: Totals, files: int) -> Packing:
    """How well shares are known, given how many members have a payload."""
    if totals.compression == "none":
        return Packing.PLAIN
    return Packing.MEMBERS if totals.gzip_members > files else Packing.STREAM
