"""What an export is made of and what it makes, as values. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lading.image.plan import Plan
from lading.lock.model import LockedBase, LockedWheel
from lading.project.files import EXPORT_MARK

MARK = EXPORT_MARK
"""Says of a folder that it was exported, and which of its files were. Never code of the project."""
DOCKERFILE = "Dockerfile"
IGNORE = "Dockerfile.dockerignore"
"""BuildKit reads this one for the Dockerfile beside it, whatever the context's own says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontend:
    """What the oldest Docker that is to build it understands."""

    name: str
    links: bool
    """`COPY --link`: a layer of its own, whatever is below."""
    offline: bool
    """`RUN --network=none`."""


FRONTENDS = {
    "20.10": Frontend(name="20.10", links=False, offline=False),
    "23.0": Frontend(name="23.0", links=True, offline=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A file that is written beside the Dockerfile."""

    path: str
    """POSIX, relative to the export's folder."""
    content: bytes | Path
    """Its bytes, or a file that holds them."""
    executable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the export lies, as the Dockerfile names it."""

    folder: str
    """Relative to the project, which is the build context: `docker/train`; empty: the project itself."""

    def path(self, name: str) -> str:
        return f"{self.folder}/{name}" if self.folder else name


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportInputs:
    """All that a Dockerfile is made from. `plan`'s layers say what the image holds."""

    plan: Plan
    place: Place
    frontend: Frontend
    base: LockedBase | None
    tools_image: str | None = None
    """What fetches and installs; None: Debian's slim image of the suite."""
    root: str = ""
    """The project's folder on the host: sources below it are named relative to it."""
    wheels: tuple[LockedWheel, ...] = ()
    """Those that no index has: they lie beside the Dockerfile."""
    project_wheel: LockedWheel | None = None
    """Of a project that has to be built: beside the Dockerfile too."""
    installed_tops: frozenset[str] = field(default_factory=frozenset)
    """Top-level names that `project_wheel` installs: they are not code as well."""
    indexes: tuple[str, ...] = ()
    """Lines of the requirements file that say where wheels are."""
