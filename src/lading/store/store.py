"""The store as one value: a root folder and what stands in it.

LADING_HOME/
  FORMAT              revision of this layout
  blobs/sha256/HEX    every blob, as in an OCI layout
  records/KIND/KEY.json   layers and what is known of them, images, uploads, where blobs are (a cache)
  trees/HEX/          extracted layers, by diff ID
  staging/            what is being written; swept when its writer is dead
  locks/              flock files
  ledger.db           images, runs, models, services (owned by lading.run)
  mirror/             signed package indexes and last-seen dates (owned by lading.lock)
  runs/ID/            what a run leaves (owned by lading.run)
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from lading.errors import StoreError
from lading.store.atomic import store_errors, write_atomic
from lading.store.blobs import BlobStore
from lading.store.home import store_root
from lading.store.locks import file_lock
from lading.store.records import Records

FORMAT = 1
_FOLDERS = ("blobs/sha256", "records", "trees", "staging", "locks")


class Store:
    """Open with `Store.open`. All methods are safe for many processes at once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs = BlobStore(root)
        self.layers = Records(root, "layers")
        self.indexes = Records(root, "indexes", durable=True)
        self.images = Records(root, "images")
        self.conflicts = Records(root, "conflicts")
        self.licences = Records(root, "licences")
        self.attachments = Records(root, "attachments")
        self.uploads = Records(root, "uploads", mode=0o600)  # an upload's address may let others write to it
        self.placements = Records(root, "placements")
        self.staging = root / "staging"

    @classmethod
    def open(cls, environment: Mapping[str, str]) -> Store:
        """Create what is missing. Raises StoreError for a store of a later format or a bad place."""
        root = store_root(environment)
        marker = root / "FORMAT"
        try:
            text = marker.read_text()
        except FileNotFoundError:
            with store_errors("creating the store", root):
                for folder in _FOLDERS:
                    (root / folder).mkdir(parents=True, exist_ok=True)
            write_atomic(marker, f"{FORMAT}\n".encode(), staging=root / "staging")
            return cls(root)
        except OSError as error:
            raise StoreError(f"opening the store failed: {error.strerror}", place=str(root)) from error
        if text.strip() != str(FORMAT):
            raise StoreError(
                f"the store has format {text.strip()!r}; this lading writes format {FORMAT}",
                place=str(root),
                hints=("export LADING_HOME=/another/folder",),
            )
        return cls(root)

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold the exclusive lock `name`; waits."""
        with file_lock(self.root / "locks" / name):
            yield

    @contextlib.contextmanager
    def using(self) -> Iterator[None]:
        """While held, `collect` waits: what a build has written but not yet recorded is kept."""
        with file_lock(self.root / "locks/store", shared=True):
            yield
