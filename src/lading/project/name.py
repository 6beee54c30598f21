"""What the project in a folder is called: enough to find its runs and models again, without loading it.

Knows where a name is written and what stands in for one; must not know the rest of the configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lading.project.config import read_written
from lading.project.detect import detect_tasks
from lading.project.report import Report

_MARKS = ("lading.toml", "pyproject.toml", "requirements.txt", "uv.lock", "pylock.toml", "lading.lock")


def project_name(written: str | None, metadata: Mapping[str, Any], root: Path) -> str:
    """What is under `name`, else of `[project]`, else the folder in letters that a name may have. Pure."""
    name = metadata.get("name")
    if chosen := written or (name if isinstance(name, str) else None):
        return chosen
    folder = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in root.name)
    return folder.strip(".-_") or "project"


def folder_project(root: Path) -> str | None:
    """The name of the project in the folder `root` (absolute), None where nothing says that it is one.

    Mistakes in its files are left to the commands that load it.
    """
    if not any((root / mark).is_file() for mark in _MARKS) and not detect_tasks(root)[0]:
        return None
    written = read_written(root, Report())
    name = written.document.get("name")
    metadata = (written.pyproject or {}).get("project")
    return project_name(
        name if isinstance(name, str) else None, metadata if isinstance(metadata, dict) else {}, root
    )
