"""The seam to whoever turns source into a wheel: what is asked, and what is answered. Values only.

Must not know how a sandbox is made: `lading.sandbox` does, and hands a WheelBuilder down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from lading.lock.model import LockedBase, LockedInterpreter, LockedPackage, LockedWheel
from lading.project.model import SourceBuild


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildBackend:
    """What `[build-system]` says (PEP 517 and 518), with its defaults."""

    requires: tuple[str, ...]
    name: str
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRoom:
    """The image that a wheel is built in, as locked values."""

    base: str
    python: str
    platform: str
    interpreter: LockedInterpreter
    packages: tuple[LockedPackage, ...]
    wheels: tuple[LockedWheel, ...]
    image: LockedBase | None = None
    """The registry image under it; None: the base is made of Debian packages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildJob:
    """One wheel to be built."""

    name: str
    """For words, and checked against the wheel unless None is known: the distribution's normalized name."""
    source_digest: str
    """Names the source's content: sha256 of an archive or a folder, or a Git commit."""
    path: Path
    """An archive, or a folder whose `files` are the source."""
    files: tuple[str, ...] = ()
    """Of a folder: what is copied, relative to it."""
    empty_files: tuple[str, ...] = ()
    """Of a folder: what the backend may look for and whose content must not matter."""
    subdirectory: str = ""
    backend: BuildBackend
    room: BuildRoom
    settings: SourceBuild
    variables: Mapping[str, str] = field(default_factory=dict)
    """Set by lading, under those of `settings`."""
    folder: Path
    """The project's, where indexes are configured."""
    find_links: tuple[str, ...] = ()
    offline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltWheel:
    name: str
    version: str
    filename: str
    sha256: str
    size_bytes: int
    isolation: str
    """The engine's level it was built at: `namespaces`, or what the user allowed."""
    path: Path


class MoreRequirements(Exception):
    """The backend asks for `requirements` beside `[build-system] requires`; stays inside lading."""

    def __init__(self, requirements: tuple[str, ...]) -> None:
        super().__init__(", ".join(requirements))
        self.requirements = requirements


class WheelBuilder(Protocol):
    """Builds once: the same job again answers what is kept."""

    def build(self, job: BuildJob) -> BuiltWheel:
        """Raises BuildFailed, EngineError, MoreRequirements, and what making an image raises."""
        ...
