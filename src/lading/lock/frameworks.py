"""Frameworks that must agree on one CUDA, and those that find none and would run on the CPU. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from packaging.version import Version

from lading.errors import ResolutionFailed
from lading.lock.cuda import CudaFacts, build_release
from lading.lock.pylock import FoundWheel

_TORCH_COMPANIONS = ("torchvision", "torchaudio")
"""They compare their CUDA with torch's when they are imported, and fail for another major version."""
TORCH_ECOSYSTEM = frozenset(
    {
        "torch",
        "torchvision",
        "torchaudio",
        "torchtext",
        "torchdata",
        "torchao",
        "torchcodec",
        "torchrec",
        "torch-tensorrt",
        "fbgemm-gpu",
        "xformers",
        "triton",
        "pytorch-triton",
    }
)
"""What PyTorch builds for each accelerator and offers on an index of its own."""


def check_torch_family(wheels: tuple[FoundWheel, ...], facts: CudaFacts) -> tuple[str, ...]:
    """Warnings about companions of torch built for another CUDA release.

    Raises ResolutionFailed where even the major version is another, or one is named a build for the CPU.
    """
    versions = {wheel.name: wheel.version for wheel in wheels}
    torch = versions.get("torch")
    if torch is None:
        return ()
    public = torch.partition("+")[0]
    warnings = []
    for name in _TORCH_COMPANIONS:
        if name not in versions:
            continue
        ours, theirs = _built_for(torch, public, facts), _built_for(versions[name], public, facts)
        if ours is None or theirs is None or ours == theirs:
            continue
        message = f"torch {torch} is built for {_say(ours)} and {name} {versions[name]} for {_say(theirs)}"
        if _is_refused(ours, theirs, named="+" in torch and "+" in versions[name]):
            raise ResolutionFailed(
                message,
                hints=(f"take both from one index: drop the pin of the one that is wrong ({name}, torch)",),
            )
        warnings.append(f"{message}; take both from one index")
    return tuple(warnings)


def _is_refused(ours: str, theirs: str, *, named: bool) -> bool:
    """What a plain build is of is known for x86-64 alone: on arm64 many are for the CPU."""
    if "cpu" in (ours, theirs):
        return named
    return Version(ours).major != Version(theirs).major


def _built_for(version: str, torch: str, facts: CudaFacts) -> str | None:
    """`cpu`, a CUDA release, or None where nobody knows. Plain builds are of the default build's CUDA."""
    if version.endswith("+cpu"):
        return "cpu"
    if "+" in version:
        return build_release(version)
    return facts.default_cuda(torch)


def _say(build: str) -> str:
    return "the CPU" if build == "cpu" else f"CUDA {build}"


def without_cuda(wheels: tuple[FoundWheel, ...], evidence: Mapping[int, str]) -> tuple[str, ...]:
    """Warnings about frameworks in a CUDA image that would find no CUDA in it."""
    return tuple(_without_cuda({wheel.name for wheel in wheels}, evidence))


def _without_cuda(names: set[str], evidence: Mapping[int, str]) -> Iterator[str]:
    libraries = any(name.startswith("nvidia-cudnn") for name in names)
    if "onnxruntime-gpu" in names and not libraries:
        yield (
            "onnxruntime-gpu finds no CUDA and cuDNN in the lock, and would run on the CPU: "
            "require `onnxruntime-gpu[cuda,cudnn]`, or nvidia-cudnn-cu12 and nvidia-cuda-runtime-cu12 with it"
        )
    if "tensorflow" in names and 12 not in evidence and 11 not in evidence:
        yield (
            "tensorflow finds no CUDA of its own in the lock, and would run on the CPU: "
            "require `tensorflow[and-cuda]`"
        )
    if "jax" in names and not any(name.startswith("jax-cuda") for name in names):
        yield "jax has no CUDA plugin in the lock, and would run on the CPU: require `jax[cuda12]`"
    if not evidence and not names & {"onnxruntime-gpu", "tensorflow", "jax"}:
        yield "nothing in the lock uses CUDA although the accelerator asks for it"
