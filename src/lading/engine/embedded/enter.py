"""Join a running container: its namespaces, limits and environment, with no right it does not have itself."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from lading.engine.embedded import linux
from lading.engine.embedded.child import Body, StartFailed, Streams, start_container
from lading.engine.embedded.container_folder import ContainerFolder
from lading.engine.embedded.init import become_payload, exit_status, give_up_privileges
from lading.engine.embedded.plan import Payload
from lading.engine.embedded.process_tree import descendants, start_ticks
from lading.engine.embedded.report import Report
from lading.engine.embedded.rootpath import open_folder_inside
from lading.engine.embedded.supervise import Watch, holding_signals
from lading.engine.embedded.terminal import TerminalLink, raw_terminal
from lading.engine.embedded.uncontained import change_root
from lading.engine.model import Level
from lading.errors import EngineError
from lading.project.limits import Limits

_JOINED = (
    ("user", linux.CLONE_NEWUSER),
    ("ipc", linux.CLONE_NEWIPC),
    ("uts", linux.CLONE_NEWUTS),
    ("net", linux.CLONE_NEWNET),
    ("pid", linux.CLONE_NEWPID),
    ("mnt", linux.CLONE_NEWNS),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    command: tuple[str, ...]
    environment: Mapping[str, str]
    """Beside the container's own."""
    working_dir: str | None
    terminal: bool


def enter(folder: ContainerFolder, entry: Entry, streams: Streams) -> int:
    """Run `entry` inside, attached; its exit status. Raises EngineError."""
    state, spec = folder.read("state.json"), folder.read("spec.json")
    if state is None or spec is None or not folder.is_attended() or "init" not in state:
        raise EngineError(f"the run {folder.path.name} is not running", hints=("lading ps",))
    if start_ticks(state["init"]) != state["init_ticks"]:
        raise EngineError(f"the run {folder.path.name} has just ended", hints=("lading ps",))
    level = Level(spec["level"])
    payload = Payload(command=entry.command, environment={**spec["environment"], **entry.environment})
    working = entry.working_dir or spec["working_dir"]

    def body(report: Report, lifeline: int, send: Callable[[int], None]) -> int:
        os.close(lifeline)
        if level is Level.NAMESPACES:
            _join(state["init"], spec, report)
        return _run_inside(_Inside(level, spec, working, payload, entry.terminal), report, send)

    with holding_signals():
        return _attend(folder, entry, streams, body, tuple(spec["join_files"]))


def _attend(
    folder: ContainerFolder, entry: Entry, streams: Streams, body: Body, join_files: tuple[str, ...]
) -> int:
    try:
        container = start_container(body, streams, join_files, terminal=entry.terminal)
    except StartFailed as error:
        raise EngineError(f"entering the run {folder.path.name} failed at {error}") from error
    link = None
    if container.master is not None:
        link = TerminalLink(container.master, streams.stdin, streams.stdout)
    watch = Watch(
        container=container,
        level=Level.NAMESPACES,  # one process, killed by its number
        limits=Limits(),
        enforced_by={},
        grace_seconds=10.0,
        terminal=link,
    )
    with raw_terminal(streams.stdin) if link is not None else contextlib.nullcontext():
        status = watch.attend().exit_status
    return status if status is not None else 1


@dataclass(frozen=True, slots=True)
class _Inside:
    level: Level
    spec: dict[str, Any]
    working: str
    payload: Payload
    terminal: bool


def _join(init: int, spec: dict[str, Any], report: Report) -> None:
    """The namespaces of a process inside; PID 1 itself keeps its own out of reach."""
    report.stage = "joining namespaces"
    kinds = [kind for kind in _JOINED if kind[0] != "user" or spec["user_namespace"]]
    if spec["network"]:
        kinds = [kind for kind in kinds if kind[0] != "net"]
    for pid in descendants(init):
        with contextlib.suppress(OSError):
            opened = [os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC) for name, _ in kinds]
            break
    else:
        raise ProcessLookupError(3, "no process of the container can be joined")
    for descriptor, (_, kind) in zip(opened, kinds, strict=True):
        linux.setns(descriptor, kind)
        os.close(descriptor)


def _run_inside(inside: _Inside, report: Report, send: Callable[[int], None]) -> int:
    linux.die_with_parent(signal.SIGKILL)
    pid = os.fork()
    if pid:
        report.process(pid)
        report.close()
        return exit_status(os.waitpid(pid, 0)[1])
    return _become(inside, report, send)


def _become(inside: _Inside, report: Report, send: Callable[[int], None]) -> NoReturn:
    linux.die_with_parent(signal.SIGKILL)
    terminal = None
    if inside.terminal:
        report.stage = "terminal"
        master, terminal = os.openpty()
        send(master)
        os.close(master)
    report.stage = f"working folder {inside.working}"
    if inside.level is Level.CHROOT:
        change_root(inside.spec["root"], inside.working, inside.spec["uid"], inside.spec["gid"])
    elif inside.level is Level.NAMESPACES:
        root = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        os.fchdir(open_folder_inside(root, inside.working))
        os.close(root)
        give_up_privileges(bounding=True)
    else:
        os.chdir(inside.working)
        give_up_privileges(bounding=os.geteuid() == 0)
    report.stage = "start"
    become_payload(inside.payload, terminal)
