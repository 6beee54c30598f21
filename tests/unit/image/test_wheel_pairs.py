"""W50: two wheels that install different bytes at one path. Which one stays never depends on chance."""

from __future__ import annotations

import hashlib
from itertools import permutations
from pathlib import Path

import pytest
import wheels
from wheels import MemorySource

from lading.errors import ProjectError
from lading.image.kinds.wheels import write_wheels
from lading.image.layer.contents import read_files
from lading.image.layer.tree import EntryKind
from lading.image.layer.writer import LayerWriter, WrittenLayer
from lading.image.spec import WheelsLayer
from lading.lock.model import LockedWheel
from lading.store import Store

SHARED = "opt/venv/lib/python3.11/site-packages/shared/__init__.py"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open({"LADING_HOME": str(tmp_path / "store")})


def _wheel(name: str, files: dict[str, bytes]) -> tuple[LockedWheel, bytes]:
    raw = wheels.wheel(
        files,
        metadata=wheels.METADATA.replace(b"demo", name.encode()),
        info=f"{name}-1.0.dist-info",
    )
    locked = LockedWheel(
        name=name,
        version="1.0",
        filename=f"{name}-1.0-py3-none-any.whl",
        sha256=hashlib.sha256(raw).hexdigest(),
        size_bytes=len(raw),
    )
    return locked, raw


def _layer(store: Store, *pairs: tuple[LockedWheel, bytes]) -> tuple[WrittenLayer, tuple[str, ...]]:
    """One tail layer of these wheels, in the order the plan gives them: by name."""
    content = {locked.name: raw for locked, raw in pairs}
    locked = tuple(sorted((locked for locked, _ in pairs), key=lambda wheel: wheel.name))
    spec = WheelsLayer(kind="tail", title="tail", wheels=locked, python_version="3.11")
    with store.blobs.writer() as blob:
        writer = LayerWriter(blob)
        warnings = write_wheels(spec, writer, lambda wheel: MemorySource(content[wheel.name]))
        return writer.finish(), warnings


def _file(store: Store, layer: WrittenLayer, path: str) -> bytes:
    (found,) = (
        content for entry, content in read_files(store, layer.digest, layer.index) if entry.path == path
    )
    return found


def test_of_two_files_at_one_path_a_fixed_one_stays_and_it_is_said(store: Store) -> None:
    pairs = [_wheel(name, {"shared/__init__.py": name.encode()}) for name in ("alpha", "beta", "gamma")]
    digests = set()
    for order in permutations(pairs):
        layer, warnings = _layer(store, *order)
        digests.add(layer.digest)
        assert _file(store, layer, SHARED) == b"gamma"
        assert [text for text in warnings if SHARED in text and "gamma" in text]
    assert len(digests) == 1


def test_equal_files_at_one_path_are_no_matter(store: Store) -> None:
    pairs = [
        _wheel(name, {"shared/__init__.py": b"", f"shared/{name}.py": b""}) for name in ("alpha", "beta")
    ]
    layer, warnings = _layer(store, *pairs)
    assert warnings == ()
    assert [entry.path for entry in layer.index].count(SHARED) == 1


def test_a_file_against_a_folder_is_refused(store: Store) -> None:
    pairs = [_wheel("alpha", {"shared": b"a file"}), _wheel("beta", {"shared/__init__.py": b""})]
    with pytest.raises(ProjectError, match="shared"):
        _layer(store, *pairs)


def test_a_layer_holds_every_file_of_its_wheel_as_recorded(store: Store) -> None:
    locked, raw = _wheel(
        "alpha", {"alpha/__init__.py": b"x = 1\n", "alpha/empty.py": b"", "alpha/big": b"ab" * 70_000}
    )
    layer, _ = _layer(store, (locked, raw))
    files = {entry.path: content for entry, content in read_files(store, layer.digest, layer.index)}
    site = "opt/venv/lib/python3.11/site-packages"
    assert files[f"{site}/alpha/big"] == b"ab" * 70_000
    assert files[f"{site}/alpha/empty.py"] == b""
    assert all(
        hashlib.sha256(files[entry.path]).hexdigest() == entry.content
        for entry in layer.index
        if entry.kind is EntryKind.FILE
    )
