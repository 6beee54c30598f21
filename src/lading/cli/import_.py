"""`lading import`: a Dockerfile becomes a lading.toml, with a word on every instruction."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lading.cli.format import format_table
from lading.cli.parser import Parser
from lading.cli.session import Session
from lading.errors import ConfigError, OutsideError, ProjectError, UsageError

if TYPE_CHECKING:
    from lading.convert.importing.model import Imported

ABOUT = """Write a lading.toml that builds what a Dockerfile builds, and say what became of each instruction.

Nothing of the Dockerfile is run and no registry is asked. What lading has no word for becomes an
[[image.step]] where that is the same; what cannot be carried over is named with the reason. Files that are
there stay as they are, unless --force is given."""
EXAMPLES = """Examples:
  lading import                         ./Dockerfile, written to ./lading.toml
  lading import docker/Dockerfile.gpu --context .
  lading import --dry-run               only say what would become of it
  lading import --stdout > lading.toml
  lading import --stage runtime --build-arg PYTHON=3.12"""


_SHOWN = 56
"""Characters of an instruction in the table; --json has more."""


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "dockerfile",
        nargs="?",
        default="Dockerfile",
        metavar="DOCKERFILE",
        help="default: ./Dockerfile; - reads it",
    )
    parser.option(
        "--context",
        variable="LADING_CONTEXT",
        metavar="DIR",
        help="the folder it builds from, which becomes the project; default: the Dockerfile's own",
    )
    parser.option(
        "--stage", variable="LADING_STAGE", metavar="NAME", help="the stage to build; default: the last"
    )
    parser.option(
        "--build-arg",
        variable="LADING_BUILD_ARG",
        metavar="NAME=VALUE",
        repeat=True,
        convert=_argument,
        help="what an ARG is given; never a secret",
    )
    parser.flag("--force", variable="LADING_FORCE", help="write over the files that are there")
    parser.flag("--stdout", variable="LADING_STDOUT", help="print lading.toml, write nothing")
    parser.flag("--dry-run", variable="LADING_DRY_RUN", help="say what would become of it, write nothing")


def execute(options: argparse.Namespace, session: Session) -> int:
    from lading.convert.importing.context import read_context
    from lading.convert.importing.decide import import_dockerfile
    from lading.convert.importing.model import ImportRefused

    text, path = _read(options.dockerfile)
    root = (
        Path(options.context) if options.context is not None else path.parent if path is not None else Path()
    )
    if not root.is_dir():
        raise UsageError(f"{root} is not a folder", hints=("lading import --context DIR",))
    context = read_context(root, path, session.environment)
    try:
        imported = import_dockerfile(text, context, stage=options.stage, arguments=dict(options.build_arg))
    except ImportRefused as error:
        place = str(path) if path is not None else "standard input"
        raise ProjectError(
            f"{place} cannot be imported: {error}", place=place, hints=("lading import --help",)
        ) from error
    files = {"lading.toml": imported.text, **imported.files}
    writes = not (options.stdout or options.dry_run)
    if writes:
        _write(root, files, force=options.force)
    _print(imported, files, writes, options, session)
    if writes:
        _say_what_is_next(root, session)
    return 0


def _argument(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _read(name: str) -> tuple[str, Path | None]:
    """The Dockerfile and where it is; None for standard input."""
    try:
        if name == "-":
            return sys.stdin.buffer.read().decode("utf-8", "replace"), None
        path = Path(name)
        path = path / "Dockerfile" if path.is_dir() else path
        return path.read_bytes().decode("utf-8", "replace"), path
    except OSError as error:
        raise ProjectError(
            f"{name} cannot be read: {error.strerror}",
            place=name,
            hints=("lading import PATH/TO/Dockerfile",),
        ) from error


def _write(root: Path, files: dict[str, str], *, force: bool) -> None:
    """All of them, or none where one is there already."""
    there = [name for name in files if (root / name).exists()]
    if there and not force:
        raise ProjectError(
            f"{', '.join(there)}: there already, and not overwritten",
            place=str(root / there[0]),
            hints=("lading import --dry-run", "lading import --force"),
        )
    for name, text in files.items():
        target = root / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        except OSError as error:
            raise OutsideError(f"{target} cannot be written: {error.strerror}", place=str(target)) from error


def _print(
    imported: Imported, files: dict[str, str], writes: bool, options: argparse.Namespace, session: Session
) -> None:
    if session.as_json:
        session.document(
            {
                "type": "import",
                "written": sorted(files) if writes else [],
                "files": files,
                "instructions": [
                    {"line": o.line, "instruction": o.instruction, "fate": o.fate.value, "became": o.became}
                    for o in imported.outcomes
                ],
                "notes": list(imported.notes),
            }
        )
        return
    rows = [(str(o.line), _short(o.instruction), o.fate.value, o.became) for o in imported.outcomes]
    table = format_table([("line", "instruction", "fate", "became"), *rows], right=frozenset({0}))
    if options.stdout:
        session.write(imported.text)
        for name in imported.files:
            session.printer.note(f"it needs {name} too, which --stdout does not print: --json does")
    say = session.printer.note if options.stdout else session.line
    for line in table:
        say(line)
    for note in imported.notes:
        session.printer.note(note)
    for name in files if writes else ():
        session.printer.note(f"wrote {name}")


def _short(instruction: str) -> str:
    return instruction if len(instruction) <= _SHOWN else f"{instruction[: _SHOWN - 1]}…"


def _say_what_is_next(root: Path, session: Session) -> None:
    """The written project is read back: what is wrong with the folder itself is told now."""
    from lading.project.load import load_project

    try:
        load_project(root, environment=session.environment, scan_credentials=False)
    except ConfigError as error:
        session.printer.warn(f"the project has more to settle: {error.message}")
        return
    session.printer.note("see what a build would do: lading plan")
