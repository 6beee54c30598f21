"""Built images as records of the store: written by a build, read by whoever needs the image again."""

from __future__ import annotations

from typing import Any

from lading.image.model import Image, LayerRecord
from lading.oci.digest import Digest
from lading.oci.manifest import ImageConfig, Manifest
from lading.store import Store


def image_record(image: Image) -> dict[str, Any]:
    return {
        "project": image.project,
        "target": image.target,
        "accelerator": image.accelerator,
        "platform": image.platform,
        "tag": image.tag,
        "digest": str(image.digest),
        "manifest": image.manifest.as_json(),
        "config": image.config.as_json(),
        "layers": [layer.as_json() for layer in image.layers],
        "lock_digest": str(image.lock_digest),
        "warnings": list(image.warnings),
    }


def load_image(store: Store, key: str) -> Image | None:
    """The image recorded under `key`, if every blob of it is still in the store at its full size."""
    record = store.images.get(key)
    if record is None:
        return None
    manifest = Manifest.from_json(record["manifest"])
    blobs = (*manifest.layers, manifest.config)
    present = all(store.blobs.size_bytes(blob.digest) == blob.size_bytes for blob in blobs)
    if not present or not store.blobs.has(Digest(record["digest"])):
        return None
    return Image(
        project=record["project"],
        target=record["target"],
        accelerator=record["accelerator"],
        platform=record["platform"],
        tag=record["tag"],
        digest=Digest(record["digest"]),
        manifest=manifest,
        config=ImageConfig.from_json(record["config"]),
        layers=tuple(LayerRecord.from_json(layer) for layer in record["layers"]),
        lock_digest=Digest(record["lock_digest"]),
        warnings=tuple(record["warnings"]),
    )
