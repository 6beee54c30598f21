"""An image goes into an engine on this machine: only the layers that the engine lacks.

What the engine has is guessed from what it says of its images, and the guess is never trusted: an engine that
looks for a layer it was not given fails, and then gets the whole image; afterwards its layers are compared.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lading.engine.embedded.remove import remove_tree
from lading.engine.local.client import Client, CommandFailed, unusable
from lading.engine.model import ImageLayer
from lading.errors import DigestMismatch, EngineError, StoreError
from lading.image.output.archive import (
    NamedManifest,
    archive_chunks,
    archive_size_bytes,
    lacking_chunks,
    read_manifest,
)
from lading.image.output.layout import write_layout
from lading.oci.digest import DiffId, Digest
from lading.oci.manifest import ImageConfig
from lading.store import Store
from lading.store.atomic import temporary_name

ENGINES = ("docker", "podman")
_AT_ONCE = 200
"""Images one command line asks about."""
_CONTAINERD_STORE = "io.containerd.snapshotter.v1"

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """An image in an engine."""

    engine: str
    name: str
    """What the engine calls it."""
    moved_bytes: int
    """That went to the engine: layers, config and the archive around them."""
    present_bytes: int
    """Of layers that it had."""

    def as_json(self) -> dict[str, object]:
        return {
            "engine": self.engine,
            "name": self.name,
            "moved_bytes": self.moved_bytes,
            "present_bytes": self.present_bytes,
        }


def open_engine(name: str, environment: Mapping[str, str]) -> Client:
    """`docker` or `podman`, ready. Raises EngineError that says what is wrong and what to do."""
    client = Client.find(name, environment)
    try:
        client.ask("version")
    except CommandFailed as error:
        raise unusable(client, str(error)) from None
    return client


def load_image(
    client: Client, store: Store, image: NamedManifest, *, progress: Progress = lambda size_bytes: None
) -> Loaded:
    """Load `image` under its name. Raises EngineError, StoreError, DigestMismatch."""
    layers = image_layers(store, image.digest)
    load = _load_docker if client.name == "docker" else _load_podman
    try:
        moved_bytes, present_bytes = load(client, store, image, layers, progress)
    except CommandFailed as error:
        raise EngineError(
            f"{client.name} did not take {image.name}: {error}",
            hints=(f"{client.name} info", f"{client.name} images"),
        ) from None
    return Loaded(
        engine=client.name, name=image.name.familiar, moved_bytes=moved_bytes, present_bytes=present_bytes
    )


def image_layers(store: Store, digest: Digest) -> tuple[ImageLayer, ...]:
    """The layers of an image in the store, oldest first. Raises StoreError, DigestMismatch."""
    manifest = read_manifest(store, digest)
    body = store.blobs.read(manifest.config.digest, limit_bytes=8 << 20)
    config = ImageConfig.from_json(json.loads(body))
    return tuple(
        ImageLayer(digest=layer.digest, diff_id=diff_id, size_bytes=layer.size_bytes)
        for layer, diff_id in zip(manifest.layers, config.diff_ids, strict=True)
    )


def shared_prefix(layers: Sequence[ImageLayer], held: Sequence[Sequence[str]]) -> int:
    """How many of `layers`, from the oldest, some image that is `held` begins with. Pure."""
    longest = 0
    for chain in held:
        length = 0
        for layer, diff_id in zip(layers, chain, strict=False):
            if layer.diff_id != diff_id:
                break
            length += 1
        longest = max(longest, length)
    return longest


def _load_docker(
    client: Client, store: Store, image: NamedManifest, layers: Sequence[ImageLayer], progress: Progress
) -> tuple[int, int]:
    if _uses_containerd(client):
        return _load_containerd(client, store, image, layers, progress)
    config = read_manifest(store, image.digest).config.digest
    if _has(client, config, layers):
        client.ask("tag", config, image.name.familiar)
        return 0, sum(layer.size_bytes for layer in layers)
    held = shared_prefix(layers, _chains(client))
    if held:
        size_bytes, chunks = lacking_chunks(store, image, held)
        with contextlib.suppress(CommandFailed):  # it lost a layer meanwhile: it gets them all
            client.feed(_counted(chunks, progress), "load", "--quiet")
            if _has(client, config, layers):
                return size_bytes, sum(layer.size_bytes for layer in layers[:held])
    return _load_whole(client, store, image, layers, progress)


def _load_containerd(
    client: Client, store: Store, image: NamedManifest, layers: Sequence[ImageLayer], progress: Progress
) -> tuple[int, int]:
    """Docker that keeps blobs by digest: what it has is what its images name, of those that are known here.

    A chain would not do: the same files may have come packed otherwise, and the blob would be missing when
    the image is pushed on. One that it lacks after all makes it refuse the archive.
    """
    if _has(client, image.digest, layers):
        client.ask("tag", image.digest, image.name.familiar)
        return 0, sum(layer.size_bytes for layer in layers)
    left_out = frozenset(layer.digest for layer in layers) & _held_blobs(client, store)
    if left_out:
        with contextlib.suppress(CommandFailed):
            chunks = archive_chunks(store, [image], left_out=left_out)
            client.feed(_counted(chunks, progress), "load", "--quiet")
            if _has(client, image.digest, layers):
                present = sum(layer.size_bytes for layer in layers if layer.digest in left_out)
                return archive_size_bytes(store, [image], left_out=left_out), present
    return _load_whole(client, store, image, layers, progress)


def _load_whole(
    client: Client, store: Store, image: NamedManifest, layers: Sequence[ImageLayer], progress: Progress
) -> tuple[int, int]:
    client.feed(_counted(archive_chunks(store, [image]), progress), "load", "--quiet")
    if not _has(client, image.name.familiar, layers):
        raise EngineError(
            f"docker took {image.name} and has other layers under that name",
            hints=("docker images --digests",),
        )
    return archive_size_bytes(store, [image]), 0


def _load_podman(
    client: Client, store: Store, image: NamedManifest, layers: Sequence[ImageLayer], progress: Progress
) -> tuple[int, int]:
    """A layout with what it lacks, on the disk that both see; else the archive, through a pipe."""
    known = {diff_id for chain in _chains(client) for diff_id in chain}
    left_out = frozenset(layer.digest for layer in layers if layer.diff_id in known)
    with _layout(store, image, left_out) as (folder, size_bytes), contextlib.suppress(CommandFailed):
        found = client.ask("pull", "--quiet", f"oci:{folder}:{image.name.version}", seconds=None).split()
        if found and _has(client, found[-1], layers):
            progress(size_bytes)
            client.ask("tag", found[-1], image.name.qualified)
            return size_bytes, sum(layer.size_bytes for layer in layers if layer.digest in left_out)
    client.feed(_counted(archive_chunks(store, [image]), progress), "load", "--quiet")
    if not _has(client, image.name.qualified, layers):
        raise EngineError(
            f"podman took {image.name} and has other layers under that name",
            hints=("podman images --digests",),
        )
    return archive_size_bytes(store, [image]), 0


@contextlib.contextmanager
def _layout(store: Store, image: NamedManifest, left_out: frozenset[Digest]) -> Iterator[tuple[Path, int]]:
    folder = store.staging / temporary_name()
    try:
        yield folder, write_layout(store, [image], folder, left_out=left_out)
    finally:
        remove_tree(folder)


def _uses_containerd(client: Client) -> bool:
    """Docker with containerd's image store keeps blobs, not chains, and names images by their manifest."""
    return _CONTAINERD_STORE in client.ask("info", "--format", "{{json .DriverStatus}}")


