"""Which image the words of `explain` and `diff` mean: in the store, a file, an engine, a registry."""

from __future__ import annotations

import contextlib
import os
import platform as host
import re
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lading.cli.building import parse_platform
from lading.cli.parser import Parser
from lading.cli.session import Session
from lading.errors import DigestMismatch, EngineError, StoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lading.inspect.image.attached import Attachment
    from lading.inspect.image.model import ImageEvidence
    from lading.inspect.image.source import ImageSource
    from lading.oci.digest import DiffId, Digest
    from lading.run.rows import ImageRow

_SHORT_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{7,63})")
_KINDS = ("oci", "oci-archive", "docker-archive", "docker", "podman")
FORMS = (
    "a target, a digest or tag in the store, HOST/REPOSITORY:TAG, oci:DIR, oci-archive:FILE,"
    " docker-archive:FILE, docker:NAME or podman:NAME"
)


def add_platform(parser: Parser) -> None:
    """Of commands that look into an image."""
    parser.option(
        "--platform",
        variable="LADING_PLATFORM",
        metavar="OS/ARCH",
        convert=parse_platform,
        help="which image of several: linux/amd64 or linux/arm64; default: this host's",
    )


def read_words(words: str | None, platform: str | None, session: Session) -> ImageEvidence:
    """The image, read whole, or as far as its layers are not known already."""
    from lading.inspect.image.source import read_image

    source = find_source(words, platform or default_platform(), session)
    with session.store.using(), session.printer.progress(f"reading {source.name}") as phase:
        return read_image(source, session.store, progress=phase.advance)


def sharing_images(session: Session, image: ImageEvidence) -> dict[DiffId, tuple[str, ...]]:
    """Other images of the store that have a layer of `image`: their tags, by the layer's diff ID."""
    from lading.engine.local.load import image_layers
    from lading.run.ledger import Ledger

    with Ledger.open(session.store) as ledger:
        others = {row.digest: row.tag for row in ledger.images() if row.digest != image.digest}
    found: dict[DiffId, list[str]] = {}
    for digest, tag in others.items():
        with contextlib.suppress(StoreError, DigestMismatch):  # collected meanwhile
            for layer in image_layers(session.store, digest):
                found.setdefault(layer.diff_id, []).append(f"{tag}@{digest.short}")
    held = {layer.diff_id for layer in image.layers}
    return {diff_id: tuple(sorted(tags)) for diff_id, tags in found.items() if diff_id in held}


def find_source(words: str | None, platform: str, session: Session) -> ImageSource:
    """Raises UsageError, and what opening each kind raises."""
    from lading.inspect.image.archives import Archive, Folder, docker_image, layout_image

    kind, colon, rest = (words or "").partition(":")
    if colon and rest and words is not None:
        staging = session.store.staging
        if kind == "oci":
            return layout_image(Folder(Path(rest)), words, platform)
        if kind == "oci-archive":
            return layout_image(Archive(Path(rest), staging), words, platform)
        if kind == "docker-archive":
            return docker_image(Archive(Path(rest), staging), words, platform)
        if kind in ("docker", "podman"):
            return _from_engine(kind, rest, platform, session)
    return _stored(words, platform, session)


def _from_engine(engine: str, name: str, platform: str, session: Session) -> ImageSource:
    from lading.engine.local.load import open_engine
    from lading.inspect.image.archives import Archive, docker_image

    client = open_engine(engine, session.environment)
    descriptor, path = tempfile.mkstemp(dir=session.store.staging, prefix=f"{os.getpid()}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            done = subprocess.run(
                [client.program, "save", name],
                env=dict(client.environment),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.PIPE,
                check=False,
            )
        if done.returncode != 0:
            said = " ".join(done.stderr.decode("utf-8", "replace").split())[-400:]
            raise EngineError(f"{engine} did not give {name}: {said}", hints=(f"{engine} images",))
        return docker_image(Archive(Path(path), session.store.staging), f"{engine}:{name}", platform)
    finally:
        Path(path).unlink(missing_ok=True)  # the open file stays readable


def _stored(words: str | None, platform: str, session: Session) -> ImageSource:
    from lading.inspect.image.archives import Folder, manifest_image

    digest = _known(words, platform, session)
    if digest is None:
        assert words is not None
        digest = _pulled(words, platform, session)
    return manifest_image(Folder(session.store.root), words or digest.short, digest)


