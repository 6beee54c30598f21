"""Running a prepared task: submit → watch → collect, with every end recorded.

Whatever happens, one of these holds afterwards: the run is recorded as finished, failed or interrupted and
its container is gone; or this process was killed, and the next `recover_runs` makes it so.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

from lading.engine.model import Engine, Handle, RunSpec, RunState, RunStatus
from lading.errors import EngineError, LadingError, StoreError, TaskFailed, Terminated
from lading.oci.digest import Digest
from lading.run.abilities import GivesGpus, ListsRuns
from lading.run.inputs import new_run_id
from lading.run.interrupts import interrupts_deferred
from lading.run.leavings import interrupted_words, left_behind_words
from lading.run.ledger import Ledger
from lading.run.metrics import read_metrics
from lading.run.once import INTERRUPT_GRACE_SECONDS, forget, run_once
from lading.run.outputs import (
    Outputs,
    collect_outputs,
    is_written,
    names_in,
    outputs_present,
    read_outputs,
    remove_files,
    write_files,
)
from lading.run.record import OVER_ITS_LIMIT, TERMINATED, TIMED_OUT, WATCHER_KILLED, write_circumstances
from lading.run.report import Reporter
from lading.run.rows import Cost, RunPhase, RunRow
from lading.run.task import (
    PreparedRun,
    RunFolders,
    check_gpus,
    lay_out,
    remove_tree,
    remove_work,
    seal_lock_name,
    watch_lock,
)
from lading.store import Store
from lading.store.locks import file_lock


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    row: RunRow
    outputs: Outputs
    reused: bool = False
    left_behind: tuple[str, ...] = ()
    """Files that the run wrote beside its code, where nothing is kept."""

    @property
    def metrics(self) -> dict[str, float]:
        """NaN where the run wrote NaN or an infinity, so that a gate finds it inconclusive."""
        return {k: float("nan") if v is None else v for k, v in self.row.metrics.items()}

    def describe_reuse(self, now: float) -> str:
        """`reused run 7f3a, 12 min old; --rerun`."""
        age = _age(max(0.0, now - (self.row.ended_at or self.row.at)))
        return f"reused run {self.row.run_id[:4]}, {age} old; --rerun to run again"


def run_task(
    run: PreparedRun, *, engine: Engine, store: Store, ledger: Ledger, reporter: Reporter, rerun: bool = False
) -> RunResult:
    """Run `run`, or take the finished run of the same seal. Two processes never run one seal at once.

    Raises TaskFailed with the child's exit code, EngineError, StoreError; re-raises KeyboardInterrupt after
    the container has been stopped.
    """
    recover_runs(store, ledger, engine)
    with store.lock(seal_lock_name(run.seal.digest)):
        rows = ledger.runs(run.project.name, run.task.name)
        previous = next((row.outputs for row in rows if row.outputs is not None), None)
        result = None
        if run.reusable and not rerun:
            result = find_reusable(run.seal.digest, store, ledger)
        if result is None:
            if not isinstance(engine, GivesGpus):
                check_gpus(run.project, run.task, engine)  # what it cannot give it would pass over
            result = _run(run, engine, store, ledger, reporter)
        _place_outputs(run, result.outputs, previous, store, reporter)
        return result


def find_reusable(seal: Digest, store: Store, ledger: Ledger) -> RunResult | None:
    """The finished run with this seal, when its outputs are still whole."""
    row = ledger.find_run(seal)
    if row is None or row.outputs is None:
        return None
    try:
        outputs = read_outputs(row.outputs, store)
    except StoreError:
        return None
    return RunResult(row=row, outputs=outputs, reused=True) if outputs_present(outputs, store) else None


def recover_runs(store: Store, ledger: Ledger, engine: Engine) -> tuple[str, ...]:
    """End what killed watchers left: stop their containers, remove their folders, record `interrupted`.

    A run whose watcher lives holds its lock and is left alone. Returns the recovered run ids.
    """
    recovered = []
    for row in ledger.open_runs():
        if row.engine is not None and row.engine != engine.name:
            continue
        with file_lock(watch_lock(store, row.run_id), blocking=False) as free:
            if not free:
                continue
            for handle in _handles(row, engine):
                with contextlib.suppress(EngineError):
                    engine.stop(handle, 0)
                forget(engine, handle)
            ledger.finish_run(row.run_id, RunPhase.INTERRUPTED, reason=WATCHER_KILLED)
            _forget(store, row.run_id)
            recovered.append(row.run_id)
    _sweep(store, ledger)
    return tuple(recovered)


def _sweep(store: Store, ledger: Ledger) -> None:
    """Remove folders that a killed process made for a container the ledger never heard of."""
    folders = store.root / "runs"
    if not folders.is_dir():
        return
    for name in sorted(set(os.listdir(folders)) - ledger.container_ids()):
        with file_lock(watch_lock(store, name), blocking=False) as free:
            # Its maker holds the lock until the ledger knows it: look again now that it is ours.
            if free and name not in ledger.container_ids():
                remove_tree(folders / name)
                watch_lock(store, name).unlink(missing_ok=True)


def _handles(row: RunRow, engine: Engine) -> list[Handle]:
    """The run's handle; one whose watcher died before it wrote it down may be known to the engine."""
    if row.handle is not None:
        return [dict(row.handle)]
    known = engine.handles() if isinstance(engine, ListsRuns) else []
    return [handle for handle in known if handle.get("run_id") == row.run_id]


