"""Compressed files as streams whose memory and output are bounded, and a file as the stream of a tar reader.

Hostile archives are the normal case here: what a header asks for is never taken on trust.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable, Iterator
from typing import IO, Any, Protocol, cast

from lading.errors import ImageRefused
from lading.inspect.scan.content import Content

_READ_BYTES = 64 << 10
_XZ_MEMORY_BYTES = 256 << 20
_ZSTD_WINDOW_BYTES = 128 << 20


class NotSearched(Exception):
    """The archive is broken, or larger than is looked at."""


class _Decompressor(Protocol):
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...


def unpacked(content: Content, file: IO[bytes]) -> IO[bytes]:
    """What comes out of `file`. Raises NotSearched where nothing here reads it."""
    if content is Content.GZIP:
        return cast(IO[bytes], gzip.open(file))
    if content is Content.BZIP2:
        return _stream(_Members(file, lambda: cast(_Decompressor, bz2.BZ2Decompressor())))
    if content is Content.XZ:
        return _stream(
            _Members(file, lambda: cast(_Decompressor, lzma.LZMADecompressor(memlimit=_XZ_MEMORY_BYTES)))
        )
    try:
        import zstandard
    except ImportError:
        raise NotSearched("zstd needs the package zstandard") from None
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    return _stream(_Zstd(decompressor.stream_reader(file, read_across_frames=True), zstandard.ZstdError))


def _stream(raw: io.RawIOBase) -> IO[bytes]:
    return cast(IO[bytes], io.BufferedReader(raw, _READ_BYTES))


class _Members(io.RawIOBase):
    """bzip2 or xz streams one after another; zeros may stand between those of xz."""

    def __init__(self, file: IO[bytes], make: Callable[[], _Decompressor]) -> None:
        self._file, self._make = file, make
        self._current: _Decompressor | None = None
        self._waiting = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            if self._current is None:
                self._waiting = self._waiting.lstrip(b"\0") or self._file.read(_READ_BYTES).lstrip(b"\0")
                if not self._waiting:
                    return 0
                self._current = self._make()
            elif self._current.needs_input and not self._waiting:
                self._waiting = self._file.read(_READ_BYTES)
                if not self._waiting:
                    raise EOFError("it ends too early")
            data = self._current.decompress(self._waiting, max_length=len(buffer))
            self._waiting = self._current.unused_data if self._current.eof else b""
            if self._current.eof:
                self._current = None
            if data:
                buffer[: len(data)] = data
                return len(data)


class _Zstd(io.RawIOBase):
    def __init__(self, reader: Any, error: type[Exception]) -> None:
        self._reader, self._error = reader, error

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            return int(self._reader.readinto(buffer))
        except self._error as error:
            raise NotSearched(f"it is broken: {error}") from None


class TarStream:
    """A file as `TarReader` wants one; `spend` is told of every byte, and may raise."""

    def __init__(self, file: IO[bytes], head: bytes, spend: Callable[[int], None]) -> None:
        self._file, self._head, self._spend = file, head, spend
        self.position = 0

    def packed_position(self) -> int:
        return 0

    def at_end(self) -> bool:
        self._head = self._head or self._file.read(_READ_BYTES)
        return not self._head

    def read_up_to(self, size_bytes: int) -> bytes:
        parts = []
        while size_bytes > 0 and not self.at_end():
            part, self._head = self._head[:size_bytes], self._head[size_bytes:]
            parts.append(part)
            size_bytes -= len(part)
            self.position += len(part)
            self._spend(len(part))
        return b"".join(parts)

    def read_exactly(self, size_bytes: int) -> bytes:
        data = self.read_up_to(size_bytes)
        if len(data) < size_bytes:
            raise ImageRefused("", "tar-truncated", "the archive ends within a member")
        return data

    def pieces(self, size_bytes: int) -> Iterator[memoryview]:
        while size_bytes:
            piece = self.read_exactly(min(size_bytes, _READ_BYTES))
            size_bytes -= len(piece)
            yield memoryview(piece)
