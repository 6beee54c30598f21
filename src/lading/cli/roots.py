"""What the collector must keep: the newest image of each target, images built lately, and whatever runs,
models and services name."""

from __future__ import annotations

import time

from lading.oci.digest import Digest
from lading.run.ledger import Ledger
from lading.store import Store


def store_roots(store: Store, *, keep_seconds: float) -> frozenset[Digest]:
    """Digests of manifests; the collector follows what they name. Raises StoreError."""
    roots = set(_recent_images(store, time.time() - keep_seconds))
    with Ledger.open(store) as ledger:
        roots |= ledger.live_digests()
        newest: dict[tuple[str, str, str, str], Digest] = {}
        for image in ledger.images():
            newest.setdefault((image.project, image.target, image.accelerator, image.platform), image.digest)
    return frozenset(roots | set(newest.values()) | _attached(store, roots | set(newest.values())))


def _recent_images(store: Store, since: float) -> list[Digest]:
    recent = []
    for key in store.images.keys():  # noqa: SIM118 not a dict
        record = store.images.get(key)
        if record is not None and store.images.path(key).stat().st_mtime >= since:
            recent.append(Digest(record["digest"]))
    return recent


def _attached(store: Store, images: set[Digest]) -> set[Digest]:
    """SBOM and provenance of the images that stay."""
    attached = set()
    for digest in images:
        record = store.attachments.get(digest.hex)
        attached |= {Digest(item["digest"]) for item in (record or {}).values()}
    return attached
