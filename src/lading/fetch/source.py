"""Random access to a file that may be local or remote. The seam between formats and transport."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from lading.errors import FetchFailed


class ByteSource(Protocol):
    """Some bytes of known length.

    `read` returns exactly `length` bytes from `offset` or raises FetchFailed. Reads at ascending adjacent
    offsets are cheap everywhere (a remote source keeps one response open for them); others may cost a
    request each.
    """

    name: str
    """For messages: a file name or URL without credentials."""
    size_bytes: int

    def read(self, offset: int, length: int) -> bytes | memoryview: ...

    def close(self) -> None: ...


class LocalFile:
    """A file on disk, mapped: what is read stays file-backed memory, not ours."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        try:
            with path.open("rb") as file:
                self.size_bytes = os.fstat(file.fileno()).st_size
                self._map = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) if self.size_bytes else None
        except OSError as error:
            raise FetchFailed(f"reading {path.name} failed: {error.strerror}", place=str(path)) from error
        if self._map is not None:
            self._map.madvise(mmap.MADV_SEQUENTIAL)
        self._view = memoryview(self._map) if self._map is not None else memoryview(b"")

    def read(self, offset: int, length: int) -> memoryview:
        if offset < 0 or length < 0 or offset + length > self.size_bytes:
            raise FetchFailed(
                f"{self.name} ends at {self.size_bytes}; {offset + length} was asked for", place=self.name
            )
        return self._view[offset : offset + length]

    def close(self) -> None:
        self._view.release()
        if self._map is not None:
            self._map.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
