"""Where on a registry a blob was last seen: what a mount from another repository is asked with.

A cache of hints. A wrong one costs one answer of the registry, which then opens an ordinary upload.
"""

from __future__ import annotations

import hashlib

from lading.oci.digest import Digest
from lading.store import Store

_MOST_REPOSITORIES = 4


def known_repositories(store: Store, registry: str, digest: Digest) -> tuple[str, ...]:
    """Repositories of `registry` that held the blob, the latest first."""
    record = store.placements.get(_key(registry, digest))
    return tuple(str(name) for name in record["repositories"]) if record is not None else ()


def note_repository(store: Store, registry: str, repository: str, digest: Digest) -> None:
    """Raises StoreError."""
    known = known_repositories(store, registry, digest)
    if known[:1] != (repository,):
        names = [repository, *(name for name in known if name != repository)][:_MOST_REPOSITORIES]
        store.placements.put(_key(registry, digest), {"repositories": names})


def _key(registry: str, digest: Digest) -> str:
    return hashlib.sha256(f"{registry} {digest}".encode()).hexdigest()
