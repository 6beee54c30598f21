"""Where the files of unpacked packages wait for the layer writer: one unlinked temporary file.

Packages hold their files compressed as one stream, layers want them sorted by path. Keeping them on disk
costs a copy and saves holding a whole system in memory.
"""

from __future__ import annotations

import os
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

from lading.errors import StoreError
from lading.store.atomic import store_errors


class Spool:
    """Appends bytes and reads them again; safe for several threads; gone with its last reader."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(tempfile.gettempdir())
        self._end = 0
        self._lock = threading.Lock()
        self._descriptor = -1
        with (
            store_errors("creating a temporary file", self._folder),
            tempfile.TemporaryFile(dir=self._folder, buffering=0) as file,
        ):
            self._descriptor = os.dup(file.fileno())

    def append(self, content: memoryview) -> int:
        """Where `content` now stands. Raises StoreError."""
        with self._lock:
            start = self._end
            self._end += len(content)
        at = start
        with store_errors("writing a temporary file", self._folder):
            while content:
                written = os.pwrite(self._descriptor, content, at)
                at += written
                content = content[written:]
        return start

    def read(self, start: int, size_bytes: int) -> bytes:
        """Raises StoreError."""
        with store_errors("reading a temporary file", self._folder):
            content = os.pread(self._descriptor, size_bytes, start)
            while len(content) < size_bytes:
                more = os.pread(self._descriptor, size_bytes - len(content), start + len(content))
                if not more:
                    raise StoreError(
                        "a temporary file is shorter than what was written", place=str(self._folder)
                    )
                content += more
        return content

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFile:
    """The content of one file of a package, as TreeEntry wants it; equal where it is the same member."""

    package_sha256: str
    member_start: int
    size_bytes: int
    soname: str | None = None
    """For a shared library: its name to the dynamic linker."""
    spool: Spool = field(compare=False, repr=False)
    spool_start: int = field(compare=False)

    def __call__(self) -> bytes:
        return self.spool.read(self.spool_start, self.size_bytes)
