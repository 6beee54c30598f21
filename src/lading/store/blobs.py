"""Blobs by digest under `blobs/sha256/`, laid out as an OCI image layout has them.

A blob's name is a promise about its bytes: a writer hashes what it writes, a reader hashes what it reads.
Writing one that is there already is cheap and harmless.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from lading.errors import DigestMismatch, StoreError
from lading.oci.digest import Digest
from lading.store.atomic import fsync_directory, store_errors, temporary_name

_CHUNK_BYTES = 1 << 20


class BlobWriter:
    """Writes one blob. Use as a context manager; nothing stays unless `commit` returned."""

    def __init__(self, staging: Path, final: Path) -> None:
        self._temporary = staging / temporary_name()
        self._final = final
        self._hash = hashlib.sha256()
        self.size_bytes = 0
        with store_errors("creating a blob", self._temporary):
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._descriptor = os.open(self._temporary, flags, 0o644)

    def __enter__(self) -> Self:
        return self

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Raises StoreError; a short write is continued."""
        self._hash.update(data)
        self.size_bytes += len(data)
        with store_errors("writing a blob", self._temporary):
            view = memoryview(data)
            while view:
                view = view[os.write(self._descriptor, view) :]

    def commit(self, expected: Digest | None = None) -> Digest:
        """Make the blob durable under its digest. Raises DigestMismatch when it is not `expected`."""
        digest = Digest.from_hex(self._hash.hexdigest())
        if expected is not None and digest != expected:
            raise DigestMismatch(f"expected {expected}, got {digest}")
        with store_errors("making a blob durable", self._temporary):
            if os.fstat(self._descriptor).st_size != self.size_bytes:
                raise StoreError("a blob's file is shorter than what was written", place=str(self._temporary))
            os.fsync(self._descriptor)
            path = self._final / digest.hex
            os.fchmod(self._descriptor, 0o444)
            self._temporary.rename(path)
            fsync_directory(self._final)
        return digest

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._descriptor)
        self._temporary.unlink(missing_ok=True)


class PartialBlob(BlobWriter):
    """A writer that goes on where an earlier one, dead or given up, stopped: what came stays until `commit`.

    One at a time for a digest: the caller holds a lock. What was there is hashed again, and the digest at the
    end decides over all of it.
    """

    def __init__(self, staging: Path, final: Path, digest: Digest) -> None:
        self._temporary = staging / f"partial-{digest.hex}"
        self._final = final
        self._hash = hashlib.sha256()
        self.size_bytes = 0
        with store_errors("opening a partial blob", self._temporary):
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._descriptor = os.open(self._temporary, flags, 0o644)
            while chunk := os.read(self._descriptor, _CHUNK_BYTES):
                self._hash.update(chunk)
                self.size_bytes += len(chunk)

    def restart(self) -> None:
        """Forget what there is."""
        with store_errors("emptying a partial blob", self._temporary):
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._descriptor)
        if isinstance(error, DigestMismatch):
            self._temporary.unlink(missing_ok=True)


class BlobStore:
    def __init__(self, root: Path) -> None:
        self._folder = root / "blobs/sha256"
        self._staging = root / "staging"

    def writer(self) -> BlobWriter:
        return BlobWriter(self._staging, self._folder)

    def partial(self, digest: Digest) -> PartialBlob:
        """A writer of the blob `digest`, which goes on after an interruption. The caller holds a lock."""
        return PartialBlob(self._staging, self._folder, digest)

    def put(self, content: bytes) -> Digest:
        digest = Digest.of(content)
        if not self.has(digest):
            with self.writer() as writer:
                writer.write(content)
                writer.commit(digest)
        return digest

    def path(self, digest: Digest) -> Path:
        return self._folder / digest.hex

    def has(self, digest: Digest) -> bool:
        return self.path(digest).exists()

    def size_bytes(self, digest: Digest) -> int | None:
        try:
            return self.path(digest).stat().st_size
        except FileNotFoundError:
            return None

    def read(self, digest: Digest, *, limit_bytes: int = 64 << 20) -> bytes:
        """The whole blob, verified. Raises StoreError when absent, DigestMismatch when corrupt."""
        path = self.path(digest)
        size_bytes = self.size_bytes(digest)
        if size_bytes is None:
            raise StoreError(f"blob {digest} is not in the store", place=str(path))
        if size_bytes > limit_bytes:
            raise StoreError(f"blob {digest} is larger than {limit_bytes} bytes", place=str(path))
        with store_errors("reading a blob", path):
            content = path.read_bytes()
        if Digest.of(content) != digest:
            raise DigestMismatch(
                f"blob {digest} is corrupt", place=str(path), hints=("lading store verify --repair",)
            )
        return content

    def chunks(self, digest: Digest) -> Iterator[bytes]:
        """The blob in pieces; raises DigestMismatch at the end when the bytes were not `digest`'s."""
        path = self.path(digest)
        state = hashlib.sha256()
        with store_errors("reading a blob", path), path.open("rb", buffering=0) as file:
            while chunk := file.read(_CHUNK_BYTES):
                state.update(chunk)
                yield chunk
        if state.hexdigest() != digest.hex:
            raise DigestMismatch(
                f"blob {digest} is corrupt", place=str(path), hints=("lading store verify --repair",)
            )

    def is_intact(self, digest: Digest) -> bool:
        """Whether the blob, which is there, has its own bytes still. Raises StoreError."""
        try:
            for _ in self.chunks(digest):
                pass
        except DigestMismatch:
            return False
        return True

    def has_intact(self, digest: Digest) -> bool:
        """Whether the blob is here with its own bytes; a damaged one is removed, so that it comes again."""
        if not self.has(digest):
            return False
        if self.is_intact(digest):
            return True
        self.remove(digest)
        return False

    def __iter__(self) -> Iterator[Digest]:
        for entry in sorted(os.listdir(self._folder)):
            yield Digest.from_hex(entry)

    def remove(self, digest: Digest) -> None:
        self.path(digest).unlink(missing_ok=True)
