"""What an accelerator asks of the wheels: no CUDA in a cpu image, one CUDA in a cuda image. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from lading.errors import ResolutionFailed
from lading.lock.pylock import FoundWheel

_CUDA_SUFFIX = re.compile(r"^nvidia-.*-cu(?P<major>\d\d)$")
_NVIDIA_PURE = frozenset({"nvidia-ml-py", "nvidia-modelopt"})
"""Names that begin like CUDA libraries and are not."""


def cuda_wheels(wheels: Iterable[FoundWheel]) -> tuple[str, ...]:
    """Names of the wheels that are NVIDIA's CUDA libraries, sorted."""
    return tuple(
        sorted(
            wheel.name
            for wheel in wheels
            if (wheel.name.startswith("nvidia-") and wheel.name not in _NVIDIA_PURE)
            or wheel.name in ("cuda-toolkit", "cuda-bindings", "cuda-pathfinder")
        )
    )


def cpu_builds(filenames: Iterable[str], tags: Collection[Tag]) -> dict[str, str]:
    """Name → the highest `+cpu` version among wheels that fit `tags`."""
    best: dict[str, Version] = {}
    for filename in filenames:
        try:
            name, version, _, wheel_tags = parse_wheel_filename(filename)
        except InvalidWheelFilename:
            continue
        fits = version.local == "cpu" and not wheel_tags.isdisjoint(tags)
        if fits and (name not in best or version > best[name]):
            best[name] = version
    return {name: str(version) for name, version in sorted(best.items())}


def unfitting_cpu_builds(filenames: Iterable[str], names: Collection[str]) -> tuple[str, ...]:
    """File names of `+cpu` wheels of `names`, whatever they fit: what to speak of when none fits."""
    found = []
    for filename in filenames:
        try:
            name, version, _, _ = parse_wheel_filename(filename)
        except InvalidWheelFilename:
            continue
        if version.local == "cpu" and name in names:
            found.append(filename)
    return tuple(sorted(found))


def check_accelerator(wheels: tuple[FoundWheel, ...], accelerator: str) -> tuple[str, ...]:
    """Warnings about wheels that do not suit `accelerator`.

    Raises ResolutionFailed for CUDA libraries of two major versions, and for a CPU build in a cuda image.
    """
    libraries = cuda_wheels(wheels)
    majors = {match["major"]: match[0] for name in libraries if (match := _CUDA_SUFFIX.match(name))}
    if len(majors) > 1:
        raise ResolutionFailed(
            f"CUDA twice: {', '.join(majors[major] for major in sorted(majors))} are of different versions",
            hints=("let all packages use one CUDA: pin the one that brings the older, or drop it",),
        )
    if accelerator == "cpu" and libraries:
        return (_cuda_in_cpu(wheels, libraries),)
    builds = [f"{wheel.name} {wheel.version}" for wheel in wheels if wheel.version.endswith("+cpu")]
    if accelerator == "cuda" and builds:
        raise ResolutionFailed(
            f"{', '.join(builds)} is a build for the CPU, and the accelerator is cuda",
            hints=('set accelerator = "cpu" in [image], or drop the +cpu pin',),
        )
    return ()


def _cuda_in_cpu(wheels: tuple[FoundWheel, ...], libraries: tuple[str, ...]) -> str:
    torch = next((wheel for wheel in wheels if wheel.name == "torch"), None)
    found = f"{len(libraries)} CUDA packages ({libraries[0]}, …)"
    if torch is None:
        return f"{found} are in the lock although the accelerator is cpu"
    plain = torch.version.partition("+")[0]
    return (
        f"torch {torch.version} brings {found} although the accelerator is cpu. For the CPU build run "
        f"`UV_TORCH_BACKEND=cpu lading lock --upgrade torch`; or pin `torch=={plain}+cpu` and name the "
        "folder or index that has it: `export UV_FIND_LINKS=/path/to/wheels`"
    )
