"""What the tests of the registry client share: a blob, a repository, and the usual acts."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

from lading.errors import LadingError
from lading.oci.digest import Digest
from lading.oci.manifest import MEDIA_LAYER_GZIP, MEDIA_MANIFEST, Descriptor
from lading.oci.platform import Platform
from lading.oci.reference import Reference
from lading.registry.client import Registry
from lading.registry.pull import fetch_blob, find_image
from lading.registry.upload import Upload
from lading.store import Store
from registry.fault_registry import (
    PASSWORD,
    USER,
    FaultRegistry,
)

REPOSITORY = "team/digits"
CONTENT = os.urandom(5 << 20)
CHUNK = 1 << 20
EMPTY_IMAGE = b'{"schemaVersion":2,"layers":[]}'


def log_in(folder: Path, name: str, password: str = PASSWORD) -> None:
    entry = {"auth": base64.b64encode(f"{USER}:{password}".encode()).decode()}
    (folder / ".docker").mkdir(exist_ok=True)
    (folder / ".docker/config.json").write_text(json.dumps({"auths": {name: entry}}))


def upload(client: Registry, store: Store, content: bytes = CONTENT) -> int:
    digest = store.blobs.put(content)
    return Upload(
        registry=client,
        repository=REPOSITORY,
        store=store,
        digest=digest,
        size_bytes=len(content),
        chunk_bytes=CHUNK,
    ).run()


def fetch(client: Registry, server: FaultRegistry, store: Store, content: bytes = CONTENT) -> Digest:
    digest = Digest(server.put(REPOSITORY, content))
    blob = Descriptor(media_type=MEDIA_LAYER_GZIP, digest=digest, size_bytes=len(content))
    fetch_blob(client, REPOSITORY, blob, store)
    return digest


def reference(server: FaultRegistry, tag: str = "1") -> Reference:
    return Reference(registry=server.name, repository=REPOSITORY, tag=tag)


def find(client: Registry, server: FaultRegistry, store: Store) -> Digest:
    return find_image(client, reference(server), Platform("linux", "amd64"), store).digest


def shown(error: LadingError) -> str:
    return json.dumps(error.as_json()) + repr(error)


def image_in(server: FaultRegistry, **changed: object) -> dict[str, object]:
    """A right image of one layer, as JSON, with its blobs there; `changed` are its other fields."""
    layer = b"layer"
    config = json.dumps(
        {
            "os": "linux",
            "architecture": "amd64",
            "rootfs": {"type": "layers", "diff_ids": [server.put(REPOSITORY, layer)]},
        }
    ).encode()

    def row(media_type: str, content: bytes) -> dict[str, object]:
        return {"mediaType": media_type, "digest": server.put(REPOSITORY, content), "size": len(content)}

    return {
        "schemaVersion": 2,
        "mediaType": MEDIA_MANIFEST,
        "config": row("application/vnd.oci.image.config.v1+json", config),
        "layers": [row(MEDIA_LAYER_GZIP, layer)],
        **changed,
    }


def layer_with(server: FaultRegistry, **changed: object) -> dict[str, object]:
    document = image_in(server)
    layers = document["layers"]
    assert isinstance(layers, list)
    return {**document, "layers": [{**layers[0], **changed}]}
