"""One blob into one repository, resumed where an earlier try or an earlier process stopped.

A session's address is kept in the store from its first moment, so that a killed push goes on by asking the
registry how much it has. Nothing is sent twice blindly: after each failure the registry is asked first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lading.errors import DigestMismatch, FetchFailed
from lading.fetch.retry import is_retried
from lading.fetch.transport import HttpStatus, Refused
from lading.oci.digest import Digest
from lading.registry.client import Registry, UploadSession
from lading.store import Store
from lading.store.atomic import store_errors
from lading.store.locks import file_lock

CHUNK_BYTES = 64 << 20
"""Of one request: what a broken connection may cost, against one round trip each."""
_SINGLE_BYTES = 4 << 20
"""Up to this a blob is sent with the request that closes its session."""
_PIECE_BYTES = 128 << 10
"""Handed to the socket at once: on a slow line each piece must leave within the time to connect."""
_LEAST_CHUNK_BYTES = 1 << 20
"""Of a chunk that was made smaller, because something before the registry takes no large request."""

_SESSION_GONE = frozenset({400, 404, 405, 410, 416, 501})
"""Answers about a session that is no more, or that the registry says nothing of."""

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """What one blob's upload takes. `progress` is told the bytes that leave, from any thread."""

    registry: Registry
    repository: str
    store: Store
    digest: Digest
    size_bytes: int
    progress: Progress = lambda size_bytes: None
    chunk_bytes: int = CHUNK_BYTES
    opened: UploadSession | None = None
    """What a mount that the registry would not make has left: a session without a byte."""

    @property
    def _key(self) -> str:
        name = f"{self.registry.name}/{self.repository}@{self.digest}"
        return hashlib.sha256(name.encode()).hexdigest()

    def run(self) -> int:
        """Send the blob; the bytes that were sent, none where another push of it was faster.

        Raises HttpStatus, FetchFailed, StoreError, DigestMismatch.
        """
        if self.size_bytes <= _SINGLE_BYTES:
            return self._send()
        # Two pushes of one store would go on with one and the same session.
        path = self.store.root / "locks" / f"upload-{self._key}"
        with file_lock(path, blocking=False) as first:
            if first:
                return self._send()
        with file_lock(path):
            return 0 if self._is_there() else self._send()

    def _send(self) -> int:
        session: UploadSession | None = self._resumed() or self.opened or self._begun()
        sent_bytes = furthest = failures = 0
        chunk_bytes = self.chunk_bytes
        while session is not None:
            before = session
            try:
                session, count = self._step(before, chunk_bytes)
            except FetchFailed as error:
                failures += 1
                if isinstance(error, HttpStatus) and error.status == 413:
                    chunk_bytes = self._smaller(error, chunk_bytes)
                session = self._after_failure(error, failures, before)
                count = max(0, session.received_bytes - before.received_bytes) if session else 0
            sent_bytes += count
            if session is not None and session.received_bytes > furthest:
                furthest, failures = session.received_bytes, 0
        self.store.uploads.remove(self._key)
        return sent_bytes

    def _smaller(self, error: HttpStatus, chunk_bytes: int) -> int:
        """Raises `error` where a smaller request is not worth a try."""
        if min(chunk_bytes, self.size_bytes) <= _LEAST_CHUNK_BYTES:
            raise error
        return max(_LEAST_CHUNK_BYTES, min(chunk_bytes, self.size_bytes) // 8)

    def _step(self, session: UploadSession, chunk_bytes: int) -> tuple[UploadSession | None, int]:
        """One request's worth: the next chunk, or the end (None)."""
        left = self.size_bytes - session.received_bytes
        if left < 0:
            raise FetchFailed(
                f"{self.registry.name} claims {session.received_bytes} bytes of a blob of {self.size_bytes}",
                place=self.registry.name,
            )
        single = session.received_bytes == 0 and self.size_bytes <= max(
            min(_SINGLE_BYTES, chunk_bytes), session.least_chunk_bytes
        )
        if left == 0 or single:
            self.registry.finish_upload(self.repository, session, self.digest, self._part(session, left))
            return None, left
        length = min(left, max(chunk_bytes, session.least_chunk_bytes))
        after = self.registry.upload_chunk(self.repository, session, self._part(session, length))
        self._note(after)
        return after, after.received_bytes - session.received_bytes

    def _part(self, session: UploadSession, length: int) -> BlobPart:
        return BlobPart(
            store=self.store,
            digest=self.digest,
            offset=session.received_bytes,
            length=length,
            progress=self.progress,
        )

    def _begun(self) -> UploadSession:
        session = self.registry.start_upload(self.repository)
        assert session is not None  # only a mount ends before it begins
        self._note(session)
        return session

    def _note(self, session: UploadSession) -> None:
        if self.size_bytes > _SINGLE_BYTES:
            self.store.uploads.put(self._key, {"location": session.location})

    def _resumed(self) -> UploadSession | None:
        """The session an earlier process left, as the registry has it now."""
        record = self.store.uploads.get(self._key)
        if record is None:
            return None
        try:
            session = self.registry.upload_status(
                self.repository, UploadSession(location=str(record["location"]))
            )
        except HttpStatus as error:
            if error.status not in _SESSION_GONE:
                raise
            self.store.uploads.remove(self._key)
            return None
        return session if session.received_bytes <= self.size_bytes else None

    def _after_failure(
        self, error: FetchFailed, failures: int, session: UploadSession
    ) -> UploadSession | None:
        """Where to go on; None when the blob has arrived after all. Raises `error` where there is no use."""
        status = error.status if isinstance(error, HttpStatus) else None
        if status == 400 and self._is_corrupt():
            raise DigestMismatch(
                f"blob {self.digest} is corrupt in the store, and {self.registry.name} refused it",
                place=str(self.store.blobs.path(self.digest)),
                hints=("lading store verify --repair",),
            )
        # The session is gone, not where it said it was, or holds other bytes than ours.
        is_lost = status in (404, 416) or (status == 400 and session.received_bytes > 0)
        is_final = status is not None and not is_lost and status != 413 and not is_retried(status)
        if isinstance(error, Refused) or is_final or failures >= self.registry.fetcher.policy.tries:
            raise error
        if is_lost:
            return self._begun()
        self.registry.fetcher.pause(failures, error.retry_after if isinstance(error, HttpStatus) else None)
        try:
            return self.registry.upload_status(self.repository, session)
        except HttpStatus as refusal:
            if refusal.status not in _SESSION_GONE:
                raise
            # An answer to the closing request that got lost leaves no session, but a blob.
            return None if self._is_there() else self._begun()

    def _is_there(self) -> bool:
        return self.registry.blob_size_bytes(self.repository, self.digest) == self.size_bytes

    def _is_corrupt(self) -> bool:
        try:
            for _ in self.store.blobs.chunks(self.digest):
                pass
        except DigestMismatch:
            return True
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobPart:
    """A stretch of a blob as a request's body: fetch.transport.Body."""

    store: Store
    digest: Digest
    offset: int
    length: int
    progress: Progress

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[bytes]:
        path = self.store.blobs.path(self.digest)
        left = self.length
        with store_errors("reading a blob", path), path.open("rb", buffering=0) as file:
            file.seek(self.offset)
            while left:
                piece = file.read(min(_PIECE_BYTES, left))
                if not piece:
                    raise DigestMismatch(
                        f"blob {self.digest} is shorter than its manifest says", place=str(path)
                    )
                left -= len(piece)
                self.progress(len(piece))
                yield piece
