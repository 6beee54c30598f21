"""PID 1 of a container (or its first process, where there is no PID namespace): starts the payload, forwards
signals to it, reaps every orphan, ends with the payload's status. Ends when the outside does.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import select
import signal
import termios
from collections.abc import Callable
from typing import NoReturn

from lading.engine.embedded import linux
from lading.engine.embedded.plan import Payload

FORWARDED = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
_OPEN_FILES = 65536
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126


def run_init(start: Callable[[], NoReturn], lifeline: int, started: Callable[[], None]) -> int:
    """Run `start` in a child and attend to it. Answers its exit status, 128+n for a signal.

    `lifeline` is the reading end of a pipe that only the supervisor holds open: its end is ours. `started` is
    called once the child exists.
    """
    wake, wake_write = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    for number in (*FORWARDED, signal.SIGCHLD):
        signal.signal(number, _noted)
    payload = os.fork()
    if payload == 0:
        _in_child(start)
    started()
    poll = select.poll()
    poll.register(wake, select.POLLIN)
    poll.register(lifeline, select.POLLIN)
    while True:
        status = _reap(payload)
        if status is not None:
            return status
        events = dict(poll.poll())
        if lifeline in events:
            return 128 + signal.SIGKILL
        if wake in events:
            _forward(os.read(wake, 4096), payload)


def _noted(number: int, frame: object) -> None:
    """The wake-up pipe has the number."""


def _in_child(start: Callable[[], NoReturn]) -> NoReturn:
    try:
        start()
    finally:
        os._exit(_NOT_EXECUTABLE)


def _forward(numbers: bytes, payload: int) -> None:
    for number in numbers:
        if number in FORWARDED:
            try:
                os.kill(payload, number)
            except ProcessLookupError:
                return


def _reap(payload: int) -> int | None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return None
        if pid == 0:
            return None
        if pid == payload:
            return exit_status(status)


def exit_status(wait_status: int) -> int:
    """A wait status as shells and engines say it: the code, or 128+n."""
    code = os.waitstatus_to_exitcode(wait_status)
    return code if code >= 0 else 128 - code


def become_payload(payload: Payload, terminal: int | None) -> NoReturn:
    """Turn this process into the command. Ends with 127 or 126 and a word on stderr where it cannot."""
    if terminal is not None:
        take_terminal(terminal)
    reset_signals()
    _set_limits(payload)
    os.umask(0o022)
    exec_command(payload.command, dict(payload.environment))


def take_terminal(descriptor: int) -> None:
    """Make the terminal this new session's own, and standard input, output and error."""
    os.setsid()
    fcntl.ioctl(descriptor, termios.TIOCSCTTY, 0)
    for standard in (0, 1, 2):
        os.dup2(descriptor, standard)


def reset_signals() -> None:
    """Python ignores SIGPIPE and SIGXFSZ; an ignored signal would stay so through exec."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        try:
            signal.signal(number, signal.SIG_DFL)
        except (OSError, ValueError):
            continue  # the C library's own
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _set_limits(payload: Payload) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    if payload.processes_limit is not None:
        resource.setrlimit(resource.RLIMIT_NPROC, (payload.processes_limit, payload.processes_limit))
    if payload.cpu_set is not None:
        os.sched_setaffinity(0, payload.cpu_set)


def exec_command(command: tuple[str, ...], environment: dict[str, str]) -> NoReturn:
    """Exec by the environment's own PATH; 127 when it is not found, 126 when it cannot be run."""
    status, why = _NOT_FOUND, "it is not in the image"
    try:
        os.execvpe(command[0], command, environment)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            status, why = _NOT_EXECUTABLE, error.strerror or str(error)
    os.write(2, f"lading: cannot run {command[0]!r}: {why}\n".encode(errors="replace"))
    os._exit(status)


def give_up_privileges(*, bounding: bool) -> None:
    """Nothing this process or a child of it executes gains a privilege again."""
    if bounding:
        linux.drop_bounding_capabilities()
    linux.forbid_new_privileges()
    linux.drop_capabilities()
