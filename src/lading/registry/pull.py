"""An image comes from a registry into the store: manifest, config, layers, each checked by its digest."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lading.errors import DigestMismatch, FetchFailed
from lading.fetch.transport import HttpStatus
from lading.oci.digest import Digest
from lading.oci.manifest import Descriptor, ImageConfig, Manifest
from lading.oci.platform import Platform
from lading.oci.reference import Reference
from lading.registry.client import LARGEST_MANIFEST_BYTES, Registry, open_registry
from lading.registry.documents import FetchedManifest, check_descriptors, reworded
from lading.registry.placement import note_repository
from lading.store import Store

_AT_ONCE = 4
_PIECE_BYTES = 1 << 20
_DEEPEST_INDEX = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteImage:
    """What one platform's image is, known before any layer moves."""

    reference: Reference
    """Pinned to `digest`."""
    digest: Digest
    content: bytes
    """The manifest's own bytes."""
    manifest: Manifest
    config: ImageConfig


def find_image(registry: Registry, reference: Reference, platform: Platform, store: Store) -> RemoteImage:
    """The image for `platform` that `reference` means; its config is in the store afterwards.

    Raises HttpStatus (404), FetchFailed (no such platform, no image), DigestMismatch.
    """
    found = _for_platform(registry, reference, platform)
    check_descriptors(found.document, str(reference))
    try:
        manifest = Manifest.from_json(found.document)
    except (ValueError, KeyError, TypeError) as error:
        raise FetchFailed(f"{reference} is no image: {error}", place=str(reference)) from None
    if manifest.config.size_bytes > LARGEST_MANIFEST_BYTES:
        raise FetchFailed(
            f"the config of {reference} is larger than {LARGEST_MANIFEST_BYTES} bytes", place=str(reference)
        )
    fetch_blob(registry, reference.repository, manifest.config, store)
    body = store.blobs.read(manifest.config.digest, limit_bytes=LARGEST_MANIFEST_BYTES)
    try:
        config = ImageConfig.from_json(json.loads(body))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FetchFailed(
            f"the config of {reference} is no image config: {error}", place=str(reference)
        ) from None
    if len(config.diff_ids) != len(manifest.layers):
        raise FetchFailed(
            f"{reference} has {len(manifest.layers)} layers and names {len(config.diff_ids)} in its config",
            place=str(reference),
        )
    if config.platform != platform:
        raise FetchFailed(
            f"{reference} is an image for {config.platform}, and {platform} was asked for",
            place=str(reference),
        )
    return RemoteImage(
        reference=reference.at(found.digest),
        digest=found.digest,
        content=found.content,
        manifest=manifest,
        config=config,
    )


def _for_platform(registry: Registry, reference: Reference, platform: Platform) -> FetchedManifest:
    found = registry.manifest(reference)
    for _ in range(_DEEPEST_INDEX):
        if not found.is_index:
            return found
        found = registry.manifest(reference.at(_entry_for(found, platform, reference)))
    raise FetchFailed(f"{reference} is an index of indexes without end", place=str(reference))


def _entry_for(index: FetchedManifest, platform: Platform, reference: Reference) -> Digest:
    offered = []
    for entry in index.document["manifests"]:
        try:
            said = entry.get("platform") or {}
            name = f"{said.get('os')}/{said.get('architecture')}"
            if name == str(platform) and said.get("variant") in (None, "", "v8"):
                return Digest(entry["digest"])
            offered.append(name)
        except (AttributeError, KeyError, TypeError, ValueError):
            continue
    known = ", ".join(sorted({name for name in offered if "unknown" not in name})) or "nothing"
    raise FetchFailed(f"{reference} has no image for {platform}; it has {known}", place=str(reference))


def pull_layers(
    registry: Registry,
    image: RemoteImage,
    store: Store,
    *,
    progress: Callable[[int], None] = lambda size_bytes: None,
) -> int:
    """Every layer that the store lacks, several at once; the bytes that came.

    Raises HttpStatus, FetchFailed, DigestMismatch, StoreError.
    """
    repository = image.reference.repository
    missing = [
        layer for layer in image.manifest.layers if store.blobs.size_bytes(layer.digest) != layer.size_bytes
    ]
    _fetch_all(registry, repository, missing, store, progress)
    store.blobs.put(image.content)
    return sum(layer.size_bytes for layer in missing)


def fetch_layers(
    reference: Reference,
    layers: Sequence[Descriptor],
    store: Store,
    environment: Mapping[str, str],
    *,
    offline: bool,
) -> None:
    """Put these layers into the store. Raises HttpStatus, FetchFailed, DigestMismatch, StoreError."""
    with open_registry(reference.registry, store, environment, offline=offline) as registry:
        _fetch_all(registry, reference.repository, layers, store, lambda size_bytes: None)


def _fetch_all(
    registry: Registry,
    repository: str,
    blobs: Sequence[Descriptor],
    store: Store,
    progress: Callable[[int], None],
) -> None:
    lock = threading.Lock()

    def advance(size_bytes: int) -> None:
        with lock:
            progress(size_bytes)

    wanted = sorted({blob.digest: blob for blob in blobs}.values(), key=lambda blob: -blob.size_bytes)
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="pull") as pool:
        list(pool.map(lambda blob: fetch_blob(registry, repository, blob, store, advance), wanted))


def fetch_blob(
    registry: Registry,
    repository: str,
    descriptor: Descriptor,
    store: Store,
    progress: Callable[[int], None] = lambda size_bytes: None,
) -> None:
    """Put one blob into the store, verified. Raises HttpStatus, FetchFailed, DigestMismatch, StoreError."""
    note_repository(store, registry.name, repository, descriptor.digest)
    # One download of a blob at a time: it goes on with what an earlier one has left.
    with store.lock(f"pull-{descriptor.digest.hex}"):
        if store.blobs.size_bytes(descriptor.digest) == descriptor.size_bytes:
            return
        try:
            _receive(registry, repository, descriptor, store, progress)
        except HttpStatus as error:
            if error.status != 404:
                raise
            raise reworded(
                error,
                f"{registry.name}/{repository} has no blob {descriptor.digest}, which its manifest names",
                ("push the image again",),
            ) from None


def _receive(
    registry: Registry,
    repository: str,
    descriptor: Descriptor,
    store: Store,
    progress: Callable[[int], None],
) -> None:
    place = f"{registry.name}/{repository}@{descriptor.digest}"
    with store.blobs.partial(descriptor.digest) as blob:
        if blob.size_bytes > descriptor.size_bytes:
            blob.restart()
        progress(blob.size_bytes)
        source = registry.open_blob(repository, descriptor, start=blob.size_bytes)
        with contextlib.closing(source):
            while blob.size_bytes < descriptor.size_bytes:
                length = min(_PIECE_BYTES, descriptor.size_bytes - blob.size_bytes)
                piece = source.read(blob.size_bytes, length)
                blob.write(piece)
                progress(len(piece))
        try:
            blob.commit(descriptor.digest)
        except DigestMismatch as error:
            raise DigestMismatch(f"{place} came as other bytes: {error.message}", place=place) from None