def _known(words: str | None, platform: str, session: Session) -> Digest | None:
    from lading.oci.digest import Digest
    from lading.run.ledger import Ledger

    blobs = session.store.blobs
    if words is not None:
        with contextlib.suppress(ValueError):
            digest = Digest(words.rpartition("@")[2])
            if blobs.has(digest):
                return digest
            if "@" not in words:
                raise UsageError(
                    f"{words} is not in the store",
                    hints=(f"lading {session.command} HOST/REPOSITORY@sha256:…",),
                )
    with Ledger.open(session.store) as ledger:
        rows = [row for row in ledger.images() if row.platform == platform and blobs.has(row.digest)]
    if words is not None:
        for row in rows:
            if row.tag == words:
                return row.digest
        if (match := _SHORT_DIGEST.fullmatch(words)) is not None:
            return _by_short(match[1], rows)
    found = _of_project(words, rows, session)
    if found is None and words is not None and "/" not in words:
        raise _no_such_tag(words, rows, session.command)
    return found


def _by_short(start: str, rows: Sequence[ImageRow]) -> Digest:
    """The image whose digest begins so. Raises UsageError for none and for several."""
    found = sorted({row.digest for row in rows if row.digest.hex.startswith(start)})
    if len(found) == 1:
        return found[0]
    raise UsageError(
        f"{len(found) or 'no'} images in the store have a digest that begins with {start}",
        hints=tuple(f"lading explain {digest}" for digest in found[:3]) or ("lading build",),
    )


def _no_such_tag(words: str, rows: Sequence[ImageRow], command: str) -> UsageError:
    """A bare name is nobody's registry: it is not looked up on somebody else's machine unasked."""
    from lading.cli.parser import closest

    tags = list(dict.fromkeys(row.tag for row in rows))
    near = closest(words, tags)
    known = f"; there are {', '.join(tags[:5])}" + (" …" if len(tags) > 5 else "") if tags else ""
    hub = f"lading {command} docker.io/library/{words}   # a public image"
    return UsageError(
        f"there is no image {words} in the store{known}",
        hints=(f"lading {command} {near}", hub) if near else (hub,),
    )


def _of_project(words: str | None, rows: Sequence[ImageRow], session: Session) -> Digest | None:
    from lading.cli.building import open_project
    from lading.errors import ProjectError
    from lading.project.name import is_project

    is_word = words is None or not any(mark in words for mark in ":/@")
    if not is_word:
        return None
    if words is None and not is_project(Path.cwd()):
        raise UsageError(
            "no image was named, and the folder here is no project",
            hints=(f"lading {session.command} IMAGE",),
        )
    try:
        project = open_project(".", session)
    except ProjectError:
        if words is not None:
            return None
        raise
    target = words or ("train" if "train" in project.targets else next(iter(project.targets)))
    if target not in project.targets:
        return None
    for row in rows:
        if row.project == project.name and row.target == target:
            return row.digest
    raise UsageError(
        f"{project.name} has no image of {target} in the store", hints=(f"lading build --target {target}",)
    )


def _pulled(words: str, platform: str, session: Session) -> Digest:
    from lading.cli.format import format_size
    from lading.oci.platform import Platform
    from lading.oci.reference import Reference
    from lading.registry.client import open_registry
    from lading.registry.pull import find_image, pull_layers

    try:
        reference = Reference.parse(words)
        _ = reference.version
        wanted = Platform.parse(platform)
    except ValueError as error:
        raise UsageError(f"`{words}` is no image here: {error}; an image is {FORMS}") from None
    store = session.store
    with open_registry(reference.registry, store, session.environment) as registry, store.using():
        image = find_image(registry, reference, wanted, store)
        total_bytes = sum(layer.size_bytes for layer in image.manifest.layers)
        with session.printer.progress(f"pulling {reference}", total_bytes) as phase:
            fetched_bytes = pull_layers(registry, image, store, progress=phase.advance)
    session.printer.note(f"{reference.name}@{image.digest}: {format_size(fetched_bytes)} fetched")
    return image.digest


def ask_attached(
    words: str, platform: str, source: ImageSource, session: Session
) -> tuple[Attachment, ...] | None:
    """What a registry says refers to the image that `words` name there; None for an image of elsewhere.

    Raises what asking a registry raises.
    """
    from lading.oci.reference import Reference
    from lading.registry.attached import fetch_referrers

    is_elsewhere = words.partition(":")[0] in _KINDS or source.digest is None
    if is_elsewhere or _known(words, platform, session) == source.digest:
        return None
    from lading.inspect.image.attached import index_attachments, referrer_attachments
    from lading.registry.client import open_registry

    reference = Reference.parse(words)
    assert source.digest is not None
    with open_registry(reference.registry, session.store, session.environment) as registry:
        index, referrers, read = fetch_referrers(registry, reference, source.digest)
        beside = index_attachments(index, read) if index is not None else ()
        return (*beside, *referrer_attachments(referrers, read, source.digest))


def default_platform() -> str:
    """This host's."""
    from lading.oci.platform import host_platform

    return str(host_platform(host.machine()))
