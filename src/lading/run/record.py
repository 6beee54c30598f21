"""What is kept of a run beside its ledger row: its log and the circumstances of its end, in `runs/ID/`.

Knows files; must not know what they mean. They live as long as the store keeps them, the row for ever.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from lading.engine.circumstances import Circumstances
from lading.store import Store
from lading.store.atomic import store_errors

WATCHER_KILLED = "its watcher was killed"
TERMINATED = "lading was sent SIGTERM or SIGHUP"
"""Reasons in the ledger for runs whose end nobody saw to the last."""
TIMED_OUT = "was stopped after its timeout"
OVER_ITS_LIMIT = "was killed at its memory limit"
"""Are in the reasons of runs that lading, or a limit of theirs, ended."""
_CIRCUMSTANCES = "circumstances.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogText:
    """A run's output: all of it, or its beginning and its end."""

    head: bytes = b""
    tail: bytes = b""
    size_bytes: int = 0

    @property
    def left_out_bytes(self) -> int:
        return self.size_bytes - len(self.head) - len(self.tail)


def write_circumstances(store: Store, run_id: str, circumstances: Circumstances) -> None:
    """Beside the log. Raises StoreError."""
    path = store.root / "runs" / run_id / _CIRCUMSTANCES
    with store_errors("recording a run", path):
        path.write_text(json.dumps(circumstances.as_json(), sort_keys=True))


def read_circumstances(store: Store, run_id: str) -> Circumstances | None:
    """None for a run that no engine watched, or an older one."""
    try:
        document = json.loads((store.root / "runs" / run_id / _CIRCUMSTANCES).read_bytes())
        return Circumstances.from_json(document)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def read_log(store: Store, run_id: str, *, head_bytes: int, tail_bytes: int) -> LogText:
    """At most so much of each; empty when the log is gone."""
    try:
        descriptor = os.open(store.root / "runs" / run_id / "log", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return LogText()
    with os.fdopen(descriptor, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size <= head_bytes + tail_bytes:
            return LogText(tail=file.read(), size_bytes=size)
        head = file.read(head_bytes)
        file.seek(size - tail_bytes)
        return LogText(head=head, tail=file.read(tail_bytes), size_bytes=size)
