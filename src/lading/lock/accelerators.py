"""What an accelerator asks of the wheels: no CUDA in a cpu image, the named one in the others. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from lading.errors import ResolutionFailed
from lading.lock.cuda import CudaFacts, cuda_evidence, cuda_facts, cuda_release_of
from lading.lock.frameworks import check_torch_family, without_cuda
from lading.lock.pylock import FoundWheel
from lading.lock.target import TargetEnvironment
from lading.project.accelerators import cuda_release, wants_gpu
from lading.project.values import PYTHONS

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


def unfitting_cpu_builds(
    filenames: Iterable[str], names: Collection[str], target: TargetEnvironment
) -> tuple[str, ...]:
    """A warning for each of `names` that has `+cpu` wheels, none of which fits `target`, with the Python that
    would take the highest of them where one would."""
    best: dict[str, tuple[tuple[bool, Version, int], str]] = {}
    for filename in filenames:
        try:
            name, version, _, tags = parse_wheel_filename(filename)
        except InvalidWheelFilename:
            continue
        if version.local != "cpu" or name not in names:
            continue
        said = f"{filename} does not fit Python {target.python} on {target.platform}"
        fitting = [python for python in PYTHONS if not tags.isdisjoint(replace(target, python=python).tags())]
        if fitting:
            said += f': set [image] python = "{fitting[-1]}" to use it'
        rank = (bool(fitting), version, PYTHONS.index(fitting[-1]) if fitting else 0)
        if name not in best or rank > best[name][0]:
            best[name] = rank, said
    return tuple(said for _, (_, said) in sorted(best.items()))


def check_accelerator(
    wheels: tuple[FoundWheel, ...], accelerator: str, facts: CudaFacts | None = None
) -> tuple[str, ...]:
    """Warnings about wheels that do not suit `accelerator`.

    Raises ResolutionFailed for CUDA of two major versions, of another release than `accelerator` names, for
    frameworks built for different ones, and for a CPU build where a GPU was asked for.
    """
    known = facts or cuda_facts()
    libraries = cuda_wheels(wheels)
    evidence = cuda_evidence(wheels)
    if len(evidence) > 1:
        raise ResolutionFailed(
            f"CUDA twice: {', '.join(evidence.values())} are of different versions",
            hints=("let all packages use one CUDA: pin the one that brings the older, or drop it",),
        )
    warnings = check_torch_family(wheels, known)
    if not wants_gpu(accelerator):
        return (*warnings, *_in_cpu_image(wheels, libraries))
    builds = [f"{wheel.name} {wheel.version}" for wheel in wheels if wheel.version.endswith("+cpu")]
    if builds:
        raise ResolutionFailed(
            f"{', '.join(builds)} is a build for the CPU, and the accelerator is {accelerator}",
            hints=('set accelerator = "cpu" in [image], or drop the +cpu pin',),
        )
    _check_release(wheels, accelerator)
    return (*warnings, *without_cuda(wheels, evidence))


def _check_release(wheels: tuple[FoundWheel, ...], accelerator: str) -> None:
    wanted, found = cuda_release(accelerator), cuda_release_of(wheels)
    if wanted is None or found is None or found == wanted:
        return
    if "." not in found and wanted.startswith(f"{found}."):
        return
    torch = next((f"torch {wheel.version}" for wheel in wheels if wheel.name == "torch"), "what is locked")
    raise ResolutionFailed(
        f"{torch} is of CUDA {found}, and the accelerator is {accelerator}",
        hints=(
            f"name where PyTorch's builds are, with {accelerator}/ below it: export LADING_TORCH_INDEX=https://…",
            f"or an extra called {accelerator} in pyproject.toml, with its index in [tool.uv.sources]",
            'or take the index\'s own CUDA: accelerator = "cuda"',
        ),
    )


def _in_cpu_image(wheels: tuple[FoundWheel, ...], libraries: tuple[str, ...]) -> tuple[str, ...]:
    gpu_only = next((wheel.name for wheel in wheels if wheel.name == "onnxruntime-gpu"), None)
    said = ["onnxruntime-gpu is in the lock although the accelerator is cpu: `onnxruntime` is for the CPU"]
    return (*([_cuda_in_cpu(wheels, libraries)] if libraries else ()), *(said if gpu_only else ()))


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
