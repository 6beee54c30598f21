"""Writing layers alone: the same wheels and workers as the floor, through the code that a build uses.

python -m benchmarks.layers FOLDER      all wheels in FOLDER, once
"""

from __future__ import annotations

import hashlib
import multiprocessing
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import NoReturn

from benchmarks.places import BENCH, PYTHON_VERSION
from lading.fetch.source import LocalFile
from lading.image.job import LayerJob, Sources
from lading.image.order import order_wheels
from lading.image.spec import WheelsLayer
from lading.image.write import write_layer
from lading.lock.model import Lock, LockedInterpreter, LockedPackage, LockedWheel
from lading.oci.platform import Platform
from lading.store import Store

_job: LayerJob


def measure_layers(wheels: Sequence[Path], workers: int) -> float:
    """Seconds to write every layer of `wheels` into an empty store, hashes and RECORD checked."""
    specs = _specs(tuple(wheels))
    paths = {wheel.name: wheel for wheel in wheels}
    BENCH.mkdir(parents=True, exist_ok=True)
    scratch = tempfile.mkdtemp(dir=BENCH)
    try:
        store = Store.open({"LADING_HOME": scratch})
        sources = Sources(
            open_wheel=lambda wheel: LocalFile(paths[wheel.filename]),
            fetch_packages=_none,
            fetch_standalone=_none_standalone,
            fetch_layers=_none_layers,
        )
        platform = Platform.parse("linux/amd64")
        job = LayerJob(
            store=store,
            sources=sources,
            lock=Lock(inputs="", suites=(), variants=()),
            platform=platform,
            host=platform,
            workers=1,
        )
        began = time.perf_counter()
        context = multiprocessing.get_context("fork")
        with (
            store.using(),
            ProcessPoolExecutor(workers, mp_context=context, initializer=_install, initargs=(job,)) as pool,
        ):
            for done in [pool.submit(_write, spec) for spec in specs]:
                done.result()
        return time.perf_counter() - began
    finally:
        shutil.rmtree(scratch)


def _install(job: LayerJob) -> None:
    global _job
    _job = job


def _write(spec: WheelsLayer) -> None:
    write_layer(_job, spec)


@lru_cache(maxsize=1)
def _specs(wheels: tuple[Path, ...]) -> list[WheelsLayer]:
    """The layers these wheels become, heaviest first; hashing them here is not measured."""
    order = order_wheels(tuple(_locked(wheel) for wheel in wheels))
    groups = [*((wheel,) for wheel in order.own), order.tail]
    groups.sort(key=lambda held: sum(wheel.size_bytes for wheel in held), reverse=True)
    return [
        WheelsLayer(kind="wheel", title=held[0].name, wheels=held, python_version=PYTHON_VERSION)
        for held in groups
        if held
    ]


def _locked(wheel: Path) -> LockedWheel:
    name, version, *_ = wheel.name.split("-")
    with wheel.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return LockedWheel(
        name=name.lower().replace("_", "-").replace(".", "-"),
        version=version,
        filename=wheel.name,
        sha256=digest,
        size_bytes=wheel.stat().st_size,
    )


def _none(packages: tuple[LockedPackage, ...]) -> Mapping[str, Path]:
    raise AssertionError("layers of wheels need no Debian package")


def _none_standalone(interpreter: LockedInterpreter) -> NoReturn:
    raise AssertionError("layers of wheels need no interpreter")


def _none_layers(reference: str, layers: object) -> None:
    raise AssertionError("wheels need no base image")


if __name__ == "__main__":
    print(f"{measure_layers(sorted(Path(sys.argv[1]).glob('*.whl')), 2):.2f} s")
