"""Whether a folder is a project, and what it is called: enough to find its runs again, without loading it.

Knows what marks a project, where a name is written and what stands in for one; must not know the rest of the
configuration, and never walks the folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lading.project.config import read_written
from lading.project.detect import training_scripts
from lading.project.report import Report

_MARKS = (
    "lading.toml", "pyproject.toml", "requirements.txt", "uv.lock", "pylock.toml", "lading.lock",
    "environment.yml", "environment.yaml", "setup.py", "setup.cfg",
    "Pipfile", "conda-lock.yml",  # not read, but it is told what to do about them
)  # fmt: skip


def project_name(written: str | None, metadata: Mapping[str, Any], root: Path) -> str:
    """What is under `name`, else of `[project]`, else the folder in letters that a name may have. Pure."""
    name = metadata.get("name")
    if chosen := written or (name if isinstance(name, str) else None):
        return chosen
    folder = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in root.name)
    return folder.strip(".-_") or "project"


def is_project(root: Path) -> bool:
    """Whether anything at the top of the folder `root` says that it is a project."""
    return any((root / mark).is_file() for mark in _MARKS) or bool(training_scripts(root))


def project_above(root: Path) -> Path | None:
    """The nearest folder above `root` (absolute) that is a project."""
    return next((folder for folder in root.parents if is_project(folder)), None)


def folder_project(root: Path) -> str | None:
    """The name of the project in the folder `root` (absolute), None where nothing says that it is one.

    Mistakes in its files are left to the commands that load it.
    """
    if not is_project(root):
        return None
    written = read_written(root, Report())
    name = written.document.get("name")
    metadata = (written.pyproject or {}).get("project")
    return project_name(
        name if isinstance(name, str) else None, metadata if isinstance(metadata, dict) else {}, root
    )
