"""Driver, CUDA and the code that wheels have for a GPU: the lock in this folder, else PyTorch's default.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from packaging.version import Version

from lading.engine.driver_needs import driver_remedies, is_too_old, too_old_gpus
from lading.inspect.doctor.cause import Area, cause
from lading.inspect.doctor.host import Host
from lading.inspect.doctor.model import Severity, Sign
from lading.lock.cuda import CudaFacts, cuda_facts
from lading.lock.model import LockedCuda


def default_cuda(facts: CudaFacts) -> LockedCuda | None:
    """What PyTorch's newest default build asks of a host, as far as lading's facts go."""
    torch = max((row["version"] for row in facts.of("torch")), key=Version, default=None)
    release = facts.default_cuda(torch) if torch is not None else None
    floor = facts.driver_floor(Version(release).major) if release is not None else None
    if torch is None or release is None or floor is None:
        return None
    builds = facts.build_capabilities(release, torch) or facts.build_capabilities("13.0", torch)
    return LockedCuda(version=release, driver=floor, capabilities=builds)


@cause(
    "driver-below-lock", "The driver is too old for the images of this project", Area.CUDA, Severity.ERROR,
    "NVIDIA: CUDA compatibility, minor version compatibility",
)  # fmt: skip
def driver_below_lock(host: Host) -> Iterator[Sign]:
    """The wheels in `lading.lock` are of a CUDA whose first driver is newer than the one here: CUDA 13 needs
    580, CUDA 12 needs 525. Lock a build of an older CUDA beside it (`accelerator = ["cuda", "cu126"]`),
    or install a newer driver; an image is never changed by that. `lading plan` shows the floor of each.
    """
    driver = host.gpus.driver.driver
    bad = [need for need in host.needs if is_too_old(need.cuda, driver)]
    if driver is None or not bad:
        return
    good = sorted({need.accelerator for need in host.needs} - {need.accelerator for need in bad})
    yield Sign(
        proof=(
            f"driver {driver} is loaded",
            *(
                f"lading.lock: {need.target}/{need.accelerator} is of CUDA {need.cuda.version}:"
                f" driver {need.cuda.driver} or later"
                for need in bad
            ),
            *driver_remedies(bad[0].cuda, driver, cuda_facts()),
        ),
        remedy=f"lading run --accelerator {good[0]}" if good else "",
    )


@cause(
    "driver-below-default", "The driver is too old for PyTorch's default build", Area.CUDA,
    Severity.WARNING, "METADATA of torch's wheels; NVIDIA: CUDA compatibility",
)  # fmt: skip
def driver_below_default(host: Host) -> Iterator[Sign]:
    """`pip install torch` brings a CUDA that this driver does not run: `The NVIDIA driver on your system is
    too old`, or, worse, a silent run on the CPU. In a project: `accelerator = "cu126"`, or an older
    torch.
    """
    driver, default = host.gpus.driver.driver, default_cuda(cuda_facts())
    if driver is None or default is None or host.needs or not host.gpus.driver.gpus:
        return
    if is_too_old(default, driver):
        yield Sign(
            proof=(
                f"driver {driver} is loaded",
                f"the newest torch is of CUDA {default.version}: driver {default.driver} or later",
                *driver_remedies(default, driver, cuda_facts()),
            )
        )


@cause(
    "gpu-older-than-lock", "The images of this project have no code for this GPU", Area.CUDA,
    Severity.ERROR, "compute capabilities of PyTorch's builds",
)  # fmt: skip
def gpu_older_than_lock(host: Host) -> Iterator[Sign]:
    """Wheels hold compiled code for a range of compute capabilities; a GPU below it runs nothing: `no kernel
    image is available for execution on the device`. No driver helps. CUDA 13 ended at Turing (7.5);
    `cu126` builds go down to 5.0.
    """
    found = dict.fromkeys(
        f"{need.target}/{need.accelerator}: {said}"
        for need in host.needs
        for said in too_old_gpus(need.cuda, host.gpus.driver.gpus)
    )
    if found:
        yield Sign(proof=tuple(found))


@cause(
    "gpu-older-than-default", "PyTorch's default build has no code for this GPU", Area.CUDA,
    Severity.WARNING, "compute capabilities of PyTorch's builds",
)  # fmt: skip
def gpu_older_than_default(host: Host) -> Iterator[Sign]:
    """`pip install torch` brings a build whose oldest GPU is newer than this one, whatever the driver. In a
    project: `accelerator = "cu126"`, as long as PyTorch makes it.
    """
    default = default_cuda(cuda_facts())
    if default is None or host.needs or not default.capabilities:
        return
    oldest = min(default.capabilities, key=Version)
    for gpu in host.gpus.driver.gpus:
        if gpu.capability is not None and Version(gpu.capability) < Version(oldest):
            yield Sign(
                proof=(
                    f"GPU {gpu.index} ({gpu.name or 'unnamed'}) has compute capability {gpu.capability}",
                    f"the newest torch, of CUDA {default.version}, has code for {oldest} and later",
                )
            )


@cause(
    "gpu-newer-than-lock", "The images of this project are older than this GPU", Area.CUDA,
    Severity.WARNING, "CUDA: binary compatibility within a major capability",
)  # fmt: skip
def gpu_newer_than_lock(host: Host) -> Iterator[Sign]:
    """Compiled code runs on GPUs of the same major capability. Where a wheel also holds PTX the driver
    compiles it, slowly, at the first start; where not, nothing runs: `sm_120 is not compatible with the
    current PyTorch installation`. Lock a build of a newer CUDA.
    """
    facts = []
    for need in host.needs:
        majors = {int(Version(text).major) for text in need.cuda.capabilities}
        for gpu in host.gpus.driver.gpus:
            if majors and gpu.capability is not None and Version(gpu.capability).major > max(majors):
                newest = max(need.cuda.capabilities, key=Version)
                facts.append(
                    f"{need.target}/{need.accelerator}: GPU {gpu.index} ({gpu.name or 'unnamed'}) has compute"
                    f" capability {gpu.capability}, and the newest code is for {newest}"
                )
    if facts:
        yield Sign(proof=tuple(dict.fromkeys(facts)), remedy="lading lock --upgrade torch")
