"""The content of a folder that is a dependency: which files are its source, and their digest."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from lading.errors import ProjectError

_NOT_SOURCE = frozenset(
    {"__pycache__", ".git", ".hg", ".svn", ".venv", "venv", "node_modules", ".tox", ".nox", "build", "dist"}
    | {".mypy_cache", ".ruff_cache", ".pytest_cache", ".lading", ".eggs"}
)


def folder_files(root: Path) -> tuple[str, ...]:
    """The files of a local source, sorted: no caches, environments, build results, version control."""
    found = []
    for base, folders, names in os.walk(root):
        folders[:] = [
            name
            for name in folders
            if name not in _NOT_SOURCE
            and not name.endswith(".egg-info")
            and not Path(base, name).is_symlink()
        ]
        for name in names:
            path = Path(base, name)
            if stat.S_ISREG(path.lstat().st_mode) and not name.endswith((".pyc", ".so")):
                found.append(path.relative_to(root).as_posix())
    return tuple(sorted(found))


def files_digest(root: Path, files: tuple[str, ...]) -> str:
    """sha256 hex over path, execute bit and content of each file. Raises ProjectError."""
    state = hashlib.sha256()
    for name in files:
        path = root / name
        try:
            executable = bool(path.stat().st_mode & 0o111)
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise ProjectError(f"reading {name} failed: {error.strerror}", place=str(path)) from error
        state.update(f"{name}\0{int(executable)}\0{content}\n".encode())
    return state.hexdigest()
