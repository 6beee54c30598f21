"""A way to die: what a run left, and the cause that must be found.

Logs in `deaths/` were printed by programs that really ended so; what a GPU, a cluster or a hub says stands in
the tables as these programs are known to print it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lading.engine.circumstances import Circumstances
from lading.inspect.doctor.runs.evidence import RunEvidence
from lading.inspect.doctor.runs.words import read_words

DEATHS = Path(__file__).parent / "deaths"
GB = 10**9
CALM = Circumstances(
    least_free_memory_bytes=20 * GB,
    io_pressure_share=0.02,
    memory_pressure_share=0.0,
    shm_bytes=6 * GB,
    peak_shm_bytes=0,
    least_free_disk_bytes=50 * GB,
)
"""Nothing but the run's own words."""


@dataclass(frozen=True, kw_only=True)
class Case:
    name: str
    cause: str
    exit_status: int | None = 1
    log: str | None = None
    """None: the file of this name in `deaths/`."""
    seen: Circumstances = CALM
    certain: bool = True
    remedy: str = ""
    """Is in the remedy."""
    more: dict[str, Any] = field(default_factory=dict)

    def evidence(self) -> RunEvidence:
        text = self.log if self.log is not None else (DEATHS / f"{self.name}.log").read_text()
        values: dict[str, Any] = {
            "run_id": "7f3a12ab90cd",
            "task": "train",
            "phase": "failed",
            "exit_status": self.exit_status,
            "command": ("python", "train.py"),
            "words": read_words(text),
            "seen": self.seen,
        }
        return RunEvidence(**{**values, **self.more})


def raised(line: str, *, file: str = "/app/train.py") -> str:
    return f'Traceback (most recent call last):\n  File "{file}", line 9, in <module>\n    main()\n{line}\n'


def seen(**values: Any) -> Circumstances:
    return replace(CALM, **values)


def limited(memory_bytes: int) -> dict[str, Any]:
    return {"limits": {"memory_bytes": memory_bytes}, "peak_memory_bytes": memory_bytes}


def kernel(constraint: str, group: str) -> tuple[str, ...]:
    return (
        f"oom-kill:constraint=CONSTRAINT_{constraint},nodemask=(null),cpuset=/,mems_allowed=0,{group}"
        "task_memcg=/kubepods/pod7/app,task=python,pid=4711,uid=1000",
        "Memory cgroup out of memory: Killed process 4711 (python) total-vm:9126052kB, anon-rss:8114056kB",
    )


NCCL = (
    "torch.distributed.DistBackendError: NCCL error in: "
    "../torch/csrc/distributed/c10d/ProcessGroupNCCL.cpp:1970, "
    "{kind} (run with NCCL_DEBUG=INFO for details), NCCL version 2.21.5\n{name}\nLast error:\n{last}"
)
