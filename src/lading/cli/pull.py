"""`lading pull`: an image from a registry into the store, and from there to where it is wanted."""

from __future__ import annotations

import argparse
import platform as host
from typing import TYPE_CHECKING

from lading.cli.build import add_output, check_outputs
from lading.cli.building import parse_platform
from lading.cli.deliver import write_outputs
from lading.cli.foreign import remember_pulled
from lading.cli.format import format_count, format_size
from lading.cli.parser import Parser
from lading.cli.session import Session
from lading.errors import UsageError

if TYPE_CHECKING:
    from lading.oci.reference import Reference

ABOUT = """Bring an image from a registry into the store and print its name with its digest.

Every byte is checked against the digest that names it. What the store has does not travel."""
EXAMPLES = """Examples:
  lading pull registry.example/team/digits:1.4
  lading pull registry.example/team/digits:1.4 --output docker-archive:- | docker load"""


def add_arguments(parser: Parser) -> None:
    parser.add_argument("reference", metavar="REFERENCE", help="HOST/REPOSITORY:TAG or …@sha256:…")
    parser.option(
        "--platform",
        variable="LADING_PLATFORM",
        metavar="OS/ARCH",
        convert=parse_platform,
        help="linux/amd64 or linux/arm64; default: this host's",
    )
    add_output(parser)


def execute(options: argparse.Namespace, session: Session) -> int:
    from lading.image.output.archive import NamedManifest
    from lading.image.output.layout import Output
    from lading.oci.platform import Platform, host_platform
    from lading.registry.client import open_registry
    from lading.registry.pull import find_image, pull_layers

    reference = _parse(options.reference)
    outputs = [Output.parse(text) for text in options.output]
    check_outputs(outputs)
    platform = Platform.parse(options.platform) if options.platform else host_platform(host.machine())
    store = session.store
    with open_registry(reference.registry, store, session.environment) as registry, store.using():
        image = find_image(registry, reference, platform, store)
        total_bytes = sum(layer.size_bytes for layer in image.manifest.layers)
        with session.printer.progress(f"pulling {reference}", total_bytes) as phase:
            fetched_bytes = pull_layers(registry, image, store, progress=phase.advance)
        named = NamedManifest(digest=image.digest, platform=platform, name=_named(reference))
        remember_pulled(session, reference, platform, image.digest)
        written = write_outputs(outputs, [named], session)
    count = format_count(len(image.manifest.layers), "layer")
    session.printer.note(f"  {count}, {format_size(total_bytes)}; {format_size(fetched_bytes)} fetched")
    name = f"{reference.name}@{image.digest}"
    if session.as_json:
        session.document(
            {
                "type": "pulled",
                "name": name,
                "digest": image.digest,
                "platform": str(platform),
                "size_bytes": total_bytes,
                "fetched_bytes": fetched_bytes,
                "outputs": written,
            }
        )
    elif any(output.path == "-" for output in outputs):
        session.printer.note(name)
    else:
        session.line(name)
    return 0


def _parse(text: str) -> Reference:
    from lading.oci.reference import Reference

    try:
        reference = Reference.parse(text)
    except ValueError as error:
        raise UsageError(f"`{text}` is no image: {error}", hints=("lading pull --help",)) from None
    if reference.digest is None and reference.tag is None:
        raise UsageError(
            f"`{text}` names neither a tag nor a digest, and lading never means `latest`",
            hints=(f"lading pull {reference.name}:TAG",),
        )
    return reference


def _named(reference: Reference) -> Reference:
    """What the image is called in an archive: a name there must have a tag."""
    from dataclasses import replace

    tag = reference.tag or f"sha256-{reference.digest.hex[:12] if reference.digest else ''}"
    return replace(reference, tag=tag, digest=None)
