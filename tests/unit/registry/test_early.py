"""Blobs sent while others are made: none twice, and a failure is left to the push that follows."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from lading.oci.digest import Digest
from lading.oci.manifest import MEDIA_LAYER_GZIP, Descriptor
from lading.registry.client import Registry
from lading.registry.early import EarlyBlobs
from lading.registry.push import Push
from lading.store import Store
from registry.fault_registry import FaultRegistry, status
from registry.scene import REPOSITORY
from small_image import put_image

LARGE = 2 << 20


@pytest.fixture
def push(client: Registry, store: Store) -> Push:
    return Push(registry=client, repository=REPOSITORY, store=store)


@pytest.fixture
def early(push: Push) -> Iterator[EarlyBlobs]:
    blobs = EarlyBlobs(lambda: push)
    yield blobs
    blobs.close()


def _blob(store: Store, size_bytes: int = LARGE) -> Descriptor:
    digest = store.blobs.put(os.urandom(size_bytes))
    return Descriptor(media_type=MEDIA_LAYER_GZIP, digest=digest, size_bytes=size_bytes)


def test_what_went_early_is_neither_asked_for_nor_sent_again(
    server: FaultRegistry, store: Store, push: Push, early: EarlyBlobs
) -> None:
    image = put_image(store, program=os.urandom(LARGE))
    large = max(image.manifest.layers, key=lambda layer: layer.size_bytes)
    early.send(large)
    early.send(large)
    sent = early.wait()
    assert sent[large.digest].uploaded_bytes == large.size_bytes
    server.log.clear()
    moved = push.image(image.manifest, "1", sent=sent).moved
    every = {blob.digest: blob.size_bytes for blob in (*image.manifest.layers, image.manifest.config)}
    assert moved.uploaded_bytes == sum(every.values())
    assert not [seen for seen in server.log if large.digest in seen.path]
    assert server.manifests[REPOSITORY, "1"][1] == image.manifest.to_bytes()


def test_a_blob_that_is_there_already_is_not_sent(
    server: FaultRegistry, store: Store, early: EarlyBlobs
) -> None:
    blob = _blob(store)
    server.put(REPOSITORY, store.blobs.read(blob.digest))
    early.send(blob)
    assert early.wait()[blob.digest].present_bytes == blob.size_bytes
    assert not server.requests("POST")


def test_after_a_failure_nothing_more_is_begun(
    server: FaultRegistry, store: Store, push: Push, early: EarlyBlobs
) -> None:
    """The push then does it all, and would say what is wrong."""
    blobs = [_blob(store), _blob(store)]
    server.fault("POST", "", status(403))
    early.send(blobs[0])
    assert early.wait() == {}
    server.log.clear()
    early.send(blobs[1])
    assert early.wait() == {}
    assert server.log == []
    assert push.blobs(blobs).uploaded_bytes == 2 * LARGE


def test_small_blobs_wait_for_the_push(server: FaultRegistry, store: Store, early: EarlyBlobs) -> None:
    early.send(_blob(store, 1000))
    assert early.wait() == {}
    assert server.log == []


def test_a_blob_that_vanished_again_is_sent_by_the_push(
    server: FaultRegistry, store: Store, push: Push, early: EarlyBlobs
) -> None:
    image = put_image(store, program=os.urandom(LARGE))
    large = max(image.manifest.layers, key=lambda layer: layer.size_bytes)
    early.send(large)
    sent = early.wait()
    del server.blobs[REPOSITORY, Digest(large.digest)]
    push.image(image.manifest, "1", sent=sent)
    assert (REPOSITORY, large.digest) in server.blobs
