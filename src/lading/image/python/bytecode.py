"""Bytecode layers: every module of some layers, compiled by the image's own interpreter.

Unchecked-hash .pyc files (PEP 552): nothing about time or place is in them, and the import system trusts
them without looking at the source. Worker processes compile; the order of the layer is the order of paths.
"""

from __future__ import annotations

import contextlib
import queue
import struct
import subprocess
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, Self

from lading.errors import InternalError
from lading.image.python import bytecode_worker
from lading.image.python.toolchain import Toolchain

_Group = list[tuple[str, bytes]]
_GROUP_MODULES = 40
_GROUP_BYTES = 1 << 20
_WINDOW = 16
"""Groups in flight: bounds memory."""


class Compiler:
    """Some interpreter processes that compile one module each at a time. A context manager."""

    def __init__(self, toolchain: Toolchain, workers: int) -> None:
        self._workers = workers
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        self._processes = []
        for _ in range(workers):
            process = subprocess.Popen(
                [*toolchain.command, str(Path(bytecode_worker.__file__))],
                env=dict(toolchain.environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            self._processes.append(process)
            self._idle.put(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            for pipe in (process.stdin, process.stdout, process.stderr):
                with contextlib.suppress(OSError):
                    if pipe is not None:
                        pipe.close()
            process.kill()
            process.wait()

    def compile_all(self, modules: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
        """(path in the image, source) → (path, .pyc), in order; modules that do not compile are left out."""
        with ThreadPoolExecutor(self._workers) as pool:
            flight: deque[tuple[_Group, Future[list[bytes]]]] = deque()
            for group in _groups(modules):
                flight.append((group, pool.submit(self._compile, group)))
                if len(flight) >= _WINDOW:
                    yield from _finished(*flight.popleft())
            while flight:
                yield from _finished(*flight.popleft())

    def _compile(self, group: _Group) -> list[bytes]:
        process = self._idle.get()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(bytecode_worker.COUNT.pack(len(group)))
            for path, source in group:
                name = f"/{path}".encode("utf-8", "surrogateescape")
                process.stdin.write(bytecode_worker.HEAD.pack(len(name), len(source)) + name + source)
            process.stdin.flush()
            return [_reply(process.stdout) for _ in group]
        except (BrokenPipeError, struct.error):
            process.kill()
            assert process.stderr is not None
            words = process.stderr.read().decode(errors="replace").strip()
            raise InternalError(
                f"the image's interpreter died while compiling /{group[0][0]} or one after it: {words[-500:]}"
            ) from None
        finally:
            self._idle.put(process)


def _reply(pipe: IO[bytes]) -> bytes:
    return pipe.read(bytecode_worker.COUNT.unpack(pipe.read(bytecode_worker.COUNT.size))[0])


def _groups(modules: Iterable[tuple[str, bytes]]) -> Iterator[_Group]:
    """Modules of one folder, some at a time. Where groups are cut may depend on the modules alone."""
    group: _Group = []
    size_bytes = 0
    for path, source in modules:
        folder = path.rpartition("/")[0]
        full = len(group) >= _GROUP_MODULES or size_bytes + len(source) > _GROUP_BYTES
        if group and (full or group[0][0].rpartition("/")[0] != folder):
            yield group
            group, size_bytes = [], 0
        group.append((path, source))
        size_bytes += len(source)
    if group:
        yield group


def _finished(group: _Group, future: Future[list[bytes]]) -> Iterator[tuple[str, bytes]]:
    for (path, _), compiled in zip(group, future.result(), strict=True):
        if compiled:
            yield path, compiled


def cache_path(path: str, python_version: str) -> str:
    """Where Python looks for bytecode (PEP 3147): `a/b.py` → `a/__pycache__/b.cpython-311.pyc`."""
    folder, _, name = path.rpartition("/")
    tag = "cpython-" + python_version.replace(".", "")
    stem = name.removesuffix(".py")
    return f"{folder}/__pycache__/{stem}.{tag}.pyc"
