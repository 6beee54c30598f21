"""SBOM and provenance are made, kept in the store beside their image, and read back.

Thin: reads METADATA out of layers, asks the host who it is, puts two blobs and one record. The image itself
never changes for it.
"""

from __future__ import annotations

import hashlib
import platform as host
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from lading import __version__
from lading.image.layer.contents import layer_index, read_files
from lading.image.model import Image, LayerRecord
from lading.image.output.provenance import Maker, make_provenance
from lading.image.output.sbom import Licence, licence_from_metadata, make_sbom
from lading.image.tag import git_revision
from lading.lock.model import LockedVariant
from lading.oci.digest import Digest
from lading.oci.json import canonical_json
from lading.store import Store

_LICENCE_RULE = 1
"""Raised when the same METADATA would be read as another licence; part of each record's key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachments:
    """Blobs beside an image."""

    sbom: Digest
    provenance: Digest


def attach_documents(store: Store, image: Image, variant: LockedVariant, *, root: Path) -> Attachments:
    """Make both documents of a built image, unless they are there; the first provenance stays.

    Call while `store.using()` is held. Raises StoreError, DigestMismatch.
    """
    known = find_attachments(store, image.digest)
    if known is not None:
        return known
    finished = time.time()
    maker = Maker(
        lading_version=__version__,
        python_version=host.python_version(),
        host=f"{host.system()} {host.release()} {host.machine()}",
        revision=git_revision(root),
        started=finished - image.seconds,
        finished=finished,
    )
    attached = Attachments(
        sbom=store.blobs.put(make_sbom(image, variant, licences=read_licences(store, image))),
        provenance=store.blobs.put(make_provenance(image, variant, maker)),
    )
    record = {"sbom": {"digest": attached.sbom}, "provenance": {"digest": attached.provenance}}
    store.attachments.put(image.digest.hex, record)
    return attached


def find_attachments(store: Store, digest: Digest) -> Attachments | None:
    """What is kept beside the image, if it is still whole."""
    record = store.attachments.get(digest.hex)
    if record is None:
        return None
    found = Attachments(
        sbom=Digest(record["sbom"]["digest"]), provenance=Digest(record["provenance"]["digest"])
    )
    return found if store.blobs.has(found.sbom) and store.blobs.has(found.provenance) else None


def read_licences(store: Store, image: Image) -> dict[str, Licence]:
    """By normalized wheel name, from the METADATA files in the layers. Raises StoreError, DigestMismatch."""
    licences: dict[str, Licence] = {}
    for layer in image.layers:
        if layer.kind in ("wheel", "tail") and layer.digest not in image.absent:
            licences |= _layer_licences(store, layer)
    return licences


def _layer_licences(store: Store, layer: LayerRecord) -> dict[str, Licence]:
    """Kept beside the layer: its METADATA files are read once."""
    key = hashlib.sha256(canonical_json([_LICENCE_RULE, layer.digest])).hexdigest()
    known = store.licences.get(key)
    if known is not None:
        return {name: Licence(**said) for name, said in known["licences"].items()}
    licences = {}
    index = layer_index(store, layer.key) or ()
    metadata = [entry for entry in index if entry.path.endswith(".dist-info/METADATA")]
    for entry, content in read_files(store, layer.digest, metadata):
        stem = entry.path.split("/")[-2].removesuffix(".dist-info").rpartition("-")[0]
        name = stem.lower().replace("_", "-").replace(".", "-")
        licences[name] = licence_from_metadata(content.decode("utf-8", "replace"))
    said = {name: asdict(licence) for name, licence in licences.items()}
    store.licences.put(key, {"digest": layer.digest, "licences": said})
    return licences
