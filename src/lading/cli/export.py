"""`lading export`: an image written down as something that needs no lading."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lading.cli.building import (
    add_build_options,
    build_context,
    build_options,
    open_project,
    with_model,
)
from lading.cli.parser import Parser, closest, one_of
from lading.cli.session import Session
from lading.errors import UsageError

if TYPE_CHECKING:
    from lading.convert.exporting.gather import Export
    from lading.convert.exporting.model import Place
    from lading.project.model import Project

ABOUT = """Write a Dockerfile that plain Docker builds to the same files, modes and packages, without lading.

It goes into docker/TARGET of the project, with lists of what it installs: every wheel, Debian package and
Python by sha256, a base image by digest. The project's folder is the build context."""
EXAMPLES = """Examples:
  lading export dockerfile
  lading export dockerfile serve --output deploy/serve
  lading export dockerfile examples/digits serve
  lading export dockerfile --stdout
  docker build -f docker/train/Dockerfile -t digits ."""

_KINDS = ("dockerfile",)


def add_arguments(parser: Parser) -> None:
    parser.add_argument("kind", metavar="KIND", help="dockerfile")
    parser.add_argument(
        "words",
        nargs="*",
        metavar="[DIR] [TARGET]",
        help="project folder (default .), target (default train)",
    )
    parser.option(
        "--output",
        variable="LADING_EXPORT_OUTPUT",
        metavar="DIR",
        help="folder inside the project; default: docker/TARGET",
    )
    parser.flag("--force", variable="LADING_FORCE", help="write over what is there")
    parser.flag("--stdout", variable="LADING_STDOUT", help="print the Dockerfile, write nothing")
    parser.option(
        "--docker",
        variable="LADING_EXPORT_DOCKER",
        metavar="VERSION",
        default="23.0",
        convert=one_of("20.10", "23.0"),
        help="the oldest Docker that is to build it: 20.10 or 23.0",
    )
    parser.option(
        "--tools-image",
        variable="LADING_EXPORT_TOOLS_IMAGE",
        metavar="IMAGE",
        help="Debian image that fetches and installs; default: Debian's slim image of the suite",
    )
    add_build_options(parser, target=False)


def execute(options: argparse.Namespace, session: Session) -> int:
    from lading.convert.exporting.write import place_in, write_export

    if options.kind not in _KINDS:
        raise UsageError(
            f"lading export: there is no `{options.kind}`; there is {', '.join(_KINDS)}",
            hints=("lading export dockerfile",),
        )
    root, options.target = _words(options.words)
    project = open_project(root, session)
    _check_target(project, options.target)
    folder = Path(options.output) if options.output else project.root / "docker" / options.target
    place = place_in(project.root, folder)
    export = _export(project, place, options, session)
    if not options.stdout:
        write_export(export, folder, force=options.force)
    if session.as_json:
        session.document(
            {
                "type": "export",
                "folder": None if options.stdout else str(folder),
                "files": [file.path for file in export.files],
                "dockerfile": export.dockerfile,
            }
        )
    elif options.stdout:
        session.write(export.dockerfile)
    else:
        session.line(str(folder / "Dockerfile"))
        session.printer.note(f"build it: cd {project.root} && docker build -f {place.path('Dockerfile')} .")
    return 0


def _check_target(project: Project, target: str) -> None:
    if target not in project.targets:
        near = closest(target, project.targets) or next(iter(project.targets))
        raise UsageError(
            f"there is no target `{target}`; there are {', '.join(project.targets)}",
            hints=(f"lading export dockerfile {near}",),
        )


def _words(words: list[str]) -> tuple[str, str]:
    """The folder and the target that are meant; one word with a slash, or a dot, is a folder."""
    if len(words) > 2:
        raise UsageError(
            f"lading export: one argument too many: `{words[2]}`", hints=("lading export --help",)
        )
    if len(words) == 2:
        return words[0], words[1]
    if words and ("/" in words[0] or words[0] in (".", "..")):
        return words[0], "train"
    return ".", words[0] if words else "train"


def _export(project: Project, place: Place, options: argparse.Namespace, session: Session) -> Export:
    from lading.convert.exporting.gather import Gathered, export_image
    from lading.convert.exporting.model import FRONTENDS
    from lading.image.source_builds import WheelMaker
    from lading.image.target import current_lock, locked_variant, open_sources, plan_target

    context = build_context(session, options)
    choices = with_model(build_options(options), project, session)
    lock = current_lock(project, context, choices)
    plan = plan_target(project, lock, choices)
    maker = WheelMaker(project, locked_variant(project, lock, choices), context, offline=choices.offline)
    with open_sources(project, context, offline=choices.offline, suites=lock.suites) as sources:
        return export_image(
            project,
            plan,
            lock,
            Gathered(store=session.store, sources=sources, maker=maker),
            place=place,
            frontend=FRONTENDS[options.docker],
            tools_image=options.tools_image,
        )
