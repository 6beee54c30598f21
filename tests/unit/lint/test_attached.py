"""What refers to an image is found in a layout and at a registry, in both ways that are in use."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from registry.fault_registry import FaultRegistry

from lading.fetch.http import Fetcher
from lading.inspect.image.archives import Folder, layout_image
from lading.inspect.image.attached import Attachment, index_attachments, kind_of
from lading.oci.digest import Digest
from lading.oci.manifest import Manifest
from lading.registry.client import Registry
from lading.registry.push import Document, Push
from lading.store import Store
from scanned.images import put, store_in

SBOM_TYPE = "application/vnd.cyclonedx+json"
STRANGER = "sha256:" + "5" * 64


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return store_in(tmp_path)


def attestation(store: Store, subject: str) -> dict[str, Any]:
    """The entry of an index for what BuildKit attaches."""
    layers = [
        {"mediaType": "application/vnd.in-toto+json", "annotations": {"in-toto.io/predicate-type": predicate}}
        for predicate in ("https://spdx.dev/Document", "https://slsa.dev/provenance/v0.2")
    ]
    digest = store.blobs.put(json.dumps({"schemaVersion": 2, "layers": layers}).encode())
    return {
        "digest": digest,
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": subject,
        },
    }


def layout(store: Store, folder: Path, entries: list[dict[str, Any]]) -> Folder:
    folder.mkdir()
    shutil.copytree(store.root / "blobs", folder / "blobs")
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
    return Folder(folder)


def kinds(attached: tuple[Attachment, ...] | None) -> list[tuple[str, str, bool]]:
    assert attached is not None
    return [(one.kind, one.subject, one.has_subject) for one in attached]


def test_attestations_of_buildkit_are_found_in_a_layout(store: Store, tmp_path: Path) -> None:
    digest = put(store, [{"a": b"x"}])
    entry = {"digest": digest, "platform": {"os": "linux", "architecture": "amd64"}}
    container = layout(store, tmp_path / "layout", [entry, attestation(store, digest)])
    image = layout_image(container, "image", "linux/amd64")
    assert kinds(image.attached) == [("SBOM", digest, True), ("provenance", digest, True)]


def test_an_attestation_of_another_build_is_told_from_that_of_a_neighbour(store: Store) -> None:
    digest = put(store, [{"a": b"x"}])
    index = {"manifests": [{"digest": digest}, attestation(store, STRANGER), attestation(store, digest)]}
    found = index_attachments(
        index, lambda name: json.loads(store.blobs.read(Digest(name), limit_bytes=1 << 20))
    )
    assert [(one.subject, one.has_subject) for one in found] == [(STRANGER, False)] * 2 + [(digest, True)] * 2


HOSTILE: list[dict[str, Any]] = [
    {},
    {"manifests": 1},
    {"manifests": [1, {"digest": 2}, {"digest": "x"}]},
    {"manifests": [{"digest": "a", "annotations": 5}]},
    {"manifests": [{"digest": "loop"}]},
]


@pytest.mark.parametrize("index", HOSTILE)
def test_a_broken_index_has_no_attachments(index: dict[str, Any]) -> None:
    documents: dict[str, Any] = {
        "a": {"layers": [3, {"annotations": 4}], "subject": 7},
        "loop": {"manifests": [{"digest": "loop"}]},
    }
    assert index_attachments(index, documents.get) == ()


def test_kinds() -> None:
    types = (
        SBOM_TYPE,
        "application/spdx+json",
        "application/vnd.in-toto+json",
        "https://slsa.dev/x",
        "other",
    )
    assert [kind_of(text) for text in types] == ["SBOM", "SBOM", "provenance", "provenance", "other"]


@pytest.fixture(params=[True, False], ids=["with-referrers", "by-tag"])
def server(request: pytest.FixtureRequest) -> Iterator[FaultRegistry]:
    with FaultRegistry() as registry:
        registry.referrers = request.param
        yield registry


def test_referrers_are_found_at_a_registry_by_its_api_or_by_their_tag(
    store: Store, server: FaultRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pushed with a bill of materials and without provenance; `lading lint` says what is missing."""
    import io

    from lading.cli.main import run_command_line

    manifest = Manifest.from_json(
        json.loads(store.blobs.read(put(store, [{"a": b"x"}]), limit_bytes=1 << 20))
    )
    fetcher = Fetcher(staging=store.staging, environment={})
    registry = Registry(name=server.name, fetcher=fetcher, environment={"HOME": str(tmp_path)})
    document = Document(media_type=SBOM_TYPE, content=store.blobs.put(b"{}"))
    Push(registry=registry, repository="team/a", store=store).image(manifest, "1", documents=(document,))
    fetcher.close()
    monkeypatch.chdir(tmp_path)
    out, err = io.StringIO(), io.StringIO()
    environment = {"LADING_HOME": str(tmp_path / "other"), "HOME": str(tmp_path)}
    status = run_command_line(
        ["lint", f"{server.name}/team/a:1", "--platform", "linux/amd64"], environment, out, err
    )
    said = [line.partition(": info ")[2] for line in out.getvalue().splitlines()]
    assert (status, said) == (0, ["LDI015: no provenance refers to it"]), err.getvalue()
