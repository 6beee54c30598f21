"""How long a container takes to start: nothing in it, then `import torch` in it."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Sequence

from benchmarks.docker_side import DockerSide
from benchmarks.forks import fork_to_exec
from benchmarks.lading_side import LadingSide
from benchmarks.places import BENCH, WHEELS
from benchmarks.report import Row
from benchmarks.wheels61 import LOCK

_IMPORT = "import torch"


def start_rows(lading: LadingSide, docker: DockerSide, rounds: int) -> list[Row]:
    """Whole commands, the engine's own part of one, and an import that a plain environment does too."""
    project, store = lading.project(bytecode=True), lading.store(bytecode=True)

    def run(*command: str) -> float:
        return lading.run("run", "--", *command, store=store, cwd=project)[1]

    def docker_run(*command: str) -> float:
        began = time.perf_counter()
        docker.docker("run", "--rm", docker.image(bytecode=True), *command)
        return time.perf_counter() - began

    plain = _plain_environment()
    run("true")  # the image's layers are unpacked once
    docker_run("true")
    start = _both(rounds * 3, lambda: run("true") * 1000, lambda: docker_run("true") * 1000)
    load = _both(rounds, lambda: run("python", "-c", _IMPORT), lambda: docker_run("python", "-c", _IMPORT))
    own = _both(rounds, lambda: run("python", "-c", _IMPORT), lambda: _seconds([plain, "-c", _IMPORT]))
    command, environment = lading.command("run", "--", "true"), lading.environment(store)
    fork = tuple(fork_to_exec(command, "true", cwd=project, env=environment) for _ in range(rounds * 3))
    return [
        _row("run `true`, whole command", "ms", *start, "docker run", "at most 120 ms"),
        _row("fork to exec of `true`", "ms", fork, (), "", "at most 20 ms"),
        _row("start + `import torch`", "s", *load, "docker run", ""),
        _row("start + `import torch`", "s", *own, "plain environment", "at least 0.87 (1.15 × as long)"),
    ]


def _row(
    name: str, unit: str, ours: Sequence[float], other: Sequence[float], other_name: str, wanted: str
) -> Row:
    return Row(
        name=name, unit=unit, lading=tuple(ours), other=tuple(other), other_name=other_name, wanted=wanted
    )


def _both(
    rounds: int, ours: Callable[[], float], theirs: Callable[[], float]
) -> tuple[list[float], list[float]]:
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    return [first for first, _ in pairs], [second for _, second in pairs]


def _seconds(command: Sequence[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return time.perf_counter() - began


def _plain_environment() -> str:
    """`python` of a virtual environment with the 61 wheels and their bytecode, on Debian's own Python."""
    from uv import find_uv_bin

    folder = BENCH / "plain"
    python = folder / "bin/python"
    if not python.exists():
        shutil.rmtree(folder, ignore_errors=True)
        uv = find_uv_bin()
        subprocess.run([uv, "venv", "--quiet", "--python", "/usr/bin/python3", str(folder)], check=True)
        command = [uv, "pip", "install", "--quiet", "--python", str(python), "--no-index", "--no-deps"]
        command += ["--compile-bytecode", "--find-links", str(WHEELS), "--requirements", str(LOCK)]
        subprocess.run(command, check=True)
    return str(python)
