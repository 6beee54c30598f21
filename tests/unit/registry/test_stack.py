"""A stack of layers reads as the engine that runs it would see it."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreign_images import Layer, layer_tar, put_tar
from lading.errors import FetchFailed
from lading.registry.stack import Stack, StackedKind, read_stack
from lading.store import Store


def stack(folder: Path, *layers: Layer) -> Stack:
    store = Store.open({"LADING_HOME": str(folder)})
    digests = [put_tar(store, layer_tar(layer)).digest for layer in layers]
    return read_stack(store, digests, lambda path, size_bytes: True)


def contents(found: Stack) -> dict[str, bytes]:
    return {path: file.content for path, file in found.files.items() if file.content is not None}


def test_the_upper_layer_wins(tmp_path: Path) -> None:
    assert contents(stack(tmp_path, {"a": b"1", "b": b"1"}, {"./a": b"2"})) == {"a": b"2", "b": b"1"}


def test_a_whiteout_hides_what_is_below(tmp_path: Path) -> None:
    found = stack(tmp_path, {"d": None, "d/a": b"1", "d/b": b"1", "da": b"1"}, {"d/.wh.a": b""})
    assert contents(found) == {"d/b": b"1", "da": b"1"}


def test_a_whiteout_of_a_folder_hides_all_in_it(tmp_path: Path) -> None:
    assert contents(stack(tmp_path, {"d": None, "d/a": b"1", "da": b"1"}, {".wh.d": b""})) == {"da": b"1"}


def test_an_opaque_folder_keeps_what_its_own_layer_has(tmp_path: Path) -> None:
    found = stack(tmp_path, {"d": None, "d/a": b"1"}, {"d": None, "d/b": b"2", "d/.wh..wh..opq": b""})
    assert contents(found) == {"d/b": b"2"}
    assert found.files["d"].kind is StackedKind.DIRECTORY


def test_a_file_in_place_of_a_folder_hides_the_folder(tmp_path: Path) -> None:
    assert contents(stack(tmp_path, {"d": None, "d/a": b"1"}, {"d": b"2"})) == {"d": b"2"}


def test_links_are_followed_inside_the_root(tmp_path: Path) -> None:
    found = stack(tmp_path, {"usr/lib/x": b"1", "lib": "usr/lib", "up": "../../lib/x", "abs": "/lib/x"})
    assert [found.read(path) for path in ("lib/x", "up", "abs", "/abs")] == [b"1"] * 4


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    found = stack(tmp_path, {"a": "b", "b": "a"})
    assert found.read("a") is None


def test_names_cannot_leave_the_root(tmp_path: Path) -> None:
    found = stack(tmp_path, {"../../etc/passwd": b"1", "/etc/group": b"2"})
    assert contents(found) == {"etc/passwd": b"1", "etc/group": b"2"}


@pytest.mark.parametrize(
    "content", [b"", b"no tar at all" * 99, gzip.compress(b"x" * 600)], ids=["nothing", "words", "gzip"]
)
def test_what_is_no_tar_is_refused(tmp_path: Path, content: bytes) -> None:
    store = Store.open({"LADING_HOME": str(tmp_path)})
    with pytest.raises(FetchFailed, match="cannot be read"):
        read_stack(store, [store.blobs.put(content)], lambda path, size_bytes: True)


def test_a_cut_layer_is_refused(tmp_path: Path) -> None:
    store = Store.open({"LADING_HOME": str(tmp_path)})
    packed = gzip.compress(layer_tar({"a": bytes(99_999)}))
    with pytest.raises(FetchFailed, match="cannot be read"):
        read_stack(store, [store.blobs.put(packed[: len(packed) // 2])], lambda path, size_bytes: True)


@given(st.lists(st.text("./ab", max_size=12), max_size=6))
def test_resolving_always_ends_within_the_root(paths: list[str]) -> None:
    found = Stack({})
    assert all(".." not in found.resolve(path).split("/") for path in paths)
