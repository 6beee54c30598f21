"""A cold build of a CUDA project beside merely fetching its wheels, from an index of 50 MB/s.

    PYTHONPATH=tests python -m benchmarks.cuda_build [--rounds N] [--rate MB/s] [--small] [--json FILE]

The wheels are torch's for CUDA and all that it depends on, about 3 GB. Both sides fetch two at a time from
the same loopback server, which gives all connections together that rate. Base and interpreter are there
before, and the lock; bytecode of the wheels is compiled in a row of its own. `fetch` writes the files to disk
and does no more: no build that needs those bytes can be faster.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from benchmarks.places import BENCH, PYTHON_VERSION, REPOSITORY, SUITE, user_environment
from benchmarks.report import Row, render_table
from benchmarks.wheels61 import fetch_cuda_closure, fetch_wheels

_AT_ONCE = 2
_FOLDER = BENCH / "cuda-build"
_PROJECT = """\
[image]
python      = "{python}"
base        = "debian:{suite}"
accelerator = "{accelerator}"
platform    = "linux/amd64"
add_packages = false
"""


@contextmanager
def slow_index(wheels: Path, megabytes_per_second: float) -> Iterator[str]:
    """The address of the index, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.slow_index", str(wheels), str(megabytes_per_second)]
    with (_FOLDER / "index.log").open("w+b") as log:
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=log, stdin=subprocess.DEVNULL)
        try:
            while not (said := (_FOLDER / "index.log").read_text()).endswith("\n"):
                if process.poll() is not None:
                    raise SystemExit("the index did not start")
                time.sleep(0.1)
            yield said.splitlines()[0]
        finally:
            process.terminate()
            process.wait()


def fetch(index: str, names: Sequence[str]) -> float:
    """Seconds to bring these files to disk, the largest first, two at a time."""
    target = _FOLDER / "fetched"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()

    def one(name: str) -> None:
        with urllib.request.urlopen(f"{index}files/{name}") as response, (target / name).open("wb") as file:
            shutil.copyfileobj(response, file, 1 << 20)

    began = time.perf_counter()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(one, names))
    taken = time.perf_counter() - began
    shutil.rmtree(target)
    return taken


def lading(index: str, store: Path, *words: str) -> str:
    """Standard output of one command in the project."""
    clean = {
        name: value
        for name, value in user_environment().items()
        if not name.startswith(("UV_", "PIP_FIND_LINKS", "PIP_EXTRA", "PIP_INDEX"))
    }
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lading"), *words],
        cwd=_FOLDER / "app",
        env={**clean, "LADING_HOME": str(store), "UV_DEFAULT_INDEX": f"{index}simple/"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def build(index: str, *, bytecode: bool) -> float:
    """Seconds of a build in a store that has base and interpreter alone."""
    store = _FOLDER / "store"
    shutil.rmtree(store, ignore_errors=True)
    shutil.copytree(_FOLDER / "store-base", store, symlinks=True)
    os.sync()
    words = ("build", "--locked", "--workers", str(_AT_ONCE))
    began = time.perf_counter()
    lading(index, store, *words, *(() if bytecode else ("--no-bytecode",)))
    return time.perf_counter() - began


def _prepare(index: str, *, small: bool) -> str:
    """The base in a store, the project's lock; what `lading plan` says of CUDA."""
    app, base = _FOLDER / "app", _FOLDER / "store-base"
    shutil.rmtree(base, ignore_errors=True)
    shutil.rmtree(app, ignore_errors=True)
    app.mkdir()
    (app / "main.py").write_text('print("hello")\n')
    for command, accelerator, requirements in (
        ("build", "cpu", ""),
        ("lock", "cpu" if small else "cuda", "numpy\npandas\n" if small else "torch\n"),
    ):
        text = _PROJECT.format(python=PYTHON_VERSION, suite=SUITE, accelerator=accelerator)
        (app / "lading.toml").write_text(text)
        (app / "requirements.txt").write_text(requirements)
        lading(index, base, "--quiet", command)
    said = lading(index, base, "plan")
    return next((line.strip() for line in said.splitlines() if "driver ≥" in line), "")


def _small_wheels() -> list[Path]:
    """What pandas takes."""
    names = ("numpy", "pandas", "python_dateutil", "six", "tzdata")
    return [wheel for wheel in fetch_wheels() if wheel.name.split("-")[0] in names]


def _shelf(wanted: Sequence[Path]) -> Path:
    """A folder of all that the lock needs: `wanted`, and what its serve target has besides."""
    shelf = _FOLDER / "shelf"
    shutil.rmtree(shelf, ignore_errors=True)
    shelf.mkdir()
    names = {wheel.name.split("-")[0] for wheel in wanted}
    others = [wheel for wheel in fetch_wheels() if wheel.name.split("-")[0] not in {*names, "torch"}]
    for wheel in (*wanted, *others):
        os.link(wheel, shelf / wheel.name)
    return shelf


def _locked(wanted: Sequence[Path]) -> list[Path]:
    """Those of `wanted` that are in the lock, the largest first."""
    lock = (_FOLDER / "app/lading.lock").read_text()
    held = [wheel for wheel in wanted if wheel.name in lock]
    return sorted(held, key=lambda wheel: wheel.stat().st_size, reverse=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.cuda_build", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=50, help="MB a second of the index (default 50)")
    parser.add_argument("--small", action="store_true", help="numpy and pandas: only to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    _FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = _small_wheels() if options.small else fetch_cuda_closure(BENCH / "cuda-closure")
    with slow_index(_shelf(wanted), options.rate) as index:
        cuda = _prepare(index, small=options.small)
        wheels = _locked(wanted)
        names = [wheel.name for wheel in wheels]
        size = sum(wheel.stat().st_size for wheel in wheels)
        fetched: list[float] = []
        plain: list[float] = []
        compiled: list[float] = []
        for _ in range(options.rounds):
            fetched.append(fetch(index, names))
            plain.append(build(index, bytecode=False))
            compiled.append(build(index, bytecode=True))
    kind = f"{len(names)} wheels, {size / 1e9:.2f} GB, {options.rate:g} MB/s"
    rows = [
        Row(
            name=f"cold build of {kind}, {what}",
            unit="s",
            lading=tuple(times),
            other=tuple(fetched),
            other_name="fetch alone",
            wanted="at least 0.83 (1.2 × as long)",
        )
        for what, times in (("no bytecode", plain), ("bytecode", compiled))
    ]
    if options.json is not None:
        options.json.write_text(json.dumps([row.as_json() for row in rows], indent=2) + "\n")
    print(cuda)
    print(render_table(rows))


if __name__ == "__main__":
    main()
