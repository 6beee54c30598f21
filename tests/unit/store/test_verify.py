"""The laws of `verify`: every injected damage is found, nothing sound is blamed, repair leaves it whole."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lading.errors import DigestMismatch, StoreError
from lading.oci.digest import Digest
from lading.store import Store
from lading.store.verify import verify


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store.open({"LADING_HOME": str(tmp_path / "home")})
    for number in range(12):
        digest = store.blobs.put(random.Random(number).randbytes(number * 997 + 1))
        store.layers.put(Digest.of(str(number).encode()).hex, {"digest": str(digest), "title": "layer"})
    return store


def overwrite(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


def test_a_sound_store_has_no_damage(store: Store) -> None:
    result = verify(store)

    assert result.damages == ()
    assert (result.blob_count, result.record_count) == (12, 12)
    assert result.size_bytes == sum(store.blobs.path(digest).stat().st_size for digest in store.blobs)


def test_every_single_bit_flip_is_found(store: Store) -> None:
    """S21: 100 % of injected flips, one in each blob at once."""
    generator = random.Random(7)
    for digest in store.blobs:
        content = bytearray(store.blobs.path(digest).read_bytes())
        content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        overwrite(store.blobs.path(digest), bytes(content))

    kinds = [damage.kind for damage in verify(store).damages]

    assert kinds.count("corrupt-blob") == 12
    assert kinds.count("dangling-record") == 12


def truncate(path: Path, other: Path) -> None:
    overwrite(path, path.read_bytes()[:-1])


def empty(path: Path, other: Path) -> None:
    overwrite(path, b"")


def swap(path: Path, other: Path) -> None:
    overwrite(path, other.read_bytes())


def append(path: Path, other: Path) -> None:
    overwrite(path, path.read_bytes() + b"\0")


@pytest.mark.parametrize("damage", [truncate, empty, swap, append])
def test_damage_is_found_and_the_blob_is_not_readable(store: Store, damage) -> None:  # type: ignore[no-untyped-def]
    """S22, S23, S24."""
    first, second, *_ = list(store.blobs)
    damage(store.blobs.path(first), store.blobs.path(second))

    found = verify(store).damages

    assert [item.place for item in found if item.kind == "corrupt-blob"] == [str(store.blobs.path(first))]
    with pytest.raises(DigestMismatch):
        store.blobs.read(first)
    with pytest.raises(DigestMismatch):
        list(store.blobs.chunks(first))


def test_a_record_of_a_blob_that_is_gone_is_named(store: Store) -> None:
    """S26: a dangling name."""
    digest = next(iter(store.blobs))
    store.blobs.remove(digest)

    (damage,) = verify(store).damages

    assert damage.kind == "dangling-record"
    assert digest.hex in damage.message


@pytest.mark.parametrize("content", [b"", b"x", b"{}", b"0" * 64 + b"\n{}", b"\xff\xfe\n[1"])
def test_a_torn_record_is_found_and_reads_as_absent(store: Store, content: bytes) -> None:
    """S25 for records."""
    key = next(iter(store.layers.keys()))
    store.layers.path(key).write_bytes(content)

    assert [damage.kind for damage in verify(store).damages] == ["torn-record"]
    assert store.layers.get(key) is None


def test_what_is_no_blob_is_named_and_repair_removes_it(store: Store) -> None:
    (store.root / "blobs/sha256/README").write_text("not a digest")

    assert [damage.kind for damage in verify(store).damages] == ["foreign-file"]

    verify(store, repair=True)
    assert verify(store).damages == ()


def test_repair_removes_damage_and_keeps_all_else(store: Store) -> None:
    blobs = list(store.blobs)
    overwrite(store.blobs.path(blobs[0]), b"bad")
    store.layers.path(next(iter(store.layers.keys()))).write_bytes(b"torn")

    result = verify(store, repair=True)

    assert result.repaired
    assert {damage.kind for damage in result.damages} >= {"corrupt-blob", "torn-record"}
    assert verify(store).damages == ()
    assert list(store.blobs) == blobs[1:]


def test_a_tree_that_is_not_whole_is_found_and_repaired(store: Store) -> None:
    (store.root / "trees/whole").mkdir()
    (store.root / "trees/whole/tree.json").write_text("{}")
    (store.root / "trees/half/root").mkdir(parents=True)

    assert [damage.kind for damage in verify(store).damages] == ["half-tree"]

    verify(store, repair=True)
    assert verify(store).damages == ()
    assert os.listdir(store.root / "trees") == ["whole"]


def test_progress_adds_up_to_the_bytes_hashed(store: Store) -> None:
    seen: list[int] = []

    result = verify(store, workers=4, progress=seen.append)

    assert result.size_bytes == sum(seen)


def test_a_lock_that_the_file_system_cannot_give_is_an_error_with_a_remedy(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S33: no flock (some network file systems) is refused, never ignored."""
    import errno
    import fcntl

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)

    with pytest.raises(StoreError, match="needs a file system with flock") as caught:
        verify(store)
    assert caught.value.hints


def test_a_store_removed_while_in_use_is_a_typed_error(store: Store) -> None:
    """S34."""
    import shutil

    digest = next(iter(store.blobs))
    shutil.rmtree(store.root)

    for action in (
        lambda: store.blobs.put(b"new"),
        lambda: store.blobs.read(digest),
        lambda: list(store.blobs.chunks(digest)),
        lambda: store.layers.put("0" * 64, {}),
        lambda: verify(store),
    ):
        with pytest.raises(StoreError):
            action()


@settings(max_examples=30, deadline=None)
@given(content=st.binary(min_size=1, max_size=200), data=st.data())
def test_no_other_content_passes_for_a_blob(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, data: st.DataObject
) -> None:
    store = Store.open({"LADING_HOME": str(tmp_path_factory.mktemp("home"))})
    digest = store.blobs.put(content)
    other = data.draw(st.binary(max_size=200).filter(lambda value: value != content))
    overwrite(store.blobs.path(digest), other)

    assert [damage.kind for damage in verify(store, workers=1).damages] == ["corrupt-blob"]
