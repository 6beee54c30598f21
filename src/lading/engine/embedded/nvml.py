"""How busy and how full GPUs are, asked of the driver's own library without starting a program.

Knows the few functions of NVML that this needs (NVML API reference, "Device Queries"); never raises. Whatever
the driver does not tell stays untold.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Set
from typing import Any

from lading.engine.circumstances import GpuUse

_NEEDED = (
    *("nvmlDeviceGetMemoryInfo", "nvmlDeviceGetUtilizationRates"),
    "nvmlDeviceGetCurrentClocksThrottleReasons",
)
_LIBRARY = "libnvidia-ml.so.1"
_SLOWED = {"hardware": 0x08 | 0x80, "heat": 0x20 | 0x40, "power": 0x04}
"""nvmlClocksEventReasons…: HwSlowdown, HwPowerBrake; SwThermal, HwThermal; SwPowerCap."""
_MOST_OF_THE_TIME = 0.5


class _Utilization(ctypes.Structure):
    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


class _Memory(ctypes.Structure):
    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


class _Device:
    """One GPU and what was seen of it."""

    def __init__(self, index: int, handle: ctypes.c_void_p) -> None:
        self.index = index
        self.handle = handle
        self.looks = 0
        self.percents = 0
        self.total_bytes = 0
        self.peak_bytes = 0
        self.slowed = dict.fromkeys(_SLOWED, 0)


class Nvml:
    """Made by `open_nvml`."""

    def __init__(self, library: Any, devices: list[_Device]) -> None:
        self._library = library
        self._devices = devices

    def look(self) -> float | None:
        """One look at every GPU; how busy they are on average, 0 to 100."""
        percents = [self._look(device) for device in self._devices]
        known = [percent for percent in percents if percent is not None]
        return round(sum(known) / len(known), 1) if known else None

    def _look(self, device: _Device) -> int | None:
        device.looks += 1
        memory = _Memory()
        if self._library.nvmlDeviceGetMemoryInfo(device.handle, ctypes.byref(memory)) == 0:
            device.total_bytes = memory.total
            device.peak_bytes = max(device.peak_bytes, memory.used)
        reasons = ctypes.c_ulonglong()
        if self._library.nvmlDeviceGetCurrentClocksThrottleReasons(device.handle, ctypes.byref(reasons)) == 0:
            for name, bits in _SLOWED.items():
                device.slowed[name] += bool(reasons.value & bits)
        use = _Utilization()
        if self._library.nvmlDeviceGetUtilizationRates(device.handle, ctypes.byref(use)) != 0:
            return None
        device.percents += use.gpu
        return int(use.gpu)

    def uses(self) -> tuple[GpuUse, ...]:
        """What was seen of each GPU that was looked at."""
        return tuple(
            GpuUse(
                index=device.index,
                memory_bytes=device.total_bytes,
                peak_memory_bytes=device.peak_bytes,
                mean_percent=round(device.percents / device.looks, 1),
                slowed_by=tuple(
                    name for name, count in device.slowed.items() if count / device.looks > _MOST_OF_THE_TIME
                ),
            )
            for device in self._devices
            if device.looks
        )


def open_nvml(devices: tuple[str, ...], library: str = _LIBRARY) -> Nvml | None:
    """For these device files (`/dev/nvidia0`); None where the library is missing or knows none of them."""
    wanted = {int(match[1]) for path in devices if (match := re.search(r"/nvidia(\d+)$", path))}
    try:
        return find_devices(ctypes.CDLL(library), wanted)
    except (OSError, AttributeError):  # no library, or one without these functions
        return None


def find_devices(library: Any, wanted: Set[int]) -> Nvml | None:
    """Those of a loaded library whose device files have these numbers."""
    if not all(hasattr(library, name) for name in _NEEDED):
        return None
    count = ctypes.c_uint()
    if library.nvmlInit_v2() != 0 or library.nvmlDeviceGetCount_v2(ctypes.byref(count)) != 0:
        return None
    found = [_device(library, number) for number in range(count.value)]
    chosen = [device for device in found if device is not None and device.index in wanted]
    return Nvml(library, chosen) if chosen else None


def _device(library: Any, number: int) -> _Device | None:
    """NVML counts by bus, device files by their own number: the minor number tells which is which."""
    handle, minor = ctypes.c_void_p(), ctypes.c_uint()
    if library.nvmlDeviceGetHandleByIndex_v2(number, ctypes.byref(handle)) != 0:
        return None
    if library.nvmlDeviceGetMinorNumber(handle, ctypes.byref(minor)) != 0:
        return None
    return _Device(minor.value, handle)
