"""One tar that Docker, Podman and containerd all load: an OCI layout with Docker's manifest.json in it.

Images of one name for several platforms stand under it as an OCI index; Docker's manifest.json, which knows
no platforms, is then left out.

Docker ≤ 24 reads `manifest.json` and follows its paths into `blobs/sha256/`; Podman and containerd read
`index.json`. Bytes depend on image and name alone: sorted entries, one mtime, root's ids. Nothing is held in
memory; each blob is hashed while it passes (image-spec image-layout.md; Docker's image/spec/v1.2).

Pure but for the blobs it reads; where the bytes go is the caller's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from lading.errors import StoreError
from lading.image.layer import tar
from lading.oci.digest import Digest
from lading.oci.json import canonical_json
from lading.oci.manifest import MEDIA_INDEX, MEDIA_MANIFEST, Descriptor, Index, Manifest
from lading.oci.platform import Platform
from lading.oci.reference import Reference
from lading.store import Store

OCI_LAYOUT = canonical_json({"imageLayoutVersion": "1.0.0"})
REF_NAME = "org.opencontainers.image.ref.name"
CONTAINERD_NAME = "io.containerd.image.name"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedManifest:
    """What is written out: a manifest in the store, its platform, and the name it shall have."""

    digest: Digest
    platform: Platform
    name: Reference
    """Always with a tag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    path: str
    size_bytes: int
    content: bytes | Digest


def archive_chunks(
    store: Store, images: Sequence[NamedManifest], *, left_out: frozenset[Digest] = frozenset()
) -> Iterator[bytes]:
    """The archive, piece by piece.

    Blobs in `left_out` are named and not there, for a reader that has them; nor is Docker's manifest.json,
    whose readers follow its paths. Raises StoreError, and DigestMismatch before the archive is whole.
    """
    yield from _chunks(store, _entries(store, images, left_out))


def archive_size_bytes(
    store: Store, images: Sequence[NamedManifest], *, left_out: frozenset[Digest] = frozenset()
) -> int:
    """How long the archive will be. Raises StoreError when a blob is missing."""
    return _size_bytes(_entries(store, images, left_out))


def _chunks(store: Store, entries: Sequence[_Entry]) -> Iterator[bytes]:
    for folder in ("blobs", "blobs/sha256"):
        yield tar.header(folder, tar.DIRECTORY, mode=0o755)
    for entry in entries:
        yield tar.header(entry.path, tar.REGULAR, mode=0o644, size_bytes=entry.size_bytes)
        if isinstance(entry.content, Digest):
            yield from store.blobs.chunks(entry.content)
        else:
            yield entry.content
        yield tar.padding(entry.size_bytes)
    yield tar.END


def _size_bytes(entries: Sequence[_Entry]) -> int:
    payloads = sum(entry.size_bytes + len(tar.padding(entry.size_bytes)) for entry in entries)
    headers = sum(
        len(tar.header(entry.path, tar.REGULAR, mode=0o644, size_bytes=entry.size_bytes)) for entry in entries
    )
    return 2 * tar.BLOCK_BYTES + headers + payloads + len(tar.END)


def image_blobs(store: Store, digest: Digest) -> dict[Digest, int]:
    """Every blob of an image and its size in bytes: manifest, config, layers.

    Raises StoreError when one is missing or has another length than the manifest says.
    """
    manifest = read_manifest(store, digest)
    wanted = {descriptor.digest: descriptor.size_bytes for descriptor in (manifest.config, *manifest.layers)}
    sizes = {digest: len(manifest_bytes(store, digest))}
    for blob, size_bytes in wanted.items():
        found = store.blobs.size_bytes(blob)
        if found != size_bytes:
            state = "missing" if found is None else f"{found} bytes long instead of {size_bytes}"
            raise StoreError(
                f"blob {blob} of image {digest} is {state}",
                place=str(store.blobs.path(blob)),
                hints=("lading store verify --repair", "lading build"),
            )
        sizes[blob] = size_bytes
    return sizes


def manifest_bytes(store: Store, digest: Digest) -> bytes:
    """Raises StoreError when absent, DigestMismatch when corrupt."""
    return store.blobs.read(digest, limit_bytes=8 << 20)


