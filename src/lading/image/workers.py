"""Layers that do not wait for one another, the heaviest first, in worker processes where that pays."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from lading.errors import LadingError, OutsideError
from lading.image.job import LayerJob
from lading.image.model import LayerRecord
from lading.image.request import BuildListener
from lading.image.spec import (
    AddedPackagesLayer,
    BytecodeLayer,
    FilesLayer,
    ForeignLayer,
    LayerSpec,
    PackagesLayer,
    ProjectLayer,
    StandaloneLayer,
    WheelsLayer,
)
from lading.image.write import write_layer

_WORTH_PROCESSES_BYTES = 4 << 20
"""Below this, starting worker processes costs more than they save."""


def weight_bytes(spec: LayerSpec) -> int:
    """Roughly the bytes to be handled: the order of work, and the progress bar's end."""
    match spec:
        case WheelsLayer():
            return sum(wheel.size_bytes for wheel in spec.wheels)
        case ForeignLayer():
            return spec.layer.size_bytes
        case PackagesLayer() | AddedPackagesLayer():
            return sum(package.size_bytes for package in spec.packages)
        case FilesLayer() | ProjectLayer():
            return sum(file.size_bytes for file in spec.files)
        case BytecodeLayer():
            return sum(weight_bytes(source) for source in spec.sources) // 4
        case StandaloneLayer():
            return spec.interpreter.size_bytes or 0
    return 0


def write_all(
    job: LayerJob, layers: Sequence[LayerSpec], records: dict[str, LayerRecord], listener: BuildListener
) -> None:
    """Write `layers` and put their records into `records`, by key. Raises what `write_layer` raises."""
    specs = sorted(layers, key=weight_bytes, reverse=True)
    total_bytes = sum(weight_bytes(spec) for spec in specs)
    if job.workers < 2 or len(specs) < 2 or total_bytes < _WORTH_PROCESSES_BYTES:
        for spec in specs:
            began = time.monotonic()
            records[spec.key] = write_layer(replace(job, progress=listener.progress), spec)
            listener.written(records[spec.key], time.monotonic() - began)
        return
    _write_in_processes(job, specs, records, listener)


def _write_in_processes(
    job: LayerJob, specs: list[LayerSpec], records: dict[str, LayerRecord], listener: BuildListener
) -> None:
    # Here, since an edit of code comes without them.
    import multiprocessing
    from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
    from concurrent.futures.process import BrokenProcessPool

    counter = _Counter()
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(
        min(job.workers, len(specs)), mp_context=context, initializer=_install, initargs=(job, specs, counter)
    ) as pool:
        with _interrupts_held():  # workers begin with Ctrl-C held back: it is for this process to act on
            running: set[Future[tuple[LayerRecord, float]]] = {
                pool.submit(_write_one, number) for number in range(len(specs))
            }
        reported = 0
        try:
            while running:
                done, running = wait(running, timeout=0.1, return_when=FIRST_COMPLETED)
                total = counter.value
                listener.progress(total - reported)
                reported = total
                for future in done:
                    record, seconds = future.result()
                    records[record.key] = record
                    listener.written(record, seconds)
        except BrokenProcessPool as error:
            raise OutsideError(
                "a process that wrote a layer was killed, perhaps for want of memory",
                hints=("lading build --workers 1",),
            ) from error
        except LadingError:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
        except BaseException:
            for process in list((pool._processes or {}).values()):
                process.terminate()
            raise


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Counter:
    """Bytes written by all workers, in shared memory."""

    def __init__(self) -> None:
        import multiprocessing

        self._value = multiprocessing.get_context("fork").Value("q", 0)

    def add(self, amount: int) -> None:
        with self._value.get_lock():
            self._value.value += amount

    @property
    def value(self) -> int:
        return int(self._value.value)


_job: LayerJob
_specs: list[LayerSpec]


def _install(job: LayerJob, specs: list[LayerSpec], counter: _Counter) -> None:
    global _job, _specs
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _job, _specs = replace(job, progress=counter.add), specs


def _write_one(number: int) -> tuple[LayerRecord, float]:
    began = time.monotonic()
    return write_layer(_job, _specs[number]), time.monotonic() - began
