"""`lading build`: one image, one line of output, files where they were asked for."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lading.cli.building import (
    BuildPrinter,
    add_build_options,
    add_folder,
    build_context,
    build_options,
    check_target,
    open_project,
    record_image,
)
from lading.cli.drivers import add_required_driver, check_driver, locked_cuda
from lading.cli.format import format_size
from lading.cli.parser import Parser, one_of
from lading.cli.session import Session

if TYPE_CHECKING:
    from lading.image.model import Image
    from lading.image.output.archive import NamedManifest
    from lading.image.output.attach import Attachments
    from lading.image.output.layout import Output
    from lading.image.publish import Published, Pusher

ABOUT = """Build one image of the project and print its name and digest.

The image is in the store; --output also writes it elsewhere. No container is started for it,
no root and no Docker are needed."""
EXAMPLES = """Examples:
  lading build
  lading build --target serve --output oci:../layout examples/digits
  lading build --output docker-archive:- | docker load
  lading build --prove --locked"""


def add_arguments(parser: Parser) -> None:
    add_folder(parser)
    parser.option(
        "--push",
        variable="LADING_PUSH",
        metavar="REFERENCE",
        help="push to HOST/REPOSITORY[:TAG] too; layers that are there are not even built",
    )
    add_image_options(parser)


def add_output(parser: Parser) -> None:
    parser.option(
        "--output",
        variable="LADING_OUTPUT",
        metavar="KIND:PATH",
        repeat=True,
        help="also write to oci:DIR, oci-archive:FILE or docker-archive:FILE; FILE - is standard output",
    )


def add_image_options(parser: Parser) -> None:
    """What `build` and `push` share."""
    add_build_options(parser)
    add_required_driver(parser)
    add_output(parser)
    parser.option(
        "--compression",
        variable="LADING_COMPRESSION",
        metavar="FORM",
        default="gzip",
        convert=one_of("gzip", "gzip-single", "zstd"),
        help="gzip; gzip-single for decoders that read one member only; zstd (extra `zstd`)",
    )
    parser.flag("--prove", variable="LADING_PROVE", help="build twice and name the file that differs")
    parser.option(
        "--sbom",
        variable="LADING_SBOM",
        metavar="FILE",
        help="write the bill of materials (CycloneDX) to FILE",
    )
    parser.option(
        "--provenance",
        variable="LADING_PROVENANCE",
        metavar="FILE",
        help="write the provenance (SLSA, in-toto) to FILE",
    )


def execute(options: argparse.Namespace, session: Session) -> int:
    from lading.image.output.attach import attach_documents
    from lading.image.output.layout import Output, named_manifest, write_blob
    from lading.image.publish import open_pusher, parse_destination
    from lading.image.target import build_target, current_lock

    outputs = [Output.parse(text) for text in options.output]
    check_outputs(outputs)
    destination = parse_destination(options.push) if options.push is not None else None
    project = open_project(options.folder, session)
    check_target(project, options.target)
    paths = [output.path for output in outputs if output.path != "-"]
    for path in inside_project(project.root, [*paths, *filter(None, (options.sbom, options.provenance))]):
        session.printer.warn(
            f"{path} will be written inside the project, where the next build may take it for code;"
            f" write it beside the project: {os.path.relpath(project.root.parent / Path(path).name)}"
        )
    check_driver(locked_cuda(project, options.target, options, session), options, session)
    context = build_context(session)
    listener = context.listener
    assert isinstance(listener, BuildPrinter)
    choices = build_options(options)
    with contextlib.ExitStack() as held:
        pusher = (
            held.enter_context(open_pusher(destination, project, context, choices)) if destination else None
        )
        if pusher is not None and not outputs and not options.prove:
            image = pusher.build()
        else:
            image = build_target(project, context, choices, proof=options.prove)
        listener.table(image)
        record_image(session, image)
        variant = current_lock(project, context, choices).variant(image.accelerator, image.platform)
        assert variant is not None, "what was just built is locked"
        held.enter_context(session.store.using())
        attached = attach_documents(session.store, image, variant, root=project.root)
        written = write_outputs(outputs, [named_manifest(image)], session)
        for path, digest in ((options.sbom, attached.sbom), (options.provenance, attached.provenance)):
            if path is not None:
                write_blob(session.store, digest, Path(path))
        published = _push(pusher, image, attached, session) if pusher is not None else None
    _answer(image, written, outputs, published, session)
    return 0


def _push(pusher: Pusher, image: Image, attached: Attachments, session: Session) -> Published:
    with session.printer.progress(f"pushing to {pusher.destination.name}") as phase:
        published = pusher.push(image, attached, progress=phase.advance)
    moved = published.moved
    session.printer.note(
        f"  {format_size(moved.uploaded_bytes)} uploaded, {format_size(moved.mounted_bytes)} mounted from"
        f" other repositories, {format_size(moved.present_bytes)} were there"
    )
    return published


def inside_project(root: Path, paths: list[str]) -> list[str]:
    """Those of `paths` (of files to be written) that lie in the project folder `root`. Follows links."""
    real = root.resolve()
    return [path for path in paths if Path(path).resolve().is_relative_to(real)]


def check_outputs(outputs: list[Output]) -> None:
    """Mistakes that are plain before a build of minutes."""
    from lading.errors import UsageError

    if sum(output.path == "-" for output in outputs) > 1:
        raise UsageError("two outputs cannot both be standard output", hints=("lading build --help",))
    for output in outputs:
        parent = Path(output.path).absolute().parent
        if output.path == "-" and sys.stdout.isatty():
            raise UsageError(
                "an archive is not written to a terminal", hints=("lading build … | docker load",)
            )
        if output.kind != "oci" and output.path != "-" and not parent.is_dir():
            raise UsageError(f"there is no folder {parent}", place=output.path, hints=(f"mkdir -p {parent}",))


def write_outputs(
    outputs: list[Output], images: list[NamedManifest], session: Session
) -> list[dict[str, Any]]:
    """Carry out every `--output`; what was written, for `--json`."""
    from lading.image.output.layout import write_output

    written = []
    for output in outputs:
        session.flush()
        with session.printer.progress(f"writing {output.kind}:{output.path}") as phase:
            size_bytes = write_output(
                session.store,
                images,
                output,
                standard_output=session.stdout.buffer,
                progress=phase.advance,
            )
        written.append({"kind": output.kind, "path": output.path, "size_bytes": size_bytes})
    return written


def _answer(
    image: Image,
    written: list[dict[str, Any]],
    outputs: list[Output],
    published: Published | None,
    session: Session,
) -> None:
    place = published.reference.name if published else image.tag.rpartition(":")[0]
    name = f"{place}@{image.digest}"
    if any(output.path == "-" for output in outputs):
        session.printer.note(name)  # standard output is the archive
        return
    if not session.as_json:
        session.line(name)
        return
    session.document(
        {
            "type": "image",
            "name": name,
            "tag": image.tag,
            "digest": image.digest,
            "target": image.target,
            "accelerator": image.accelerator,
            "platform": image.platform,
            "lock_digest": image.lock_digest,
            "reused": image.reused,
            "seconds": round(image.seconds, 3),
            "size_bytes": sum(layer.size_bytes for layer in image.layers),
            "layers": [
                {k: v for k, v in layer.as_json().items() if k != "warnings"} for layer in image.layers
            ],
            "warnings": list(image.warnings),
            "outputs": written,
            "pushed": None if published is None else _pushed_document(published),
        }
    )


def _pushed_document(published: Published) -> dict[str, Any]:
    return {
        "reference": published.reference.qualified,
        "uploaded_bytes": published.moved.uploaded_bytes,
        "mounted_bytes": published.moved.mounted_bytes,
        "present_bytes": published.moved.present_bytes,
    }