def read_manifest(store: Store, digest: Digest) -> Manifest:
    """Raises StoreError when the blob is no manifest."""
    import json

    try:
        return Manifest.from_json(json.loads(manifest_bytes(store, digest)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"blob {digest} is no image manifest: {error}", place=str(store.blobs.path(digest))
        ) from error


def by_name(images: Sequence[NamedManifest]) -> list[list[NamedManifest]]:
    """Images of one name together, in the order of their first."""
    groups: dict[Reference, list[NamedManifest]] = {}
    for image in images:
        groups.setdefault(image.name, []).append(image)
    return list(groups.values())


def platform_index(store: Store, group: Sequence[NamedManifest]) -> Index:
    """One name's images, by platform: what a registry keeps under one tag. Raises StoreError."""
    return Index(manifests=tuple(_manifest_entry(store, image) for image in _sorted(group)))


def _sorted(group: Sequence[NamedManifest]) -> list[NamedManifest]:
    return sorted(group, key=lambda image: str(image.platform))


def _manifest_entry(store: Store, image: NamedManifest) -> Descriptor:
    return Descriptor(
        media_type=MEDIA_MANIFEST,
        digest=image.digest,
        size_bytes=len(manifest_bytes(store, image.digest)),
        platform=image.platform,
    )


def index_entry(store: Store, group: Sequence[NamedManifest]) -> Descriptor:
    """The line of one name in an `index.json`: its image, or the index of its images."""
    name = group[0].name
    annotations = {CONTAINERD_NAME: name.qualified, REF_NAME: name.version}
    if len(group) == 1:
        return replace(_manifest_entry(store, group[0]), annotations=annotations)
    content = platform_index(store, group).to_bytes()
    return Descriptor(
        media_type=MEDIA_INDEX,
        digest=Digest.of(content),
        size_bytes=len(content),
        annotations=annotations,
    )


def _entries(store: Store, images: Sequence[NamedManifest], left_out: frozenset[Digest]) -> list[_Entry]:
    blobs: dict[Digest, int | bytes] = {}
    for image in images:
        blobs |= image_blobs(store, image.digest)
    groups = by_name(images)
    for group in groups:
        if len(group) > 1:
            content = platform_index(store, group).to_bytes()
            blobs[Digest.of(content)] = content
    index = Index(manifests=tuple(index_entry(store, group) for group in groups)).to_bytes()
    documents = [("index.json", index), ("oci-layout", OCI_LAYOUT)]
    if not left_out and all(len(group) == 1 for group in groups):
        docker = canonical_json([_docker_entry(store, image) for image in images])
        documents.insert(1, ("manifest.json", docker))
    entries = [
        _Entry(path=_blob_path(digest), size_bytes=held, content=digest)
        if isinstance(held, int)
        else _Entry(path=_blob_path(digest), size_bytes=len(held), content=held)
        for digest, held in sorted(blobs.items())
        if digest not in left_out
    ]
    return entries + [
        _Entry(path=path, size_bytes=len(content), content=content) for path, content in documents
    ]


def lacking_chunks(store: Store, image: NamedManifest, held: int) -> tuple[int, Iterator[bytes]]:
    """Docker's archive without the first `held` layers, and its size in bytes.

    An engine that has these as a chain opens none of them (moby: image/tarexport/load.go). Raises StoreError.
    """
    manifest = read_manifest(store, image.digest)
    skipped = {layer.digest for layer in manifest.layers[:held]} - {
        layer.digest for layer in manifest.layers[held:]
    }
    docker = canonical_json([_docker_entry(store, image)])
    blobs = {blob.digest: blob.size_bytes for blob in (manifest.config, *manifest.layers)}
    entries = [
        _Entry(path=_blob_path(digest), size_bytes=size_bytes, content=digest)
        for digest, size_bytes in sorted(blobs.items())
        if digest not in skipped
    ]
    entries.append(_Entry(path="manifest.json", size_bytes=len(docker), content=docker))
    return _size_bytes(entries), _chunks(store, entries)


def _docker_entry(store: Store, image: NamedManifest) -> dict[str, object]:
    manifest = read_manifest(store, image.digest)
    return {
        "Config": _blob_path(manifest.config.digest),
        "RepoTags": [image.name.familiar],
        "Layers": [_blob_path(layer.digest) for layer in manifest.layers],
    }


def _blob_path(digest: Digest) -> str:
    return f"blobs/sha256/{digest.hex}"
