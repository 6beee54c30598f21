"""In which order the layers of wheels stand: the one global order of docs/internals/laws.md, law 3. Pure.

Engines that key layers by chain ID share only equal prefixes. So what changes least and is shared most comes
first, and the order never depends on anything but the wheels themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

from lading.lock.model import LockedWheel

OWN_LAYER_BYTES = 1 << 20
MAX_OWN_LAYERS = 60
BYTECODE_OWN_LAYER_BYTES = 8 << 20
"""A wheel at least this large has its bytecode in a layer of its own too, shared as the wheel's is."""
MAX_BYTECODE_LAYERS = 15

_CUDA_PREFIXES = ("nvidia-", "cuda-", "cupy-cuda")


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelOrder:
    own: tuple[LockedWheel, ...]
    """Each a layer of its own, first to last."""
    tail: tuple[LockedWheel, ...]
    """All in one layer, by name."""


def order_wheels(wheels: tuple[LockedWheel, ...]) -> WheelOrder:
    """CUDA libraries, torch, then other large wheels by descending size class, then name; small ones last."""
    large = [wheel for wheel in wheels if wheel.size_bytes >= OWN_LAYER_BYTES]
    kept = sorted(large, key=lambda wheel: (-wheel.size_bytes, wheel.name))[:MAX_OWN_LAYERS]
    own = sorted(kept, key=_rank)
    names = {wheel.name for wheel in own}
    tail = sorted((wheel for wheel in wheels if wheel.name not in names), key=lambda wheel: wheel.name)
    return WheelOrder(own=tuple(own), tail=tuple(tail))


def is_cuda_library(wheel: LockedWheel) -> bool:
    """Whether a wheel carries NVIDIA's libraries: large, shared by all, and with next to no Python in it."""
    return wheel.name.startswith(_CUDA_PREFIXES)


def _rank(wheel: LockedWheel) -> tuple[int, int, str]:
    if is_cuda_library(wheel):
        group = 0
    elif wheel.name == "torch":
        group = 1
    else:
        group = 2
    return group, -wheel.size_bytes.bit_length(), wheel.name
