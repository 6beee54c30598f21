"""Running one command with a limit, and one daemon until a test run ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


class CommandFailed(AssertionError):
    """A command of a test ended badly; the message holds all it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A real command line: what comes first in every call, and how long a call may take."""

    prefix: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    """Laid over the environment of the test."""
    timeout_seconds: float = 300.0

    def __call__(
        self,
        *arguments: str | Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end. Raises CommandFailed for a bad exit when `check`, or when the time is up."""
        command = [*self.prefix, *map(str, arguments)]
        return run(
            command,
            cwd=cwd,
            env={**os.environ, **self.env, **(env or {})},
            timeout_seconds=self.timeout_seconds,
            check=check,
        )


def run(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    timeout_seconds: float,
    cwd: Path | None = None,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run `command` in a session of its own, which is killed whole when the time is up."""
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        stdout, stderr = process.communicate(timeout=timeout_seconds)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)
        stdout, stderr = process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise CommandFailed(f"{command} took over {timeout_seconds} s\n{stdout}\n{stderr}") from None
        raise
    done = subprocess.CompletedProcess(command, process.returncode, stdout, stderr)
    if check and done.returncode != 0:
        raise CommandFailed(f"{command} ended with {done.returncode}\n{stdout}\n{stderr}")
    return done


def require(program: str, package: str) -> str:
    """Absolute path of a Debian program; a test that needs a missing one fails and says what to install."""
    path = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if path is None:
        raise CommandFailed(
            f"{program} is missing: apt-get install {package} (or sh tests/services/install.sh)"
        )
    return path


@contextmanager
def service_folder(name: str) -> Iterator[Path]:
    """A short path (unix sockets allow 107 bytes), gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix=f"lading-{name}-", dir="/tmp"))
    try:
        yield folder
    finally:
        _unmount_below(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _unmount_below(folder: Path) -> None:
    """Engines leave mounts behind; dockerd does so with its own network namespace."""
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for place in sorted((name for name in mounted if name.startswith(f"{folder}/")), reverse=True):
        subprocess.run([require("umount", "mount"), "--lazy", place], check=False)


@contextmanager
def daemon(
    command: Sequence[str], *, log: Path, ready: Callable[[], bool], env: Mapping[str, str] | None = None
) -> Iterator[int]:
    """Run `command` while the block runs; entered once `ready` says so, within a minute. Yields its pid."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
    try:
        _wait_until(ready, process, log)
        yield process.pid
    finally:
        _stop(process)


def _wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise CommandFailed(f"{process.args!r} did not become ready:\n{log.read_text(errors='replace')}")
        time.sleep(0.05)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
