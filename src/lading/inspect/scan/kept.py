"""The facts of layers as records of the store, by the digest of a layer's stored bytes; and who gathers them.

A record is a cache. What is looked for is part of its key: with new forms layers are read anew.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, cast

from lading.inspect.image.kept import escaped_all, restored_all
from lading.inspect.image.layer import Observer
from lading.inspect.image.model import ImageEvidence
from lading.inspect.image.source import ImageSource, read_image
from lading.inspect.scan.look import LayerLook
from lading.inspect.scan.model import LayerFacts, Linkage, SecretSpot
from lading.oci.digest import Digest
from lading.project.tokens import FORMATS
from lading.store import Store
from lading.store.records import Records

_FORMAT = 1
_MOST_KEPT = 600


class Gathering:
    """The companion of a reading: facts by the layer's digest, kept ones and new ones."""

    def __init__(self, store: Store) -> None:
        self.facts: dict[Digest, LayerFacts] = {}
        self._records = Records(store.root, "scans")
        self._staging: Path = store.staging

    def knows(self, digest: Digest) -> bool:
        if digest not in self.facts:
            document = self._records.get(_key(digest))
            if document is None:
                return False
            self.facts[digest] = _from_json(document)
        return True

    def observer(self) -> Observer:
        return LayerLook(self._staging)

    def keep(self, digest: Digest, observer: Observer) -> None:
        """Raises StoreError."""
        facts = cast(LayerLook, observer).facts
        self.facts[digest] = facts
        self._records.put(_key(digest), _as_json(digest, facts))
        keys = list(self._records.keys())
        if len(keys) > _MOST_KEPT:
            by_age = sorted(keys, key=lambda key: self._records.path(key).stat().st_mtime)
            for key in by_age[: len(keys) - _MOST_KEPT]:
                self._records.remove(key)


def read_with_facts(
    source: ImageSource, store: Store, *, progress: Any = lambda size_bytes: None
) -> tuple[ImageEvidence, tuple[LayerFacts, ...]]:
    """An image and what was seen in each layer; read once. Raises what `read_image` raises."""
    gathering = Gathering(store)
    image = read_image(source, store, progress=progress, companion=gathering)
    return image, tuple(gathering.facts[layer.digest] for layer in image.layers)


def _key(digest: Digest) -> str:
    forms = repr([(found.title, found.form) for found in FORMATS])
    return hashlib.sha256(f"scan {_FORMAT} {digest} {forms}".encode()).hexdigest()


def _as_json(digest: Digest, facts: LayerFacts) -> dict[str, Any]:
    document = {
        "layer": digest,
        "secrets": [[s.path, s.inside, s.what, s.line] for s in facts.secrets],
        "startup": dict(facts.startup),
        "pickles": list(facts.pickles),
        "linkages": {
            path: [one.machine, one.soname, list(one.needed)] for path, one in facts.linkages.items()
        },
        "scripts": dict(facts.scripts),
        "capabilities": list(facts.capabilities),
        "unsearched": {kind: list(row) for kind, row in facts.unsearched.items()},
    }
    return cast(dict[str, Any], escaped_all(document))


def _from_json(kept: dict[str, Any]) -> LayerFacts:
    document = restored_all(kept)
    return LayerFacts(
        secrets=tuple(SecretSpot(*row) for row in document["secrets"]),
        startup=document["startup"],
        pickles=tuple(document["pickles"]),
        linkages={
            path: Linkage(machine, soname, tuple(needed))
            for path, (machine, soname, needed) in document["linkages"].items()
        },
        scripts=document["scripts"],
        capabilities=tuple(document["capabilities"]),
        unsearched={kind: (files, size) for kind, (files, size) in document["unsearched"].items()},
    )
