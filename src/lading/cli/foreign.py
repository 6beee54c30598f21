"""`--image`: a command in any image, by its digest, the tag of a build here, or its place in a registry.

The image says what it is: variables, command, user and working folder are its own.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import platform as host
from typing import TYPE_CHECKING

from lading.cli.format import format_size
from lading.cli.parser import Parser
from lading.cli.ready import Ready
from lading.cli.session import Session
from lading.errors import UsageError

if TYPE_CHECKING:
    from lading.oci.digest import Digest
    from lading.oci.platform import Platform
    from lading.oci.reference import Reference
    from lading.store.records import Records

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What Docker gives an image that names none."""


def add_image_option(parser: Parser) -> None:
    parser.option(
        "--image",
        variable="LADING_IMAGE",
        metavar="IMAGE",
        help="any image instead of the project's: a digest or tag in the store, or HOST/REPOSITORY:TAG,"
        " pulled where it is not here",
    )


def ready_image(text: str, options: argparse.Namespace, session: Session) -> Ready:
    """The image `text` names, in the store and ready to be started.

    Raises UsageError for a name that is none, and what pulling raises.
    """
    _check(options)
    digest = _in_store(text, session) or _pulled(text, session)
    return _ready(digest, session)


def remember_pulled(session: Session, reference: Reference, platform: Platform, digest: Digest) -> None:
    """What a tag meant when it was pulled last, until it is pulled again."""
    _records(session).put(_key(reference, platform), {"digest": digest})


def _check(options: argparse.Namespace) -> None:
    clashes = {
        "--dev": options.dev,
        "a folder, task or target": options.words,
        "--accelerator": options.accelerator,
        "--param": getattr(options, "param", None),
    }
    for name, given in clashes.items():
        if given:
            raise UsageError(f"`--image` stands for itself: {name} belongs to a project's image")


def _in_store(text: str, session: Session) -> Digest | None:
    from lading.oci.digest import Digest
    from lading.run.ledger import Ledger

    with contextlib.suppress(ValueError):
        digest = Digest(text.rpartition("@")[2])
        if session.store.blobs.has(digest):
            return digest
        if "@" not in text:
            raise UsageError(
                f"{text} is not in the store", hints=("lading run --image HOST/REPOSITORY@sha256:…",)
            )
    if "@" not in text:
        with Ledger.open(session.store) as ledger:
            for image in ledger.images():
                if (
                    image.tag == text
                    and image.platform == str(_platform())
                    and session.store.blobs.has(image.digest)
                ):
                    return image.digest
    return None


def _pulled(text: str, session: Session) -> Digest:
    from lading.oci.digest import Digest
    from lading.oci.reference import Reference
    from lading.registry.client import open_registry
    from lading.registry.pull import find_image, pull_layers

    try:
        reference = Reference.parse(text)
        _ = reference.version
    except ValueError as error:
        raise UsageError(
            f"`--image {text}`: {error}", hints=("lading run --image HOST/REPOSITORY:TAG -- sh",)
        ) from None
    platform = _platform()
    known = _records(session).get(_key(reference, platform))
    if known is not None and session.store.blobs.has(Digest(known["digest"])):
        return Digest(known["digest"])
    store = session.store
    with open_registry(reference.registry, store, session.environment) as registry, store.using():
        image = find_image(registry, reference, platform, store)
        total_bytes = sum(layer.size_bytes for layer in image.manifest.layers)
        with session.printer.progress(f"pulling {reference}", total_bytes) as phase:
            fetched_bytes = pull_layers(registry, image, store, progress=phase.advance)
    session.printer.note(f"{reference.name}@{image.digest}: {format_size(fetched_bytes)} fetched")
    remember_pulled(session, reference, platform, image.digest)
    return image.digest


def _ready(digest: Digest, session: Session) -> Ready:
    from lading.engine.local.load import image_layers
    from lading.image.output.archive import image_blobs, read_manifest
    from lading.oci.manifest import ImageConfig

    store = session.store
    image_blobs(store, digest)  # all there, at their sizes; StoreError names what is not
    config = ImageConfig.from_json(
        json.loads(store.blobs.read(read_manifest(store, digest).config.digest, limit_bytes=8 << 20))
    )
    if config.platform != _platform():
        raise UsageError(
            f"{digest.short} is an image for {config.platform}, and this host is {_platform()}",
            hints=("lading pull HOST/REPOSITORY:TAG",),
        )
    return Ready(
        root="",
        layers=[[layer.digest, layer.diff_id, layer.size_bytes] for layer in image_layers(store, digest)],
        env={"PATH": _DEFAULT_PATH, **dict(config.env)},
        command=[*config.entrypoint, *config.cmd],
        user=config.user,
        working_dir=config.working_dir,
        dev_path="",
        task_env={},
        secrets=[],
        network=False,
        limits={},
        gpus=None,
        folders=[],
    )


def _platform() -> Platform:
    from lading.oci.platform import host_platform

    return host_platform(host.machine())


def _records(session: Session) -> Records:
    from lading.store.records import Records

    return Records(session.store.root, "pulled")


def _key(reference: Reference, platform: Platform) -> str:
    return hashlib.sha256(f"{reference.qualified} {platform}".encode()).hexdigest()
