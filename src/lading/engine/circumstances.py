"""What was seen around a run besides its own words: who ended it, what the kernel counted, what it used.

Pure: values and their JSON. Kept beside the run's log and as long as it; must not know who draws conclusions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class EndedBy(StrEnum):
    """What lading itself ended a run for. Nothing of these: the run, the kernel or somebody else did."""

    TIMEOUT = "timeout"
    MEMORY_LIMIT = "memory limit"
    PROCESS_LIMIT = "process limit"
    REQUEST = "request"
    """`lading stop`, an interrupt, or the end of the command that had started it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look at a living run."""

    seconds: float
    """Since its start."""
    memory_bytes: int
    cpus: float
    """Processors it kept busy since the sample before."""
    waiting: int
    """Its processes that waited for a disk at that moment."""
    gpu_percent: float | None = None
    """How busy its GPUs were, on average."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuUse:
    """One GPU of the run over its life."""

    index: int
    memory_bytes: int
    peak_memory_bytes: int
    """Used on the GPU by anybody."""
    mean_percent: float
    slowed_by: tuple[str, ...] = ()
    """`heat`, `power`, `hardware`: why the driver lowered its clocks, where it did in most samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """None where the host does not tell. Shares are of the run's life, 0 to 1."""

    ended_by: EndedBy | None = None
    oom_kills: int = 0
    """Processes that the kernel killed for memory in the run's control group, or where it had none, ours."""
    own_limit_reached: bool = False
    """The run's own memory limit was what they were killed at."""
    around_limit_reached: bool = False
    """A limit on the group that lading itself runs in was: of a pod, a job, a session."""
    around_limit_bytes: int | None = None
    host_oom_kills: int = 0
    """Processes killed for memory on the whole host meanwhile."""
    least_free_memory_bytes: int | None = None
    """On the host, in any sample."""
    processes_refused: int = 0
    throttled_share: float | None = None
    """Of the scheduler's periods, those in which the run was held back by its limit of processors."""
    io_pressure_share: float | None = None
    memory_pressure_share: float | None = None
    shm_bytes: int | None = None
    peak_shm_bytes: int | None = None
    least_free_disk_bytes: int | None = None
    """Where the run's own files and outputs lie."""
    kernel: tuple[str, ...] = ()
    """What the kernel logged about it."""
    samples: tuple[Sample, ...] = ()
    gpus: tuple[GpuUse, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Circumstances:
        """Raises KeyError, TypeError or ValueError for what `as_json` never made."""
        values = dict(document)
        values["ended_by"] = EndedBy(values["ended_by"]) if values.get("ended_by") else None
        values["kernel"] = tuple(values.get("kernel") or ())
        values["samples"] = tuple(Sample(**sample) for sample in values.get("samples") or ())
        values["gpus"] = tuple(
            GpuUse(**{**gpu, "slowed_by": tuple(gpu.get("slowed_by") or ())})
            for gpu in values.get("gpus") or ()
        )
        return cls(**values)
