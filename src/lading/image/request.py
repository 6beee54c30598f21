"""What a build may be asked for, and where it happens. Values only, and cheap to import."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from lading.image.model import LayerRecord
from lading.store import Store

if TYPE_CHECKING:
    from lading.image.kinds.step import StepRunner
    from lading.image.spec import LayerSpec, PlannedFile
    from lading.lock.builder import WheelBuilder

LOCK_NAME = "lading.lock"


class Compression(StrEnum):
    """How a layer's tar is packed."""

    GZIP = "gzip"  # many members, streams taken over from the wheels
    GZIP_SINGLE = "gzip-single"  # one member, for decoders that read no further
    ZSTD = "zstd"  # Docker from 23.0, containerd from 1.5, Podman


class BuildListener(Protocol):
    """Who wants to know how a build goes on. All methods are called in the building process."""

    def started(
        self, layers: Sequence[LayerSpec], missing: Sequence[LayerSpec], total_bytes: int
    ) -> None: ...

    def progress(self, unpacked_bytes: int) -> None: ...

    def warned(self, text: str) -> None: ...

    def noted(self, text: str) -> None: ...

    def written(self, record: LayerRecord, seconds: float) -> None: ...

    def taking(self, layers: int, size_bytes: int) -> None: ...

    def taken(self, record: LayerRecord, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BakedModel:
    """A model that becomes part of an image."""

    name: str
    """The path in requests: `/v2/models/NAME`."""
    version: str
    reference: str
    """For people: `digits@3`, or the path it was read from."""
    files: tuple[PlannedFile, ...]
    """Paths as in the image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """What the command line may say about a build. None: as the project says, or as fits this host."""

    target: str = "train"
    accelerator: str | None = None
    platform: str | None = None
    bytecode: bool | None = None
    locked: bool = False
    offline: bool = False
    workers: int | None = None
    lenient: frozenset[str] = field(default_factory=frozenset)
    compression: Compression = Compression.GZIP
    model: BakedModel | None = None
    """Goes into a serve image as its uppermost layers."""
    layers_from: tuple[str, ...] = ()
    """Repositories that locked layers are taken from, besides the project's own: `HOST/REPOSITORY`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildContext:
    """Where a build happens."""

    store: Store
    environment: Mapping[str, str]
    listener: BuildListener
    builder: WheelBuilder | None = None
    """Makes wheels of source; None: source is refused."""
    steps: StepRunner | None = None
    """Runs `[[image.step]]`; None where no project with steps is built."""
