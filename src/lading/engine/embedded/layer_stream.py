"""A layer blob as a checked stream of tar bytes: inflated on one thread while another writes files.

Both promises are checked: the blob's digest over what was read, the diff ID over what came out. Until
`finish` has returned, nothing that was read may be trusted. gzip of any number of members, zstd of any number
of frames (with the extra `zstd`) and plain tar are understood; the bytes decide, not a media type.
"""

from __future__ import annotations

import gzip
import hashlib
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from lading.errors import DigestMismatch, EngineError, StoreError
from lading.oci.digest import DiffId, Digest
from lading.oci.tar_header import TarRefused

_CHUNK_BYTES = 1 << 20
_QUEUED_CHUNKS = 8
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPED = b"\x2a\x4d\x18"
"""End of the magic of a frame that readers skip: 0x184D2A50 to 0x184D2A5F, little-endian (RFC 8878)."""
_ZSTD_WINDOW_BYTES = 128 << 20
"""What a decoder must hold at once; more is refused, as other engines do."""
_RATIO_LIMIT = 300
_FREE_BYTES = 64 << 20
"""A layer may unpack to this and `_RATIO_LIMIT` times its blob: deflate reaches 1032, files do not."""


class _Source(Protocol):
    def read(self, size_bytes: int = -1, /) -> bytes: ...


class _HashingFile:
    def __init__(self, file: Any) -> None:
        self._file = file
        self.state = hashlib.sha256()
        self.size_bytes = 0

    def read(self, size_bytes: int = -1, /) -> bytes:
        data: bytes = self._file.read(size_bytes)
        self.state.update(data)
        self.size_bytes += len(data)
        return data

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        count: int = self._file.readinto(buffer)
        self.state.update(memoryview(buffer)[:count])
        self.size_bytes += count
        return count

    def rest(self) -> bytes:
        """What the decoder left unread; a few bytes are enough to refuse it."""
        first = self.read(_CHUNK_BYTES)
        while self.read(_CHUNK_BYTES):
            pass
        return first[:16]


class LayerStream:
    """A `tar.Reader` over one blob. Use as a context manager."""

    def __init__(self, path: Path, digest: Digest, diff_id: DiffId) -> None:
        self._path = path
        self._digest = digest
        self._diff_id = diff_id
        self._queue: queue.Queue[bytes | BaseException | None] = queue.Queue(_QUEUED_CHUNKS)
        self._stop = threading.Event()
        self._view = memoryview(b"")
        self._ended = False
        self._verdict: Callable[[], None] | None = None
        self._thread = threading.Thread(target=self._produce, daemon=True)

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

    def _produce(self) -> None:
        try:
            with self._path.open("rb", buffering=0) as file:
                self._inflate(_HashingFile(file))
            self._queue.put(None)
        except BaseException as error:  # noqa: BLE001 - carried to the reading thread
            self._queue.put(error)

    def _inflate(self, file: _HashingFile) -> None:
        with self._path.open("rb", buffering=0) as peek:
            magic = peek.read(4)
            limit = _FREE_BYTES + _RATIO_LIMIT * peek.seek(0, 2)
        state = hashlib.sha256()
        size = 0
        source: _Source = file
        if magic[:2] == _GZIP_MAGIC:
            source = _gunzip(file)
        elif magic == _ZSTD_MAGIC or (magic[1:] == _ZSTD_SKIPPED and magic[0] & 0xF0 == 0x50):
            source = _unzstd(file)
        while not self._stop.is_set():
            chunk = source.read(_CHUNK_BYTES)
            if not chunk:
                break
            state.update(chunk)
            size += len(chunk)
            if size > limit:
                raise TarRefused("layer-bomb", f"the layer unpacks to more than {limit} bytes")
            self._queue.put(chunk)
        left = file.rest()
        self._verdict = lambda: self._judge(file, state.hexdigest(), left)

    def _judge(self, file: _HashingFile, diff_hex: str, left: bytes) -> None:
        if file.state.hexdigest() != self._digest.hex:
            raise DigestMismatch(
                f"blob {self._digest} is corrupt",
                place=str(self._path),
                hints=("lading store verify --repair",),
            )
        if left:
            raise TarRefused("layer-trailing", "bytes after the end of the compressed layer")
        if diff_hex != self._diff_id.hex:
            raise DigestMismatch(
                f"layer {self._digest} unpacks to sha256:{diff_hex}, its image promises {self._diff_id}",
                place=str(self._path),
            )

    def _more(self) -> bool:
        while not self._view and not self._ended:
            item = self._queue.get()
            if item is None:
                self._ended = True
            elif isinstance(item, BaseException):
                self._ended = True
                raise _explained(item, self._path)
            else:
                self._view = memoryview(item)
        return bool(self._view)

    def at_end(self) -> bool:
        return not self._more()

    def pieces(self, size_bytes: int) -> Iterator[memoryview]:
        """The next `size_bytes`, as they come. Raises TarRefused when the stream ends first."""
        while size_bytes:
            if not self._more():
                raise TarRefused("tar-truncated", "the archive ends within a member")
            piece = self._view[:size_bytes]
            self._view = self._view[len(piece) :]
            size_bytes -= len(piece)
            yield piece

    def read_exactly(self, size_bytes: int) -> bytes:
        if len(self._view) >= size_bytes:
            data = bytes(self._view[:size_bytes])
            self._view = self._view[size_bytes:]
            return data
        return b"".join(self.pieces(size_bytes))

    def skip(self, size_bytes: int) -> None:
        for _ in self.pieces(size_bytes):
            pass

    def finish(self) -> None:
        """Raises DigestMismatch or TarRefused unless blob and tar were exactly the promised ones."""
        if not self.at_end() or self._verdict is None:
            raise TarRefused("tar-end", "data after the end of the archive")
        self._verdict()


def _gunzip(file: _HashingFile) -> _Source:
    from isal import igzip  # costs 10 ms to import; only an extraction needs it

    decoder: _Source = igzip.IGzipFile(fileobj=file, mode="rb")  # type: ignore[no-untyped-call]
    return decoder


def _unzstd(file: _HashingFile) -> _Source:
    try:
        import zstandard
    except ImportError:
        raise EngineError(
            "the layer is compressed with zstd, and reading it needs the package zstandard",
            hints=("pip install 'lading[zstd]'",),
        ) from None
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    decoder: _Source = decompressor.stream_reader(file, read_across_frames=True)  # type: ignore[arg-type]
    return decoder


def _explained(error: BaseException, path: Path) -> BaseException:
    if isinstance(error, gzip.BadGzipFile | EOFError) or type(error).__name__ in ("error", "IsalError"):
        return TarRefused("layer-gzip", f"the compressed layer is damaged: {error}")
    if type(error).__name__ == "ZstdError":
        return TarRefused("layer-zstd", f"the compressed layer is damaged: {error}")
    if isinstance(error, OSError):
        return StoreError(f"reading a layer failed: {error.strerror or error}", place=str(path))
    return error
