"""Everything that is known of one run, as a cause is given it. Pure: a frozen value.

Gathered by `reading.py`. Knows the run's record; must not know where it was kept.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lading.engine.circumstances import Circumstances
from lading.inspect.doctor.runs.words import Words
from lading.project.quantity import format_size

_MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvidence:
    run_id: str
    task: str
    phase: str
    """As in the ledger: `failed`, `interrupted`, `finished` …"""
    reason: str | None = None
    exit_status: int | None = None
    command: tuple[str, ...] = ()
    network: bool = False
    gpus: int = 0
    """How many it asked for."""
    accelerator: str = "cpu"
    secrets: tuple[str, ...] = ()
    limits: Mapping[str, Any] = field(default_factory=dict)
    enforced_by: Mapping[str, str] = field(default_factory=dict)
    level: str | None = None
    wall_seconds: float | None = None
    cpu_seconds: float | None = None
    peak_memory_bytes: int | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    words: Words = field(default_factory=Words)
    seen: Circumstances = field(default_factory=Circumstances)
    is_watched: bool = True
    """False where nothing was seen around it: an older record, or an engine that does not look."""

    @property
    def signal(self) -> int | None:
        """The signal that its exit code stands for, 128 + n."""
        if self.exit_status is None or not 128 < self.exit_status <= 128 + signal.NSIG:
            return None
        return self.exit_status - 128

    @property
    def memory_limit(self) -> int | None:
        limit = self.limits.get("memory_bytes")
        return limit if isinstance(limit, int) else None

    @property
    def ended_well(self) -> bool:
        return self.exit_status == 0

    def again(self, *options: str) -> str:
        """The command that runs the task once more with these options."""
        return " ".join(("lading run", self.task, "--rerun", *options))

    def ending(self) -> str:
        """One line of proof: how it ended."""
        if self.exit_status is None:
            return f"it ended as {self.phase}: {self.reason or 'no exit code is recorded'}"
        number = self.signal
        if number is None:
            return f"exit code {self.exit_status}"
        return f"exit code {self.exit_status}: {signal_name(number)}"


def signal_name(number: int) -> str:
    """`SIGKILL`; numbers that have no name as they are."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def size(size_bytes: float) -> str:
    """For people: `1.5 GB`, `512 MB`."""
    if size_bytes >= 1000 * _MEGABYTE:
        return f"{size_bytes / 1e9:.1f} GB"
    return f"{size_bytes / 1e6:.0f} MB"


def size_option(size_bytes: float) -> str:
    """For a command line, rounded up to whole megabytes or gigabytes."""
    unit = 1000 * _MEGABYTE if size_bytes > 4000 * _MEGABYTE else _MEGABYTE
    return format_size(-(-int(size_bytes) // unit) * unit)


def percent(share: float) -> str:
    return f"{share * 100:.0f} %"
