"""One container from start to end for lading's own use: no seal, no ledger row, nothing left behind."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from lading.engine.model import Engine, Handle, RunSpec, RunState, RunStatus
from lading.errors import EngineError, Terminated
from lading.run.abilities import AsksRuns, ForgetsRuns
from lading.run.interrupts import interrupts_deferred

INTERRUPT_GRACE_SECONDS = 10.0
_POLL_SECONDS = 0.02
_FORGET_SECONDS = 2.0


def run_once(
    engine: Engine,
    spec: RunSpec,
    *,
    output: Callable[[bytes], None],
    started: Callable[[Handle], None] = lambda handle: None,
    waiting: Callable[[], None] = lambda: None,
) -> RunStatus:
    """Run `spec` to its end, its output going to `output`. Whatever is raised, the container is gone then.

    `started` gets the handle before an interrupt can come through. An interrupt is passed on, and what is
    printed until the end still goes to `output`; `waiting` is called before. Raises EngineError.
    """
    handle: Handle | None = None
    relay = _Relay(engine, output)
    try:
        with interrupts_deferred():
            handle = engine.submit(spec)
            started(handle)
        relay.follow(handle)
        return wait_ended(engine, handle)
    except KeyboardInterrupt as interrupt:
        if handle is not None:
            _end_gently(engine, handle, interrupt, relay, waiting)
        raise
    except BaseException:
        if handle is not None:
            stop_hard(engine, handle, INTERRUPT_GRACE_SECONDS)
        raise
    finally:
        if handle is not None:
            forget(engine, handle)


class _Relay:
    """Passes a run's output on, each byte once, however often it is taken up again."""

    def __init__(self, engine: Engine, output: Callable[[bytes], None]) -> None:
        self._engine, self._output, self._passed_bytes = engine, output, 0

    def follow(self, handle: Handle) -> None:
        for chunk in self._engine.logs(handle, self._passed_bytes):
            self._passed_bytes += len(chunk)
            self._output(chunk)


def _end_gently(
    engine: Engine,
    handle: Handle,
    interrupt: KeyboardInterrupt,
    relay: _Relay,
    waiting: Callable[[], None],
) -> None:
    """As at a terminal: Ctrl-C is SIGINT, so that `except KeyboardInterrupt` runs. A second one kills."""
    try:
        waiting()
        if isinstance(engine, AsksRuns):
            number = signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT
            engine.ask_to_end(handle, number, INTERRUPT_GRACE_SECONDS)
        else:
            engine.stop(handle, INTERRUPT_GRACE_SECONDS)
        relay.follow(handle)
        wait_ended(engine, handle)
    except BaseException:
        with interrupts_deferred():
            engine.stop(handle, 0)
        raise


def wait_ended(engine: Engine, handle: Handle) -> RunStatus:
    """The log has ended; the exit status follows at once."""
    while True:
        status = engine.observe(handle)
        if status.state not in (RunState.STARTING, RunState.RUNNING):
            return status
        time.sleep(_POLL_SECONDS)


def stop_hard(engine: Engine, handle: Handle, grace_seconds: float) -> None:
    """SIGTERM and a grace to end in; a further interrupt ends the grace and is raised."""
    try:
        engine.stop(handle, grace_seconds)
    except BaseException:
        with interrupts_deferred():
            engine.stop(handle, 0)
        raise


def forget(engine: Engine, handle: Handle) -> None:
    """Let the engine drop what it keeps of an ended run; that it cannot is no failure of the run."""
    if not isinstance(engine, ForgetsRuns):
        return
    deadline = time.monotonic() + _FORGET_SECONDS
    while True:
        try:
            engine.forget(handle)
            return
        except EngineError:  # the engine's own process outlives the exit status for a moment
            if time.monotonic() >= deadline:
                return
        time.sleep(_POLL_SECONDS)
