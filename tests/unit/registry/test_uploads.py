"""A blob arrives once and whole, however often its way breaks."""

from __future__ import annotations

import os

import pytest

from lading.fetch.transport import HttpStatus
from lading.oci.digest import Digest
from lading.oci.manifest import MEDIA_INDEX, MEDIA_LAYER_GZIP, Descriptor
from lading.registry.client import Registry
from lading.registry.push import Document, Push
from lading.registry.upload import Upload
from lading.store import Store
from registry.conftest import Clients
from registry.fault_registry import (
    FaultRegistry,
    dropped,
    raw,
    status,
)
from registry.scene import (
    CHUNK,
    CONTENT,
    REPOSITORY,
    reference,
    upload,
)
from small_image import put_image

# -- uploads --


@pytest.mark.catalogue("R31")
@pytest.mark.parametrize("location", ["relative", "absolute", "query"])
def test_a_location_in_every_form_is_followed(
    server: FaultRegistry, client: Registry, store: Store, location: str
) -> None:
    path = f"/v2/{REPOSITORY}/blobs/uploads/mine"
    forms = {"relative": path, "absolute": server.base + path, "query": f"{path}?_state=a%3D&b=1"}
    server.uploads["mine"] = bytearray()
    server.fault("POST", "", raw(b"", 202, Location=forms[location]))
    assert upload(client, store) == len(CONTENT)
    closing = server.requests("PUT")[0].path
    assert closing.count("?") == 1
    assert "digest=sha256" in closing


@pytest.mark.catalogue("R31")
def test_a_silent_202_is_believed_and_a_least_chunk_is_kept(
    server: FaultRegistry, client: Registry, store: Store
) -> None:
    path = f"/v2/{REPOSITORY}/blobs/uploads/mine"
    server.uploads["mine"] = bytearray()
    server.fault("POST", "", raw(b"", 202, Location=path, OCI_Chunk_Min_Length=str(2 << 20)))

    def silent(handler: object) -> bool:
        handler.append(server.uploads["mine"])  # type: ignore[attr-defined]
        handler.answer(202)  # type: ignore[attr-defined]
        return True

    server.fault("PATCH", "", silent)
    assert upload(client, store) == len(CONTENT)
    sizes = [one.received_bytes for one in server.requests("PATCH")]
    assert sizes == [2 << 20, 2 << 20, 1 << 20]


@pytest.mark.catalogue("R31")
@pytest.mark.parametrize("code", [201, 202, 404, 405])
def test_a_mount_that_is_not_made_becomes_an_upload(
    server: FaultRegistry, client: Registry, store: Store, code: int
) -> None:
    digest = store.blobs.put(CONTENT)
    if code == 201:
        server.put("other/project", CONTENT)
    elif code != 202:
        server.fault("POST", "mount=", status(code))
    blob = Descriptor(media_type=MEDIA_LAYER_GZIP, digest=digest, size_bytes=len(CONTENT))
    push = Push(registry=client, repository=REPOSITORY, store=store, mount_from=("other/project",))
    moved = push.blobs([blob])
    assert (moved.mounted_bytes, moved.uploaded_bytes) == (
        (len(CONTENT), 0) if code == 201 else (0, len(CONTENT))
    )
    assert len(server.requests("POST")) == (1 if code in (201, 202) else 2)


@pytest.mark.catalogue("R31")
def test_a_proxy_that_takes_no_large_request_gets_smaller_ones(
    server: FaultRegistry, client: Registry, store: Store
) -> None:
    def too_large(handler: object) -> bool:
        handler.refuse(413, "SIZE")  # type: ignore[attr-defined]
        return True

    server.fault("PATCH", "", too_large)
    digest = store.blobs.put(CONTENT)
    Upload(registry=client, repository=REPOSITORY, store=store, digest=digest, size_bytes=len(CONTENT)).run()
    assert server.blobs[REPOSITORY, digest] == CONTENT
    assert max(one.received_bytes for one in server.requests("PATCH")[1:]) == 1 << 20


@pytest.mark.catalogue("R32")
def test_a_push_that_was_killed_goes_on_where_it_stopped(
    server: FaultRegistry, client: Registry, client_for: Clients, store: Store
) -> None:
    """The session's address outlives the process, and only its owner can read it."""
    server.fault("PATCH", "", lambda _: False, lambda _: False, dropped(1000))
    server.fault("GET", "uploads", status(403))
    with pytest.raises(HttpStatus):
        upload(client, store)
    (record,) = store.uploads.keys()
    assert store.uploads.path(record).stat().st_mode & 0o077 == 0
    assert upload(client_for(server.name), store) == len(CONTENT) - (2 * CHUNK + 1000)
    assert server.blobs[REPOSITORY, Digest.of(CONTENT)] == CONTENT
    assert list(store.uploads.keys()) == []


@pytest.mark.catalogue("R32")
def test_only_missing_blobs_are_sent_again(server: FaultRegistry, client: Registry, store: Store) -> None:
    image = put_image(store, program=os.urandom(100_000))
    push = Push(registry=client, repository=REPOSITORY, store=store)
    server.fault("PUT", "manifests", status(403))
    with pytest.raises(HttpStatus):
        push.image(image.manifest, "1")
    del server.blobs[REPOSITORY, image.manifest.layers[1].digest]
    moved = push.image(image.manifest, "1").moved
    assert moved.uploaded_bytes == image.manifest.layers[1].size_bytes
    assert server.manifests[REPOSITORY, "1"][1] == store.blobs.read(image.digest)


@pytest.mark.catalogue("R32")
def test_a_blob_that_vanishes_before_the_manifest_is_sent_after_all(
    server: FaultRegistry, client: Registry, store: Store
) -> None:
    image = put_image(store)
    push = Push(registry=client, repository=REPOSITORY, store=store)
    push.image(image.manifest, "1")

    def vanishes(handler: object) -> bool:
        del server.blobs[REPOSITORY, image.manifest.layers[0].digest]
        return False

    server.fault("PUT", "manifests", vanishes)
    assert push.image(image.manifest, "2").moved.uploaded_bytes == image.manifest.layers[0].size_bytes


@pytest.mark.parametrize("referrers", [False, True])
def test_documents_beside_an_image_are_listed(
    server: FaultRegistry, client: Registry, store: Store, referrers: bool
) -> None:
    """Through the API or the tag that stands in for it; what another writer overwrote is added again."""
    server.referrers = referrers
    image = put_image(store)
    subject = Digest.of(image.manifest.to_bytes())
    push = Push(registry=client, repository=REPOSITORY, store=store)
    tag = f"sha256-{subject.hex}"

    def overwritten(handler: object) -> bool:
        handler.serve()  # type: ignore[attr-defined]
        server.put_manifest(REPOSITORY, tag, {"schemaVersion": 2, "manifests": []}, MEDIA_INDEX)
        return True

    server.fault("PUT", tag, overwritten)
    contents = {kind: store.blobs.put(kind.encode()) for kind in ("application/spdx", "application/in-toto")}
    documents = [Document(content=content, media_type=kind) for kind, content in contents.items()]
    push.image(image.manifest, "1", documents=documents)
    there = client.referrers(REPOSITORY, subject)
    if not referrers:
        assert there is None
        there = client.manifest(reference(server, tag))
    assert there is not None
    listed = [Digest(row["digest"]) for row in there.document["manifests"]]
    referrers_there = [client.manifest(reference(server).at(digest)).document for digest in listed]
    assert all(one["subject"]["digest"] == subject for one in referrers_there)
    assert {one["artifactType"]: one["layers"][0]["digest"] for one in referrers_there} == contents
