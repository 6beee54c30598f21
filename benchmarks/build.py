"""lading beside Docker, one run, alternating, medians.

    make bench          (or: PYTHONPATH=tests python -m benchmarks.build [--rounds N] [--cuda])

Needs root, docker.io, docker-registry and mmdebstrap. On both sides: the same 61 wheels on disk, versions
already decided, base and interpreter already there. `lading build` leaves compressed, hashed layers in its
store; Docker compresses and hashes when it pushes, so build and push together are what is compared.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.docker_side import DockerSide, docker_side
from benchmarks.floor import measure_floor
from benchmarks.lading_side import LadingSide, lading_side
from benchmarks.layers import measure_layers
from benchmarks.memory import peak_anonymous_bytes
from benchmarks.places import BENCH, REPOSITORY
from benchmarks.report import Row, render_table
from benchmarks.starts import start_rows
from benchmarks.wheels61 import fetch_cuda_torch, fetch_wheels

_WORKERS = 2


def _alternate(
    rounds: int, ours: Callable[[], float], theirs: Callable[[], float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Each side `rounds` times; who goes first changes, so that neither always finds a warm disk."""
    measured: dict[str, list[float]] = {"ours": [], "theirs": []}
    for number in range(rounds):
        order = [("ours", ours), ("theirs", theirs)]
        for name, measure in order if number % 2 == 0 else reversed(order):
            measured[name].append(measure())
    return tuple(measured["ours"]), tuple(measured["theirs"])


def build_rows(lading: LadingSide, docker: DockerSide, rounds: int) -> list[Row]:
    """Cold without bytecode, cold with it, and everything warm."""

    def row(name: str, wanted: str, *, bytecode: bool, warm: bool = False) -> Row:
        ours, theirs = _alternate(
            rounds,
            lambda: lading.build(bytecode=bytecode, warm=warm),
            lambda: docker.build(bytecode=bytecode, warm=warm) + docker.push(bytecode=bytecode),
        )
        other = "docker build + push"
        return Row(name=name, unit="s", lading=ours, other=theirs, other_name=other, wanted=wanted)

    docker.build(bytecode=False)  # the wheels enter BuildKit's context cache
    return [
        row("61 wheels, cold, no bytecode", "12, aim 20", bytecode=False),
        row("61 wheels, cold, bytecode", "", bytecode=True),
        row("61 wheels, all warm", "", bytecode=False, warm=True),
    ]


def floor_row(rounds: int) -> Row:
    """Layers of all wheels, RECORD checked, against the floor of the same bytes and threads."""
    wheels = fetch_wheels()
    ours, floor = _alternate(
        rounds, lambda: measure_layers(wheels, _WORKERS), lambda: measure_floor(wheels, _WORKERS)
    )
    return Row(
        name="write the layers of 61 wheels",
        unit="s",
        lading=ours,
        other=floor,
        other_name="floor",
        wanted="at least 0.45 (2.2 × the floor)",
    )


def memory_rows(lading: LadingSide, *, cuda: bool) -> list[Row]:
    """Peak anonymous memory of a cold build; with `cuda`, of writing layers with torch's CUDA wheel."""

    def row(name: str, command: list[str], folder: Path) -> Row:
        peak = peak_anonymous_bytes(command, cwd=folder, env=lading.environment(store))
        wanted = "under 300 MB"
        return Row(name=name, unit="MB", lading=(peak / 1e6,), other=(), other_name="", wanted=wanted)

    store = lading.fresh_store(bytecode=False)
    command = lading.command("build", "--locked")
    rows = [row("peak anonymous memory, cold build", command, lading.project(bytecode=False))]
    if cuda:
        command = [sys.executable, "-m", "benchmarks.layers", str(_wheels_with_cuda())]
        rows.append(row("peak anonymous memory, layers with CUDA torch", command, REPOSITORY))
    return rows


def _wheels_with_cuda() -> Path:
    """The 61 wheels with torch's CUDA wheel in place of its CPU one, as links."""
    folder = BENCH / "cuda-set"
    folder.mkdir(exist_ok=True)
    others = [wheel for wheel in fetch_wheels() if not wheel.name.startswith("torch-")]
    for wheel in (*others, fetch_cuda_torch(BENCH / "cuda")):
        if not (folder / wheel.name).exists():
            (folder / wheel.name).symlink_to(wheel.resolve())
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each side (default 3)")
    parser.add_argument("--cuda", action="store_true", help="memory with torch's CUDA wheel (downloads it)")
    options = parser.parse_args()
    fetch_wheels()
    lading = lading_side()
    with docker_side() as docker:
        rows = build_rows(lading, docker, options.rounds)
        rows.append(floor_row(options.rounds))
        rows += memory_rows(lading, cuda=options.cuda)
        rows += start_rows(lading, docker, options.rounds)
    (BENCH / "build.json").write_text(json.dumps([row.as_json() for row in rows], indent=2) + "\n")
    print(render_table(rows))


if __name__ == "__main__":
    main()
