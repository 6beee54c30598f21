"""GPUs held by the runs of one store: two that start at once take different ones while any is free.

A lease is a shared lock that lives as long as the run, so a killed run leaves none. It guides the choice and
forbids nothing: more runs than GPUs share. Knows locks; what fits a request, `gpus` says.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path

from lading.engine.embedded.trees import Leases
from lading.engine.gpus import choose_gpus
from lading.engine.nvidia import Gpu, HostGpus
from lading.project.model import GpuRequest
from lading.store.atomic import store_errors
from lading.store.locks import file_lock
from lading.store.store import Store


def lease_gpus(
    store: Store, request: GpuRequest, host: HostGpus, caller: Mapping[str, str], leases: Leases
) -> tuple[Gpu, ...]:
    """The GPUs for one run, held by `leases`. Raises EngineError, StoreError."""
    with store.lock("gpus"):
        taken = frozenset(gpu.device for gpu in host.gpus if _is_taken(_lock(store, gpu)))
        chosen = choose_gpus(request, host, caller, taken=taken)
        for gpu in chosen:
            leases.gpus.append(_held(_lock(store, gpu)))
    return chosen


def _lock(store: Store, gpu: Gpu) -> Path:
    return store.root / "locks" / f"gpu-{gpu.uuid or gpu.index}"


def _is_taken(lock: Path) -> bool:
    with file_lock(lock, blocking=False) as free:
        return not free


def _held(lock: Path) -> int:
    with store_errors("holding a GPU", lock):
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor
