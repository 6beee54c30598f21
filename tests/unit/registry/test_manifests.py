"""What a registry names is what it says, and is fetched from nowhere else."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from lading.errors import DigestMismatch, FetchFailed
from lading.oci.digest import Digest
from lading.oci.manifest import MEDIA_INDEX, MEDIA_MANIFEST
from lading.registry.client import Registry
from lading.store import Store
from registry.fault_registry import (
    FaultRegistry,
    basic,
    status,
)
from registry.scene import (
    CHUNK,
    CONTENT,
    REPOSITORY,
    fetch,
    find,
    image_in,
    layer_with,
    log_in,
    reference,
    upload,
)

# -- manifests --


def test_r27_unknown_fields_and_five_mebibytes_are_read(
    server: FaultRegistry, client: Registry, store: Store
) -> None:
    document = image_in(server, **{"x-new": "n" * (5 << 20)})
    digest = server.put_manifest(REPOSITORY, "1", document, MEDIA_MANIFEST)
    assert find(client, server, store) == digest


@pytest.mark.parametrize(
    "case",
    [
        *("R26-sha512", "R26-unknown", "R27-both", "R27-media-type", "R27-too-large", "R27-loop"),
        *(
            "R27-platform",
            "R27-no-json",
            "R27-schema-1",
            "R28-data",
            "R28-no-base64",
            "R29-foreign",
            "R27-config",
        ),
    ],
)
def test_a_manifest_that_is_not_what_it_says_is_refused(
    server: FaultRegistry, client: Registry, store: Store, case: str
) -> None:
    urls = {"urls": [f"{server.base}/elsewhere"]}
    loop = {"mediaType": MEDIA_INDEX, "size": 1, "platform": {"os": "linux", "architecture": "amd64"}}
    documents: dict[str, object] = {
        "R26-sha512": layer_with(server, digest="sha512:" + "a" * 128),
        "R26-unknown": layer_with(server, digest="md5:" + "a" * 32),
        "R27-both": image_in(server, manifests=[]),
        "R27-media-type": image_in(server, mediaType=MEDIA_INDEX),
        "R27-too-large": image_in(server, **{"x-new": "n" * (9 << 20)}),
        "R27-loop": {"schemaVersion": 2, "manifests": [{**loop, "digest": Digest.of(b"0")}]},
        "R27-platform": {"schemaVersion": 2, "manifests": []},
        "R27-no-json": b"<html>",
        "R27-schema-1": {"schemaVersion": 1},
        "R27-config": image_in(server, config={"mediaType": "x", "digest": Digest.of(b""), "size": 1 << 40}),
        "R28-data": layer_with(server, data=base64.b64encode(b"other").decode()),
        "R28-no-base64": layer_with(server, data=5),
        "R29-foreign": layer_with(
            server, mediaType="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", **urls
        ),
    }
    document = documents[case]
    for depth in range(9 if case == "R27-loop" else 0):
        digest = server.put_manifest(REPOSITORY, f"{depth}", document, MEDIA_INDEX)
        document = {"schemaVersion": 2, "manifests": [{**loop, "digest": digest}]}
    is_index = isinstance(document, dict) and "layers" not in document and "manifests" in document
    server.put_manifest(REPOSITORY, "1", document, MEDIA_INDEX if is_index else MEDIA_MANIFEST)
    with pytest.raises((FetchFailed, DigestMismatch), match=REPOSITORY):
        find(client, server, store)
    assert not server.requests("GET", "elsewhere")


@pytest.mark.catalogue("R33")
def test_a_tag_that_moves_meanwhile_changes_nothing(
    server: FaultRegistry, client: Registry, store: Store
) -> None:
    """An index' entries are fetched by digest; other bytes under that digest are refused."""
    child = server.put_manifest(REPOSITORY, "child", image_in(server), MEDIA_MANIFEST)
    entry = {"mediaType": MEDIA_MANIFEST, "digest": child, "size": 1}
    entry["platform"] = {"os": "linux", "architecture": "amd64"}
    server.put_manifest(REPOSITORY, "1", {"schemaVersion": 2, "manifests": [entry]}, MEDIA_INDEX)

    def moves(handler: object) -> bool:
        server.put_manifest(REPOSITORY, "1", {"schemaVersion": 2, "manifests": []}, MEDIA_INDEX)
        return False

    server.fault("GET", "manifests/sha256", moves)
    assert find(client, server, store) == child
    server.manifests[REPOSITORY, child] = (MEDIA_MANIFEST, json.dumps(image_in(server, x=1)).encode())
    with pytest.raises(DigestMismatch, match="was asked for"):
        client.manifest(reference(server).at(Digest(child)))


# -- redirects --


@pytest.mark.catalogue("R30")
def test_a_redirect_to_another_host_takes_no_credentials_along(
    server: FaultRegistry, client: Registry, store: Store, tmp_path: Path
) -> None:
    server.auth = "basic"
    log_in(tmp_path, server.name)
    with FaultRegistry() as other:
        other.put(REPOSITORY, CONTENT)
        where = f"{other.base}/v2/{REPOSITORY}/blobs/{Digest.of(CONTENT)}"
        server.fault("GET", "blobs", status(401, WWW_Authenticate="Basic"), status(307, Location=where))
        assert store.blobs.read(fetch(client, server, store)) == CONTENT
        assert "authorization" not in other.log[0].headers
    assert server.log[-1].headers["authorization"] == basic()


@pytest.mark.catalogue("R30")
@pytest.mark.parametrize("where", ["file:///etc/passwd", "/v2/loop", "http://127.0.0.1:1/x"])
def test_a_redirect_that_leads_nowhere_good_is_refused(
    server: FaultRegistry, client: Registry, store: Store, where: str
) -> None:
    for method in ("GET", "PATCH"):
        server.fault(method, ".", *[status(307, Location=where)] * 60)
    with pytest.raises(FetchFailed):
        client.manifest(reference(server))
    with pytest.raises(FetchFailed):
        upload(client, store)
    assert all(one.received_bytes <= CHUNK for one in server.requests("PATCH"))


@pytest.mark.catalogue("R30")
def test_a_secret_in_a_body_is_not_sent_on(server: FaultRegistry, client: Registry, tmp_path: Path) -> None:
    server.auth = "bearer"
    (tmp_path / ".docker").mkdir()
    entry = {"identitytoken": "identity-secret"}
    (tmp_path / ".docker/config.json").write_text(json.dumps({"auths": {server.name: entry}}))
    with FaultRegistry() as other:
        server.fault("POST", "/token", status(307, Location=f"{other.base}/token"))
        with pytest.raises(FetchFailed, match="nothing is sent there"):
            client.manifest(reference(server))
        assert other.log == []
