"""Fork a container's first process and hear whether it came up."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from lading.engine.embedded import linux
from lading.engine.embedded.init import reset_signals
from lading.engine.embedded.plan import ContainerPlan
from lading.engine.embedded.report import Failure, Report, read_report
from lading.engine.model import Level

if TYPE_CHECKING:
    import socket  # 4 ms to import; only a terminal needs it


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """Descriptors that become the container's standard input, output and error."""

    stdin: int
    stdout: int
    stderr: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A started container, seen from outside."""

    child: int
    """Our child process; its end is the container's."""
    init: int
    """The first process inside, by its number outside; signals go to it."""
    started: float
    """time.monotonic() before the fork."""
    lifeline: int
    """Closing it ends the container."""
    master: int | None = None
    """The container's terminal."""

    def release(self) -> None:
        os.close(self.lifeline)


Body = Callable[[Report, int, Callable[[int], None]], int]
"""What the child does: report, reading end of the lifeline, a way to send the terminal; answers a status."""


class StartFailed(Exception):
    """Stays inside the package: the engine turns it into an EngineError with a remedy."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.stage}: {failure.error}")
        self.failure = failure


def fork_quietly() -> int:
    """os.fork without the warning about threads: the child runs no code that takes a lock."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def start_plan(plan: ContainerPlan, streams: Streams, join_files: tuple[str, ...]) -> Container:
    """Start `plan`; returns when its payload has been executed. Raises StartFailed."""
    if plan.level is Level.NAMESPACES:
        from lading.engine.embedded.namespaces import run_contained as run
    else:
        from lading.engine.embedded.uncontained import run_uncontained as run
    return start_container(
        lambda report, lifeline, send: run(plan, report, lifeline, send),
        streams,
        join_files,
        terminal=plan.terminal,
    )


def start_container(
    body: Body, streams: Streams, join_files: tuple[str, ...], *, terminal: bool
) -> Container:
    """Fork, and run `body` in the child; returns when its payload has been executed. Raises StartFailed."""
    started = time.monotonic()
    report_read, report_write = os.pipe()
    life_read, life_write = os.pipe()
    ours, theirs = _terminal_link() if terminal else (None, None)
    child = fork_quietly()
    if child == 0:
        kept = {report_write, life_read} | ({theirs.fileno()} if theirs is not None else set())
        _become_container(body, streams, join_files, Report(report_write), life_read, theirs, kept)
    os.close(report_write)
    os.close(life_read)
    if theirs is not None:
        theirs.close()
    try:
        outcome = read_report(report_read)
        if outcome.failure is not None:
            os.waitpid(child, 0)
            raise StartFailed(outcome.failure)
        master = _receive(ours) if ours is not None else None
    except BaseException:
        os.close(life_write)
        raise
    finally:
        os.close(report_read)
        if ours is not None:
            ours.close()
    return Container(
        child=child,
        init=outcome.pid if outcome.pid is not None else child,
        lifeline=life_write,
        master=master,
        started=started,
    )


def _terminal_link() -> tuple[socket.socket, socket.socket]:
    import socket

    return socket.socketpair()


def _receive(link: socket.socket) -> int | None:
    import socket

    _, descriptors, _, _ = socket.recv_fds(link, 1, 1)
    return descriptors[0] if descriptors else None


def _become_container(
    body: Body,
    streams: Streams,
    join_files: tuple[str, ...],
    report: Report,
    lifeline: int,
    link: socket.socket | None,
    kept: set[int],
) -> NoReturn:
    status = 70
    try:
        reset_signals()
        linux.die_with_parent(signal.SIGKILL)
        os.setsid()
        report.stage = "standard streams"
        place_streams(streams)
        close_others(kept)
        report.stage = "control group"
        for path in join_files:
            descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            os.write(descriptor, b"0")
            os.close(descriptor)
        status = body(report, lifeline, _sender(link))
    except BaseException as error:  # noqa: BLE001 - told to the parent, which raises it
        with contextlib.suppress(OSError):
            report.fail(error)
    finally:
        os._exit(status)


def _sender(link: socket.socket | None) -> Callable[[int], None]:
    def send(descriptor: int) -> None:
        if link is not None:
            import socket

            socket.send_fds(link, [b"t"], [descriptor])

    return send


def place_streams(streams: Streams) -> None:
    """Make `streams` the standard ones, in whatever order they come."""
    copies = [copy_descriptor(descriptor) for descriptor in (streams.stdin, streams.stdout, streams.stderr)]
    for standard, copy in enumerate(copies):
        os.dup2(copy, standard)
        os.close(copy)


def copy_descriptor(descriptor: int) -> int:
    """A copy above the standard ones, closed on exec."""
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)


def close_others(kept: set[int]) -> None:
    """Nothing of the caller's stays open in a container (X07): no lock, database or listening socket."""
    try:
        open_now = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        open_now = list(range(3, 4096))
    for descriptor in open_now:
        if descriptor > 2 and descriptor not in kept:
            with contextlib.suppress(OSError):
                os.close(descriptor)
