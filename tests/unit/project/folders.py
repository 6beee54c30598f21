"""Project folders for tests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

from lading.project.load import load_project
from lading.project.model import Project

TODAY = date(2026, 11, 21)


def write_folder(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """`files` under `root`: path → content."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def load_folder(root: Path, files: Mapping[str, str | bytes], **options: object) -> Project:
    write_folder(root, files)
    return load_project(root, environment={}, today=TODAY, **options)  # type: ignore[arg-type]
