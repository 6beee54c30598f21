"""Runs that were slow, whether they ended well or were stopped: held back, waiting for data, for memory, hot.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from lading.engine.circumstances import EndedBy
from lading.errors import OutsideError, ProjectError
from lading.inspect.doctor.cause import Area, cause
from lading.inspect.doctor.model import Severity, Sign
from lading.inspect.doctor.runs.evidence import RunEvidence, percent

_SHORTEST_SECONDS = 10.0
"""Younger runs say nothing about pace."""
_THROTTLED = 0.25
_WAITING = 0.3
_IDLE_GPU_PERCENT = 50.0
_FEWEST_SAMPLES = 5


def _tells_pace(run: RunEvidence) -> bool:
    """Long enough, and not ended by something that has a page of its own."""
    long = (run.wall_seconds or 0) >= _SHORTEST_SECONDS and len(run.seen.samples) >= _FEWEST_SAMPLES
    return long and (run.ended_well or run.seen.ended_by in (EndedBy.TIMEOUT, EndedBy.REQUEST))


def _processors(run: RunEvidence) -> float:
    samples = run.seen.samples
    return sum(sample.cpus for sample in samples) / len(samples) if samples else 0.0


def _waiting_share(run: RunEvidence) -> float:
    samples = run.seen.samples
    return sum(sample.waiting > 0 for sample in samples) / len(samples) if samples else 0.0


def _gpu_percent(run: RunEvidence) -> float | None:
    values = [sample.gpu_percent for sample in run.seen.samples if sample.gpu_percent is not None]
    return sum(values) / len(values) if values else None


@cause(
    "run-cpu-throttled",
    "The run was held back by its limit of processors",
    Area.RUN,
    Severity.WARNING,
    "sched-bwc.rst of the kernel: nr_throttled",
    exit_status=ProjectError.exit_status,
)
def cpu_throttled(run: RunEvidence) -> Iterator[Sign]:
    """In many of the scheduler's periods (0.1 s each) the run had used up `cpus` and stood still until the
    next. A few threads more than processors make it worse: all stop together.

    Mend: raise `cpus`, or lower the number of threads and workers to it.
    """
    share = run.seen.throttled_share
    if not _tells_pace(run) or share is None or share < _THROTTLED:
        return
    limit = run.limits.get("cpus")
    more = run.again(f"--cpus {max(1, round(2 * limit))}") if isinstance(limit, int | float) else run.again()
    proof = (f"held back in {percent(share)} of the periods", f"cpus = {limit}, used {_processors(run):.1f}")
    yield Sign(proof=proof, remedy=more)


@cause(
    "run-data-bound",
    "The run waited for its data",
    Area.RUN,
    Severity.WARNING,
    "psi.rst of the kernel; /proc/PID/stat: state D",
    exit_status=ProjectError.exit_status,
)
def data_bound(run: RunEvidence) -> Iterator[Sign]:
    """Its processes stood in uninterruptible sleep (state D: waiting for a disk or a network file system) in
    many samples while processors, and GPUs where it had some, were idle. With a GPU that idles while the
    processors are busy it is not the disk but decoding and augmentation.

    Mend: more loader workers, larger files instead of many small ones (tar shards, Parquet), a faster disk or
    a copy on local disk; with busy processors, more `cpus` or work moved to the GPU.
    """
    if not _tells_pace(run):
        return
    waiting, busy = _waiting_share(run), _processors(run)
    gpu = _gpu_percent(run)
    seen = [f"processors busy: {busy:.1f}"]
    seen += [f"GPUs busy: {gpu:.0f} %"] if gpu is not None else []
    pressure = run.seen.io_pressure_share
    seen += [f"somebody on this host waited for a disk {percent(pressure)} of the time"] if pressure else []
    if waiting >= _WAITING and (gpu is None or gpu < _IDLE_GPU_PERCENT):
        first = f"a process of it waited for a disk in {percent(waiting)} of the samples"
        yield Sign(proof=(first, *seen), remedy="iostat -x 1 5", certain=busy < 0.5 or gpu is not None)
    elif gpu is not None and gpu < _IDLE_GPU_PERCENT and busy >= 0.8 * float(run.limits.get("cpus") or 1):
        proof = (
            "the GPUs waited for the processors: loading and preparing data is what takes the time",
            *seen,
        )
        yield Sign(proof=proof, remedy=run.again("--cpus 16"), certain=False)


@cause(
    "run-memory-pressure",
    "The run waited for memory",
    Area.RUN,
    Severity.WARNING,
    "psi.rst of the kernel: memory pressure",
    exit_status=OutsideError.exit_status,
)
def memory_pressure(run: RunEvidence) -> Iterator[Sign]:
    """The host was so full that the kernel took pages from running programs and had to read them again:
    everything is slow and nothing fails, until the OOM killer comes.

    Mend: give the other programs less, or this host more; `swapon --show` tells whether it swaps.
    """
    share = run.seen.memory_pressure_share
    if _tells_pace(run) and share is not None and share >= _WAITING:
        yield Sign(
            proof=(f"somebody on this host waited for memory {percent(share)} of the time",),
            remedy="swapon --show",
        )


@cause(
    "run-gpu-slowed",
    "The GPU was slowed down",
    Area.RUN,
    Severity.WARNING,
    "NVML: clocks event reasons",
    exit_status=OutsideError.exit_status,
)
def gpu_slowed(run: RunEvidence) -> Iterator[Sign]:
    """The driver lowered the clocks in most samples: heat (fans, air), a power cap, or the hardware's own
    brake.

    Mend: `nvidia-smi -q -d PERFORMANCE` names the reason now; see to the cooling, or the power limit.
    """
    slowed = [gpu for gpu in run.seen.gpus if set(gpu.slowed_by) & {"heat", "hardware"}]
    if _tells_pace(run) and slowed:
        proof = tuple(
            f"GPU {gpu.index} was slowed by {' and '.join(gpu.slowed_by)} most of the time" for gpu in slowed
        )
        yield Sign(proof=proof, remedy="nvidia-smi -q -d PERFORMANCE")
