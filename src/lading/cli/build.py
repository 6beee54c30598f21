"""`lading build`: one image, one line of output, files where they were asked for."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lading.cli.budget import add_budget_options, check_budget, compare_image
from lading.cli.building import (
    BuildPrinter,
    add_build_options,
    add_folder,
    build_context,
    build_options,
    check_target,
    open_project,
    record_image,
    with_model,
)
from lading.cli.deliver import Made, check_places, finish
from lading.cli.drivers import add_required_driver, check_driver, locked_cuda
from lading.cli.parser import Parser, one_of
from lading.cli.session import Session

if TYPE_CHECKING:
    from lading.image.model import Image
    from lading.image.output.layout import Output
    from lading.image.publish import Pusher
    from lading.image.request import BuildContext, BuildOptions
    from lading.project.model import Project

ABOUT = """Build an image of the project and print its name and digest.

The image is in the store; --output, --load and --push also bring it elsewhere. No container is started for
it, no root and no Docker are needed. Several platforms are several images under one index; nothing is
emulated for a platform that is not this host's."""
EXAMPLES = """Examples:
  lading build
  lading build --target serve --output oci:../layout examples/digits
  lading build --load docker
  lading build --platform linux/amd64,linux/arm64 --output oci-archive:../image.tar
  lading build --max-size 2GB --max-growth 50MB
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
    add_build_options(parser, platforms=True)
    add_required_driver(parser)
    add_output(parser)
    parser.option(
        "--load",
        variable="LADING_LOAD",
        metavar="ENGINE",
        convert=one_of("docker", "podman"),
        help="also load it into docker or podman; what the engine has is not moved",
    )
    add_budget_options(parser)
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
    from lading.image.output.layout import Output, write_blob
    from lading.image.publish import open_pusher, parse_destination
    from lading.image.target import build_target

    began = time.monotonic()
    outputs = [Output.parse(text) for text in options.output]
    check_outputs(outputs)
    destination = parse_destination(options.push) if options.push is not None else None
    platforms = options.platform.split(",") if options.platform else []
    check_places(options, outputs, platforms)
    project = open_project(options.folder, session)
    check_target(project, options.target)
    _warn_inside(project, outputs, options, session)
    if options.load:
        open_local_engine(options.load, session)
    for platform in platforms or [None]:
        choice = argparse.Namespace(**{**vars(options), "platform": platform})
        check_driver(locked_cuda(project, options.target, choice, session), options, session)
    context = build_context(session, options)
    # A push that nothing else needs the layers for leaves out what the registry has.
    needs_layers = bool(outputs or options.load or options.prove)
    every = with_model(build_options(options, platform=None), project, session)
    if destination is not None:  # what a build needs and the destination has comes from there
        every = replace(every, layers_from=(*every.layers_from, destination.name))
    with contextlib.ExitStack() as held:
        pusher = None
        if destination is not None:
            settings = project.targets[options.target]
            limits = (options.max_size, options.max_growth, settings.max_size, settings.max_growth)
            pusher = held.enter_context(
                open_pusher(destination, project, context, every, sends_early=not any(limits))
            )
        images: list[tuple[Image, Pusher | None, BuildOptions]] = []
        for platform in platforms or [None]:
            choices = replace(every, platform=platform)
            own = replace(pusher, options=choices) if pusher is not None else None
            if own is not None and not needs_layers:
                image = own.build()
            else:
                image = build_target(project, context, choices, proof=options.prove)
            assert isinstance(context.listener, BuildPrinter)
            context.listener.table(image, closing=False)  # the last words are the sum
            images.append((image, own, choices))
        held.enter_context(session.store.using())
        made = [
            _weigh(project, image, own, choices, context, options, session) for image, own, choices in images
        ]
        for one in made:  # only what is within its budget is what the next build is compared with
            record_image(session, one.image)
        for path, kind in ((options.sbom, "sbom"), (options.provenance, "provenance")):
            if path is not None:
                write_blob(session.store, getattr(made[0].attached, kind), Path(path))
        finish(made, outputs, options, session, began)
    return 0


def _weigh(
    project: Project,
    image: Image,
    pusher: Pusher | None,
    choices: BuildOptions,
    context: BuildContext,
    options: argparse.Namespace,
    session: Session,
) -> Made:
    """The documents beside the image, and its budget."""
    from lading.image.output.attach import attach_documents
    from lading.image.target import current_lock

    variant = current_lock(project, context, choices).variant(image.accelerator, image.platform)
    assert variant is not None, "what was just built is locked"
    attached = attach_documents(session.store, image, variant, root=project.root)
    comparison = compare_image(session, image, options.against)
    check_budget(comparison, image, project.targets[image.target], options.max_size, options.max_growth)
    return Made(image=image, attached=attached, comparison=comparison, pusher=pusher)


def _warn_inside(
    project: Project, outputs: list[Output], options: argparse.Namespace, session: Session
) -> None:
    paths = [output.path for output in outputs if output.path != "-"]
    for path in inside_project(project.root, [*paths, *filter(None, (options.sbom, options.provenance))]):
        session.printer.warn(
            f"{path} will be written inside the project, where the next build may take it for code;"
            f" write it beside the project: {os.path.relpath(project.root.parent / Path(path).name)}"
        )


def open_local_engine(name: str, session: Session) -> None:
    """Whether the engine can be used at all. Raises EngineError, before a build of minutes."""
    from lading.engine.local.load import open_engine

    open_engine(name, session.environment)


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
