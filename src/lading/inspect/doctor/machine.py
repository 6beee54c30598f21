"""How the doctor looks at a machine: files below a root, commands of a PATH, and the few questions that no
file answers. Never raises, never writes but for a trial folder that it removes.

Paths that the environment names (the store, credentials) are taken as they are; all others are below `root`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from lading.engine.embedded.probe import Trial, try_namespaces
from lading.inspect.doctor.cuda_init import cuda_status

_LARGEST_BYTES = 4_000_000
_CONNECT_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command said. `status` None: it could not be started, or did not end in time (`late`)."""

    status: int | None
    said: str = ""
    complained: str = ""
    late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Of a file system. Inodes are 0 of 0 where they are made as needed."""

    free_bytes: int
    total_bytes: int
    free_inodes: int
    total_inodes: int


def measure_space(path: Path) -> Space | None:
    """What an ordinary user has there."""
    try:
        told = os.statvfs(path)
    except OSError:
        return None
    return Space(
        free_bytes=told.f_bavail * told.f_frsize,
        total_bytes=told.f_blocks * told.f_frsize,
        free_inodes=told.f_favail,
        total_inodes=told.f_files,
    )


def try_in(folder: Path) -> Trial | None:
    """A container's start, tried on the file system of `folder`; None where nothing can be written there."""
    try:
        with tempfile.TemporaryDirectory(prefix=".lading-doctor-", dir=folder) as place:
            return try_namespaces(Path(place))
    except OSError:
        return None


def connect(host: str, port: int) -> str | None:
    """Why nothing answers there; None where something does."""
    try:
        with socket.create_connection((host, port), timeout=_CONNECT_SECONDS):
            return None
    except TimeoutError:
        return f"no answer in {_CONNECT_SECONDS} s"
    except OSError as error:
        return error.strerror or str(error)


def has_module(name: str) -> bool:
    """Whether lading's own Python can import it."""
    return importlib.util.find_spec(name) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A host as the doctor sees it: this one, or a recorded or made one."""

    environment: Mapping[str, str] = field(repr=False)
    folder: Path
    """Where the command was called."""
    now: datetime
    root: Path = Path("/")
    space: Callable[[Path], Space | None] = measure_space
    trial: Callable[[Path], Trial | None] = try_in
    connect: Callable[[str, int], str | None] = connect
    access: Callable[[Path, int], bool] = os.access
    cuda: Callable[[str, Mapping[str, str]], int | None] = cuda_status
    has_module: Callable[[str], bool] = has_module
    patience: float = 1.0
    """By which every time a command may take is multiplied."""

    def path(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def text(self, path: str) -> str:
        """Empty where there is no such file, or none that is text."""
        return read_text(self.path(path))

    def exists(self, path: str) -> bool:
        return exists(self.path(path))

    def names(self, path: str) -> tuple[str, ...]:
        try:
            return tuple(sorted(os.listdir(self.path(path))))
        except OSError:
            return ()

    def which(self, program: str) -> str | None:
        return shutil.which(program, path=self.environment.get("PATH", os.defpath))

    def ask(self, *words: str, seconds: float, environment: Mapping[str, str] | None = None) -> Answer:
        try:
            done = subprocess.run(
                words,
                env=dict(self.environment if environment is None else environment),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=seconds * self.patience,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Answer(status=None, late=True)
        except (OSError, ValueError) as error:
            return Answer(status=None, complained=str(error))
        said, complained = (stream.decode("utf-8", "replace") for stream in (done.stdout, done.stderr))
        return Answer(status=done.returncode, said=said, complained=complained)


def read_text(path: Path) -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError), path.open("rb") as file:
        return file.read(_LARGEST_BYTES).decode("utf-8")
    return ""


def is_file(path: Path) -> bool:
    """Not for what this user may not look at; pathlib raises there."""
    with contextlib.suppress(OSError):
        return path.is_file()
    return False


def is_folder(path: Path) -> bool:
    """As `is_file`."""
    with contextlib.suppress(OSError):
        return path.is_dir()
    return False


def exists(path: Path) -> bool:
    """Also for what this user may not look at."""
    try:
        path.lstat()
    except PermissionError:
        return True
    except OSError:
        return False
    return True
