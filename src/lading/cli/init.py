"""`lading init`: write lading.toml, with only what differs from detection."""

from __future__ import annotations

import argparse
from pathlib import Path

from lading.cli.building import add_folder, open_project
from lading.cli.parser import Parser
from lading.cli.session import Session

ABOUT = """Write lading.toml with what cannot be detected; what was detected stands in comments.

Nothing that is there is overwritten."""
EXAMPLES = """Examples:
  lading init
  lading init --print               only show it
  lading init examples/digits"""


def add_arguments(parser: Parser) -> None:
    add_folder(parser)
    parser.flag("--print", variable="LADING_PRINT", help="print it, write nothing")


def execute(options: argparse.Namespace, session: Session) -> int:
    from lading.project.init import render_init

    project = open_project(options.folder, session, scan_credentials=False)
    text = render_init(project, environment=session.environment)
    path = project.root / "lading.toml"
    if not options.print:
        _write_new(path, text)
    if session.as_json:
        session.document({"type": "init", "path": None if options.print else str(path), "text": text})
    elif options.print:
        session.write(text)
    else:
        session.line(str(path))
        session.printer.note("see what a build would do: lading plan")
    return 0


def _write_new(path: Path, text: str) -> None:
    from lading.errors import ProjectError

    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ProjectError(
            "lading.toml is there already and is not overwritten",
            place=str(path),
            hints=("lading init --print", "lading plan"),
        ) from None
    except OSError as error:
        raise ProjectError(f"writing lading.toml failed: {error.strerror}", place=str(path)) from error
