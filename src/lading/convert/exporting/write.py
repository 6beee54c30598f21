"""An export put into a folder: all of it or, where something is in the way, nothing. Thin."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from lading.convert.exporting.gather import Export
from lading.convert.exporting.model import MARK, Place
from lading.errors import ProjectError


def place_in(root: Path, folder: Path) -> Place:
    """Where `folder` lies in the project `root`. Raises ProjectError for one that lies elsewhere."""
    real, inside = folder.resolve(), root.resolve()
    if not real.is_relative_to(inside) or real == inside:
        raise ProjectError(
            f"{folder} is not a folder inside the project: Docker's build context is the project,"
            " and what the Dockerfile copies must be in it",
            place=str(folder),
            hints=(f"lading export dockerfile --output {root / 'docker'}",),
        )
    return Place(folder=real.relative_to(inside).as_posix())


def write_export(export: Export, folder: Path, *, force: bool) -> None:
    """Write every file; with `force` over what is there, and without what an earlier export left.

    Raises ProjectError where something is in the way or cannot be written.
    """
    before = _earlier(folder)
    if not force and (there := next(iter(sorted(folder.iterdir())), None) if folder.is_dir() else None):
        raise ProjectError(
            f"{folder} is not empty: {there.name} is there",
            place=str(folder),
            hints=("the same command with --force writes it again; other files stay",),
        )
    try:
        for name in sorted(before - {file.path for file in export.files}):
            (folder / name).unlink(missing_ok=True)
        for file in export.files:
            path = folder / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(file.content, Path):
                shutil.copyfile(file.content, path)
            else:
                path.write_bytes(file.content)
            path.chmod(0o755 if file.executable else 0o644)
    except OSError as error:
        raise ProjectError(
            f"writing the export failed: {error.strerror}", place=str(error.filename or folder)
        ) from error


def _earlier(folder: Path) -> set[str]:
    """Files that an earlier export wrote here; nothing where there was none."""
    try:
        named = json.loads((folder / MARK).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    safe = (name for name in named if isinstance(name, str) and ".." not in name.split("/"))
    return {name for name in safe if not name.startswith("/")}
