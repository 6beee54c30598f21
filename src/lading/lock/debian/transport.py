"""Reads a mirror's files: over HTTP, or from a folder (`file:`). Absent is an answer, not an error.

Thin. Checks size and digest of what was named; what the bytes mean is for others.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lading.errors import DigestMismatch, FetchFailed
from lading.fetch.http import Fetcher
from lading.fetch.transport import HttpStatus
from lading.lock.debian.mirror import Mirrors
from lading.store import Store

_ABSENT = frozenset({403, 404, 410})


class MirrorReader:
    """Safe for several threads. Offline, only `file:` mirrors answer."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    def read(self, url: str, *, limit_bytes: int) -> bytes | None:
        """The file at `url`, or None where the mirror has none. Raises FetchFailed."""
        parts = urlsplit(url)
        if parts.scheme == "file":
            return _read_local(Path(unquote(parts.path)), limit_bytes)
        try:
            return self._fetcher.get_bytes(url, limit_bytes=limit_bytes)
        except HttpStatus as error:
            if error.status in _ABSENT:
                return None
            raise

    def read_exact(self, url: str, *, sha256: str, size_bytes: int) -> bytes | None:
        """As `read`, for a file of known size and digest. Raises DigestMismatch for any other bytes."""
        content = self.read(url, limit_bytes=size_bytes)
        if content is None:
            return None
        actual = hashlib.sha256(content).hexdigest()
        if (len(content), actual) != (size_bytes, sha256):
            raise DigestMismatch(
                f"{url} is not the file that the signed index names: "
                f"expected {size_bytes} bytes, sha256 {sha256}; got {len(content)} bytes, sha256 {actual}",
                place=url,
            )
        return content


def _read_local(path: Path, limit_bytes: int) -> bytes | None:
    try:
        with path.open("rb") as file:
            content = file.read(limit_bytes + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FetchFailed(f"reading a mirror's file failed: {error.strerror}", place=str(path)) from error
    if len(content) > limit_bytes:
        raise FetchFailed(f"a mirror's file is larger than {limit_bytes} bytes", place=str(path))
    return content


@contextlib.contextmanager
def open_reader(
    mirrors: Mirrors, store: Store, environment: Mapping[str, str], *, offline: bool
) -> Iterator[MirrorReader]:
    fetcher = Fetcher(
        staging=store.staging, environment=environment, offline=offline, credentials=mirrors.credentials
    )
    try:
        yield MirrorReader(fetcher)
    finally:
        fetcher.close()
