"""What the engine keeps of one run: `containers/RUN_ID/` in the store.

    lock        held by the supervisor as long as it lives: a free lock means that nobody attends to the run
    state.json  replaced whole at each change; without secrets
    spec.json   what was asked, without secrets, so that `exec` can enter with the same environment
    log         combined output of a detached run
    stop.json   how long `stop` grants before SIGKILL

A record for the living: not flushed to disk while the run lasts. The ledger keeps what must outlive the host.
"""

from __future__ import annotations

import fcntl
import json
import os
from typing import TYPE_CHECKING, Any

from lading.engine.model import Level, RunState, RunStatus
from lading.errors import StoreError
from lading.store.atomic import store_errors, temporary_name
from lading.store.store import Store

if TYPE_CHECKING:
    from lading.engine.circumstances import Circumstances


class ContainerFolder:
    """One run's folder. The run id was checked before it became part of a path."""

    def __init__(self, store: Store, run_id: str) -> None:
        self.path = store.root / "containers" / run_id
        self.scratch = store.root / "scratch" / run_id
        self.log = self.path / "log"
        self._lock = self.path / "lock"

    def create(self) -> None:
        with store_errors("creating a container's folder", self.path):
            self.path.mkdir(parents=True, exist_ok=True)

    def take_lock(self) -> int | None:
        """The lock's descriptor, or None while another holds it. It is held until the last copy is closed."""
        with store_errors("locking a container", self._lock):
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError as error:
            os.close(descriptor)
            raise StoreError(
                f"locking failed: {error.strerror}; the store needs a file system with flock",
                place=str(self._lock),
            ) from error
        return descriptor

    def is_attended(self) -> bool:
        """True while a supervisor lives."""
        try:
            descriptor = os.open(self._lock, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def read(self, name: str) -> dict[str, Any] | None:
        try:
            document = json.loads((self.path / name).read_bytes())
        except (OSError, ValueError):
            return None
        return document if isinstance(document, dict) else None

    def write(self, name: str, document: dict[str, Any]) -> None:
        """Replace `name` whole. Raises StoreError."""
        path = self.path / name
        with store_errors("recording a container", path):
            temporary = self.path / f".{temporary_name()}"
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, json.dumps(document, sort_keys=True).encode())
            finally:
                os.close(descriptor)
            temporary.rename(path)


def status_as_json(status: RunStatus) -> dict[str, Any]:
    return {
        "state": status.state.value,
        "exit_status": status.exit_status,
        "out_of_memory": status.out_of_memory,
        "timed_out": status.timed_out,
        "peak_memory_bytes": status.peak_memory_bytes,
        "cpu_seconds": status.cpu_seconds,
        "wall_seconds": status.wall_seconds,
        "enforced_by": dict(status.enforced_by),
        "level": status.level.value if status.level else None,
        "left_behind": list(status.left_behind),
        "circumstances": status.circumstances.as_json() if status.circumstances is not None else None,
    }


def status_from_json(document: dict[str, Any]) -> RunStatus:
    level = document.get("level")
    return RunStatus(
        state=RunState(document["state"]),
        exit_status=document.get("exit_status"),
        out_of_memory=bool(document.get("out_of_memory")),
        timed_out=bool(document.get("timed_out")),
        peak_memory_bytes=document.get("peak_memory_bytes"),
        cpu_seconds=document.get("cpu_seconds"),
        wall_seconds=document.get("wall_seconds"),
        enforced_by=document.get("enforced_by") or {},
        level=Level(level) if level else None,
        left_behind=tuple(document.get("left_behind") or ()),
        circumstances=_circumstances(document.get("circumstances")),
    )


def _circumstances(document: dict[str, Any] | None) -> Circumstances | None:
    if not document:
        return None
    from lading.engine.circumstances import Circumstances  # only a run that has ended has them

    return Circumstances.from_json(document)
