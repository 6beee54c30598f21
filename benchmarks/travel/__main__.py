"""Images that travel: made, pushed, pulled and started, beside Docker 20.10 and Docker 26. One table.

Needs root, docker.io, docker-registry, containerd and mmdebstrap. On all sides the same wheels on disk, the
versions decided, base and interpreter there and in the registry, bytecode only where containers are started.
What was written before is synced first, so that nobody waits for another's bytes. Docker's wall clock is
`docker build` and `docker push` (20.10), or `docker buildx build` with push and zstd (26).
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks.floor import measure_floor
from benchmarks.report import Row, render_table
from benchmarks.travel.hosts import Host, HostKind, host_kinds
from benchmarks.travel.makers import LadingMaker, Maker, docker_maker, lading_maker
from benchmarks.travel.registry import CountedRegistry, counted_registry
from benchmarks.travel.sets import WheelSet, wheel_set

_COLD, _EDIT, _DEPENDENCY = "cold", "edit", "dependency"
_NAMES = {
    _COLD: "cold build → pushed",
    _EDIT: "code edit → pushed",
    _DEPENDENCY: "one more dependency → pushed",
}
_WANTED = {_COLD: "at least 12", _EDIT: "at least 1", _DEPENDENCY: "at least 40"}


@dataclass(kw_only=True)
class Measured:
    """By maker and scene."""

    seconds: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    sent_bytes: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    lock_seconds: list[float] = field(default_factory=list)


def seconds_of(act: Callable[[], object]) -> float:
    os.sync()
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def make_all(makers: Sequence[Maker], registry: CountedRegistry, wheels: WheelSet, rounds: int) -> Measured:
    """Each scene `rounds` times, the makers in turn; who is first changes."""
    measured = Measured()
    for scene in (_COLD, _EDIT, _DEPENDENCY):
        for number in range(rounds):
            if scene == _COLD:
                registry.go_back()
            for maker in makers if number % 2 == 0 else reversed(makers):
                _set_scene(maker, scene, number, wheels, measured)
                before = registry.stored_bytes()
                taken = seconds_of(partial(maker.push, scene))
                key = (maker.name, scene)
                measured.seconds.setdefault(key, []).append(taken)
                measured.sent_bytes.setdefault(key, []).append(registry.stored_bytes() - before)
                print(f"{maker.name}: {_NAMES[scene]} {taken:.2f} s", flush=True)
    return measured


def _set_scene(maker: Maker, scene: str, number: int, wheels: WheelSet, measured: Measured) -> None:
    if scene == _COLD:
        maker.make_cold()
    elif scene == _EDIT:
        maker.edit(f'print("hello {number}")\n')
    else:
        maker.require(wheels.text(number % len(wheels.extras)))
        if isinstance(maker, LadingMaker):
            measured.lock_seconds.append(seconds_of(maker.lock))


def made_rows(measured: Measured, makers: Sequence[Maker], floor: Sequence[float]) -> list[Row]:
    """Pure."""
    rows = []
    for scene, name in _NAMES.items():
        for docker in makers[1:]:
            ours, theirs = (makers[0].name, scene), (docker.name, scene)
            rows.append(
                _row(name, "s", measured.seconds[ours], measured.seconds[theirs], docker.name, _WANTED[scene])
            )
            sent, other = ([size / 1e6 for size in measured.sent_bytes[key]] for key in (ours, theirs))
            rows.append(_row(f"{name}: sent", "MB", sent, other, docker.name, ""))
    rows.append(_row("the lock anew, apart", "s", measured.lock_seconds, (), "", ""))
    cold = measured.seconds[makers[0].name, _COLD]
    rows.append(_row("cold build → pushed", "s", cold, floor, "floor of writing the layers", ""))
    return rows


def _row(
    name: str, unit: str, ours: Sequence[float], other: Sequence[float], other_name: str, wanted: str
) -> Row:
    return Row(
        name=name, unit=unit, lading=tuple(ours), other=tuple(other), other_name=other_name, wanted=wanted
    )


def fetched_rows(makers: Sequence[Maker], registry: CountedRegistry, kinds: Sequence[HostKind]) -> list[Row]:
    """What a second host that has the cold image fetches for the two others, in the order they were made."""

    def fetched(kind: HostKind, maker: Maker) -> dict[str, float]:
        sizes = {}
        with kind.fresh() as host:
            for scene in (_COLD, _EDIT, _DEPENDENCY):
                before = registry.answered_bytes()
                host.pull(f"{maker.repository}:{scene}")
                sizes[scene] = (registry.answered_bytes() - before) / 1e6
        return sizes

    rows = []
    for kind, docker in zip(kinds[:2], makers[1:], strict=True):
        ours, theirs = fetched(kind, makers[0]), fetched(kind, docker)
        for scene in (_COLD, _EDIT, _DEPENDENCY):
            name = f"{kind.name} then fetches: {scene}"
            rows.append(_row(name, "MB", (ours[scene],), (theirs[scene],), f"built by {docker.name}", ""))
    return rows


def start_rows(
    makers: Sequence[Maker], registry: CountedRegistry, kinds: Sequence[HostKind], module: str, rounds: int
) -> list[Row]:
    """Pull and start on hosts that have nothing: lading's image beside the one that Docker built."""
    lading, old, new = makers
    lading.push("start", bytecode=True)
    lading.push("start-zstd", bytecode=True, zstd=True)
    old.push("start", bytecode=True)
    new.push("start", bytecode=True)
    pairs = (("gzip", "start", old), ("zstd", "start-zstd", new))
    rows = []
    for kind in kinds:
        for form, tag, docker in pairs:
            if form == "zstd" and not kind.reads_zstd:
                continue
            ours: list[float] = []
            theirs: list[float] = []
            images = ((ours, f"{lading.repository}:{tag}"), (theirs, f"{docker.repository}:start"))
            for number in range(rounds):
                for times, image in images if number % 2 == 0 else reversed(images):
                    version, taken = _pull_and_start(kind, image, module)
                    times.append(taken)
                    print(f"{kind.name} {version}: {image} {taken:.2f} s", flush=True)
            name = f"{kind.name} {version}: pull, start, `import {module}` ({form})"
            rows.append(_row(name, "s", ours, theirs, f"image of {docker.name}", "at least 1"))
    return rows


