"""An engine for tests: real processes on the host, no isolation; mounts are links in a folder."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from lading.engine.model import Handle, Level, Mount, Probe, RunSpec, RunState, RunStatus


class HostEngine:
    name = "host"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.submitted: list[RunSpec] = []
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def close(self) -> None:
        """Leave no process of a test behind."""
        for child in self._children.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()

    def probe(self) -> Probe:
        return Probe(engine=self.name, usable=True, level=Level.PROCESS)

    def submit(self, spec: RunSpec) -> Handle:
        self.submitted.append(spec)
        folder = self._folder / spec.run_id
        folder.mkdir(parents=True)
        root = folder / "root"
        for target in ("/app", "/lading"):
            (root / target[1:]).mkdir(parents=True)
        for mount in spec.mounts:
            link(mount, root)
        environment = {k: translate(v, root) for k, v in {**spec.env, **spec.secrets}.items()}
        command = [translate(word, root) for word in spec.command]
        script = f'"$@"; echo $? > {folder}/rc.part; mv {folder}/rc.part {folder}/rc'
        (folder / "start").write_text(str(time.time()))
        with (folder / "log").open("wb") as log:
            child = subprocess.Popen(
                ["/bin/sh", "-c", script, "sh", *command],
                env={"PATH": os.environ["PATH"], **environment},
                cwd=translate(spec.working_dir, root),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._children[child.pid] = child
        return {"pid": child.pid, "folder": str(folder)}

    def observe(self, handle: Handle) -> RunStatus:
        child = self._children.get(handle["pid"])
        if child is not None:
            child.poll()
        folder = Path(handle["folder"])
        if (folder / "rc").exists():
            if child is not None:
                child.wait(10)  # its last act is the exit status: nobody sees it end after its run
            wall = time.time() - float((folder / "start").read_text())
            status = int((folder / "rc").read_text())
            return RunStatus(
                state=RunState.EXITED,
                exit_status=status,
                wall_seconds=wall,
                cpu_seconds=0.1,
                peak_memory_bytes=1 << 20,
                enforced_by={"memory": "none"},
                level=Level.PROCESS,
            )
        return RunStatus(state=RunState.RUNNING if alive(handle["pid"]) else RunState.LOST)

    def logs(self, handle: Handle, after: int = 0, *, follow: bool = True) -> Iterator[bytes]:
        with (Path(handle["folder"]) / "log").open("rb") as log:
            log.seek(after)
            while True:
                ended = not follow or self.observe(handle).state is not RunState.RUNNING
                if chunk := log.read():
                    yield chunk
                elif ended:
                    return
                else:
                    time.sleep(0.01)

    def stop(self, handle: Handle, grace_seconds: float) -> RunStatus:
        deadline = time.monotonic() + grace_seconds
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                # The shell around the command goes on to write the exit status.
                for pid in children_of(handle["pid"]) if number == signal.SIGTERM else [-handle["pid"]]:
                    os.kill(pid, number) if pid > 0 else os.killpg(-pid, number)
            last = number == signal.SIGKILL
            while self.observe(handle).state is RunState.RUNNING and (last or time.monotonic() < deadline):
                time.sleep(0.01)
            if self.observe(handle).state is not RunState.RUNNING:
                break
        return self.observe(handle)


def link(mount: Mount, root: Path) -> None:
    place = root / mount.target[1:]
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.parent.resolve().is_relative_to(root.resolve()):
        return  # in another mount: a link there would be one in the host's own folder
    if place.is_dir() and not place.is_symlink():
        place.rmdir()
    place.symlink_to(mount.source)


def translate(text: str, root: Path) -> str:
    """Paths below /app and /lading become paths below `root`."""
    return re.sub(r"(?<![\w.-])/(app|lading|models)(?=/|$|\s|:)", rf"{root}/\1", text)


def children_of(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == pid:
                    found.append(int(entry.name))
    return found


def alive(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
