"""Runs that died for memory: at whose limit, on the host, in an allocation, in /dev/shm. Pure."""

from __future__ import annotations

import itertools
import re
import signal
from collections.abc import Iterator

from lading.engine.circumstances import EndedBy
from lading.errors import OutsideError
from lading.inspect.doctor.model import Sign
from lading.inspect.doctor.runs.evidence import RunEvidence, percent, size, size_option
from lading.inspect.doctor.runs.register import death, said, told

_KERNEL = re.compile(r"oom-kill:constraint=CONSTRAINT_(\w+)(?:.*oom_memcg=([^,\s]+))?")
_REFUSED = re.compile(
    r"^(?:\w+\.)*MemoryError\b|\bMemoryError: |std::bad_alloc|Unable to allocate .* for an array"
    r"|Cannot allocate memory|DefaultCPUAllocator: (?:can't|not enough memory)"
    r"|memory allocation of \d+ bytes failed"
)
_SHM_SAID = re.compile(
    r"unable to (?:allocate shared memory\(shm\)|write to file|open shared memory object|mmap).*"
    r"(?:No space left|Cannot allocate)|Error while creating shared memory segment /dev/shm"
    r"|No space left on device: '?/(?:dev/shm|psm_)|/dev/shm.*(?:not enough|No space)"
)
_SHM_GUESSED = re.compile(
    r"Unexpected bus error encountered in worker|insufficient shared memory \(shm\)|out of shared memory"
)
"""What torch says of any bus error in a worker."""
_BUS = re.compile(r"\bBus error\b|SIGBUS|signal(?:: | )7\b|Bus error \(core dumped\)")
_NEARLY_FULL = 0.9
_GROWTH = 2


_WORKER_KILLED = re.compile(r"killed by signal: Killed|exitcode +: -9\b|Signal 9 \(SIGKILL\)")


def was_killed(run: RunEvidence) -> bool:
    """It, or a worker whose end it did not outlive, by SIGKILL that lading did not send."""
    if run.seen.ended_by is not None:
        return False
    return run.signal == signal.SIGKILL or (run.signal is None and run.words.has(_WORKER_KILLED))


def _killed_at(run: RunEvidence) -> str | None:
    """Whose memory was short, as the kernel logged it: `own`, `around`, `host`."""
    for line in reversed(run.seen.kernel):
        if match := _KERNEL.search(line):
            if match[1] != "MEMCG":
                return "host"
            return "own" if (match[2] or "").endswith(f"lading-{run.run_id}") else "around"
    return None


def _peak(run: RunEvidence) -> str:
    return f"peak memory {size(run.peak_memory_bytes)}" if run.peak_memory_bytes else ""


@death(
    "run-memory-limit",
    "The run was killed at its own memory limit",
    "cgroup-v2.rst of the kernel: memory.events; docs/internals/engine.md: limits",
)
def memory_limit(run: RunEvidence) -> Iterator[Sign]:
    """The limit `memory` of the task was reached and the kernel, or where it has no control groups the
    watchdog, killed the run. Exit code 137.

    The record tells it from its neighbours: the run's own control group met its limit (another limit: that of
    the pod or job around; none at all: the host itself ran out). Memory that grew evenly to the end points to
    a leak, a jump to one large allocation: the samples under `lading doctor RUN --json` show which.

    Mend: raise `memory` under the task, load less at once, or use a smaller batch.
    """
    limit = run.memory_limit
    by_watchdog = run.seen.ended_by is EndedBy.MEMORY_LIMIT
    by_kernel = run.seen.oom_kills > 0 and run.seen.own_limit_reached and _killed_at(run) in (None, "own")
    if limit is None or not (by_watchdog or by_kernel):
        return
    who = (
        "lading's watchdog" if by_watchdog and run.is_watched else "the kernel" if by_kernel else "its engine"
    )
    proof = [f"{who} killed it at memory = {size(limit)}", _peak(run), _growth(run), run.ending()]
    remedy = run.again(f"--memory {size_option(_GROWTH * limit)}")
    yield Sign(proof=tuple(filter(None, proof)), remedy=remedy)