def _held_blobs(client: Client, store: Store) -> frozenset[Digest]:
    """Layers of the engine's images whose manifests are in the store: it names images by these."""
    found: set[Digest] = set()
    for name in client.ask("image", "ls", "--all", "--quiet", "--no-trunc").split():
        # Images of others, indexes, and what is damaged here say nothing of what it has.
        with contextlib.suppress(ValueError, StoreError, DigestMismatch):
            found |= {layer.digest for layer in read_manifest(store, Digest(name)).layers}
    return frozenset(found)


def _chains(client: Client) -> list[list[str]]:
    """The diff IDs of every image the engine has, oldest layer first."""
    ids = sorted(set(client.ask("image", "ls", "--all", "--quiet", "--no-trunc").split()))
    chains: list[list[str]] = []
    for number in range(0, len(ids), _AT_ONCE):
        # An image that is removed between the two questions is only left out.
        words = ("image", "inspect", "--format", "{{json .RootFS.Layers}}", *ids[number : number + _AT_ONCE])
        with contextlib.suppress(CommandFailed):
            chains += [json.loads(line) or [] for line in client.ask(*words).splitlines() if line.strip()]
    return chains


def _has(client: Client, name: str, layers: Sequence[ImageLayer]) -> bool:
    """Whether the engine has an image `name` of exactly these layers."""
    try:
        said = client.ask("image", "inspect", "--format", "{{json .RootFS.Layers}}", name)
        return [DiffId(diff_id) for diff_id in json.loads(said)] == [layer.diff_id for layer in layers]
    except (CommandFailed, ValueError, TypeError):
        return False


def _counted(chunks: Iterator[bytes], progress: Progress) -> Iterator[bytes]:
    for chunk in chunks:
        progress(len(chunk))
        yield chunk
