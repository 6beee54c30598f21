"""One container from prepared to recorded, shared by attached and detached runs."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import replace
from typing import NoReturn

from lading.engine.embedded.child import (
    Container,
    StartFailed,
    Streams,
    close_others,
    place_streams,
    start_plan,
)
from lading.engine.embedded.container_folder import ContainerFolder, status_as_json
from lading.engine.embedded.leavings import written_beside
from lading.engine.embedded.prepare import Prepared
from lading.engine.embedded.probe import explain, gather_evidence
from lading.engine.embedded.process_tree import start_ticks
from lading.engine.embedded.remove import remove_tree
from lading.engine.embedded.report import Failure
from lading.engine.embedded.supervise import Watch, holding_signals
from lading.engine.embedded.terminal import TerminalLink
from lading.engine.embedded.trees import make_durable
from lading.engine.model import Level, RunSpec, RunState, RunStatus
from lading.errors import EngineError, LadingError
from lading.store.atomic import store_errors

STARTED = b"started"


def spec_as_json(spec: RunSpec, prepared: Prepared) -> dict[str, object]:
    plan = prepared.plan
    public = {name: value for name, value in plan.payload.environment.items() if name not in spec.secrets}
    return {
        "command": list(plan.payload.command),
        "environment": public,
        "working_dir": plan.working_dir,
        "level": plan.level.value,
        "user_namespace": plan.user_namespace,
        "root": plan.root,
        "uid": plan.account.uid,
        "gid": plan.account.gid,
        "network": plan.network,
        "devices": sorted(plan.devices),
        "join_files": list(prepared.group.join_files()) if prepared.group is not None else [],
    }


def start(prepared: Prepared, streams: Streams) -> Container:
    join = prepared.group.join_files() if prepared.group is not None else ()
    try:
        return start_plan(prepared.plan, streams, join)
    except StartFailed as error:
        if prepared.group is not None:
            prepared.group.remove()
        raise _start_error(error.failure, prepared.plan.level) from error


def _start_error(failure: Failure, level: Level) -> EngineError:
    hints: tuple[str, ...] = ()
    if level is Level.NAMESPACES and failure.stage in ("unshare", "map", "overlay", "proc", "bind"):
        _, remedy = explain(failure, gather_evidence())
        hints = (remedy,) if remedy else ()
    return EngineError(
        f"starting a container (level {level}) failed at {failure.stage}: {failure.error}", hints=hints
    )


def record_running(folder: ContainerFolder, prepared: Prepared, container: Container) -> None:
    status = RunStatus(state=RunState.RUNNING, level=prepared.plan.level, enforced_by=prepared.enforced_by)
    folder.write(
        "state.json",
        {
            **status_as_json(status),
            "supervisor": os.getpid(),
            "supervisor_ticks": start_ticks(os.getpid()),
            "init": container.init,
            "init_ticks": start_ticks(container.init),
        },
    )


def watch(
    spec: RunSpec, prepared: Prepared, container: Container, *, terminal: TerminalLink | None = None
) -> Watch:
    return Watch(
        container=container,
        level=prepared.plan.level,
        limits=spec.limits,
        enforced_by=dict(prepared.enforced_by),
        grace_seconds=spec.grace_seconds,
        group=prepared.group,
        terminal=terminal,
    )


def told(status: RunStatus, prepared: Prepared, spec: RunSpec) -> RunStatus:
    """With what the run wrote beside its mounts: to be asked while its scratch folder is there."""
    return replace(status, left_behind=written_beside(prepared.plan, spec.working_dir))


def clean(folder: ContainerFolder) -> None:
    with store_errors("removing a container's scratch folder", folder.scratch):
        remove_tree(folder.scratch)


def supervise_detached(
    spec: RunSpec, prepared: Prepared, folder: ContainerFolder, tell: int, lock: int
) -> NoReturn:
    """The life of a detached run's supervisor, in a child just forked. `tell` gets STARTED or the error."""
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        os.chdir("/")
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        place_streams(Streams(stdin=null, stdout=null, stderr=null))
        close_others({tell, lock, *prepared.leases.descriptors})
        with holding_signals():
            _supervise(spec, prepared, folder, tell, lock)
    finally:
        os._exit(0)


def _supervise(spec: RunSpec, prepared: Prepared, folder: ContainerFolder, tell: int, lock: int) -> None:
    from lading.engine.embedded.recorder import Recorder  # an attached run is not recorded, and starts sooner

    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        log = os.open(folder.log, flags, 0o600)
        recorder = Recorder(prepared.plan.level, group=prepared.group, disk=folder.path)
        container = start(prepared, Streams(stdin=0, stdout=log, stderr=log))
        recorder.begin(container, tuple(prepared.plan.devices.values()) if spec.gpus is not None else ())
        os.close(log)
        record_running(folder, prepared, container)
    except (LadingError, OSError) as error:
        with contextlib.suppress(LadingError):
            clean(folder)
        os.write(tell, str(error).encode() or b"unknown error")
        return
    os.write(tell, STARTED)
    os.close(tell)
    watch_run = watch(spec, prepared, container)
    watch_run.recorder = recorder
    watch_run.stops_at_once = True
    watch_run.read_grace = lambda: _grace(spec, folder)
    status = told(watch_run.attend(), prepared, spec)
    prepared.leases.release_gpus()
    folder.write("state.json", status_as_json(status))
    with contextlib.suppress(LadingError):
        clean(folder)
    os.close(lock)
    make_durable(prepared.tree_folders)


def _grace(spec: RunSpec, folder: ContainerFolder) -> float:
    document = folder.read("stop.json") or {}
    grace = document.get("grace_seconds", spec.grace_seconds)
    return float(grace) if isinstance(grace, int | float) else spec.grace_seconds


def signal_supervisor(folder: ContainerFolder, number: int) -> None:
    """To the very process that was recorded, or to nobody."""
    state = folder.read("state.json") or {}
    pid, ticks = state.get("supervisor"), state.get("supervisor_ticks")
    if not isinstance(pid, int) or not folder.is_attended():
        return
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            if start_ticks(pid) == ticks:
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)
