"""Resources one container may use. Apart from the project's model: starting a container needs no more."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Resources one container may use; None means no limit asked for."""

    cpus: float | None = None
    memory_bytes: int | None = None
    shm_bytes: int | None = None
    pids: int | None = None
    timeout_seconds: float | None = None
