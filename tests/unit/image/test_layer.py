"""The layer writer against its oracles: gzip, tarfile, and digests that must never change."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sys
import tarfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.errors import ProjectError
from lading.image.layer import tar
from lading.image.layer.contents import read_files
from lading.image.layer.framing import MEMBER_HEAD, compressed_member, stored_blocks, trailer
from lading.image.layer.recipe import FORMAT, MTIME_SECONDS
from lading.image.layer.tree import EntryKind, TreeEntry
from lading.image.layer.writer import LayerWriter, WrittenLayer
from lading.store import Store

sys.path.insert(0, str(Path(__file__).parents[2] / "golden"))
import layers as golden

GOLDEN = Path(__file__).parents[2] / "golden" / f"format-{FORMAT}.json"

names = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/"), min_size=1, max_size=60
).filter(lambda name: name not in (".", ".."))
paths = st.lists(names, min_size=1, max_size=6).map("/".join)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open({"LADING_HOME": str(tmp_path / "store")})


def written(store: Store, entries: list[TreeEntry]) -> WrittenLayer:
    with store.blobs.writer() as blob:
        writer = LayerWriter(blob)
        writer.entries(entries)
        return writer.finish()


@pytest.mark.catalogue("D14")
def test_layer_digests_are_the_golden_ones_of_this_format(store: Store) -> None:
    """A format's bytes are for ever: if this fails, FORMAT must be raised and a new golden file made."""
    expected = json.loads(GOLDEN.read_text())
    assert golden.golden_layers(store, GOLDEN.parent / golden.WHEEL_NAME) == expected


@pytest.mark.catalogue("D12")
def test_a_layer_is_what_tarfile_and_gzip_read_back(store: Store) -> None:
    """Paths, types, modes, links, contents and times survive; the diff ID is the tar's sha256."""
    entries = golden.tree_entries()
    layer = written(store, entries)
    plain = gzip.decompress(store.blobs.path(layer.digest).read_bytes())
    assert hashlib.sha256(plain).hexdigest() == layer.diff_id.hex
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        members = {member.name: member for member in archive}
        for entry in entries:
            member = members[entry.path]
            assert member.mode == entry.mode
            assert member.mtime == MTIME_SECONDS
            assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")
            if entry.kind is EntryKind.FILE:
                file = archive.extractfile(member)
                assert file is not None
                assert file.read() == entry.content
            elif entry.link_target is not None:
                assert member.linkname == entry.link_target


def test_every_path_is_written_once_and_after_its_parents(store: Store) -> None:
    layer = written(store, golden.tree_entries())
    seen: set[str] = {""}
    for entry in layer.index:
        assert entry.path not in seen
        assert entry.path.rpartition("/")[0] in seen
        seen.add(entry.path)


def test_files_are_read_back_through_the_index(store: Store) -> None:
    layer = written(store, golden.tree_entries())
    expected = {e.path: e.content for e in golden.tree_entries() if e.kind is EntryKind.FILE}
    found = {entry.path: content for entry, content in read_files(store, layer.digest, layer.index)}
    assert found == expected


@pytest.mark.parametrize("second", [EntryKind.FILE, EntryKind.SYMLINK])
def test_a_path_twice_is_refused(store: Store, second: EntryKind) -> None:
    entries = [
        TreeEntry(path="a/b", kind=EntryKind.FILE, mode=0o644, content=b"1"),
        TreeEntry(path="a/b", kind=second, mode=0o644, link_target="x"),
    ]
    with pytest.raises(ProjectError, match="/a/b"):
        written(store, entries)
    assert list(store.blobs) == []


def test_a_file_under_a_file_is_refused(store: Store) -> None:
    entries = [
        TreeEntry(path="a", kind=EntryKind.FILE, mode=0o644, content=b"1"),
        TreeEntry(path="a/b", kind=EntryKind.FILE, mode=0o644, content=b"2"),
    ]
    with pytest.raises(ProjectError, match="/a is a file"):
        written(store, entries)


@given(path=paths, target=paths, mode=st.integers(0, 0o7777), size=st.integers(0, 1 << 45))
def test_headers_say_what_was_meant(path: str, target: str, mode: int, size: int) -> None:
    """tarfile reads back any path, link, mode and size, in ustar or pax as needed."""
    for kind, link, length in ((tar.REGULAR, "", size), (tar.SYMLINK, target, 0), (tar.DIRECTORY, "", 0)):
        block = tar.header(path, kind, mode=mode, size_bytes=length, link_target=link)
        assert len(block) % 512 == 0
        with tarfile.open(fileobj=io.BytesIO(block + bytes(1024)), errorlevel=0) as archive:
            member = archive.next()
        assert member is not None
        assert (member.name, member.mode, member.size, member.linkname) == (path, mode, length, link)
        assert member.type == kind


@given(st.lists(st.binary(max_size=200_000), min_size=1, max_size=4))
def test_stored_members_are_valid_gzip(chunks: list[bytes]) -> None:
    """Stored blocks framed by hand hold exactly what went in."""
    content = b"".join(chunks)
    final = len(chunks) - 1
    body = b"".join(
        bytes(part)
        for number, chunk in enumerate(chunks)
        for part in stored_blocks(chunk, last=number == final)
    )
    assert gzip.decompress(MEMBER_HEAD + body + trailer(zlib.crc32(content), len(content))) == content


@given(st.binary(max_size=100_000))
def test_compressed_members_are_valid_gzip(content: bytes) -> None:
    assert gzip.decompress(compressed_member(content)) == content