def _run(run: PreparedRun, engine: Engine, store: Store, ledger: Ledger, reporter: Reporter) -> RunResult:
    run_id = new_run_id()
    with file_lock(watch_lock(store, run_id)):
        try:
            ledger.add_run(_row(run, run_id))
            spec, folders = lay_out(run, run_id, store)
            status = _watch(spec, engine, ledger, reporter, folders)
            result = _collect(run, run_id, status, folders, store, ledger, reporter)
        except BaseException as error:
            with interrupts_deferred():
                _record_end(run_id, error, ledger)
            if isinstance(error, KeyboardInterrupt):
                for warning in interrupted_words(names_in(store.root / "runs" / run_id / "outputs")):
                    reporter.warning(warning)
            raise
        finally:
            _forget(store, run_id)
    return result


def _record_end(run_id: str, error: BaseException, ledger: Ledger) -> None:
    """A run that was collected has its end already, and keeps it."""
    if isinstance(error, LadingError):
        ledger.finish_run(run_id, RunPhase.FAILED, reason=error.message)
    else:
        reason = f"lading failed: {type(error).__name__}"
        if isinstance(error, KeyboardInterrupt):
            reason = TERMINATED if isinstance(error, Terminated) else "interrupted"
        ledger.finish_run(run_id, RunPhase.INTERRUPTED, reason=reason)


def _watch(
    spec: RunSpec, engine: Engine, ledger: Ledger, reporter: Reporter, folders: RunFolders
) -> RunStatus:
    with folders.log.open("ab", buffering=0) as log:

        def output(chunk: bytes) -> None:
            log.write(chunk)
            reporter.output(chunk)

        def started(handle: Handle) -> None:
            ledger.mark_running(spec.run_id, engine=engine.name, handle=handle)

        def waiting() -> None:
            grace = f"{INTERRUPT_GRACE_SECONDS:g} s"
            reporter.line(f"waiting up to {grace} for the task to end (^C again kills it)")

        return run_once(engine, spec, output=output, started=started, waiting=waiting)


