"""Runs that a signal ended, or lading itself: who sent it, and why. Pure."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator

from lading.engine.circumstances import EndedBy
from lading.errors import EXIT_INTERRUPTED, OutsideError
from lading.inspect.doctor.model import Severity, Sign
from lading.inspect.doctor.runs.evidence import RunEvidence, signal_name, size
from lading.inspect.doctor.runs.register import death, said, told
from lading.project.quantity import format_duration
from lading.run.record import TERMINATED, WATCHER_KILLED

_FATAL = re.compile(r"Fatal Python error: (.+)")
_SEGFAULT = re.compile(r"Segmentation fault|signal(?:: | )11\b|SIGSEGV")
_ILLEGAL = re.compile(r"Illegal instruction|SIGILL|signal(?:: | )4\b")
_ABORTED = re.compile(
    r"terminate called after throwing an instance of '([^']+)'|Assertion `.*' failed"
    r"|double free or corruption"
    r"|free\(\): invalid|malloc\(\): |\bAborted\b|Check failed: "
)
_NO_PROCESS = re.compile(
    r"can't start new thread|Resource temporarily unavailable|BlockingIOError: \[Errno 11\]"
    r"|pthread_create failed|fork: retry|Cannot fork|libgomp: Thread creation failed"
)
_FRAME = re.compile(r'^\s*File "([^"]+)", line (\d+) in (\S+)')
_FAULTHANDLER = "--env PYTHONFAULTHANDLER=1"
_UNSEEN = "nothing was recorded of what went on around it"
_NAMED = (
    signal.SIGKILL,
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGSEGV,
    signal.SIGBUS,
    signal.SIGILL,
    signal.SIGABRT,
)


def _crash(run: RunEvidence) -> tuple[str, ...]:
    """What faulthandler and the kernel say of a crash."""
    found = []
    if fatal := run.words.find(_FATAL):
        found.append(fatal.proof)
    if frame := next((match for line in run.words.lines if (match := _FRAME.match(line))), None):
        found.append(f"in {frame[3]}, {frame[1]}:{frame[2]}")
    found += [f"kernel: {line}" for line in run.seen.kernel if "segfault" in line or "trap" in line]
    return tuple(found[:4])


@death("run-segfault", "Native code crashed (segmentation fault)", "signal(7), faulthandler of Python")
def segfault(run: RunEvidence) -> Iterator[Sign]:
    """SIGSEGV, exit code 139: an extension module or library touched memory that is not its own. Python
    cannot do that by itself, so there is no traceback unless `faulthandler` is on.

    Usual reasons: two libraries that were built against different versions of a third (numpy 1 and 2, two
    OpenMP runtimes), an extension used after a fork, a very deep recursion (raise `ulimit -s`).

    Mend: run once more with `PYTHONFAULTHANDLER=1`: it prints the Python line that led there.
    """
    if run.signal == signal.SIGSEGV:
        yield Sign(proof=(run.ending(), *_crash(run)), remedy=run.again(_FAULTHANDLER))
    elif match := said(run, _SEGFAULT):
        yield from told(run, match, run.again(_FAULTHANDLER), *_crash(run))


@death("run-illegal-instruction", "The processor lacks an instruction", "signal(7): SIGILL")
def illegal_instruction(run: RunEvidence) -> Iterator[Sign]:
    """SIGILL, exit code 132: a library was compiled for a newer processor, mostly with AVX, AVX2 or AVX-512,
    or the virtual machine hides what the processor could do.

    Mend: a build of the library for this processor (`lscpu` lists its flags), or a host with a newer one.
    """
    if run.signal == signal.SIGILL:
        yield Sign(proof=(run.ending(), *_crash(run)), remedy="lscpu")
    else:
        yield from told(run, said(run, _ILLEGAL), "lscpu")


@death("run-aborted", "A library gave up (abort)", "abort(3)")
def aborted(run: RunEvidence) -> Iterator[Sign]:
    """SIGABRT, exit code 134: native code found itself in a state it cannot go on from, and said so: an
    uncaught C++ exception, a failed assertion, a damaged heap. The line before the end is the library's own.

    Mend: read that line; run once more with `PYTHONFAULTHANDLER=1` to see which Python line led there.
    """
    if run.signal != signal.SIGABRT:
        return
    match = said(run, _ABORTED)
    proof = (match.proof,) if match is not None else ()
    yield Sign(proof=(*proof, *_crash(run), run.ending()), remedy=run.again(_FAULTHANDLER))


@death(
    "run-timeout",
    "The run was stopped at its timeout",
    "docs/guides/tasks.md: limits",
)
def timeout(run: RunEvidence) -> Iterator[Sign]:
    """The task's `timeout` was over. lading sent SIGTERM and, after the grace, SIGKILL.

    Whether it hung or was only slow: the samples say how busy it was to the end. A run that waited is shown
    its own causes beside this one (data, throttling, a collective that never came).

    Mend: raise `timeout`, or go on from `$LADING_CHECKPOINTS` in the next run.
    """
    if run.seen.ended_by is not EndedBy.TIMEOUT:
        return
    limit = run.limits.get("timeout_seconds")
    shown = f"timeout = {format_duration(float(limit))}" if isinstance(limit, int | float) else "timeout"
    busy = [sample.cpus for sample in run.seen.samples[-10:]]
    end = f"processors busy at the end: {sum(busy) / len(busy):.1f}" if busy else ""
    longer = format_duration(round(float(limit) * 2)) if isinstance(limit, int | float) else "2h"
    yield Sign(
        proof=tuple(filter(None, (f"lading stopped it at {shown}", end, run.ending()))),
        remedy=run.again(f"--timeout {longer}"),
    )


@death(
    "run-stopped",
    "The run was stopped on request",
    "docs/reference/exit-codes.md",
    severity=Severity.INFO,
    exit_status=EXIT_INTERRUPTED,
)
def stopped(run: RunEvidence) -> Iterator[Sign]:
    """Somebody asked for it: `lading stop`, Ctrl-C, or the end of the terminal. Nothing is wrong with the
    run.

    What it saved in `$LADING_CHECKPOINTS` is there for the next one; outputs of an interrupted run are not
    kept.

    Mend: run it again.
    """
    if run.seen.ended_by is EndedBy.REQUEST or (run.phase == "interrupted" and run.reason == "interrupted"):
        yield Sign(proof=("it was interrupted or stopped by a command", run.ending()), remedy=run.again())


@death(
    "run-preempted",
    "lading itself was told to end (preemption)",
    "signal(7); Slurm, Kubernetes and spot instances send SIGTERM first",
    exit_status=OutsideError.exit_status,
)
def preempted(run: RunEvidence) -> Iterator[Sign]:
    """lading was sent SIGTERM or SIGHUP and passed it on to the run: the job's time was over, the pod was
    evicted, the machine was taken back or the terminal was closed. Nobody typed Ctrl-C.

    Mend: start it with `nohup` or `setsid` against a closing terminal; save in `$LADING_CHECKPOINTS` on
    SIGTERM against preemption, and run again: it goes on from there.
    """
    if run.phase == "interrupted" and run.reason == TERMINATED:
        yield Sign(proof=(run.reason, run.ending()), remedy=run.again())


@death(
    "run-watcher-killed",
    "lading was killed, and the run with it",
    "docs/internals/engine.md: crash safety",
    exit_status=OutsideError.exit_status,
)
def watcher_killed(run: RunEvidence) -> Iterator[Sign]:
    """The process that watched the run ended without a word: `kill -9`, the kernel's OOM killer, a power cut,
    the end of a container. The kernel ends the run in that moment, so its own exit code is unknown.

    Mend: see whether the host ran out of memory then (`dmesg`), and run again.
    """
    if run.phase == "interrupted" and run.reason == WATCHER_KILLED:
        yield Sign(
            proof=(WATCHER_KILLED, run.ending()), remedy="dmesg --ctime | grep -i -e oom -e 'killed process'"
        )


@death(
    "run-killed",
    "Somebody outside killed the run (SIGKILL)",
    "signal(7), memory.events of its control group",
    exit_status=OutsideError.exit_status,
)
def killed(run: RunEvidence) -> Iterator[Sign]:
    """SIGKILL, exit code 137, and neither lading nor the kernel's OOM killer sent it: no limit was met, no
    process was killed for memory meanwhile. Somebody's `kill -9`, an administrator's script, a job scheduler,
    or the program itself.

    Mend: ask who ended processes at that time; without a memory limit, give the run one, so that an end for
    lack of memory is told apart the next time.
    """
    if run.signal != signal.SIGKILL or run.seen.ended_by is not None:
        return
    if run.seen.oom_kills or run.seen.host_oom_kills or run.seen.own_limit_reached:
        return
    free = run.seen.least_free_memory_bytes
    least = f"least memory available on the host: {size(free)}" if free is not None else ""
    seen = "lading did not send it; no process was killed for memory meanwhile"
    proof = (run.ending(), seen if run.is_watched else _UNSEEN, least)
    yield Sign(proof=tuple(filter(None, proof)), remedy=run.again(), certain=run.is_watched)


@death(
    "run-terminated",
    "Somebody outside ended the run (SIGTERM or SIGINT)",
    "signal(7)",
    exit_status=OutsideError.exit_status,
)
def terminated(run: RunEvidence) -> Iterator[Sign]:
    """SIGTERM (143) or SIGINT (130) reached the program, and lading sent none: a `kill` on the host, a
    scheduler that ends single processes, or the program ended itself in this way.

    Mend: ask who ended processes at that time; then run again.
    """
    if run.signal in (signal.SIGTERM, signal.SIGINT) and run.seen.ended_by is None and run.phase == "failed":
        seen = "lading sent no signal" if run.is_watched else _UNSEEN
        yield Sign(proof=(run.ending(), seen), remedy=run.again(), certain=run.is_watched)


@death("run-process-limit", "The limit of processes was reached", "pids.rst of the kernel; getrlimit(2)")
def process_limit(run: RunEvidence) -> Iterator[Sign]:
    """`pids` under the task, or the user's own `ulimit -u`, was used up: threads count, and each data loader
    worker starts a set of them for OpenMP, BLAS and the like.

    Mend: raise `pids`, or start fewer workers and threads (`OMP_NUM_THREADS=1` in each worker).
    """
    limit = run.limits.get("pids")
    remedy = run.again(f"--pids {2 * limit}") if isinstance(limit, int) else "ulimit -u"
    shown = f"pids = {limit}" if limit else ""
    if run.seen.ended_by is EndedBy.PROCESS_LIMIT:
        yield Sign(proof=(f"lading's watchdog killed it at {shown}", run.ending()), remedy=remedy)
        return
    refused = run.seen.processes_refused
    match = said(run, _NO_PROCESS)
    if match is not None:
        counted = f"its control group refused {refused} processes at {shown}" if refused else shown
        yield from told(run, match, remedy, counted)
    elif refused:
        proof = (f"its control group refused {refused} processes at {shown}", run.ending())
        yield Sign(proof=proof, remedy=remedy, certain=False)


@death("run-signal", "A signal ended the run", "signal(7)")
def other_signal(run: RunEvidence) -> Iterator[Sign]:
    """The exit code, 128 + n, stands for a signal that no other page is about: SIGFPE (136) for a division of
    integers by zero in native code, SIGPIPE (141) for a pipe that nobody reads, SIGXCPU (152) for `ulimit
    -t`, SIGXFSZ (153) for `ulimit -f`, SIGSYS (159) for a forbidden system call.

    Mend: by the signal; `kill -l NUMBER` names it.
    """
    if run.signal is not None and run.signal not in _NAMED:
        yield Sign(
            proof=(f"{run.ending()}", *_crash(run)),
            remedy=f"kill -l {run.signal}  # {signal_name(run.signal)}",
        )
