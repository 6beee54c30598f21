"""The ledger's rows as values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lading.oci.digest import Digest


class RunPhase(StrEnum):
    STARTED = "started"
    RUNNING = "running"  # its handle is known
    FINISHED = "finished"  # ended with exit status 0 and was collected
    FAILED = "failed"  # the user's code ended otherwise
    INTERRUPTED = "interrupted"  # stopped by the user, or its watcher was killed

    @property
    def ended(self) -> bool:
        return self not in (RunPhase.STARTED, RunPhase.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRow:
    at: float
    """Seconds since 1970, UTC; so everywhere in the ledger."""
    project: str
    target: str
    accelerator: str
    platform: str
    tag: str
    digest: Digest
    config_digest: Digest
    lock_digest: Digest
    size_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a run used; None where the engine could not tell."""

    wall_seconds: float | None = None
    cpu_seconds: float | None = None
    peak_memory_bytes: int | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "wall_seconds": self.wall_seconds,
            "cpu_seconds": self.cpu_seconds,
            "peak_memory_bytes": self.peak_memory_bytes,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    run_id: str
    at: float
    project: str
    task: str
    seal: Digest
    seal_terms: Mapping[str, Any]
    reusable: bool
    """False when it used the network or the working tree: what it saw is not in the seal."""
    image_digest: Digest
    lock_digest: Digest
    limits: Mapping[str, Any]
    phase: RunPhase = RunPhase.STARTED
    ended_at: float | None = None
    engine: str | None = None
    handle: Mapping[str, Any] | None = None
    exit_status: int | None = None
    cost: Cost = field(default_factory=Cost)
    level: str | None = None
    enforced_by: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    """None for a NaN or an infinity, which JSON cannot hold."""
    outputs: Digest | None = None
    """Manifest of the collected outputs."""
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    at: float
    name: str
    version: int
    digest: Digest
    project: str
    run_id: str | None
    metrics: Mapping[str, float | None]

    @property
    def reference(self) -> str:
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRow:
    at: float
    name: str
    state: str
    """`starting`, `ready`, `stopped` or `refused`."""
    revision: Digest
    """Over image config and model."""
    image_digest: Digest
    model: str
    model_digest: Digest
    engine: str
    handle: Mapping[str, Any] | None = None
    url: str | None = None
    run_id: str | None = None
    reason: str | None = None
