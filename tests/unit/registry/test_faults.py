"""The R series: a registry that fails in any way costs one typed error, or nothing at all."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lading.errors import DigestMismatch, FetchFailed
from lading.fetch.retry import RetryPolicy
from lading.fetch.transport import HttpStatus
from lading.oci.digest import Digest
from lading.oci.manifest import MEDIA_LAYER_GZIP, MEDIA_MANIFEST, Descriptor
from lading.registry.client import Registry
from lading.registry.pull import fetch_blob
from lading.store import Store
from registry.conftest import Clients
from registry.fault_registry import (
    Fault,
    FaultRegistry,
    cut,
    dripping,
    dropped,
    raw,
    stalled,
    status,
    unheard,
)
from registry.scene import (
    CONTENT,
    EMPTY_IMAGE,
    REPOSITORY,
    fetch,
    log_in,
    reference,
    shown,
    upload,
)

# -- who we are --


@pytest.mark.catalogue("R01", "R02")
@pytest.mark.parametrize("auth", ["bearer", "basic"])
def test_a_challenge_is_answered_with_what_docker_login_left(
    server: FaultRegistry, client: Registry, store: Store, tmp_path: Path, auth: str
) -> None:
    server.auth = auth
    log_in(tmp_path, server.name)
    assert upload(client, store) == len(CONTENT)
    assert server.blobs[REPOSITORY, Digest.of(CONTENT)] == CONTENT


@pytest.mark.catalogue("R03")
@pytest.mark.parametrize("challenge", ["", "Bearer", 'Bearer realm="', "Negotiate", "=,;", 'Bearer realm=""'])
def test_a_challenge_without_sense_is_one_refusal(
    server: FaultRegistry, client: Registry, challenge: str
) -> None:
    server.fault("GET", "manifests", *[status(401, WWW_Authenticate=challenge)] * 3)
    with pytest.raises(FetchFailed, match=server.name):
        client.manifest(reference(server))
    assert len(server.requests("GET", "manifests")) == 1


@pytest.mark.catalogue("R04", "R06")
def test_too_small_a_scope_is_said_with_a_next_step(
    server: FaultRegistry, client: Registry, store: Store
) -> None:
    server.fault("POST", "uploads", status(403, "DENIED", "requested access to the resource is denied"))
    with pytest.raises(HttpStatus, match="DENIED: requested access") as caught:
        upload(client, store)
    assert caught.value.hints[0] == f"docker login {server.name}"
    assert len(server.requests("POST")) == 1


@pytest.mark.catalogue("R05")
def test_a_token_that_ends_in_the_middle_of_a_push_is_renewed(
    server: FaultRegistry, client: Registry, store: Store, tmp_path: Path
) -> None:
    server.auth, server.token_uses = "bearer", 2
    log_in(tmp_path, server.name)
    assert upload(client, store) == len(CONTENT)
    assert len(server.requests("GET", "/token")) > 2
    assert server.blobs[REPOSITORY, Digest.of(CONTENT)] == CONTENT


@pytest.mark.catalogue("R01", "R36")
def test_a_wrong_password_is_one_refusal_without_the_password(
    server: FaultRegistry, client: Registry, tmp_path: Path
) -> None:
    server.auth = "bearer"
    log_in(tmp_path, server.name, "not-the-right-one")
    with pytest.raises(HttpStatus, match="refuses the credentials") as caught:
        client.manifest(reference(server))
    assert "not-the-right-one" not in shown(caught.value)


# -- statuses --


@pytest.mark.catalogue("R07")
def test_a_missing_image_and_a_missing_blob_are_told_apart(
    server: FaultRegistry, client: Registry, store: Store
) -> None:
    with pytest.raises(HttpStatus, match=rf"{server.name} has no 1 in {REPOSITORY}"):
        client.manifest(reference(server))
    blob = Descriptor(media_type=MEDIA_LAYER_GZIP, digest=Digest.of(b"x"), size_bytes=1)
    with pytest.raises(HttpStatus, match=f"has no blob {blob.digest}, which its manifest names"):
        fetch_blob(client, REPOSITORY, blob, store)


@pytest.mark.catalogue("R08")
def test_without_head_a_blob_is_asked_for_by_its_first_byte(server: FaultRegistry, client: Registry) -> None:
    digest = Digest(server.put(REPOSITORY, CONTENT))
    server.fault("HEAD", "blobs", status(405))
    assert client.blob_size_bytes(REPOSITORY, digest) == len(CONTENT)
    assert server.requests("GET", "blobs")[0].headers["range"] == "bytes=0-0"


@pytest.mark.parametrize(
    "case", ["R09-408", "R11-429", "R12-500", "R13-502", "R13-503", "R13-504"], ids=lambda case: case
)
def test_a_passing_fault_costs_a_wait(
    server: FaultRegistry, client: Registry, store: Store, case: str
) -> None:
    """Of reads, chunks and what opens and closes a session; each is asked about before it is sent again."""
    code = int(case.partition("-")[2])
    for method in ("HEAD", "GET", "POST", "PATCH", "PUT"):
        server.fault(method, "blobs|manifests", status(code, Retry_After="0"))
    assert upload(client, store) == len(CONTENT)
    assert client.blob_size_bytes(REPOSITORY, Digest.of(CONTENT)) == len(CONTENT)
    client.put_manifest(REPOSITORY, "1", EMPTY_IMAGE, MEDIA_MANIFEST)
    assert server.manifests[REPOSITORY, "1"][1] == EMPTY_IMAGE


@pytest.mark.catalogue("R10", "R31")
def test_an_offset_that_is_not_the_registrys_begins_again(
    server: FaultRegistry, client: Registry, store: Store
) -> None:
    server.fault("PATCH", "", lambda _: False, status(416))
    assert upload(client, store) >= len(CONTENT)
    assert server.blobs[REPOSITORY, Digest.of(CONTENT)] == CONTENT
    assert len(server.requests("POST")) == 2


@pytest.mark.catalogue("R11")
@pytest.mark.parametrize("wanted", ["0", "Wed, 21 Oct 2015 07:28:00 GMT", None, "soon", "-5", "99999999999"])
def test_retry_after_in_every_form_is_capped(
    server: FaultRegistry, client: Registry, wanted: str | None
) -> None:
    server.put_manifest(REPOSITORY, "1", {"schemaVersion": 2, "layers": []}, MEDIA_MANIFEST)
    headers = {} if wanted is None else {"Retry_After": wanted}
    server.fault("GET", "manifests", status(429, **headers))
    started = time.monotonic()
    client.manifest(reference(server))
    assert time.monotonic() - started < 30  # nobody waits for three thousand years


@pytest.mark.catalogue("R14")
def test_five_tries_and_no_more(server: FaultRegistry, client: Registry, store: Store) -> None:
    """Nor a second one of a refusal; waits differ by chance, and all of them fit in a minute."""
    server.fault("GET", "manifests", *[status(503)] * 9)
    with pytest.raises(HttpStatus, match="tried 5 times"):
        client.manifest(reference(server))
    assert len(server.requests("GET", "manifests")) == 5
    server.fault("PATCH", "", *[status(503)] * 9)
    with pytest.raises(HttpStatus):
        upload(client, store)
    assert len(server.requests("PATCH")) == 5
    server.fault("PUT", "manifests", *[status(400)] * 2)
    with pytest.raises(HttpStatus):
        client.put_manifest(REPOSITORY, "1", EMPTY_IMAGE, MEDIA_MANIFEST)
    assert len(server.requests("PUT", "manifests")) == 1
    policy = RetryPolicy()
    waits = {policy.delay_seconds(2, None, dice / 10) for dice in range(10)}
    assert len(waits) == 10
    assert policy.budget_seconds <= 60


@pytest.mark.catalogue("R15")
@pytest.mark.parametrize("after", [0, 300_000])
@pytest.mark.parametrize("with_reset", [False, True])
def test_a_chunk_that_broke_off_goes_on_at_the_registrys_byte(
    server: FaultRegistry, client: Registry, store: Store, after: int, with_reset: bool
) -> None:
    server.fault("PATCH", "", dropped(after, with_reset=with_reset))
    upload(client, store)
    patches = server.requests("PATCH")
    assert server.requests("GET", "uploads/session-0")
    assert patches[1].headers["content-range"].startswith(f"{after}-")
    assert sum(one.received_bytes for one in patches) + after == len(CONTENT) + after
    assert server.blobs[REPOSITORY, Digest.of(CONTENT)] == CONTENT


@pytest.mark.catalogue("R15", "R31")
def test_a_lost_answer_to_the_closing_request_is_found_out(
    server: FaultRegistry, client: Registry, store: Store
) -> None:
    server.fault("PUT", "uploads", unheard)
    upload(client, store)
    assert len(server.requests("PUT", "uploads")) == 1
    server.fault("PUT", "manifests", unheard)
    client.put_manifest(REPOSITORY, "1", EMPTY_IMAGE, MEDIA_MANIFEST)
    assert len(server.requests("PUT", "manifests")) == 1


# -- connections --


@pytest.mark.parametrize(
    ("case", "fault"),
    [
        ("R16-after-headers", cut(0)),
        ("R17-below-a-mebibyte", cut(4096)),
        ("R17-over-a-mebibyte", cut((1 << 20) + 17)),
        ("R18-reset", cut(4096, with_reset=True)),
        ("R18-reset-at-once", dropped(with_reset=True)),
        ("R19-silence", stalled),
        ("R20-headers-drip", dripping),
        ("R22-whole", raw(CONTENT)),
    ],
)
def test_a_blob_comes_whole_all_the_same(
    server: FaultRegistry, client: Registry, store: Store, case: str, fault: Fault
) -> None:
    server.fault("GET", "blobs", fault)
    digest = fetch(client, server, store)
    assert store.blobs.read(digest) == CONTENT


@pytest.mark.parametrize(
    ("case", "fault", "message"),
    [
        ("R21-too-short", raw(CONTENT[:-1]), "bytes long"),
        ("R21-too-long", raw(CONTENT + b"x"), "bytes long"),
        ("R23-elsewhere", raw(CONTENT, 206, Content_Range="bytes 5-9/99"), "answered the range"),
        ("R23-none", raw(CONTENT, 206), "answered the range"),
        ("R24-other-bytes", raw(CONTENT[::-1]), "other bytes"),
        ("R25-other-size", raw(CONTENT, 206, Content_Range=f"bytes 0-{len(CONTENT) - 1}/7"), "bytes long"),
    ],
)
def test_other_bytes_are_refused_and_nothing_stays(
    server: FaultRegistry, client: Registry, store: Store, case: str, fault: Fault, message: str
) -> None:
    server.fault("GET", "blobs", fault)
    with pytest.raises((FetchFailed, DigestMismatch), match=message):
        fetch(client, server, store)
    assert not store.blobs.has(Digest.of(CONTENT))


@pytest.mark.catalogue("R17")
def test_a_download_that_died_goes_on_in_a_later_process(
    server: FaultRegistry, client: Registry, client_for: Clients, store: Store
) -> None:
    server.fault("GET", "blobs", cut(3 << 20), status(403))
    with pytest.raises(HttpStatus):
        fetch(client, server, store)
    later = client_for(server.name)
    assert store.blobs.read(fetch(later, server, store)) == CONTENT
    assert server.requests("GET", "blobs")[-1].headers["range"] == f"bytes={3 << 20}-{len(CONTENT) - 1}"
    assert list(store.staging.iterdir()) == []


@pytest.mark.catalogue("R24")
def test_a_spoilt_partial_download_is_thrown_away(
    server: FaultRegistry, client: Registry, store: Store
) -> None:
    partial = store.staging / f"partial-{Digest.of(CONTENT).hex}"
    partial.write_bytes(b"\0" * 1000)
    with pytest.raises(DigestMismatch):
        fetch(client, server, store)
    assert not partial.exists()
    assert store.blobs.read(fetch(client, server, store)) == CONTENT
