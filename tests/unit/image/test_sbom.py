"""The laws of the documents beside an image: valid, complete, and only declared fields vary."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given, settings
from hypothesis import strategies as st
from packageurl import PackageURL

from lading.image.model import Image
from lading.image.output.attach import attach_documents, find_attachments, read_licences
from lading.image.output.provenance import Maker, make_provenance
from lading.image.output.sbom import Licence, licence_from_metadata, make_sbom, serial_number
from lading.oci.digest import Digest
from lading.store import Store
from lading.store.collect import gc
from lading.store.verify import verify
from small_image import METADATA, put_image, small_variant

MAKER = Maker(
    lading_version="0.1.0",
    python_version="3.11.7",
    host="Linux 6.1 x86_64",
    revision="f" * 40,
    started=1_700_000_000.25,
    finished=1_700_000_010.75,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open({"LADING_HOME": str(tmp_path / "home")})


@pytest.fixture
def image(store: Store) -> Image:
    return put_image(store)


def sbom(image: Image, **licences: Licence) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(make_sbom(image, small_variant(), licences=licences))
    return document


def problems(document: bytes) -> object:
    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(document.decode())


@pytest.mark.parametrize("target", ["train", "serve"])
@pytest.mark.parametrize(
    "licence",
    [Licence(), Licence(name="BSD"), Licence(expression="MIT OR Apache-2.0")],
)
def test_the_bill_is_valid_cyclonedx(image: Image, target: str, licence: Licence) -> None:
    document = make_sbom(
        replace(image, target=target), small_variant(), licences={"six": licence, "torch": licence}
    )

    assert problems(document) is None


def test_every_wheel_and_package_of_the_target_is_listed_with_its_hash_and_nothing_else(image: Image) -> None:
    components = {component["name"]: component for component in sbom(image)["components"]}

    assert sorted(components) == ["libc6", "python", "six"]
    assert components["six"]["hashes"] == [{"alg": "SHA-256", "content": "c" * 64}]
    assert components["libc6"]["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
    assert components["python"]["type"] == "platform"


def test_package_urls_read_back_as_what_they_name(image: Image) -> None:
    urls = {c["name"]: PackageURL.from_string(c["purl"]) for c in sbom(image)["components"]}

    assert (urls["six"].type, urls["six"].name, urls["six"].version) == ("pypi", "six", "1.17.0+local.1")
    libc = urls["libc6"]
    assert (libc.type, libc.namespace, libc.version) == ("deb", "debian", "1:2.41-12~deb13+1")
    assert libc.qualifiers == {"arch": "amd64", "distro": "trixie"}
    subject = PackageURL.from_string(sbom(image)["metadata"]["component"]["purl"])
    assert (subject.type, subject.version) == ("oci", image.digest)


def test_the_bill_depends_on_image_and_lock_alone(image: Image) -> None:
    """D16: no time, no host, no order of the lock's rows."""
    variant = small_variant()
    shuffled = replace(variant, wheels=variant.wheels[::-1], packages=variant.packages[::-1])
    slower = replace(image, seconds=99.0, reused=True)

    assert make_sbom(image, variant, licences={}) == make_sbom(slower, shuffled, licences={})


def test_the_serial_number_follows_from_the_digest(image: Image) -> None:
    other = Digest.of(b"another image")

    assert serial_number(image.digest) == serial_number(image.digest) != serial_number(other)
    assert sbom(image)["serialNumber"] == serial_number(image.digest)


@pytest.mark.parametrize(
    ("metadata", "licence"),
    [
        (METADATA, Licence(expression="MIT")),
        ("Name: x\nLicense: BSD 3-Clause\n\n", Licence(name="BSD 3-Clause")),
        ("Name: x\nLicense: UNKNOWN\n\n", Licence()),
        (f"Name: x\nLicense: {'long ' * 100}\n\n", Licence()),
        (
            "Name: x\nLicense: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License\n\n",
            Licence(name="MIT License"),
        ),
        ("", Licence()),
        ("no header at all", Licence()),
    ],
)
def test_licences_are_read_from_metadata(metadata: str, licence: Licence) -> None:
    assert licence_from_metadata(metadata) == licence


@settings(max_examples=50, deadline=None)
@given(text=st.text(max_size=200))
def test_no_metadata_breaks_the_bill(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    store = Store.open({"LADING_HOME": str(tmp_path_factory.mktemp("home"))})
    licence = licence_from_metadata(text)
    document = make_sbom(put_image(store), small_variant(), licences={"six": licence})

    assert problems(document) is None


def test_licences_come_out_of_the_layers(store: Store, image: Image) -> None:
    assert read_licences(store, image) == {"six": Licence(expression="MIT")}


def test_the_provenance_is_a_slsa_statement_with_every_material(image: Image) -> None:
    statement = json.loads(make_provenance(image, small_variant(), MAKER))

    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    assert statement["subject"] == [{"name": "small", "digest": {"sha256": image.digest.hex}}]
    definition = statement["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["lock"]["digest"]["sha256"] == image.lock_digest.hex
    materials = {d["name"]: d["digest"] for d in definition["resolvedDependencies"]}
    assert materials == {
        "source": {"gitCommit": "f" * 40},
        "six-1.17.0+local.1-py3-none-any.whl": {"sha256": "c" * 64},
        "pool/main/g/glibc/libc6.deb": {"sha256": "a" * 64},
    }
    details = statement["predicate"]["runDetails"]
    assert details["metadata"] == {
        "startedOn": "2023-11-14T22:13:20Z",
        "finishedOn": "2023-11-14T22:13:30Z",
    }


@pytest.mark.parametrize(
    "change",
    [
        lambda maker: replace(maker, host="Linux 5.10 aarch64"),
        lambda maker: replace(maker, lading_version="9"),
        lambda maker: replace(maker, started=1.0, finished=2.0),
        lambda maker: replace(maker, revision=None),
    ],
)
def test_only_declared_fields_of_the_provenance_vary(image: Image, change: Callable[[Maker], Maker]) -> None:
    """D16: who, where and when stand in `runDetails` and in the source's revision; nowhere else."""

    def fixed(maker: Maker) -> dict[str, Any]:
        statement: dict[str, Any] = json.loads(make_provenance(image, small_variant(), maker))
        del statement["predicate"]["runDetails"]
        dependencies = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
        dependencies[:] = [item for item in dependencies if item["name"] != "source"]
        return statement

    assert fixed(MAKER) == fixed(change(MAKER))


def test_documents_are_kept_beside_the_image_and_made_once(
    store: Store, image: Image, tmp_path: Path
) -> None:
    first = attach_documents(store, image, small_variant(), root=tmp_path)

    assert attach_documents(store, image, small_variant(), root=tmp_path) == first
    assert find_attachments(store, image.digest) == first
    assert problems(store.blobs.read(first.sbom)) is None
    assert verify(store).damages == ()


def test_documents_that_were_collected_are_made_again(store: Store, image: Image, tmp_path: Path) -> None:
    first = attach_documents(store, image, small_variant(), root=tmp_path)
    gc(store, [image.digest], keep_seconds=0)
    assert find_attachments(store, image.digest) is None
    assert verify(store).damages == ()

    assert attach_documents(store, image, small_variant(), root=tmp_path).sbom == first.sbom


def test_the_image_does_not_change_for_its_documents(store: Store, image: Image, tmp_path: Path) -> None:
    before = store.blobs.read(image.digest)

    attach_documents(store, image, small_variant(), root=tmp_path)

    assert before == store.blobs.read(image.digest)
