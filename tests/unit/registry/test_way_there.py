"""TLS, proxies, secrets, and what is here already."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from lading.errors import DigestMismatch, FetchFailed, OutsideError
from lading.fetch.transport import HttpStatus
from lading.oci.manifest import MEDIA_MANIFEST
from lading.oci.platform import Platform
from lading.oci.reference import Reference
from lading.registry.client import Registry
from lading.registry.pull import find_image, pull_layers
from lading.store import Store
from lading.store.verify import verify
from registry.certificates import make_certificates, speaking
from registry.conftest import Clients
from registry.fault_registry import (
    PASSWORD,
    FaultRegistry,
    status,
)
from registry.scene import (
    CONTENT,
    REPOSITORY,
    fetch,
    image_in,
    log_in,
    reference,
    shown,
    upload,
)

# -- TLS and the way there --


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.mark.catalogue("R34")
def test_a_certificate_that_is_named_is_trusted(
    certificates: Path, client_for: Clients, store: Store
) -> None:
    with FaultRegistry(context=speaking(certificates, "good")) as server:
        client = client_for(server.name, SSL_CERT_FILE=str(certificates / "good.pem"))
        assert store.blobs.read(fetch(client, server, store)) == CONTENT


@pytest.mark.catalogue("R34")
@pytest.mark.parametrize(
    ("name", "trusted"), [("good", None), ("expired", "expired"), ("other", "other"), ("good", "other")]
)
def test_a_certificate_that_does_not_fit_ends_it_and_nothing_is_said_in_the_clear(
    certificates: Path, client_for: Clients, store: Store, name: str, trusted: str | None
) -> None:
    with FaultRegistry(context=speaking(certificates, name)) as server:
        environment = {"LADING_INSECURE_REGISTRIES": server.name}
        if trusted is not None:
            environment["SSL_CERT_FILE"] = str(certificates / f"{trusted}.pem")
        with pytest.raises(FetchFailed, match="no certificate this machine trusts") as caught:
            client_for(server.name, **environment).manifest(reference(server))
        assert "SSL_CERT_FILE" in caught.value.hints[0]
        assert server.log == []


@pytest.mark.catalogue("R34")
def test_tls_of_1999_is_refused(certificates: Path, client_for: Clients) -> None:
    context = speaking(certificates, "good")
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
    with FaultRegistry(context=context) as server, pytest.raises(FetchFailed):
        client = client_for(server.name, SSL_CERT_FILE=str(certificates / "good.pem"))
        client.manifest(reference(server))
    assert server.log == []


@pytest.fixture
def proxy() -> Iterator[FaultRegistry]:
    """Whatever asks it, it has no answer for; it remembers who asked."""
    with FaultRegistry() as registry:
        yield registry


@pytest.mark.catalogue("R35")
def test_a_proxy_is_asked_for_others_and_never_for_this_machine(
    server: FaultRegistry,
    proxy: FaultRegistry,
    client_for: Clients,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, proxy.base)
    assert store.blobs.read(fetch(client_for(server.name), server, store)) == CONTENT
    assert proxy.log == []
    away = client_for("registry.example")
    away._base = "http://registry.example"
    with pytest.raises(HttpStatus):
        away.manifest(reference(server))
    assert proxy.log[0].path.startswith("http://registry.example/v2/")
    monkeypatch.setenv("NO_PROXY", "registry.example")
    monkeypatch.setenv("no_proxy", "registry.example")
    count = len(proxy.log)
    with pytest.raises(FetchFailed):
        away.manifest(reference(server))
    assert len(proxy.log) == count


@pytest.mark.catalogue("R35")
def test_an_address_in_brackets_is_reached(client_for: Clients, store: Store) -> None:
    with FaultRegistry(family=socket.AF_INET6) as server:
        parsed = Reference.parse(f"{server.name}/{REPOSITORY}:1")
        assert parsed.registry == server.name
        assert store.blobs.read(fetch(client_for(server.name), server, store)) == CONTENT


@pytest.mark.catalogue("R35")
@pytest.mark.parametrize("text", ["unix:///run/registry.sock/x:1", "unix:/run/x:1", "http://h/x:1"])
def test_a_socket_is_no_registry(text: str) -> None:
    with pytest.raises(ValueError, match="is no "):
        Reference.parse(text)


# -- secrets --


@pytest.mark.catalogue("R36")
@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_a_registry_that_repeats_what_we_said_is_not_quoted(
    server: FaultRegistry, client: Registry, store: Store, tmp_path: Path, auth: str
) -> None:
    """Password, header and token; and no control character of its words reaches the terminal."""
    server.auth = auth
    log_in(tmp_path, server.name)
    fetch(client, server, store)
    said = "".join(server.requests("GET", "blobs")[-1].headers["authorization"])
    server.fault("GET", "manifests", status(401, WWW_Authenticate=auth), status(403))
    echo = f"you said {said} and {PASSWORD} \x1b[31m\u202e"
    server.faults.clear()
    server.fault("GET", "manifests", status(403, "DENIED", echo))
    with pytest.raises(HttpStatus, match=r"you said \w+ \*\*\* and") as caught:
        fetch_manifest(client, server)
    text = shown(caught.value)
    assert PASSWORD not in text
    assert said.partition(" ")[2] not in text
    assert "\x1b" not in caught.value.message
    assert "\u202e" not in caught.value.message
    for path in store.root.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert PASSWORD.encode() not in content
            assert said.partition(" ")[2].encode() not in content


def fetch_manifest(client: Registry, server: FaultRegistry) -> None:
    client.manifest(reference(server))


@pytest.mark.catalogue("R36")
@pytest.mark.parametrize("script", ["exec sleep 60", f"echo {PASSWORD}", f"echo {PASSWORD} >&2; exit 2"])
def test_a_helper_that_hangs_or_babbles_stops_the_push(
    server: FaultRegistry,
    client_for: Clients,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
) -> None:
    monkeypatch.setattr("lading.registry.credentials._HELPER_SECONDS", 0.2)
    program = tmp_path / "docker-credential-bad"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text('{"credsStore": "bad"}')
    server.auth = "bearer"
    with pytest.raises(OutsideError, match="docker-credential-bad") as caught:
        upload(client_for(server.name, PATH=f"{tmp_path}:/usr/bin:/bin"), store)
    assert PASSWORD not in shown(caught.value)


# -- what is here already --


@pytest.mark.catalogue("R39")
def test_offline_what_is_here_is_used_and_no_socket_is_opened(
    server: FaultRegistry, client: Registry, client_for: Clients, store: Store
) -> None:
    server.put_manifest(REPOSITORY, "1", image_in(server), MEDIA_MANIFEST)
    image = find_image(client, reference(server), Platform("linux", "amd64"), store)
    pull_layers(client, image, store)
    asked = len(server.log)
    offline = client_for(server.name, offline=True)
    pull_layers(offline, image, store)
    with pytest.raises(FetchFailed, match="--offline forbids"):
        offline.manifest(reference(server))
    assert len(server.log) == asked


@pytest.mark.catalogue("R40")
def test_a_poisoned_blob_is_found_and_fetched_again(
    server: FaultRegistry, client: Registry, store: Store
) -> None:
    digest = fetch(client, server, store)
    path = store.blobs.path(digest)
    path.chmod(0o644)
    path.write_bytes(CONTENT[::-1])
    with pytest.raises(DigestMismatch):
        upload(client, store)  # the registry refuses it, and the store is to blame
    verify(store, repair=True)
    assert store.blobs.read(fetch(client, server, store)) == CONTENT
    path.chmod(0o644)
    path.write_bytes(CONTENT[:10])
    assert store.blobs.read(fetch(client, server, store)) == CONTENT
