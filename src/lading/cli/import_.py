"""`lading import`: a Dockerfile becomes a lading.toml, with a word on every instruction."""

from __future__ import annotations

import argparse
import shlex
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lading.cli.format import format_table
from lading.cli.parser import Parser
from lading.cli.session import Session
from lading.errors import ConfigError, OutsideError, ProjectError, UsageError

if TYPE_CHECKING:
    from lading.convert.importing.model import Imported
    from lading.project.model import Project

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


_RULES = ".ladingignore"
_DETECTED = ["python", "train.py"]
"""The start that is found as the task `train` without being written."""
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
    leftover = _leftover(root, files)
    writes = not (options.stdout or options.dry_run)
    if writes:
        _write(root, files, leftover, options)
    _print(imported, files, leftover, writes, options, session)
    if writes:
        _say_what_is_next(root, imported, session)
    return 0


def _argument(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _read(name: str) -> tuple[str, Path | None]:
    """The Dockerfile and where it is; None for standard input."""
    hints = ("lading import PATH/TO/Dockerfile",)
    path = None
    try:
        if name == "-":
            data = sys.stdin.buffer.read()
        else:
            path = _dockerfile(Path(name))
            data = path.read_bytes()
    except OSError as error:
        raise ProjectError(f"{name} cannot be read: {error.strerror}", place=name, hints=hints) from error
    try:
        return data.decode("utf-8"), path
    except UnicodeDecodeError as error:
        place = str(path) if path is not None else "standard input"
        line = data.count(b"\n", 0, error.start) + 1
        raise ProjectError(
            f"{place} was not read: it is not UTF-8", place=f"{place}:{line}", hints=hints
        ) from error


def _dockerfile(named: Path) -> Path:
    """The file that is meant, which is not opened unless it is one: a FIFO would never end."""
    path = named / "Dockerfile" if named.is_dir() else named
    if named.is_dir() and not path.exists():
        raise ProjectError(
            f"{named} is a folder, and no Dockerfile is in it",
            place=str(named),
            hints=("lading import PATH/TO/Dockerfile",),
        )
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "no regular file"
        raise ProjectError(
            f"{path} is {what}, not a Dockerfile",
            place=str(path),
            hints=("lading import PATH/TO/Dockerfile", "lading import - < Dockerfile"),
        )
    return path


def _leftover(root: Path, files: dict[str, str]) -> list[str]:
    """Rules that an earlier import wrote and that would now keep code out of the image."""
    from lading.convert.importing.requirements import MARK

    path = root / _RULES
    if _RULES in files or not path.is_file():
        return []
    try:
        return [_RULES] if path.read_bytes().startswith(MARK.encode()) else []
    except OSError as error:
        raise ProjectError(f"{path} cannot be read: {error.strerror}", place=str(path)) from error


def _write(root: Path, files: dict[str, str], leftover: list[str], options: argparse.Namespace) -> None:
    """All of them, or none where one is there already."""
    there = [name for name in (*files, *leftover) if (root / name).exists()]
    if there and not options.force:
        raise ProjectError(
            f"{', '.join(there)}: there already, and not overwritten",
            place=str(root / there[0]),
            hints=(_again(options, "--dry-run"), _again(options, "--force")),
        )
    for name, text in files.items():
        target = root / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        except OSError as error:
            raise OutsideError(f"{target} cannot be written: {error.strerror}", place=str(target)) from error
    for name in leftover:
        target = root / name
        try:
            target.unlink()
        except OSError as error:
            raise OutsideError(f"{target} cannot be removed: {error.strerror}", place=str(target)) from error


def _again(options: argparse.Namespace, flag: str) -> str:
    """The same command with one flag more."""
    from lading.project.tokens import token_in

    words = ["lading", "import"]
    words += [options.dockerfile] if options.dockerfile != "Dockerfile" else []
    words += ["--context", options.context] if options.context is not None else []
    words += ["--stage", options.stage] if options.stage is not None else []
    for name, value in options.build_arg:
        words += ["--build-arg", f"{name}={'VALUE' if token_in(value.encode()) else value}"]
    return shlex.join([*words, flag])


def _print(
    imported: Imported,
    files: dict[str, str],
    leftover: list[str],
    writes: bool,
    options: argparse.Namespace,
    session: Session,
) -> None:
    if session.as_json:
        session.document(
            {
                "type": "import",
                "written": sorted(files) if writes else [],
                "removed": leftover if writes else [],
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
    for name in leftover:
        what = "removed" if writes else "--force removes"
        session.printer.note(f"{what} {name}, which an earlier import wrote and nothing needs now")


def _short(instruction: str) -> str:
    return instruction if len(instruction) <= _SHOWN else f"{instruction[: _SHOWN - 1]}…"


def _say_what_is_next(root: Path, imported: Imported, session: Session) -> None:
    """The written project is read back: what is wrong with the folder itself is told now."""
    from lading.project.load import load_project

    try:
        project = load_project(root, environment=session.environment, scan_credentials=False)
    except ConfigError as error:
        session.printer.warn(f"the project has more to settle: {error.message}")
        return
    folder = "" if root.resolve() == Path().resolve() else f" {shlex.quote(_as_folder(root))}"
    commands = {
        f"lading plan{folder}": "what a build would do",
        f"lading build{folder} --load docker": "the image, for Docker",
    }
    if (task := _task(imported, project)) is not None:
        commands[f"lading run{folder} {task}"] = "what a container of it starts"
    width = max(map(len, commands))
    session.printer.note("next:")
    for command, about in commands.items():
        session.printer.note(f"  {command:<{width}}  {about}")


def _as_folder(root: Path) -> str:
    """As a command takes it for a folder, and for no name of a task."""
    return str(root) if "/" in str(root) or str(root) == ".." else f"./{root}"


def _task(imported: Imported, project: Project) -> str | None:
    """The task that does what CMD and ENTRYPOINT do."""
    if (written := next((name for name in imported.settings if name != "image"), None)) is not None:
        return written
    image = imported.settings.get("image", {})
    words = [*image.get("entrypoint", []), *image.get("command", [])]
    starts = words == _DETECTED or (words[1:2] == ["-c"] and words[2:] == [" ".join(_DETECTED)])
    return "train" if starts and "train" in project.tasks else None
