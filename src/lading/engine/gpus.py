"""Which of a host's GPUs a container gets, and what it is told about them; refusals with their remedy. Pure.

Nothing is given that was not asked for: an image may name all GPUs in its environment, and gets none by that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from lading.errors import EngineError
from lading.project.model import GpuRequest

if TYPE_CHECKING:
    from lading.engine.nvidia import Gpu, HostGpus

VISIBLE = "CUDA_VISIBLE_DEVICES"
_TO_CPU = "to run on the CPU: remove `gpus` from the task"


def choose_gpus(
    request: GpuRequest,
    host: HostGpus,
    environment: Mapping[str, str],
    *,
    taken: frozenset[str] = frozenset(),
    place: str | None = None,
) -> tuple[Gpu, ...]:
    """The GPUs for one run: those that fit, none whose device is `taken` while others are free, the least
    used first. Where CUDA_VISIBLE_DEVICES is set, as batch systems do, only those it names.

    Raises EngineError saying what the host has instead.
    """
    asked = _asked(request)
    if host.driver is None:
        raise EngineError(
            f"{asked} asked for, and this host has no NVIDIA driver loaded",
            place=place,
            hints=("cat /proc/driver/nvidia/version", _TO_CPU),
        )
    if "libcuda.so.1" not in (host.libraries or {}):
        raise EngineError(
            f"{asked} asked for; driver {host.driver} is loaded, but its libcuda.so.1 is nowhere to be found",
            place=place,
            hints=("ldconfig -p | grep libcuda", "export LADING_NVIDIA_ROOT=/where/the/driver/is"),
        )
    visible = _visible(host.gpus, environment.get(VISIBLE))
    fitting = [gpu for gpu in visible if _fits(gpu, request.memory_bytes)]
    if len(fitting) >= request.count:
        fitting.sort(key=lambda gpu: (gpu.device in taken, *_use(gpu)))
        return tuple(sorted(fitting[: request.count], key=lambda gpu: gpu.index))
    raise EngineError(
        f"{asked} asked for, and this host has {_offer(visible, request.memory_bytes)}",
        place=place,
        hints=(_remedy(host, visible, request), _TO_CPU),
    )


def _asked(request: GpuRequest) -> str:
    memory = f" of {request.memory_bytes / 1e9:.0f} GB" if request.memory_bytes else ""
    return f"{request.count} GPU{'s' if request.count > 1 else ''}{memory} {_were(request.count)}"


def _were(count: int) -> str:
    return "were" if count > 1 else "was"


def _visible(gpus: Iterable[Gpu], value: str | None) -> list[Gpu]:
    """Those that CUDA_VISIBLE_DEVICES (indexes or UUIDs) names, up to the first it names wrongly."""
    held = list(gpus)
    if value is None:
        return held
    chosen: list[Gpu] = []
    for word in (part.strip() for part in value.split(",")):
        found = next(
            (
                gpu
                for gpu in held
                if word and (str(gpu.index) == word or (gpu.uuid is not None and gpu.uuid.startswith(word)))
            ),
            None,
        )
        if found is None:
            break
        chosen.append(found)
    return chosen


def _fits(gpu: Gpu, memory_bytes: int | None) -> bool:
    return memory_bytes is None or (gpu.memory_bytes is not None and gpu.memory_bytes >= memory_bytes)


def _use(gpu: Gpu) -> tuple[int, int]:
    """Gigabytes in use; a few megabytes are the driver's own."""
    return (gpu.used_bytes or 0) >> 30, gpu.index


def _offer(gpus: list[Gpu], memory_bytes: int | None) -> str:
    if not gpus:
        return "none that this process may use"
    if memory_bytes is not None and any(gpu.memory_bytes is None for gpu in gpus):
        return f"{len(gpus)}, whose memory nobody tells: nvidia-smi does not answer"
    words = [
        f"{gpu.name or 'GPU'}{f' ({gpu.memory_bytes / 1e9:.0f} GB)' if gpu.memory_bytes else ''}"
        for gpu in gpus
    ]
    return f"{len(gpus)}: {', '.join(words)}"


def _remedy(host: HostGpus, visible: list[Gpu], request: GpuRequest) -> str:
    if len(visible) < len(host.gpus):
        return f"unset {VISIBLE}, or let it name {request.count}"
    if request.memory_bytes is not None and len(visible) >= request.count:
        return "nvidia-smi --query-gpu=memory.total --format=csv"
    return f"gpus = {max(1, len(visible))}" if visible else "nvidia-smi -L"


def gpu_environment(gpus: tuple[Gpu, ...]) -> dict[str, str]:
    """What a container is told; where nothing is granted, the words of its image are overruled."""
    if not gpus:
        return {"NVIDIA_VISIBLE_DEVICES": "void", VISIBLE: ""}
    names = [gpu.uuid for gpu in gpus if gpu.uuid is not None]
    # Without UUIDs: CUDA numbers the devices it can open from 0.
    visible = names if len(names) == len(gpus) else [str(number) for number in range(len(gpus))]
    host = names if len(names) == len(gpus) else [str(gpu.index) for gpu in gpus]
    return {"NVIDIA_VISIBLE_DEVICES": ",".join(host), VISIBLE: ",".join(visible)}
