"""The values of an import: what became of each instruction, and the files that are to be written. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class ImportRefused(Exception):
    """The Dockerfile cannot be imported at all; the argument says why."""


class Fate(StrEnum):
    CARRIED = "carried"  # stands in lading.toml, or in a file beside it
    NOT_NEEDED = "not needed"  # lading does it by itself, or an image has no use for it
    STEP = "step"  # an [[image.step]]
    LOST = "not carried"  # the image will lack it


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of an instruction, or of one part of it."""

    line: int
    instruction: str
    fate: Fate
    became: str
    """What it is now; for what is lost, why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    settings: Mapping[str, Any]
    """The document of lading.toml."""
    text: str
    """And its text."""
    files: Mapping[str, str]
    """Further files of the project: path → text."""
    outcomes: tuple[Outcome, ...]
    """In the order of the lines."""
    notes: tuple[str, ...]
    """What differs from Docker whatever the Dockerfile says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What an import knows of the folder that the Dockerfile builds from."""

    paths: frozenset[str] = frozenset()
    """Every file and folder that Docker would be sent, POSIX, relative; folders end in `/`."""
    executables: frozenset[str] = frozenset()
    """Files with the execute bit."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Files that are read: requirements, pyproject.toml, locks, environment.yml."""
    requirements: str | None = None
    """The requirements file that detection would choose."""
    groups: frozenset[str] = frozenset()
    """Extras and dependency groups of pyproject.toml."""
    names: frozenset[str] = frozenset()
    """Normalized names of the requirements that detection finds."""
    ignore_rules: tuple[str, ...] = ()
    """Lines of .dockerignore."""
    has_lading_rules: bool = False
    """A .ladingignore is there."""

    def is_file(self, path: str) -> bool:
        return path in self.paths

    def is_folder(self, path: str) -> bool:
        return path in ("", ".") or f"{path}/" in self.paths
