"""The outside of one container: watches limits, passes signals on, measures, and says how it ended.

Runs in the calling process for an attached run, in a process of its own for a detached one. Whatever way it
ends, the container ends too: the kernel kills PID 1 with its parent, and PID 1 the rest.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lading.engine.embedded.cgroups import ControlGroup
from lading.engine.embedded.child import Container
from lading.engine.embedded.init import FORWARDED, exit_status
from lading.engine.embedded.process_tree import descendants, kill_descendants, memory_bytes
from lading.engine.embedded.terminal import TerminalLink
from lading.engine.model import Level, RunState, RunStatus
from lading.project.limits import Limits

if TYPE_CHECKING:
    from lading.engine.embedded.recorder import Recorder

_WATCH_SECONDS = 0.1
_SAMPLE_SECONDS = 1.0
_KILLED = 128 + int(signal.SIGKILL)


@dataclass(slots=True)
class Watch:
    """One attended container. `attend` blocks until it has ended."""

    container: Container
    level: Level
    limits: Limits
    enforced_by: dict[str, str]
    grace_seconds: float
    group: ControlGroup | None = None
    terminal: TerminalLink | None = None
    stops_at_once: bool = False
    """True for a detached run: SIGTERM or SIGINT to the supervisor means stop, with grace."""
    read_grace: Callable[[], float] | None = None
    recorder: Recorder | None = None
    """Of a run that is written down: what else is seen of it."""
    _kill_at: float = math.inf
    _next_look: float = 0.0
    _interrupts: int = 0
    _peak: int = 0
    _out_of_memory: bool = False
    _timed_out: bool = False
    _ended_by: str | None = None

    def attend(self) -> RunStatus:
        ended = os.pidfd_open(self.container.child)
        poll = select.poll()
        poll.register(ended, select.POLLIN)
        try:
            with _signals() as wake:
                poll.register(wake, select.POLLIN)
                if self.terminal is not None:
                    self.terminal.register(poll)
                self._loop(poll, ended, wake)
        finally:
            os.close(ended)
            self.container.release()
        return self._finish()

    def _loop(self, poll: select.poll, ended: int, wake: int) -> None:
        while True:
            events = poll.poll(self._pause_milliseconds())
            for descriptor, _ in events:
                if descriptor == wake:
                    self._take_signals(os.read(wake, 4096))
                elif descriptor != ended and self.terminal is not None:
                    self.terminal.serve(descriptor, poll)
            if any(descriptor == ended for descriptor, _ in events):
                if self.terminal is not None:
                    self.terminal.drain()
                return
            self._look(time.monotonic())

    def _pause_milliseconds(self) -> int:
        now = time.monotonic()
        due = min(self._next_look, self._kill_at, self._deadline())
        return max(0, min(60_000, math.ceil((due - now) * 1000)))

    def _deadline(self) -> float:
        if self.limits.timeout_seconds is None or self._timed_out:
            return math.inf
        return self.container.started + self.limits.timeout_seconds

    def _look(self, now: float) -> None:
        if now >= self._deadline():
            self._timed_out = True
            self._note_end("timeout")
            self._stop(now)
        if now >= self._kill_at:
            self._kill()
        if now >= self._next_look:
            watched = {limit for limit, by in self.enforced_by.items() if by == "watchdog"}
            busy = bool(watched & {"memory", "pids"})
            age = now - self.container.started
            # A young run that is written down is looked at more often: many end within the first second.
            busy = busy or (self.recorder is not None and age < _SAMPLE_SECONDS)
            self._next_look = now + (_WATCH_SECONDS if busy else _SAMPLE_SECONDS)
            if age > _WATCH_SECONDS / 2:
                self._measure(watched)

    def _measure(self, watched: set[str]) -> None:
        pids = descendants(self.container.init)
        used = memory_bytes(pids)
        self._peak = max(self._peak, used)
        if self.recorder is not None:
            self.recorder.look(time.monotonic() - self.container.started, pids, used)
        limit = self.limits.memory_bytes
        if "memory" in watched and limit is not None and used > limit:
            self._out_of_memory = True
            self._note_end("memory limit")
            self._kill()
        if "pids" in watched and self.limits.pids is not None and len(pids) > self.limits.pids:
            self._note_end("process limit")
            self._kill()

    def _take_signals(self, numbers: bytes) -> None:
        for number in numbers:
            if number == signal.SIGWINCH:
                if self.terminal is not None:
                    self.terminal.resize()
                continue
            if number not in FORWARDED:
                continue
            if number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                self._note_end("request")
            self._interrupts += number == signal.SIGINT
            if self._interrupts > 2:
                self._kill()
            elif self.stops_at_once or number in (signal.SIGTERM, signal.SIGHUP) or self._interrupts == 2:
                self._stop(time.monotonic(), number)
            else:
                self._send(number)

    def _stop(self, now: float, number: int = signal.SIGTERM) -> None:
        grace = self.read_grace() if self.read_grace is not None else self.grace_seconds
        self._kill_at = min(self._kill_at, now + grace)
        self._send(number if number == signal.SIGINT or not self.stops_at_once else signal.SIGTERM)

    def _note_end(self, why: str) -> None:
        """The first reason stands."""
        self._ended_by = self._ended_by or why

    def _send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.container.init, number)

    def _kill(self) -> None:
        self._kill_at = math.inf
        if self.level is Level.NAMESPACES:
            self._send(signal.SIGKILL)
        else:
            kill_descendants(self.container.init)

    def _finish(self) -> RunStatus:
        _, status, usage = os.wait4(self.container.child, 0)
        wall = time.monotonic() - self.container.started
        code = exit_status(status)
        peak = max(self._peak, usage.ru_maxrss << 10)
        cpu: float = usage.ru_utime + usage.ru_stime
        if self.group is not None:
            self._out_of_memory = self._out_of_memory or (code != 0 and self.group.out_of_memory())
            peak = self.group.peak_memory_bytes() or peak
            cpu = self.group.cpu_seconds() or cpu
        if self._out_of_memory:
            code = _KILLED
        seen = None
        if self.recorder is not None:
            seen = self.recorder.finish(self._ended_by, failed=code != 0)
        if self.group is not None:
            self.group.remove()
        return RunStatus(
            state=RunState.EXITED,
            exit_status=code,
            out_of_memory=self._out_of_memory,
            timed_out=self._timed_out,
            peak_memory_bytes=peak,
            cpu_seconds=round(cpu, 6),
            wall_seconds=round(wall, 6),
            enforced_by=dict(self.enforced_by),
            level=self.level,
            circumstances=seen,
        )


@contextlib.contextmanager
def holding_signals() -> Iterator[None]:
    """From before a start until its Watch attends, a signal waits: it must find the container to end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _signals() -> Iterator[int]:
    """Signals as bytes on a pipe. Only the main thread may catch them; another attends without."""
    wake, wake_write = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(wake_write, False)
    before: dict[int, object] = {}
    try:
        old = signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    except ValueError:
        old = None
    try:
        if old is not None:
            for number in (*FORWARDED, signal.SIGWINCH):
                before[number] = signal.signal(number, lambda _number, _frame: None)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
        yield wake
    finally:
        if old is not None:
            for caught, handler in before.items():
                signal.signal(caught, handler if handler is not None else signal.SIG_DFL)  # type: ignore[arg-type]
            signal.set_wakeup_fd(old)
        os.close(wake)
        os.close(wake_write)
