"""What some engines can do besides running containers: small protocols, asked by isinstance."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from lading.engine.model import Handle
from lading.project.model import GpuRequest


@runtime_checkable
class ForgetsRuns(Protocol):
    """Keeps files of ended runs until it is told to let them go."""

    def forget(self, handle: Handle) -> None:
        """Raises EngineError while the run is running."""
        ...


@runtime_checkable
class AsksRuns(Protocol):
    """Can pass a signal on without waiting for what comes of it, so that the run's last words can be read."""

    def ask_to_end(self, handle: Handle, number: int, grace_seconds: float) -> None:
        """SIGINT or SIGTERM now, SIGKILL after `grace_seconds`. Harmless for a run that has ended."""
        ...


@runtime_checkable
class GivesGpus(Protocol):
    """Can show a host's GPUs to a container."""

    def check_gpus(self, request: GpuRequest, *, place: str | None = None) -> None:
        """Raises EngineError, with the remedy, where the host has not what is asked for."""
        ...


@runtime_checkable
class ListsRuns(Protocol):
    """Knows its runs without being told their handles."""

    def handles(self) -> list[Handle]: ...
