"""Whether a driver can run an image, in words and refusals with their remedy. Pure.

Which driver a CUDA needs is decided by its major version (lock/cuda.py). A GPU older than all that the wheels
have code for runs none of it, whatever the driver; for newer ones the driver compiles, mostly.
"""

from __future__ import annotations

from collections.abc import Iterable

from packaging.version import Version

from lading.engine.nvidia import Gpu
from lading.errors import EngineError
from lading.lock.cuda import CudaFacts, is_driver_enough
from lading.lock.model import LockedCuda


def is_too_old(cuda: LockedCuda, driver: str | None) -> bool:
    """Whether there is a driver that cannot run the image. One whose version cannot be read passes."""
    try:
        return driver is not None and not is_driver_enough(driver, cuda.driver)
    except ValueError:
        return False


def describe_driver(cuda: LockedCuda, driver: str | None) -> str:
    """`driver ≥ 580  (this host: 535 — too old)`, for people."""
    if driver is None:
        return f"driver ≥ {cuda.driver}  (this host: none)"
    short = driver.partition(".")[0]
    if is_too_old(cuda, driver):
        return f"driver ≥ {cuda.driver}  (this host: {short} — too old)"
    full = cuda.full_driver
    if full is not None and is_too_old(LockedCuda(version=cuda.version, driver=full), driver):
        return f"driver ≥ {cuda.driver}  (this host: {short} ok; all features from {full})"
    return f"driver ≥ {cuda.driver}  (this host: {short} ok)"


def refuse_old_driver(
    cuda: LockedCuda | None, driver: str | None, facts: CudaFacts, *, place: str | None = None
) -> None:
    """Raises EngineError where this host's driver cannot run the image. Right to ask before it is built."""
    if cuda is None or not is_too_old(cuda, driver):
        return
    raise EngineError(
        f"the image is of CUDA {cuda.version}, which needs driver {cuda.driver} or later;"
        f" this host has {driver}",
        place=place,
        hints=driver_remedies(cuda, driver or "0", facts),
    )


def driver_remedies(cuda: LockedCuda, driver: str, facts: CudaFacts) -> tuple[str, ...]:
    """An older CUDA that `driver` runs, the CPU, or a newer driver."""
    hints = []
    majors = [
        row["cuda_major"] for row in facts.of("driver_floor") if is_driver_enough(driver, row["driver"])
    ]
    if majors:
        newest = max(majors)
        torch = facts.newest_torch(newest)
        builds = [row["build"] for row in facts.of("torch_build") if row["build"].startswith(f"cu{newest}")]
        if builds:
            hints.append(f'accelerator = "{max(builds)}" in [image]: CUDA {newest} runs on driver {driver}')
        if torch is not None:
            hints.append(f"or require torch<={torch}, the newest whose default build is of CUDA {newest}")
    return (*hints, "or run on the CPU: --accelerator cpu", f"or install driver {cuda.driver} on this host")


def too_old_gpus(cuda: LockedCuda, gpus: Iterable[Gpu]) -> tuple[str, ...]:
    """A word on each GPU that the image has no code for."""
    if not cuda.capabilities:
        return ()
    oldest = min(cuda.capabilities, key=Version)
    return tuple(
        f"GPU {gpu.index} ({gpu.name or 'unnamed'}) has compute capability {gpu.capability}, and the image"
        f" has code for {oldest} and later: it would run none of it"
        for gpu in gpus
        if gpu.capability is not None and Version(gpu.capability) < Version(oldest)
    )