def _collect(
    run: PreparedRun,
    run_id: str,
    status: RunStatus,
    folders: RunFolders,
    store: Store,
    ledger: Ledger,
    reporter: Reporter,
) -> RunResult:
    metrics, warnings = read_metrics(folders.outputs)
    failure = _failure(run, run_id, status)
    if status.circumstances is not None:
        write_circumstances(store, run_id, status.circumstances)
    # Shared with other writers, against the collector: outputs are no garbage before their row is there.
    with store.using():
        outputs = collect_outputs(folders.outputs, store)
        with interrupts_deferred():
            ledger.finish_run(
                run_id,
                RunPhase.FINISHED if failure is None else RunPhase.FAILED,
                exit_status=status.exit_status,
                cost=Cost(
                    wall_seconds=status.wall_seconds,
                    cpu_seconds=status.cpu_seconds,
                    peak_memory_bytes=status.peak_memory_bytes,
                ),
                level=status.level.value if status.level is not None else None,
                enforced_by=status.enforced_by,
                metrics=metrics,
                outputs=outputs.digest,
                reason=failure.message if failure is not None else None,
            )
    lost = left_behind_words(status.left_behind, task=run.task.name, outputs=run.task.outputs)
    for warning in (*warnings, *outputs.warnings, *lost):
        reporter.warning(warning)
    if failure is not None:
        raise failure
    row = ledger.run(run_id)
    if row is None:
        raise StoreError(f"run {run_id} is not in the ledger", place=str(store.root / "ledger.db"))
    return RunResult(row=row, outputs=outputs, left_behind=status.left_behind)


def _failure(run: PreparedRun, run_id: str, status: RunStatus) -> TaskFailed | EngineError | None:
    name = run.task.name
    if status.state is RunState.LOST or status.exit_status is None:
        return EngineError(f"the container of task {name!r} was lost: the engine no longer knows it")
    if status.exit_status == 0:
        return None
    why = f"ended with exit code {status.exit_status}"
    hints: tuple[str, ...] = (f"lading logs {name}",)
    if status.timed_out:
        why = f"{TIMED_OUT} of {run.task.limits.timeout_seconds:g} s"
    elif status.out_of_memory:
        why = f"{OVER_ITS_LIMIT} of {run.task.limits.memory_bytes} bytes"
        hints = (f"[{name}] memory = a larger limit",)
    elif status.exit_status == 127:
        why += f": the command {run.command[0]!r} was not found in the image"
    place = f"{run.project.config_path or run.project.root}: {name}"
    return TaskFailed(
        f"task {name!r} {why}", child_exit_status=status.exit_status, run_id=run_id, place=place, hints=hints
    )


def _place_outputs(
    run: PreparedRun, outputs: Outputs, previous: Digest | None, store: Store, reporter: Reporter
) -> None:
    """Copy the outputs into the project's folder for people; that it cannot be written stops nothing."""
    target = Path(run.project.root, run.task.outputs)
    try:
        if previous is not None and previous != outputs.digest:
            with contextlib.suppress(StoreError):
                kept = {file.path for file in outputs.files}
                stale = tuple(file for file in read_outputs(previous, store).files if file.path not in kept)
                remove_files(stale, target)
        changed = tuple(file for file in outputs.files if not is_written(file, target))
        if changed:
            write_files(changed, store, target)
    except StoreError as error:
        reporter.warning(f"the outputs are in the store but not in {target}: {error.message}")


def _row(run: PreparedRun, run_id: str) -> RunRow:
    return RunRow(
        run_id=run_id,
        at=time.time(),
        project=run.project.name,
        task=run.task.name,
        seal=run.seal.digest,
        seal_terms=run.seal.terms,
        reusable=run.reusable,
        image_digest=run.image.digest,
        lock_digest=run.image.lock_digest,
        limits=run.limits,
    )


def _forget(store: Store, run_id: str) -> None:
    """Remove what only the living run needed; its log stays."""
    root = store.root / "runs" / run_id
    remove_work(RunFolders(root=root, outputs=root / "outputs", log=root / "log", work=root / "work"))
    watch_lock(store, run_id).unlink(missing_ok=True)


def _age(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds)} s"
