"""Another compressed form is another blob, never another layer."""

from __future__ import annotations

import gzip
import hashlib
import sys
import zlib
from pathlib import Path

import pytest
import zstandard

from lading.errors import DigestMismatch
from lading.image.layer.recompress import recompress
from lading.image.layer.writer import LayerWriter
from lading.image.model import LayerRecord
from lading.image.request import Compression
from lading.store import Store

sys.path.insert(0, str(Path(__file__).parents[2] / "golden"))
import layers as golden


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open({"LADING_HOME": str(tmp_path)})


@pytest.fixture
def record(store: Store) -> LayerRecord:
    with store.blobs.writer() as blob:
        writer = LayerWriter(blob)
        writer.entries(golden.tree_entries())
        layer = writer.finish()
    return LayerRecord(
        key="a" * 64,
        kind="base",
        title="golden",
        digest=layer.digest,
        diff_id=layer.diff_id,
        size_bytes=layer.size_bytes,
        unpacked_bytes=layer.unpacked_bytes,
        file_count=1,
    )


def test_gzip_single_is_one_member_with_the_same_tar(store: Store, record: LayerRecord) -> None:
    """A decoder that stops after the first member has read everything."""
    single = recompress(store, record, Compression.GZIP_SINGLE)
    decoder = zlib.decompressobj(31)
    tar = decoder.decompress(store.blobs.path(single.digest).read_bytes())
    assert decoder.eof
    assert decoder.unused_data == b""
    assert hashlib.sha256(tar).hexdigest() == record.diff_id.hex == single.diff_id.hex
    assert tar == gzip.decompress(store.blobs.path(record.digest).read_bytes())


def test_zstd_holds_the_same_tar(store: Store, record: LayerRecord) -> None:
    packed = recompress(store, record, Compression.ZSTD)
    with store.blobs.path(packed.digest).open("rb") as file:
        tar = zstandard.ZstdDecompressor().stream_reader(file).read()
    assert hashlib.sha256(tar).hexdigest() == packed.diff_id.hex == record.diff_id.hex


@pytest.mark.parametrize("form", list(Compression))
def test_a_form_is_written_once_and_is_the_same_again(
    store: Store, record: LayerRecord, form: Compression
) -> None:
    first = recompress(store, record, form)
    assert recompress(store, record, form) == first
    assert store.blobs.size_bytes(first.digest) == first.size_bytes


def test_a_corrupt_layer_is_not_packed_again(store: Store, record: LayerRecord) -> None:
    path = store.blobs.path(record.digest)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    with pytest.raises(DigestMismatch):
        recompress(store, record, Compression.ZSTD)
    assert len(list(store.blobs)) == 1
