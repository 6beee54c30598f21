"""What an engine is asked to run, and what it answers. Pure values and the seam's protocol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lading.oci.digest import DiffId, Digest
from lading.project.limits import Limits
from lading.project.model import GpuRequest

if TYPE_CHECKING:
    from lading.engine.circumstances import Circumstances  # a command that is not recorded starts sooner


class Level(StrEnum):
    """How far an embedded container is kept apart from the host, best first."""

    NAMESPACES = "namespaces"
    CHROOT = "chroot"
    PROCESS = "process"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLayer:
    """One layer of the image to run, oldest first."""

    digest: Digest
    diff_id: DiffId
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A host file or folder bound into the container."""

    source: Path
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """One container. Everything a run depends on, in our words; JSON-able, no secrets' values in `env`."""

    run_id: str
    layers: tuple[ImageLayer, ...]
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Passed as environment variables at start; never written anywhere."""
    working_dir: str = "/"
    user: str = ""
    """`UID[:GID]` or a name in the image's passwd; the calling user owns what it writes to mounts."""
    mounts: tuple[Mount, ...] = ()
    tmpfs: Mapping[str, int] = field(default_factory=dict)
    """Target → size in bytes."""
    folders: tuple[str, ...] = ()
    """Made in the root where they are missing, to be written to; what is in them is gone with it. Not at
    level chroot, where nothing but /tmp is for writing."""
    network: bool = False
    read_only_root: bool = False
    limits: Limits = field(default_factory=Limits)
    hostname: str = "lading"
    terminal: bool = False
    ports: tuple[int, ...] = ()
    grace_seconds: float = 10.0
    gpus: GpuRequest | None = None
    """GPUs it gets; without a request it gets none, whatever its environment says."""


class RunState(StrEnum):
    STARTING = "starting"
    RUNNING = "running"
    EXITED = "exited"
    LOST = "lost"  # the engine no longer knows it


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    state: RunState
    exit_status: int | None = None
    """128+n for a signal; 137 with `out_of_memory` when a memory limit killed it."""
    out_of_memory: bool = False
    timed_out: bool = False
    peak_memory_bytes: int | None = None
    cpu_seconds: float | None = None
    wall_seconds: float | None = None
    enforced_by: Mapping[str, str] = field(default_factory=dict)
    """limit name → `cgroup`, `watchdog`, `rlimit` or `none`."""
    level: Level | None = None
    left_behind: tuple[str, ...] = ()
    """Files that it wrote into its working folder and that are gone with its root, where that can be told."""
    circumstances: Circumstances | None = None
    """What was seen around it; None where the engine does not watch, or the run goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What an engine can do on this host. `usable` false comes with reason and remedy."""

    engine: str
    usable: bool
    level: Level | None = None
    reason: str | None = None
    remedy: str | None = None


Handle = dict[str, Any]
"""JSON: another process can re-attach with it."""


class Engine(Protocol):
    """The seam. `probe` never raises; `submit` is idempotent for one run id; `stop` is idempotent."""

    name: str

    def probe(self) -> Probe: ...

    def submit(self, spec: RunSpec) -> Handle:
        """Start detached; returns when the process exists. Raises EngineError."""
        ...

    def observe(self, handle: Handle) -> RunStatus: ...

    def logs(self, handle: Handle, after: int = 0, *, follow: bool = True) -> Iterator[bytes]:
        """Bytes of combined stdout and stderr from offset `after`; ends when the run has ended, or without
        `follow` at what is there now.
        """
        ...

    def stop(self, handle: Handle, grace_seconds: float) -> RunStatus:
        """SIGTERM, then SIGKILL after `grace_seconds`."""
        ...
