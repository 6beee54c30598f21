"""The layer reader against the writer, and against what is no layer of lading's."""

from __future__ import annotations

import gzip
import io
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lading.image.layer.framing import compressed_member
from lading.image.layer.reader import ForeignFormat, read_layer
from lading.image.layer.recipe import CHUNK_BYTES
from lading.image.layer.tree import EntryKind, TreeEntry
from lading.image.layer.writer import LayerWriter, WrittenLayer
from lading.store import Store

sys.path.insert(0, str(Path(__file__).parents[2] / "golden"))
import layers as golden

NAMES = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/"), min_size=1, max_size=60
).filter(lambda name: name not in (".", ".."))
FILES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=6).map(lambda parts: "/".join(("d", *parts))),
    st.binary(max_size=2000),
    max_size=8,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open({"LADING_HOME": str(tmp_path / "store")})


def written(store: Store, entries: list[TreeEntry]) -> WrittenLayer:
    with store.blobs.writer() as blob:
        writer = LayerWriter(blob)
        writer.entries(entries)
        return writer.finish()


def check(store: Store, layer: WrittenLayer) -> None:
    read = read_layer(store, layer.digest)
    assert (read.digest, read.diff_id, read.unpacked_bytes, read.index) == (
        layer.digest,
        layer.diff_id,
        layer.unpacked_bytes,
        layer.index,
    )


def test_reading_gives_what_writing_gave(store: Store) -> None:
    """Digest, diff ID and an index that is equal to the last offset, for every kind of entry."""
    check(store, written(store, golden.tree_entries()))
    check(store, written(store, []))
    large = TreeEntry(path="large", kind=EntryKind.FILE, mode=0o644, content=b"ab" * CHUNK_BYTES)
    check(store, written(store, [large, TreeEntry(path="z", kind=EntryKind.FILE, mode=0o600, content=b"")]))


@settings(deadline=None, max_examples=40)
@given(files=FILES)
def test_any_files_are_read_back(files: dict[str, bytes]) -> None:
    kept = [path for path in files if not any(other.startswith(f"{path}/") for other in files)]
    entries = [
        TreeEntry(path=path, kind=EntryKind.FILE, mode=0o644, content=files[path]) for path in sorted(kept)
    ]
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open({"LADING_HOME": folder})
        check(store, written(store, entries))


def _tar(*, content: bytes = b"x" * 700) -> bytes:
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w") as archive:
        member = tarfile.TarInfo("opt/file")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return body.getvalue()


def _fifo() -> bytes:
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        member = tarfile.TarInfo("opt/pipe")
        member.type = tarfile.FIFOTYPE
        archive.addfile(member)
    return body.getvalue()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"no gzip at all", "gzip"),
        (gzip.compress(_tar()), "begin with a gzip member"),
        (compressed_member(_tar()[:512]) + compressed_member(_tar()[512:]), "end with a gzip member"),
        (compressed_member(_fifo()), "kind"),
        (compressed_member(b"short"), "cut off"),
        (compressed_member(b"\1" * 512), "kind"),
        (compressed_member(bytes(1024))[:-3], "ends within"),
        (compressed_member(bytes(1024)) + b"more", "follows"),
        (compressed_member(b""), "no file and no end"),
    ],
)
def test_what_lading_did_not_write_is_no_layer(store: Store, content: bytes, why: str) -> None:
    with pytest.raises(ForeignFormat, match=why):
        read_layer(store, store.blobs.put(content))


@settings(deadline=None, max_examples=40)
@given(damage=st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=4))
def test_damage_is_an_error_or_another_digest(damage: list[tuple[int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open({"LADING_HOME": folder})
        layer = written(store, golden.tree_entries())
        content = bytearray(store.blobs.path(layer.digest).read_bytes())
        for place, value in damage:
            content[place % len(content)] = value
        try:
            read = read_layer(store, store.blobs.put(bytes(content)))
        except ForeignFormat:
            return
        same = bytes(content) == store.blobs.path(layer.digest).read_bytes()
        assert same == (read.digest == layer.digest)