def _growth(run: RunEvidence) -> str:
    """How memory came to its height, where enough was seen."""
    values = [sample.memory_bytes for sample in run.seen.samples]
    if len(values) < 6 or not values[-1]:
        return ""
    half = values[len(values) // 2]
    if half >= 0.9 * values[-1]:
        return ""
    if half <= 0.3 * values[-1] and values[-2] <= 0.5 * values[-1]:
        return f"memory jumped at the end, from {size(values[-2])} to {size(values[-1])}"
    rising = sum(after >= before for before, after in itertools.pairwise(values))
    return f"memory grew all the time, to {size(values[-1])}: a leak?" if rising >= 0.8 * len(values) else ""


@death(
    "run-surrounding-limit",
    "The run was killed at a memory limit around lading",
    "cgroup-v2.rst of the kernel: limits of a group hold for all groups in it",
    exit_status=OutsideError.exit_status,
)
def surrounding_limit(run: RunEvidence) -> Iterator[Sign]:
    """lading itself runs in a control group with a limit: of a pod, a Slurm job, a session, a CI runner. The
    run met that limit, not one of its own.

    A larger `memory` under the task does not help: the group around has to be larger. A smaller one does
    help, in that the run then ends with a message of its own.

    Mend: ask for more memory where the pod or job is described.
    """
    told_so = _killed_at(run) == "around"
    counted = run.seen.around_limit_reached and not run.seen.own_limit_reached and _killed_at(run) is None
    if not was_killed(run) or not (told_so or counted):
        return
    limit = run.seen.around_limit_bytes
    shown = (
        f"the group around lading has a limit of {size(limit)}"
        if limit
        else "a group around lading met its limit"
    )
    killed = f"the kernel killed {run.seen.oom_kills} of its processes for memory"
    lines = tuple(f"kernel: {line}" for line in run.seen.kernel if _KERNEL.search(line))
    yield Sign(proof=tuple(filter(None, (shown, killed, *lines[-1:], _peak(run), run.ending()))))


@death(
    "run-host-memory",
    "The host ran out of memory",
    "Documentation/admin-guide/mm of the kernel: the OOM killer; /proc/vmstat oom_kill",
    exit_status=OutsideError.exit_status,
)
def host_memory(run: RunEvidence) -> Iterator[Sign]:
    """The kernel had no memory left and chose a victim: this run. No limit was met; the whole machine was
    full.

    Certain where the kernel's log says so or the run's group counts a killed process; likely where the host
    only counted one meanwhile.

    Mend: give the run a limit, so that it is the one to be told, and see what else fills the host.
    """
    verdict = _killed_at(run)
    limited = run.seen.own_limit_reached or run.seen.around_limit_reached
    if not was_killed(run) or verdict in ("own", "around"):
        return
    if verdict is None and (limited or not (run.seen.host_oom_kills or run.seen.oom_kills)):
        return
    lines = tuple(f"kernel: {line}" for line in run.seen.kernel if "oom" in line.lower() or "memory" in line)
    free = run.seen.least_free_memory_bytes
    counted = (
        f"the host's kernel killed {max(run.seen.host_oom_kills, run.seen.oom_kills)} processes for memory"
    )
    least = f"least memory available: {size(free)}" if free is not None else ""
    certain = run.seen.oom_kills > 0 or verdict == "host"
    limit = run.peak_memory_bytes or 4 * 10**9
    yield Sign(
        proof=tuple(filter(None, (counted, least, *lines[:3], _peak(run), run.ending()))),
        remedy=run.again(f"--memory {size_option(limit)}"),
        certain=certain,
    )


@death(
    "run-allocation-refused",
    "An allocation was refused",
    "malloc(3), setrlimit(2), overcommit-accounting.rst of the kernel",
)
def allocation_refused(run: RunEvidence) -> Iterator[Sign]:
    """The program asked for memory at once and was told no: `MemoryError`, `std::bad_alloc`, `Cannot allocate
    memory`. Nobody killed it. The size that was asked for is often far beyond any host: a wrong shape, an
    array made dense, a file read whole.

    Otherwise it is a limit on address space (`ulimit -v`) or strict overcommit (`vm.overcommit_memory = 2`).

    Mend: look at the size in the message; ask for it in pieces, or raise `ulimit -v`.
    """
    match = said(run, _REFUSED)
    if run.seen.own_limit_reached or run.seen.around_limit_reached:
        return
    free = run.seen.least_free_memory_bytes
    yield from told(run, match, "", f"least memory available on the host: {size(free)}" if free else "")


@death(
    "run-shm-full",
    "Shared memory (/dev/shm) was full",
    "shm_overview(7); pytorch/pytorch: torch/utils/data/_utils/signal_handling.py",
)
def shm_full(run: RunEvidence) -> Iterator[Sign]:
    """Data loaders, NCCL and multiprocessing hand data over through /dev/shm. When it is full, writing there
    is a bus error (SIGBUS, exit code 135) and no exception.

    lading gives a quarter of the host's memory, or half of the task's `memory`; `shm` sets it. At levels
    without mounts it is the host's own.

    Mend: raise `shm`, or use fewer workers, a smaller batch or a smaller `prefetch_factor`.
    """
    total, peak = run.seen.shm_bytes, run.seen.peak_shm_bytes
    known = total is not None and peak is not None
    full = total is not None and peak is not None and peak >= _NEARLY_FULL * total
    had = run.limits.get("shm_bytes") or total or 4 * 10**9
    remedy = run.again(f"--shm-size {size_option(_GROWTH * had)}")
    fill = f"/dev/shm had {size(total)}, of which {size(peak or 0)} were seen used" if total else ""
    if match := said(run, _SHM_SAID):
        yield from told(run, match, remedy, fill)
    elif match := said(run, _SHM_GUESSED):
        proof = tuple(filter(None, (match.proof, fill, run.ending())))
        yield Sign(proof=proof, remedy=remedy, certain=full or not known)
    elif full and (run.signal == signal.SIGBUS or said(run, _BUS)):
        yield Sign(proof=(fill, run.ending()), remedy=remedy)


@death(
    "run-bus-error",
    "A mapped file ended before its map (bus error)",
    "mmap(2): SIGBUS, access to a page beyond the end of the mapped file",
)
def bus_error(run: RunEvidence) -> Iterator[Sign]:
    """SIGBUS with room left in /dev/shm. A file that was mapped into memory was shortened or replaced
    meanwhile, lies on a network file system that went away, or on a full disk.

    Memory-mapped weights (safetensors, GGUF, numpy's `mmap_mode`) and Arrow files are read in this way:
    somebody wrote into such a file while it was in use.

    Mend: write such files under another name and rename them; give the run its own copy as an input.
    """
    if run.signal != signal.SIGBUS and not (said(run, _BUS) and run.exit_status):
        return
    if any(sign.certain for sign in shm_full(run)):
        return
    total, peak = run.seen.shm_bytes, run.seen.peak_shm_bytes
    room = f"/dev/shm was not full: {percent((peak or 0) / total)} of {size(total)}" if total else ""
    free = run.seen.least_free_disk_bytes
    disk = f"least disk space free: {size(free)}" if free is not None else ""
    yield Sign(
        proof=tuple(filter(None, (run.ending(), room, disk))),
        remedy=run.again("--env PYTHONFAULTHANDLER=1"),
        certain=run.signal == signal.SIGBUS and total is not None,
    )
