"""What CUDA itself says: `cuInit` of the driver's library, called in a child that ends at once.

The status tells apart what nvidia-smi does not see: a stub library, a forward compatibility package on a GPU
that has none, a fabric manager that is not ready.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
from collections.abc import Mapping

from lading.engine.embedded.child import fork_quietly

_PATIENCE_SECONDS = 10.0
_HIDDEN = ("CUDA_VISIBLE_DEVICES",)
"""Taken out, so that the answer is about the host and not about one variable."""


def cuda_status(library: str, environment: Mapping[str, str]) -> int | None:
    """None where the library has no such function, cannot be loaded or gives no answer in time."""
    read, write = os.pipe()
    child = fork_quietly()
    if child == 0:
        _child(library, environment, write)
    os.close(write)
    try:
        ready, _, _ = select.select([read], [], [], _PATIENCE_SECONDS)
        told = os.read(read, 16) if ready else b""
    finally:
        os.close(read)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return int(told) if told.isdigit() else None


def _child(library: str, environment: Mapping[str, str], write: int) -> None:
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        for name in _HIDDEN:
            os.unsetenv(name)
        function = ctypes.CDLL(chosen_library(library, environment)).cuInit
        os.write(write, str(int(function(0))).encode())
    finally:
        os._exit(0)  # no answer is an answer


def chosen_library(library: str, environment: Mapping[str, str]) -> str:
    """The one a program gets: LD_LIBRARY_PATH comes before the linker's cache."""
    for folder in environment.get("LD_LIBRARY_PATH", "").split(":"):
        path = f"{folder}/libcuda.so.1"
        if folder and os.access(path, os.R_OK):
            return path
    return library
