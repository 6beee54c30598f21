"""Images as somebody else would have made them: layers by Python's own tarfile, pushed by lading's client.

Stand-ins: no public registry is asked in tests, so each base kind is made of a few files with the same shape.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lading.fetch.http import Fetcher
from lading.oci.digest import DiffId, Digest
from lading.oci.manifest import MEDIA_CONFIG, MEDIA_MANIFEST, Descriptor, ImageConfig, Index, Manifest
from lading.oci.platform import Platform
from lading.oci.reference import Reference
from lading.registry.client import Registry
from lading.registry.push import Push
from lading.store import Store

DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
AMD64 = Platform("linux", "amd64")
ARM64 = Platform("linux", "arm64")

Content = bytes | str | None
"""A file's bytes; a link's target; None for a folder."""
Layer = Mapping[str, Content]


@dataclass(frozen=True, slots=True, kw_only=True)
class PutLayer:
    digest: Digest
    diff_id: DiffId
    size_bytes: int


def layer_tar(files: Layer) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.mode = 0o755
            if content is None:
                member.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
            else:
                member.size = len(content)
            archive.addfile(member, io.BytesIO(content) if isinstance(content, bytes) else None)
    return buffer.getvalue()


def put_tar(store: Store, tar: bytes) -> PutLayer:
    packed = gzip.compress(tar, mtime=0)
    return PutLayer(
        digest=store.blobs.put(packed),
        diff_id=DiffId.from_hex(hashlib.sha256(tar).hexdigest()),
        size_bytes=len(packed),
    )


def put_image(
    store: Store,
    layers: Sequence[PutLayer],
    *,
    env: Mapping[str, str] | None = None,
    platform: Platform = AMD64,
) -> Manifest:
    config = ImageConfig(
        platform=platform,
        diff_ids=tuple(layer.diff_id for layer in layers),
        env=tuple((env or {}).items()),
        entrypoint=("/entrypoint.sh",),
    ).to_bytes()
    return Manifest(
        config=Descriptor(media_type=MEDIA_CONFIG, digest=store.blobs.put(config), size_bytes=len(config)),
        layers=tuple(
            Descriptor(media_type=DOCKER_LAYER, digest=layer.digest, size_bytes=layer.size_bytes)
            for layer in layers
        ),
    )


def push_image(store: Store, manifest: Manifest, name: str) -> str:
    """`name` is HOST:PORT/REPOSITORY:TAG; gives it back."""
    with _opened(store, name) as (push, version):
        push.image(manifest, version)
    return name


def push_index(images: Mapping[Platform, tuple[Store, Manifest]], name: str) -> str:
    """One name for an image a platform, each from a store of its own."""
    held = []
    for platform, (store, manifest) in images.items():
        content = manifest.to_bytes()
        digest = Digest.of(content)
        held.append(
            Descriptor(media_type=MEDIA_MANIFEST, digest=digest, size_bytes=len(content), platform=platform)
        )
        with _opened(store, name) as (push, version):
            push.image(manifest, digest)
            if len(held) == len(images):
                push.index(Index(manifests=tuple(held)), version)
    return name


@contextmanager
def _opened(store: Store, name: str) -> Iterator[tuple[Push, str]]:
    reference = Reference.parse(name)
    fetcher = Fetcher(staging=store.staging, environment={})
    try:
        registry = Registry(name=reference.registry, fetcher=fetcher, environment={"HOME": "/nonexistent"})
        yield Push(registry=registry, repository=reference.repository, store=store), reference.version
    finally:
        fetcher.close()


def tree_tar(root: Path, moved: Mapping[str, str]) -> bytes:
    """What is at the keys of `moved` below `root`, under the names that are its values."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for source, target in moved.items():
            archive.add(root / source, arcname=target)
    return buffer.getvalue()
