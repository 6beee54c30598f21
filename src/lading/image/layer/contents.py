"""Single files of a layer, read from its blob through the index, with no unpacking."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import cast

from isal import isal_zlib

from lading.errors import DigestMismatch, StoreError
from lading.image.layer.tree import EntryKind
from lading.image.layer.writer import IndexEntry
from lading.oci.digest import Digest
from lading.store import Store
from lading.store.atomic import store_errors

_InflateError = cast(type[Exception], isal_zlib.error)


def layer_index(store: Store, key: str) -> tuple[IndexEntry, ...] | None:
    """The index of the layer with this key, or None when it has none (any more)."""
    rows = store.indexes.get(key)
    return None if rows is None else tuple(IndexEntry.from_json(row) for row in rows)


def read_files(
    store: Store, digest: Digest, entries: Iterable[IndexEntry]
) -> Iterator[tuple[IndexEntry, bytes]]:
    """The content of each FILE entry, checked against its sha256. Raises StoreError, DigestMismatch."""
    path = store.blobs.path(digest)
    if not path.exists():
        raise StoreError(f"blob {digest} is not in the store", place=str(path))
    with store_errors("reading a layer", path), path.open("rb") as blob:
        for entry in entries:
            if entry.kind is not EntryKind.FILE:
                continue
            blob.seek(entry.offset)
            content = _inflate_members(blob.read(entry.length)) if entry.size_bytes else b""
            if hashlib.sha256(content).hexdigest() != entry.content:
                raise DigestMismatch(
                    f"/{entry.path} in layer {digest} is corrupt", hints=("lading store verify --repair",)
                )
            yield entry, content


def _inflate_members(data: bytes) -> bytes:
    parts = []
    while data:
        state = isal_zlib.decompressobj(31)
        try:
            parts.append(state.decompress(data))
        except _InflateError:
            return b""  # the caller's sha256 check names the file
        data = state.unused_data
    return b"".join(parts)
