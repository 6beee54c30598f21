"""Blobs that go to a registry while others are still being made.

Nothing depends on it: what did not arrive is sent, and explained, by the push that follows. A registry shows
no blob that no manifest names, so a build that fails leaves nothing to be seen there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from lading.errors import LadingError
from lading.oci.digest import Digest
from lading.oci.manifest import Descriptor
from lading.registry.push import Moved, Push

_AT_ONCE = 2
_LEAST_BYTES = 1 << 20
"""Smaller ones are not worth a thread of their own: they go with the push."""


class EarlyBlobs:
    """One for each push; `close` it."""

    def __init__(self, open_push: Callable[[], Push]) -> None:
        """`open_push` is called with the first blob: most builds write none that is worth it."""
        self._open_push = open_push
        self._push: Push | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._sent: dict[Digest, Future[Moved | None]] = {}
        self._failed = False

    def send(self, blob: Descriptor) -> None:
        """Begin with `blob`, which is in the store; returns at once."""
        if blob.size_bytes < _LEAST_BYTES or blob.digest in self._sent or self._failed:
            return
        if self._pool is None:
            self._push = self._open_push()
            self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="early")
        self._sent[blob.digest] = self._pool.submit(self._bring, blob)

    def wait(self) -> Mapping[Digest, Moved]:
        """What has arrived, when all that was begun has ended."""
        ended = {digest: future.result() for digest, future in self._sent.items()}
        return {digest: moved for digest, moved in ended.items() if moved is not None}

    def close(self) -> None:
        """Begin nothing more; what is under way is left to end by itself."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _bring(self, blob: Descriptor) -> Moved | None:
        assert self._push is not None, "opened before the first blob"
        if self._failed:
            return None
        try:
            return self._push.bring(blob)
        except LadingError:
            self._failed = True  # the push says why
            return None
