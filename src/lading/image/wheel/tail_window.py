"""A source whose end is kept in memory: the directory and the metadata of an archive in one or two requests.

Knows offsets only. The window grows backwards when a read ends where it begins, up to a limit.
"""

from __future__ import annotations

from lading.fetch.source import ByteSource

MAX_BYTES = 16 << 20


class TailWindow:
    """`source` through a buffer over its last bytes. A ByteSource itself; closing is left to the owner."""

    def __init__(self, source: ByteSource, tail_bytes: int) -> None:
        self.name = source.name
        self.size_bytes = source.size_bytes
        self._source = source
        self._start = max(0, source.size_bytes - tail_bytes)
        self._kept = bytes(source.read(self._start, source.size_bytes - self._start))

    def read(self, offset: int, length: int) -> bytes | memoryview:
        """See ByteSource. Raises FetchFailed."""
        if offset < self._start and offset + length >= self._start:
            self.extend_to(offset)
        if offset < self._start or offset + length > self.size_bytes:
            return self._source.read(offset, length)
        begin = offset - self._start
        return memoryview(self._kept)[begin : begin + length]

    def extend_to(self, offset: int) -> None:
        """Keep everything from `offset` on, in one request, unless that is too much to keep."""
        if offset < self._start and self.size_bytes - offset <= MAX_BYTES:
            self._kept = bytes(self._source.read(offset, self._start - offset)) + self._kept
            self._start = offset

    def close(self) -> None:
        """Nothing: the source belongs to who opened it."""
