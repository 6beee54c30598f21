"""`--compression`: the same layers in another compressed form, for readers that need one.

Relocated layers are rows of gzip members. Some decoders stop after the first, and some registries and hosts
do better with zstd. The tar inside, and so the diff ID, stays; only the blob is another.
"""

from __future__ import annotations

import gzip
import hashlib
import mmap
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import IO, Any, cast

import deflate
from isal import igzip, isal_zlib

from lading.errors import DigestMismatch, UsageError
from lading.image.layer.framing import MEMBER_HEAD, trailer
from lading.image.layer.recipe import LEVEL, recipe_digest
from lading.image.model import LayerRecord
from lading.image.request import Compression
from lading.oci.digest import DiffId
from lading.oci.json import canonical_json
from lading.oci.manifest import MEDIA_LAYER_GZIP, MEDIA_LAYER_ZSTD
from lading.store import Store

_CHUNK_BYTES = 1 << 20
_ZSTD_LEVEL = 3

MEDIA_TYPES = {
    Compression.GZIP: MEDIA_LAYER_GZIP,
    Compression.GZIP_SINGLE: MEDIA_LAYER_GZIP,
    Compression.ZSTD: MEDIA_LAYER_ZSTD,
}


def recompress(store: Store, record: LayerRecord, compression: Compression) -> LayerRecord:
    """`record`'s layer in the form `compression`, written once and found again.

    gzip-single holds one compressed layer in memory while it is made; zstd streams. Raises StoreError,
    DigestMismatch for a corrupt layer, UsageError where zstd is not installed.
    """
    if compression is Compression.GZIP or record.media_type is not None:
        return record
    write, codec = _WRITERS[compression]()
    key = hashlib.sha256(canonical_json([record.key, str(record.digest), compression, codec])).hexdigest()
    known = store.layers.get(key)
    if known is not None:
        found = LayerRecord.from_json(known)
        if store.blobs.size_bytes(found.digest) == found.size_bytes:
            return replace(found, title=record.title)
    with store.blobs.writer() as blob:
        for piece in write(_tar_chunks(store, record)):
            blob.write(piece)
        written = replace(record, key=key, digest=blob.commit(), size_bytes=blob.size_bytes)
    store.layers.put(key, written.as_json())
    return written


def _tar_chunks(store: Store, record: LayerRecord) -> Iterator[bytes]:
    """The layer's tar; raises DigestMismatch when it is not the recorded one."""
    state = hashlib.sha256()
    path = store.blobs.path(record.digest)
    corrupt = DigestMismatch(
        f"layer {record.title!r} is corrupt", place=str(path), hints=("lading store verify --repair",)
    )
    try:
        with cast(Any, igzip).open(path, "rb") as tar:
            while chunk := tar.read(_CHUNK_BYTES):
                state.update(chunk)
                yield chunk
    except (gzip.BadGzipFile, EOFError, cast(type[Exception], isal_zlib.error)) as error:
        raise corrupt from error
    if DiffId.from_hex(state.hexdigest()) != record.diff_id:
        raise corrupt


_Write = Callable[[Iterator[bytes]], Iterator[bytes]]


def _single_member() -> tuple[_Write, str]:
    def write(chunks: Iterator[bytes]) -> Iterator[bytes]:
        with tempfile.TemporaryFile() as file:
            crc32, size_bytes = _spool(chunks, file)
            with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as tar:
                stream = cast(bytes, deflate.deflate_compress(tar, LEVEL))
        yield MEMBER_HEAD
        yield stream
        yield trailer(crc32, size_bytes)

    return write, recipe_digest()


def _spool(chunks: Iterator[bytes], file: IO[bytes]) -> tuple[int, int]:
    """Write all to `file`: libdeflate wants its whole input, and a mapped file is no memory of ours."""
    crc32 = size_bytes = 0
    for chunk in chunks:
        crc32 = isal_zlib.crc32(chunk, crc32)
        size_bytes += file.write(chunk)
    file.flush()
    return crc32, size_bytes


def _zstd() -> tuple[_Write, str]:
    try:
        import zstandard
    except ImportError as error:
        raise UsageError(
            "`--compression zstd` needs the package zstandard", hints=("pip install 'lading[zstd]'",)
        ) from error

    def write(chunks: Iterator[bytes]) -> Iterator[bytes]:
        compressor: Any = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, threads=0).compressobj()
        for chunk in chunks:
            if piece := compressor.compress(chunk):
                yield piece
        yield compressor.flush()

    return write, f"zstd {'.'.join(map(str, zstandard.ZSTD_VERSION))} level {_ZSTD_LEVEL}"


_WRITERS: dict[Compression, Callable[[], tuple[_Write, str]]] = {
    Compression.GZIP_SINGLE: _single_member,
    Compression.ZSTD: _zstd,
}
