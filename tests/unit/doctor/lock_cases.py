"""Hosts beside a project's lock: what its wheels ask of driver and GPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from doctor.hosts import FakeHost, answer_smi, gpu_host, report
from lading.lock.lockfile import write_lock
from lading.lock.model import Lock, LockedCuda, LockedInterpreter, LockedVariant, TargetSelection

Make = Callable[[Path], FakeHost]
CU126 = LockedCuda(version="12.6", driver="525", capabilities=("5.0", "7.0", "8.0", "9.0"))
CU130 = LockedCuda(version="13.0", driver="580", capabilities=("7.5", "8.0", "9.0", "10.0", "12.0"))


def locked(**accelerators: LockedCuda | None) -> str:
    variants = tuple(
        LockedVariant(
            accelerator=accelerator,
            platform="linux/amd64",
            interpreter=LockedInterpreter(
                provider="debian", version="3.13", build="3.13.5-2", executable="/usr/bin/python3.13"
            ),
            packages=(),
            wheels=(),
            targets={"train": TargetSelection(wheels=(), packages=(), cuda=cuda)},
        )
        for accelerator, cuda in sorted(accelerators.items())
    )
    return write_lock(Lock(inputs="0" * 64, suites=(), variants=variants))


def beside(text: str, driver: str = "580.65.06", capability: str = "9.0", name: str = "NVIDIA H100") -> Make:
    def make(root: Path) -> FakeHost:
        host = gpu_host(root, driver=driver)
        answer_smi(host, report({}), capability=capability, name=name)
        host.write("home/ada/lading.lock", text)
        return host

    return make


CASES: dict[str, tuple[Make, ...]] = {
    "driver-below-lock": (
        beside(locked(cuda=CU130), driver="535.104.05"),
        beside(locked(cuda=CU130, cu126=CU126), driver="550.54.15"),
    ),
    "gpu-older-than-lock": (beside(locked(cuda=CU130), capability="7.0", name="Tesla V100"),),
    "gpu-newer-than-lock": (beside(locked(cu126=CU126), capability="12.0", name="NVIDIA RTX 5090"),),
}

WORKING: dict[str, Make] = {
    "a lock that fits": beside(locked(cuda=CU130)),
    "an old driver and an old CUDA": beside(locked(cu126=CU126), driver="535.104.05"),
    "a CPU lock": beside(locked(cpu=None)),
    "a damaged lock": beside("format = "),
}
