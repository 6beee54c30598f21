"""Build and push as one act: what the registry has is neither made nor sent.

The layer digests in the lock make that possible: an image whose layers are all there is put together from
digests alone, and only its code, config and manifest move.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from lading.errors import UsageError
from lading.image.model import Image, LayerRecord
from lading.image.output.archive import platform_index
from lading.image.output.attach import Attachments
from lading.image.output.layout import named_manifest
from lading.image.output.provenance import MEDIA_PROVENANCE
from lading.image.output.sbom import MEDIA_SBOM
from lading.image.request import BuildContext, BuildListener, BuildOptions, Compression
from lading.image.spec import LayerSpec
from lading.image.target import build_target
from lading.lock.model import LockedLayer
from lading.oci.digest import Digest
from lading.oci.manifest import MEDIA_LAYER_GZIP, Descriptor
from lading.oci.reference import Reference
from lading.project.model import Project
from lading.registry.client import Registry, open_registry
from lading.registry.early import EarlyBlobs
from lading.registry.push import Document, Moved, Push

_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """An image where it was to go: `reference` is pinned to its digest."""

    reference: Reference
    moved: Moved


def parse_destination(text: str) -> Reference:
    """`HOST/REPOSITORY[:TAG]`. Raises UsageError."""
    try:
        reference = Reference.parse(text)
    except ValueError as error:
        raise UsageError(
            f"`{text}` is no place to push to: {error}", hints=("lading push registry.example/team/digits",)
        ) from None
    if reference.digest is not None:
        raise UsageError(
            f"`{text}` names a digest, which is what a push ends with",
            hints=(f"lading push {reference.name}",),
        )
    return reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Pusher:
    """One project's way to one repository."""

    registry: Registry
    destination: Reference
    project: Project
    context: BuildContext
    options: BuildOptions
    early: EarlyBlobs | None = None
    """Takes layers as soon as they are written; None: nothing leaves before the image is whole."""
    _there: set[Digest] = field(default_factory=set)
    """Layers that the repository said it has."""

    @property
    def name(self) -> str:
        return self.destination.name

    def build(self) -> Image:
        """The image, without the layers that are there already. Raises what building raises."""
        context = self.context
        if self.early is not None and self.options.compression is Compression.GZIP:
            self.early.wait()  # for the image before: processes are forked while no thread is at work
            listener = _SendingListener(to=context.listener, early=self.early)
            context = replace(context, listener=listener)
        return build_target(self.project, context, self.options, elsewhere=self)

    def push(
        self,
        image: Image,
        attached: Attachments,
        *,
        progress: Callable[[int], None] = lambda size_bytes: None,
        tagged: bool = True,
    ) -> Published:
        """Push `image` and the documents beside it; not `tagged`: under its digest, for an index to name.

        A layer that vanished from the registry meanwhile is built after all. Raises HttpStatus, FetchFailed,
        StoreError, DigestMismatch, and what building raises.
        """
        push = replace(self._push(), progress=progress, supply=self._supply, there=frozenset(self._there))
        documents: tuple[Document, ...] = ()
        if self.registry.find_manifest(self.destination.at(image.digest)) is None:
            # An image that is there has its documents; the first provenance stays.
            documents = (
                Document(content=attached.sbom, media_type=MEDIA_SBOM),
                Document(content=attached.provenance, media_type=MEDIA_PROVENANCE),
            )
        tag = self._tag(image)
        sent = self.early.wait() if self.early is not None else {}
        pushed = push.image(image.manifest, tag if tagged else image.digest, documents=documents, sent=sent)
        reference = replace(self.destination, tag=tag).at(pushed.digest)
        return Published(reference=reference, moved=pushed.moved)

    def push_index(self, images: Sequence[Image], published: Sequence[Published]) -> Published:
        """The index of images that are there, under the tag; what all of them cost.

        Raises HttpStatus, FetchFailed, StoreError.
        """
        store = self.context.store
        index = platform_index(store, [named_manifest(image) for image in images])
        push = Push(registry=self.registry, repository=self.destination.repository, store=store)
        tag = self._tag(images[0])
        digest = push.index(index, tag)
        reference = replace(self.destination, tag=tag).at(digest)
        return Published(reference=reference, moved=sum((one.moved for one in published), start=Moved()))

    def _push(self) -> Push:
        return Push(
            registry=self.registry,
            repository=self.destination.repository,
            store=self.context.store,
            mount_from=self._base_repositories(),
        )

    def _tag(self, image: Image) -> str:
        tag = self.destination.tag or Reference.parse(image.tag).tag
        assert tag is not None, "an image's tag names a version"
        return tag

    def find(self, layers: Sequence[LockedLayer]) -> frozenset[Digest]:
        """Which of these layers the destination has; what it has is not asked for again by the push."""
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="head") as pool:
            found = pool.map(self._is_there, layers)
            return frozenset(layer.digest for layer, there in zip(layers, found, strict=True) if there)

    def _is_there(self, layer: LockedLayer) -> bool:
        """Where the image goes, or in the base image's own repository there, from which it is mounted."""
        # Another size than the lock's is no such layer: it is made here, and compared with the lock.
        if self._holds(self.destination.repository, layer):
            self._there.add(layer.digest)
            return True
        places = self._base_repositories() if layer.kind == "base" else ()
        return any(self._holds(repository, layer) for repository in places)

    def _holds(self, repository: str, layer: LockedLayer) -> bool:
        return self.registry.blob_size_bytes(repository, layer.digest) == layer.size_bytes

    def _base_repositories(self) -> tuple[str, ...]:
        if not self.project.image.has_registry_base:
            return ()
        reference = Reference.parse(self.project.image.base)
        return (reference.repository,) if reference.registry == self.destination.registry else ()

    def _supply(self, missing: Sequence[Digest]) -> None:
        self.context.listener.warned(
            f"{len(missing)} layers are no longer in {self.destination.name}: building them"
        )
        build_target(self.project, self.context, replace(self.options, locked=True))


