"""The engine itself: the `Engine` protocol, attached runs, and entering a running container."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from lading.engine.embedded.child import Container, Streams, fork_quietly
from lading.engine.embedded.container_folder import ContainerFolder, status_from_json
from lading.engine.embedded.lifecycle import (
    STARTED,
    clean,
    record_running,
    signal_supervisor,
    spec_as_json,
    start,
    supervise_detached,
    told,
    watch,
)
from lading.engine.embedded.plan import check_spec
from lading.engine.embedded.prepare import CHANGES, Prepared, prepare
from lading.engine.embedded.probe import HostLevel, find_level
from lading.engine.embedded.remove import remove_tree
from lading.engine.embedded.report import read_to_end
from lading.engine.embedded.supervise import holding_signals
from lading.engine.embedded.terminal import TerminalLink, raw_terminal
from lading.engine.model import Handle, Level, Probe, RunSpec, RunState, RunStatus
from lading.errors import EngineError, LadingError, UsageError
from lading.project.model import GpuRequest
from lading.store.store import Store

_LEVEL_VARIABLE = "LADING_EMBEDDED_LEVEL"
_POLL_SECONDS = 0.02
_STOP_SLACK_SECONDS = 5.0


class EmbeddedEngine:
    """Containers with nothing but Linux, at the best level the host allows. Safe for many processes."""

    name = "embedded"

    def __init__(self, store: Store, environment: Mapping[str, str]) -> None:
        """`environment` is the caller's: TERM for terminals, LADING_EMBEDDED_LEVEL forbids better levels."""
        self._store = store
        self._environment = environment
        self._host: HostLevel | None = None

    def probe(self) -> Probe:
        """The level that will be used; `reason` and `remedy` say why it is not a better one. Never raises."""
        try:
            host = self._host_level()
        except LadingError as error:
            remedy = error.hints[0] if error.hints else None
            return Probe(engine=self.name, usable=False, reason=error.message, remedy=remedy)
        return Probe(engine=self.name, usable=True, level=host.level, reason=host.reason, remedy=host.remedy)

    def _host_level(self) -> HostLevel:
        if self._host is None:
            wanted = self._environment.get(_LEVEL_VARIABLE) or Level.NAMESPACES.value
            try:
                best = Level(wanted)
            except ValueError:
                known = ", ".join(level.value for level in Level)
                raise UsageError(f"{_LEVEL_VARIABLE} is {wanted!r}; known: {known}") from None
            scratch = self._store.root / "scratch"
            with contextlib.suppress(OSError):
                scratch.mkdir(mode=0o700, exist_ok=True)
            self._host = find_level(scratch, best)
        return self._host

    def check_gpus(self, request: GpuRequest, *, place: str | None = None) -> None:
        """Whether this host has what is asked for and a level that can give it: right to ask before an image
        is built. Raises EngineError.
        """
        from lading.engine.gpus import choose_gpus  # most runs have none, and start sooner
        from lading.engine.nvidia import find_gpus, nvidia_root

        choose_gpus(request, find_gpus(nvidia_root(self._environment)), self._environment, place=place)
        _refuse_gpus_below(self._host_level(), place)

    def _level_for(self, spec: RunSpec) -> HostLevel:
        host = self._host_level()
        if spec.gpus is not None:
            _refuse_gpus_below(host, None)
        if host.level is Level.CHROOT and (spec.mounts or spec.tmpfs):
            return HostLevel(
                level=Level.PROCESS,
                reason="a chroot cannot show the host's folders, and this run mounts some; "
                + (host.reason or ""),
                remedy=host.remedy,
            )
        return host

    def submit(self, spec: RunSpec) -> Handle:
        """Start detached; returns when the process exists. A run id that is known already is only answered.

        Raises EngineError, StoreError, DigestMismatch.
        """
        check_spec(spec)
        self.sweep()
        folder = ContainerFolder(self._store, spec.run_id)
        folder.create()
        lock = folder.take_lock()
        if lock is None or folder.read("state.json") is not None:
            if lock is not None:
                os.close(lock)
            return self._handle(spec.run_id)
        try:
            prepared = self._prepare(spec, folder, self._level_for(spec))
            read, write = os.pipe()
            child = fork_quietly()
            if child == 0:
                supervise_detached(spec, prepared, folder, write, lock)
            os.close(write)
            prepared.leases.close()
            os.waitpid(child, 0)
            message = read_to_end(read)
        finally:
            os.close(lock)
        if message != STARTED:
            raise EngineError(
                message.decode(errors="replace") or "the supervisor ended before it started anything"
            )
        return self._handle(spec.run_id)

    def _handle(self, run_id: str) -> Handle:
        return {"engine": self.name, "run_id": run_id}

    def _prepare_attached(self, spec: RunSpec, folder: ContainerFolder) -> tuple[HostLevel, Prepared]:
        """For the best level, without asking first whether it works: nearly always it does."""
        hopeful = self._host is None and not self._environment.get(_LEVEL_VARIABLE)
        host = HostLevel(level=Level.NAMESPACES) if hopeful else self._level_for(spec)
        return host, self._prepare(spec, folder, host)

    def _start_attached(
        self, host: HostLevel, prepared: Prepared, spec: RunSpec, folder: ContainerFolder, streams: Streams
    ) -> tuple[Prepared, Container]:
        """Where the hope was in vain, start again at the level the host has. Raises EngineError."""
        try:
            return prepared, start(prepared, streams)
        except EngineError:
            prepared.leases.close()
            actual = self._level_for(spec)
            if actual == host:
                raise
        clean(folder)
        prepared = self._prepare(spec, folder, actual)
        try:
            return prepared, start(prepared, streams)
        except BaseException:
            prepared.leases.close()
            raise

    def _prepare(self, spec: RunSpec, folder: ContainerFolder, host: HostLevel) -> Prepared:
        prepared = prepare(self._store, spec, host, self._environment)
        folder.write("spec.json", spec_as_json(spec, prepared))
        return prepared

    def run_attached(
        self,
        spec: RunSpec,
        *,
        stdin: int = 0,
        stdout: int = 1,
        stderr: int = 2,
        take_changes: Callable[[RunStatus, Path], None] | None = None,
    ) -> RunStatus:
        """Run to the end on the caller's streams; with `spec.terminal` on a terminal of its own.

        Signals that reach the caller meanwhile are passed on. `take_changes` is given what was written to the
        root, as overlayfs keeps it, before it is thrown away; only the level namespaces can do that, on a
        store that an overlay can be written to. Raises EngineError, StoreError, DigestMismatch.
        """
        check_spec(spec)
        self.sweep()
        folder = ContainerFolder(self._store, spec.run_id)
        folder.create()
        lock = folder.take_lock()
        if lock is None:
            raise EngineError(f"the run {spec.run_id} is running already")
        try:
            if take_changes is not None:
                self._refuse_without_changes()
            host, prepared = self._prepare_attached(spec, folder)
            with holding_signals():
                prepared, container = self._start_attached(
                    host, prepared, spec, folder, Streams(stdin=stdin, stdout=stdout, stderr=stderr)
                )
                try:
                    record_running(folder, prepared, container)
                    link = None
                    if container.master is not None:
                        link = TerminalLink(container.master, stdin, stdout)
                    with raw_terminal(stdin) if link is not None else contextlib.nullcontext():
                        status = watch(spec, prepared, container, terminal=link).attend()
                        status = told(status, prepared, spec)
                finally:
                    prepared.leases.close()
            if take_changes is not None:
                take_changes(status, folder.scratch / CHANGES)
            return status
        finally:
            clean(folder)
            remove_tree(folder.path)
            os.close(lock)

    def _refuse_without_changes(self) -> None:
        host = self._host_level()
        if host.level is not Level.NAMESPACES:
            raise EngineError(
                f"the changes of a command can be kept at level namespaces only; this host has {host.level}:"
                f" {host.reason}",
                hints=(host.remedy,) if host.remedy else (),
            )
        if not host.disk_scratch:
            raise EngineError(
                "the changes of a command cannot be kept: the store lies on a file system that no overlay can"
                " be written to",
                place=str(self._store.root),
                hints=("export LADING_HOME=/a/folder/on/ext4/or/xfs",),
            )

    def exec_in(
        self,
        handle: Handle,
        command: tuple[str, ...],
        *,
        env: Mapping[str, str] | None = None,
        working_dir: str | None = None,
        terminal: bool = False,
        stdin: int = 0,
        stdout: int = 1,
        stderr: int = 2,
    ) -> int:
        """Run `command` in a running container, as its user, on the caller's streams; its exit status.

        It has the container's environment (without secrets), limits and no more rights than it. Raises
        EngineError where the container does not run.
        """
        from lading.engine.embedded.enter import Entry, enter

        entry = Entry(
            command=command,
            environment={
                **({"TERM": self._environment.get("TERM") or "xterm"} if terminal else {}),
                **(env or {}),
            },
            working_dir=working_dir,
            terminal=terminal,
        )
        return enter(self._folder(handle), entry, Streams(stdin=stdin, stdout=stdout, stderr=stderr))

    def observe(self, handle: Handle) -> RunStatus:
        """Raises EngineError for a handle of another engine."""
        folder = self._folder(handle)
        state = folder.read("state.json")
        if state is not None and state["state"] == RunState.EXITED.value:
            return status_from_json(state)
        if folder.is_attended():
            return status_from_json(state) if state is not None else RunStatus(state=RunState.STARTING)
        state = folder.read("state.json")
        if state is None:
            return RunStatus(state=RunState.LOST)
        status = status_from_json(state)
        if status.state is RunState.EXITED:
            return status
        return RunStatus(state=RunState.LOST, level=status.level, enforced_by=status.enforced_by)

    def logs(self, handle: Handle, after: int = 0, *, follow: bool = True) -> Iterator[bytes]:
        """Combined output of a detached run from byte `after`; with `follow` as it comes, until it ended."""
        folder = self._folder(handle)
        try:
            descriptor = os.open(folder.log, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            os.lseek(descriptor, after, os.SEEK_SET)
            while True:
                ended = not follow or self.observe(handle).state in (RunState.EXITED, RunState.LOST)
                while data := os.read(descriptor, 65536):
                    yield data
                if ended:
                    return
                time.sleep(_POLL_SECONDS)
        finally:
            os.close(descriptor)

    def wait(self, handle: Handle, timeout_seconds: float | None = None) -> RunStatus:
        """Until the run has ended, or the time is up."""
        end = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while True:
            status = self.observe(handle)
            if status.state in (RunState.EXITED, RunState.LOST):
                return status
            if end is not None and time.monotonic() >= end:
                return status
            time.sleep(_POLL_SECONDS)

    def stop(self, handle: Handle, grace_seconds: float) -> RunStatus:
        """SIGTERM, then SIGKILL after `grace_seconds`. Harmless for a run that has ended."""
        folder = self._folder(handle)
        state = folder.read("state.json")
        if state is None or not folder.is_attended():
            return self.observe(handle)
        self.ask_to_end(handle, signal.SIGTERM, grace_seconds)
        status = self.wait(handle, grace_seconds + _STOP_SLACK_SECONDS)
        if status.state not in (RunState.EXITED, RunState.LOST):
            signal_supervisor(folder, signal.SIGKILL)
            status = self.wait(handle, _STOP_SLACK_SECONDS)
        return status

    def ask_to_end(self, handle: Handle, number: int, grace_seconds: float) -> None:
        """SIGINT or SIGTERM now, SIGKILL after `grace_seconds`; does not wait. Harmless for an ended run."""
        folder = self._folder(handle)
        if folder.is_attended():
            folder.write("stop.json", {"grace_seconds": grace_seconds})
            signal_supervisor(folder, number)

    def forget(self, handle: Handle) -> None:
        """Remove what is kept of a run that has ended. Raises EngineError while it runs."""
        folder = self._folder(handle)
        if self.observe(handle).state in (RunState.STARTING, RunState.RUNNING):
            raise EngineError(f"the run {handle['run_id']} is still running", hints=("lading stop",))
        while folder.is_attended():  # its supervisor is about to end
            time.sleep(_POLL_SECONDS)
        remove_tree(folder.path)

    def handles(self) -> list[Handle]:
        """Every run the engine keeps something of, sorted by id."""
        with contextlib.suppress(FileNotFoundError):
            return [self._handle(name) for name in sorted(os.listdir(self._store.root / "containers"))]
        return []

    def sweep(self) -> None:
        """Remove the scratch folders of runs whose supervisor was killed. Cheap when there are none."""
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(self._store.root / "scratch"):
                folder = ContainerFolder(self._store, name)
                if name.startswith("probe-") or not folder.path.is_dir():
                    continue
                lock = folder.take_lock()
                if lock is not None:
                    clean(folder)
                    os.close(lock)

    def _folder(self, handle: Handle) -> ContainerFolder:
        if handle.get("engine") != self.name or not isinstance(handle.get("run_id"), str):
            raise EngineError(f"not a handle of the {self.name} engine: {handle!r}")
        run_id = handle["run_id"]
        if "/" in run_id or run_id in ("", ".", ".."):
            raise EngineError(f"not a handle of the {self.name} engine: {handle!r}")
        return ContainerFolder(self._store, run_id)


def _refuse_gpus_below(host: HostLevel, place: str | None) -> None:
    if host.level is not Level.NAMESPACES:
        raise EngineError(
            f"GPUs are given at level namespaces, and here only {host.level} works: {host.reason}",
            place=place,
            hints=tuple(filter(None, (host.remedy, "lading engines"))),
        )
