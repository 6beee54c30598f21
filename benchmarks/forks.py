"""From the first fork on the way to a program to its exec, by the kernel's own clock.

The scheduler's tracepoints only note; nothing stops. A tracer that stops each new process (strace) doubles
the very time that is asked for. Needs root. Source: Documentation/trace/events.rst of the kernel.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_TRACEFS = Path("/sys/kernel/tracing")
_EVENTS = ("sched_process_fork", "sched_process_exec")
_LINE = re.compile(
    r"\s(?P<seconds>\d+\.\d+): sched_process_(?:"
    r"fork: .*?\bpid=(?P<parent>\d+) .*\bchild_pid=(?P<child>\d+)"
    r"|exec: filename=(?P<program>.*) pid=(?P<executing>\d+) old_pid=\d+)"
)


def fork_to_exec(command: Sequence[str], program: str, *, cwd: Path, env: Mapping[str, str]) -> float:
    """Milliseconds that `command` takes from its first fork on the way to `program` to its exec."""
    with _traced() as trace:
        subprocess.run(command, cwd=cwd, env=dict(env), check=True, stdin=subprocess.DEVNULL)
        return milliseconds(trace.read_text(), os.getpid(), program)


def milliseconds(trace: str, caller: int, program: str) -> float:
    """Of a trace with `caller`'s forks and all below. The command is the caller's child; its own children
    begin the way to `program`. Raises ValueError where the trace has no such way. Pure."""
    parents: dict[int, tuple[int, float]] = {}
    for match in _LINE.finditer(trace):
        moment = float(match["seconds"])
        if match["child"]:
            parents[int(match["child"])] = (int(match["parent"]), moment)
        elif match["program"].endswith(f"/{program}"):
            return (moment - _first_fork(parents, int(match["executing"]), caller)) * 1000
    raise ValueError(f"no exec of {program} in the trace:\n{trace}")


def _first_fork(parents: Mapping[int, tuple[int, float]], pid: int, caller: int) -> float:
    moment = None
    while pid in parents:
        parent, forked = parents[pid]
        if parent == caller and moment is not None:
            return moment
        pid, moment = parent, forked
    raise ValueError(f"process {pid} does not descend from {caller}")


@contextlib.contextmanager
def _traced() -> Iterator[Path]:
    """The file that tells forks and execs of this process's descendants, in a trace buffer of our own."""
    if not (_TRACEFS / "instances").is_dir():
        subprocess.run(["mount", "-t", "tracefs", "none", str(_TRACEFS)], check=True)
    buffer = _TRACEFS / "instances" / f"lading-{os.getpid()}"
    buffer.mkdir()
    try:
        (buffer / "trace_clock").write_text("mono")
        (buffer / "options/event-fork").write_text("1")
        (buffer / "set_event_pid").write_text(str(os.getpid()))
        for event in _EVENTS:
            (buffer / f"events/sched/{event}/enable").write_text("1")
        yield buffer / "trace"
    finally:
        buffer.rmdir()
