"""What writing layers takes, as one value: where bytes come from, where they go, for which machine.

Light to import on purpose: a build that reuses all layers needs it, and none of the writers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lading.image.model import LayerRecord
from lading.lock.model import Lock, LockedBaseLayer, LockedInterpreter, LockedPackage, LockedWheel
from lading.oci.platform import Platform
from lading.store import Store

if TYPE_CHECKING:
    from lading.fetch.source import ByteSource
    from lading.image.kinds.step import StepRunner
    from lading.image.layer.writer import Progress

OpenWheel = Callable[[LockedWheel], "ByteSource"]
FetchFile = Callable[[str, str], Path]
"""URL and sha256 → the verified file."""
FetchPackages = Callable[[tuple[LockedPackage, ...]], Mapping[str, Path]]
FetchLayers = Callable[[str, tuple[LockedBaseLayer, ...]], None]
FetchStandalone = Callable[[LockedInterpreter], Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where bytes come from. Each function raises FetchFailed, and none returns unverified packages."""

    open_wheel: OpenWheel
    fetch_packages: FetchPackages
    fetch_standalone: FetchStandalone
    fetch_layers: FetchLayers
    """Brings layers of a base image into the store."""
    project_wheel: Callable[[], LockedWheel] | None = None
    """The project's own wheel, in the store; None where no project is built."""
    fetch_file: FetchFile | None = None
    steps: StepRunner | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerJob:
    """All that writing layers takes. Plain values and functions: it travels to worker processes by fork."""

    store: Store
    sources: Sources
    lock: Lock
    platform: Platform
    """The image's."""
    host: Platform
    """This machine's: what compiles bytecode runs here."""
    workers: int
    progress: Progress | None = None
    known: Mapping[str, LayerRecord] = field(default_factory=dict)
    """By key, the layers that are there already: a step runs in those below it."""