def _pull_and_start(kind: HostKind, image: str, module: str) -> tuple[str, float]:
    def act(host: Host) -> None:
        host.pull(image)
        host.start(image, module)

    with kind.fresh() as host:
        return host.version, seconds_of(lambda: act(host))


def measure(options: argparse.Namespace) -> list[Row]:
    wheels = wheel_set(small=options.small)
    kinds = host_kinds()
    with ExitStack() as stack:
        registry = stack.enter_context(counted_registry())
        lading = lading_maker(registry.address, wheels)
        makers: list[Maker] = [lading]
        for modern in (False, True):
            makers.append(stack.enter_context(docker_maker(registry.address, wheels, modern=modern)))
        registry.keep()
        for maker in makers:
            maker.edit('print("hello")\n')
            maker.require(wheels.text())
        lading.lock()
        # Docker's engines get the wheels with their first build, and keep them.
        for maker in makers[1:]:
            maker.push("first")
        measured = make_all(makers, registry, wheels, options.rounds)
        floor = [measure_floor(_wheels_of(wheels), 2) for _ in range(options.rounds)]
        rows = made_rows(measured, makers, floor)
        rows += fetched_rows(makers, registry, kinds)
        rows += start_rows(makers, registry, kinds, wheels.imported, options.rounds)
    return rows


def _wheels_of(wheels: WheelSet) -> list[Path]:
    names = {block.partition("==")[0].replace("-", "_") for block in wheels.requirements}
    return [path for path in wheels.wheels() if path.name.split("-")[0].lower().replace(".", "_") in names]


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.travel", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each side, at most 7")
    parser.add_argument("--small", action="store_true", help="three small wheels: only to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every measurement")
    options = parser.parse_args()
    rows = measure(options)
    if options.json is not None:
        options.json.write_text(json.dumps([row.as_json() for row in rows], indent=2) + "\n")
    print(render_table(rows))


if __name__ == "__main__":
    main()