@contextlib.contextmanager
def open_pusher(
    destination: Reference,
    project: Project,
    context: BuildContext,
    options: BuildOptions,
    *,
    sends_early: bool = True,
) -> Iterator[Pusher]:
    """Connections are closed at the end. Not `sends_early`: an image may yet be refused for its size."""
    name, store = destination.registry, context.store
    with open_registry(name, store, context.environment, offline=options.offline) as registry:
        pusher = Pusher(
            registry=registry,
            destination=destination,
            project=project,
            context=context,
            options=options,
        )
        if not sends_early:
            yield pusher
            return
        early = EarlyBlobs(pusher._push)
        try:
            yield replace(pusher, early=early)
        finally:
            early.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _SendingListener:
    """Tells `to` everything, and sends each layer that was written: BuildListener."""

    to: BuildListener
    early: EarlyBlobs

    def started(self, layers: Sequence[LayerSpec], missing: Sequence[LayerSpec], total_bytes: int) -> None:
        self.to.started(layers, missing, total_bytes)

    def progress(self, unpacked_bytes: int) -> None:
        self.to.progress(unpacked_bytes)

    def warned(self, text: str) -> None:
        self.to.warned(text)

    def noted(self, text: str) -> None:
        self.to.noted(text)

    def written(self, record: LayerRecord, seconds: float) -> None:
        self.to.written(record, seconds)
        self.early.send(
            Descriptor(media_type=MEDIA_LAYER_GZIP, digest=record.digest, size_bytes=record.size_bytes)
        )

    def taking(self, layers: int, size_bytes: int) -> None:
        self.to.taking(layers, size_bytes)

    def taken(self, record: LayerRecord, seconds: float) -> None:
        self.to.taken(record, seconds)
