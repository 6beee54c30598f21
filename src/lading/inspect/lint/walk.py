"""Which files are linted: those named outright, and candidates in folders. Opens regular files alone.

Knows the file system and which names are candidates; no rule. What is passed over is told with its reason.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from lading.errors import OutsideError, UsageError
from lading.inspect.lint.documents import is_candidate, may_be_manifest, resembles_candidate
from lading.project.files import EXPORT_MARK

_SKIPPED = frozenset({".git", ".venv", "venv", "node_modules", "__pycache__", ".tox", "site-packages"})
LARGEST_BYTES = 2_000_000
_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@dataclass(slots=True, kw_only=True)
class Found:
    """`passed`: what has the name of a candidate and is none, with the reason. `empty`: folders given that
    hold nothing to lint. `exported`: files left out because `lading export` wrote them.
    """

    files: dict[Path, None] = field(default_factory=dict)
    passed: dict[str, str] = field(default_factory=dict)
    empty: list[Path] = field(default_factory=list)
    exported: int = 0


def find_files(paths: Iterable[Path]) -> Found:
    """In one order. Raises UsageError for a path that is not there, no regular file or of no known kind."""
    found = Found()
    for path in paths:
        try:
            mode = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            problem = "is a link that leads nowhere" if path.is_symlink() else "is not there"
            raise UsageError(f"{path} {problem}", hints=("lading lint .",)) from None
        except OSError as error:
            raise OutsideError(f"{path} cannot be read: {error.strerror}", place=str(path)) from error
        if stat.S_ISDIR(mode):
            _search(path, found)
        elif not stat.S_ISREG(mode):
            raise UsageError(f"{path} is {_kind(mode)}, no regular file, and is not opened")
        elif is_candidate(path.name) or may_be_manifest(_beginning(path)):
            found.files[path] = None
        elif resembles_candidate(path.name):
            found.passed[str(path)] = "by its name it is a template or a note"
        else:
            raise UsageError(
                f"{path} is no file that lint knows: no Dockerfile, compose file, manifest or Python project",
                hints=(f"lading lint {path.parent}",),
            )
    return found


def _search(top: Path, found: Found) -> None:
    looked, exports = 0, dict[str, frozenset[str]]()

    def unlisted(error: OSError) -> None:
        found.passed[str(error.filename)] = f"it cannot be listed: {error.strerror}"

    for folder, folders, names in os.walk(top, onerror=unlisted):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED)
        if EXPORT_MARK in names:
            exports[folder] = _written(Path(folder, EXPORT_MARK))
        for name in sorted(name for name in names if is_candidate(name)):
            path = Path(folder, name)
            if any(os.path.relpath(path, export) in written for export, written in exports.items()):
                found.exported += 1
            elif reason := _no_file(path):
                found.passed[str(path)] = reason
            else:
                found.files[path] = None
                looked += 1
    if not looked:
        found.empty.append(top)


def _no_file(path: Path) -> str | None:
    """Why a name found in a folder is nothing to open."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "it is a link that leads nowhere"
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    return None if stat.S_ISREG(mode) else f"it is {_kind(mode)}, no regular file"


def _kind(mode: int) -> str:
    return next((kind for is_one, kind in _KINDS if is_one(mode)), "something else")


def _written(mark: Path) -> frozenset[str]:
    """The files that an export wrote beside its mark; none where it cannot be read."""
    try:
        named = json.loads(mark.read_text("utf-8"))["files"] if mark.is_file() else []
        return frozenset(name for name in named if isinstance(name, str))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return frozenset()


def _beginning(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_BYTES).decode("utf-8", "replace")
    except OSError as error:
        raise OutsideError(f"{path} cannot be read: {error.strerror}", place=str(path)) from error
