"""Layers taken from a registry by the digests in a lock: what is believed of them, and what is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from lading.errors import DigestMismatch, FetchFailed, UsageError
from lading.image.layer.framing import compressed_member
from lading.image.layer.writer import LayerWriter
from lading.image.lenders import Lender, Lenders, parse_lender
from lading.image.model import LayerRecord
from lading.image.spec import BytecodeLayer, LayerSpec, StandaloneLayer, WheelsLayer
from lading.image.taken import take_layers
from lading.image.unseen import check_unseen
from lading.lock.model import LockedInterpreter, LockedLayer, LockedWheel
from lading.oci.digest import DiffId, Digest
from lading.registry.client import Registry
from lading.store import Store
from registry.fault_registry import FaultRegistry, cut, raw, status
from registry.scene import REPOSITORY

SITE = "opt/venv/lib/python3.11/site-packages"
PYTHON = LockedInterpreter(
    provider="standalone", version="3.11", build="3.11.9", executable="/usr/local/bin/python3.11"
)


class Listener:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.taken_titles: list[str] = []

    def started(self, layers: object, missing: object, total_bytes: int) -> None: ...

    def progress(self, unpacked_bytes: int) -> None: ...

    def warned(self, text: str) -> None:
        self.said.append(text)

    def written(self, record: LayerRecord, seconds: float) -> None: ...

    def taking(self, layers: int, size_bytes: int) -> None: ...

    def taken(self, record: LayerRecord, seconds: float) -> None:
        self.taken_titles.append(record.title)


def wheel_spec(name: str) -> WheelsLayer:
    wheel = LockedWheel(
        name=name, version="1.0", filename=f"{name}-1.0-py3-none-any.whl", sha256="a" * 64, size_bytes=1
    )
    return WheelsLayer(kind="wheel", title=f"{name} 1.0", wheels=(wheel,), python_version="3.11")


def wheel_files(name: str) -> dict[str, bytes]:
    return {f"{SITE}/{name}.py": b"x = 1\n" * 900, f"{SITE}/{name}-1.0.dist-info/RECORD": name.encode()}


@pytest.fixture
def other(tmp_path: Path) -> Store:
    return Store.open({"LADING_HOME": str(tmp_path / "other")})


Publish = Callable[..., LockedLayer]


@pytest.fixture
def publish(server: FaultRegistry, other: Store) -> Publish:
    """Write a layer elsewhere, push it, and say what a lock says of it."""

    def publish(spec: LayerSpec, files: dict[str, bytes]) -> LockedLayer:
        with other.blobs.writer() as blob:
            writer = LayerWriter(blob)
            for path, content in files.items():
                writer.file(path, content, mode=0o644)
            written = writer.finish()
        server.put(REPOSITORY, other.blobs.path(written.digest).read_bytes())
        return LockedLayer(
            key=spec.key,
            kind=spec.kind,
            digest=written.digest,
            diff_id=written.diff_id,
            size_bytes=written.size_bytes,
        )

    return publish


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def lenders(client: Registry, store: Store, listener: Listener) -> Lenders:
    lender = Lender(registry=client, repository=REPOSITORY)
    return Lenders(lenders=(lender,), store=store, warn=listener.warned)


def test_a_taken_layer_is_as_if_written_here(
    publish: Publish, lenders: Lenders, store: Store, listener: Listener
) -> None:
    """Blob, record and index are there afterwards; a second time nothing is asked."""
    spec = wheel_spec("six")
    locked = publish(spec, wheel_files("six"))
    take_layers([spec], {spec.key: locked}, store, lenders, listener)
    record = LayerRecord.from_json(store.layers.get(spec.key) or {})
    assert (record.digest, record.diff_id, record.file_count) == (locked.digest, locked.diff_id, 2)
    assert store.indexes.has(spec.key)
    assert listener.taken_titles == ["six 1.0"]


def test_a_blob_in_the_store_is_taken_without_a_registry(
    publish: Publish, store: Store, other: Store, listener: Listener
) -> None:
    spec = wheel_spec("six")
    locked = publish(spec, wheel_files("six"))
    store.blobs.put(other.blobs.path(locked.digest).read_bytes())
    take_layers([spec], {spec.key: locked}, store, None, listener)
    assert store.layers.has(spec.key)


def test_a_damaged_blob_in_the_store_is_not_taken(
    publish: Publish, store: Store, other: Store, listener: Listener
) -> None:
    spec = wheel_spec("six")
    locked = publish(spec, wheel_files("six"))
    content = bytearray(other.blobs.path(locked.digest).read_bytes())
    content[len(content) // 2] ^= 1
    store.blobs.path(locked.digest).write_bytes(content)
    take_layers([spec], {spec.key: locked}, store, None, listener)
    assert not store.layers.has(spec.key)


def test_other_bytes_under_the_locked_digest_are_refused(
    server: FaultRegistry, publish: Publish, lenders: Lenders, store: Store, listener: Listener
) -> None:
    spec = wheel_spec("six")
    locked = publish(spec, wheel_files("six"))
    server.fault("GET", locked.digest, raw(b"x" * locked.size_bytes))
    with pytest.raises(DigestMismatch, match="came as other bytes"):
        take_layers([spec], {spec.key: locked}, store, lenders, listener)
    assert not store.blobs.has(locked.digest)


def test_a_layer_whose_diff_id_is_not_the_locks_is_refused(
    publish: Publish, lenders: Lenders, store: Store, listener: Listener
) -> None:
    spec = wheel_spec("six")
    locked = dataclasses.replace(publish(spec, wheel_files("six")), diff_id=DiffId.from_hex("0" * 64))
    with pytest.raises(DigestMismatch, match="unpacks to"):
        take_layers([spec], {spec.key: locked}, store, lenders, listener)
    assert not store.layers.has(spec.key)


@pytest.mark.parametrize("kind", ["wheel", "standalone", "bytecode"])
def test_another_layer_under_a_right_digest_is_refused(
    kind: str, publish: Publish, lenders: Lenders, store: Store, listener: Listener
) -> None:
    """Digest, diff ID and size are all those of a real blob: its files tell that it is another layer."""
    six = wheel_spec("six")
    spec: LayerSpec = six
    if kind == "standalone":
        spec = StandaloneLayer(kind="interpreter", title="python", interpreter=PYTHON)
    elif kind == "bytecode":
        spec = BytecodeLayer(
            kind="bytecode", title="bytecode of six", sources=(six,), interpreter=PYTHON, toolchain=()
        )
    locked = publish(spec, wheel_files("other"))
    with pytest.raises(DigestMismatch, match=r"which (does not hold|holds)"):
        take_layers([spec], {spec.key: locked}, store, lenders, listener)
    assert not store.layers.has(spec.key)


def test_what_lading_did_not_write_is_refused(
    server: FaultRegistry, lenders: Lenders, store: Store, listener: Listener
) -> None:
    spec = wheel_spec("six")
    content = compressed_member(b"no tar" * 200)
    locked = LockedLayer(
        key=spec.key,
        kind="wheel",
        digest=Digest(server.put(REPOSITORY, content)),
        diff_id=DiffId.from_hex("0" * 64),
        size_bytes=len(content),
    )
    with pytest.raises(DigestMismatch, match="no layer that lading wrote"):
        take_layers([spec], {spec.key: locked}, store, lenders, listener)


def test_a_forged_size_is_no_such_layer(
    server: FaultRegistry, publish: Publish, lenders: Lenders, store: Store, listener: Listener
) -> None:
    """It is left to be made, and compared; nothing of it is fetched."""
    spec = wheel_spec("six")
    locked = dataclasses.replace(publish(spec, wheel_files("six")), size_bytes=7)
    take_layers([spec], {spec.key: locked}, store, lenders, listener)
    assert not store.layers.has(spec.key)
    assert server.requests("GET", "blobs") == []
    said = lenders.explain(FetchFailed("six is gone"))
    assert said.message.startswith("six is gone; ")
    assert "lacks 1 of the 1 locked layers" in said.message


def test_a_lender_that_refuses_is_said_once_and_passed_over(
    server: FaultRegistry, publish: Publish, lenders: Lenders, store: Store, listener: Listener
) -> None:
    specs = [wheel_spec(name) for name in ("six", "idna", "toml")]
    locked = {spec.key: publish(spec, wheel_files(spec.wheels[0].name)) for spec in specs}
    server.fault("HEAD", "blobs", status(403), status(403))
    take_layers(specs, locked, store, lenders, listener)
    assert len(listener.said) == 1
    assert "no layers are taken" in listener.said[0]
    assert len(server.requests("HEAD", "blobs")) == 1


def test_a_broken_line_goes_on_where_it_broke(
    server: FaultRegistry, publish: Publish, lenders: Lenders, store: Store, listener: Listener
) -> None:
    spec = wheel_spec("six")
    locked = publish(spec, wheel_files("six"))
    server.fault("GET", locked.digest, cut(20))
    take_layers([spec], {spec.key: locked}, store, lenders, listener)
    assert store.layers.has(spec.key)


@pytest.mark.parametrize("text", ["team/digits:1", f"h.example/x@sha256:{'0' * 64}", "UPPER"])
def test_a_lender_is_a_repository(text: str) -> None:
    with pytest.raises(UsageError):
        parse_lender(text)


# -- metadata only: nothing of the layer is here --


def record_of(spec: LayerSpec, digest: Digest) -> LayerRecord:
    return LayerRecord(
        key=spec.key,
        kind=spec.kind,
        title=spec.title,
        digest=digest,
        diff_id=DiffId.from_hex("1" * 64),
        size_bytes=5,
        unpacked_bytes=5,
        file_count=1,
    )


def row(spec: LayerSpec, digest: Digest) -> LockedLayer:
    return LockedLayer(
        key=spec.key, kind=spec.kind, digest=digest, diff_id=DiffId.from_hex("1" * 64), size_bytes=5
    )


def test_two_unseen_layers_are_not_one_blob(store: Store) -> None:
    """A lock in which torch's layer is six's, in all three fields, is refused without a byte."""
    six, torch = wheel_spec("six"), wheel_spec("torch")
    digest = Digest.of(b"six")
    with pytest.raises(DigestMismatch, match=r"'torch 1\.0'.*which is layer 'six 1\.0'"):
        check_unseen([torch], [six, torch], {s.key: row(s, digest) for s in (six, torch)}, store)


def test_an_unseen_layer_that_came_out_otherwise_here_is_refused(store: Store) -> None:
    """Its bytes may be gone from the store: the record is enough."""
    spec = wheel_spec("torch")
    store.layers.put(spec.key, record_of(spec, Digest.of(b"right")).as_json())
    with pytest.raises(DigestMismatch, match="came out as"):
        check_unseen([spec], [spec], {spec.key: row(spec, Digest.of(b"forged"))}, store)
    check_unseen([spec], [spec], {spec.key: row(spec, Digest.of(b"right"))}, store)


def test_an_unseen_layer_that_is_known_here_as_another_is_refused(store: Store) -> None:
    """The other one is of another project, not in this lock at all."""
    torch, evil = wheel_spec("torch"), wheel_spec("evil")
    store.layers.put(evil.key, record_of(evil, Digest.of(b"evil")).as_json())
    with pytest.raises(DigestMismatch, match="which is layer 'evil"):
        check_unseen([torch], [torch], {torch.key: row(torch, Digest.of(b"evil"))}, store)


def test_layers_of_no_files_may_be_the_same_bytes(store: Store) -> None:
    specs = [
        BytecodeLayer(
            kind="bytecode", title=name, sources=(wheel_spec(name),), interpreter=PYTHON, toolchain=()
        )
        for name in ("a", "b")
    ]
    check_unseen(specs, specs, {s.key: row(s, Digest.of(b"")) for s in specs}, store)
