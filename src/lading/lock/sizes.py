"""How long each wheel is. uv does not say, so the file, an earlier answer or the server is asked.

A size belongs to a sha256 for ever, so answers are kept in the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from lading.errors import FetchFailed
from lading.lock.pylock import FoundWheel
from lading.oci.digest import Digest
from lading.store.records import Records

if TYPE_CHECKING:
    from lading.fetch.http import Fetcher
    from lading.store import Store

_THREADS = 8


def find_sizes(
    wheels: tuple[FoundWheel, ...],
    *,
    store: Store,
    fetcher: Fetcher,
    folder: Path,
    known: Mapping[str, int] | None = None,
) -> dict[str, int]:
    """Size in bytes by sha256. `known` are sizes from an earlier lock; `folder` is what paths stand in.

    Raises FetchFailed for the first wheel whose size nobody tells.
    """
    records = Records(store.root, "wheel-sizes")
    sizes = dict(known or {})
    asked = []
    for wheel in wheels:
        size_bytes = sizes.get(wheel.sha256) or wheel.size_bytes or _size_here(wheel, store, records, folder)
        if size_bytes is None:
            asked.append(wheel)
        else:
            sizes[wheel.sha256] = size_bytes
    with ThreadPoolExecutor(max_workers=_THREADS) as pool:
        for wheel, size_bytes in zip(asked, pool.map(lambda one: _ask(one, fetcher), asked), strict=True):
            sizes[wheel.sha256] = size_bytes
            records.put(wheel.sha256, size_bytes)
    return {wheel.sha256: sizes[wheel.sha256] for wheel in wheels}


def local_path(url: str | None, folder: Path) -> Path | None:
    """The file that a `file:` URL or a path (relative to `folder`) names; None for another URL."""
    if url is None:
        return None
    if url.startswith("file:"):
        return Path(unquote(urlsplit(url).path))
    return None if "://" in url else folder / url


def _size_here(wheel: FoundWheel, store: Store, records: Records, folder: Path) -> int | None:
    path = local_path(wheel.url, folder)
    if path is not None:
        try:
            return path.stat().st_size
        except OSError as error:
            raise FetchFailed(
                f"{wheel.filename} cannot be read: {error.strerror}", place=str(path)
            ) from error
    size_bytes = store.blobs.size_bytes(Digest.from_hex(wheel.sha256))
    if size_bytes is not None:
        return size_bytes
    recorded = records.get(wheel.sha256)
    return recorded if isinstance(recorded, int) else None


def _ask(wheel: FoundWheel, fetcher: Fetcher) -> int:
    if wheel.url is None:
        raise FetchFailed(f"nothing says where {wheel.filename} is", place=wheel.filename)
    return fetcher.size_bytes(wheel.url)
