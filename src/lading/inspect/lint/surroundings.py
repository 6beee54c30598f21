"""What lies about a file: the names, sizes and texts beside it, read when a rule asks for them.

Knows folders, no rule and no format. A folder too large to look through has no listing, and rules stay
silent.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

_MOST_ENTRIES = 20_000
_LARGEST_TEXT_BYTES = 1_000_000
_CLOSED = frozenset(
    {".git", ".hg", "node_modules", "__pycache__", ".tox", ".mypy_cache", ".venv", "venv", "mlruns", "wandb"}
)
"""Folders that are listed by name alone: nobody asks what is in them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Paths below a folder, with `/`: sizes of its files, and its folders. No links are followed."""

    sizes: Mapping[str, int] = field(default_factory=dict)
    folders: frozenset[str] = frozenset()


class Folder:
    """A folder of the file system. `None` is one of which nothing is known. `known` are those that are looked
    at already.
    """

    def __init__(self, path: Path | None = None, known: dict[Path, Folder] | None = None) -> None:
        self.path = path
        self._known = {} if known is None else known

    @cached_property
    def listing(self) -> Listing:
        """Empty when there are more than 20,000 entries, or none can be read."""
        sizes: dict[str, int] = {}
        folders: set[str] = set()
        waiting = [] if self.path is None else [("", self.path)]
        while waiting:
            prefix, path = waiting.pop()
            try:
                with os.scandir(path) as entries:
                    for entry in entries:
                        name = prefix + entry.name
                        if entry.is_dir(follow_symlinks=False):
                            folders.add(name)
                            if entry.name not in _CLOSED:
                                waiting.append((name + "/", Path(entry.path)))
                        elif entry.is_file(follow_symlinks=False):
                            sizes[name] = entry.stat(follow_symlinks=False).st_size
            except OSError:
                continue
            if len(sizes) + len(folders) > _MOST_ENTRIES:
                return Listing()
        return Listing(sizes=sizes, folders=frozenset(folders))

    def has(self, path: str) -> bool:
        """Whether a file or folder is there; asks for no listing."""
        return self.path is not None and os.path.lexists(self.path / path)

    def read(self, path: str) -> str | None:
        """The text of a file; None when there is none, or it is large or no text."""
        if self.path is None:
            return None
        place = self.path / path
        try:
            if not place.is_file() or place.stat().st_size > _LARGEST_TEXT_BYTES:
                return None
            return place.read_bytes().decode("utf-8")
        except (OSError, ValueError):
            return None

    @cached_property
    def above(self) -> Folder | None:
        """The folder that holds this one; None at the top of a repository or of the file system."""
        if self.path is None or self.has(".git"):
            return None
        own = self.path.absolute()
        if own.parent == own:
            return None
        return self._known.setdefault(own.parent, Folder(own.parent, self._known))


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The file's own name, and the folder it lies in. Without either, nothing is known."""

    name: str = ""
    folder: Folder = field(default_factory=Folder)


class Neighbourhood:
    """Surroundings of many files: each folder is looked at once."""

    def __init__(self) -> None:
        self._folders: dict[Path, Folder] = {}

    def of(self, path: Path) -> Surroundings:
        place = path.parent.absolute()
        folder = self._folders.setdefault(place, Folder(place, self._folders))
        return Surroundings(name=path.name, folder=folder)
