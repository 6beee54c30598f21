"""Rules about CUDA bases, GPU packages and GPU variables in Dockerfiles. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lading.inspect.lint.dockerfile import Dockerfile
from lading.inspect.lint.model import Edit, Severity, Spot
from lading.inspect.lint.rule import Kind, rule
from lading.inspect.lint.rules.scripts import final_stage, image_name, pip_installs, run_commands

_PLAIN = re.compile(r"(?:python|debian|ubuntu|alpine)")
_COMPILE_WHEN_THEY_RUN = frozenset(
    {"vllm", "sglang", "deepspeed", "flash-attn", "xformers", "flashinfer-python", "apex", "cupy", "tilelang"}
)
_BUILDERS = frozenset({"nvcc", "cmake", "make", "ninja", "gcc", "g++"})


@rule(
    "LDD001", "The final stage is built on a CUDA -devel image", Kind.DOCKERFILE, Severity.WARNING,
    "NVIDIA's image flavours: devel adds compilers, headers and static libraries to runtime",
)  # fmt: skip
def devel_base(document: Dockerfile) -> Iterator[Spot]:
    """`-devel` carries compilers, headers and static libraries: several gigabytes that a run never reads.

    Silent where the stage compiles something itself (nvcc, cmake, make, ninja), or names a package that
    compiles
    kernels when it runs (vllm, deepspeed …).

    Bad:

        FROM nvidia/cuda:12.4.1-cudnn-devel-ubuntu22.04
        COPY server /server

    Good:

        FROM nvidia/cuda:12.4.1-cudnn-devel-ubuntu22.04 AS build
        FROM nvidia/cuda:12.4.1-cudnn-runtime-ubuntu22.04
        COPY --from=build /server /server
    """
    stage = final_stage(document)
    base = document.base(stage)
    if base is None or (len(document.stages) > 1 and len(document.ancestry(stage)) > 1):
        return
    repository, tag = image_name(base)
    compiles = any(entry.heredocs for entry in stage.all("RUN")) or any(True for _ in stage.all("SHELL"))
    compiles = compiles or any(
        word in _BUILDERS or word in {"setup.py", "-e", "--editable", ".", "clone"} or word.startswith("git+")
        for run in run_commands(stage)
        for word in run.values
    )
    compiles = compiles or any(
        install.name in _COMPILE_WHEN_THEY_RUN for run in run_commands(stage) for install in pip_installs(run)
    )
    if repository == "nvidia/cuda" and "-devel" in tag and not compiles:
        wanted = tag.replace("-devel", "-runtime")
        yield Spot(
            start=stage.origin.start,
            message=f"{base} brings compilers and headers into the final image; "
            f"{repository}:{wanted} is enough unless kernels are compiled when it runs",
        )


@rule(
    "LDD004", "nvidia/cuda without a version", Kind.DOCKERFILE, Severity.ERROR,
    "NVIDIA removed the tag `latest` of nvidia/cuda",
)  # fmt: skip
def cuda_latest(document: Dockerfile) -> Iterator[Spot]:
    """The repository has no tag `latest`, and no tag means `latest`: the build cannot start.

    Bad:

        FROM nvidia/cuda

    Good:

        FROM nvidia/cuda:12.4.1-runtime-ubuntu22.04
    """
    for stage in document.stages:
        if stage.image and image_name(stage.image) == ("nvidia/cuda", "latest"):
            yield Spot(
                start=stage.origin.start,
                message="nvidia/cuda has no tag `latest`: name a version, as in 12.4.1-runtime-ubuntu22.04",
            )


@rule(
    "LDD032", "CUDA_VISIBLE_DEVICES is baked in", Kind.DOCKERFILE, Severity.WARNING,
    "CUDA C++ Programming Guide, environment variables", mends=True,
)  # fmt: skip
def visible_devices(document: Dockerfile) -> Iterator[Spot]:
    """Which GPUs a container sees is decided where it is started. A number in the image hides the others from
    every user of it, without a word. An empty value or -1 means *no GPU* and may be wanted: it is left alone.

    Bad:

        ENV CUDA_VISIBLE_DEVICES=0

    Good:

        docker run --gpus device=0 …

    The mend removes the line, where it says nothing else.
    """
    stage = final_stage(document)
    for entry in stage.all("ENV"):
        pairs = entry.pairs
        for name, value in pairs:
            if name != "CUDA_VISIBLE_DEVICES" or not re.fullmatch(r"\d+(?:,\d+)*", value.value):
                continue
            edits: tuple[Edit, ...] = ()
            used = any(
                "CUDA_VISIBLE_DEVICES" in other.text for other in document.instructions if other is not entry
            )
            if len(pairs) == 1 and len(entry.pieces) == 1 and not used:
                end = entry.start + len(entry.text)
                if document.text.startswith("\r", end):
                    end += 1
                edits = (Edit(start=entry.start, end=min(end + 1, len(document.text)), text=""),)
            yield Spot(
                start=entry.offset(value.start) if value.text else entry.start,
                message=f"the image shows only GPU {value.value} to everyone who runs it",
                edits=edits,
            )


@rule(
    "LDD039", "onnxruntime-gpu on a base without CUDA", Kind.DOCKERFILE, Severity.ERROR,
    "METADATA of onnxruntime-gpu: CUDA and cuDNN are extras; without them it falls back to the CPU",
)  # fmt: skip
def gpu_without_cuda(document: Dockerfile) -> Iterator[Spot]:
    """onnxruntime-gpu brings no CUDA. Where its libraries are missing it logs a line and computes on the
    CPU, so the GPU is paid for and idle. Silent when the stage installs CUDA in any way lading can see, or
    installs from files lading does not open.

    Bad:

        FROM python:3.12-slim
        RUN pip install onnxruntime-gpu

    Good:

        FROM python:3.12-slim
        RUN pip install "onnxruntime-gpu[cuda,cudnn]"
    """
    stage = final_stage(document)
    base = document.base(stage)
    if base is None or not _PLAIN.fullmatch(image_name(base)[0]):
        return
    line = document.ancestry(stage)
    text = "\n".join(entry.text for member in line for entry in member.instructions).lower()
    if any(
        word in text
        for word in (
            "cuda",
            "cudnn",
            "nvidia",
            "torch",
            "tensorflow",
            "jax",
            " -r",
            "--requirement",
            "--from=",
        )
    ):
        return
    for member in line:
        for run in run_commands(member):
            for install in pip_installs(run):
                if install.name == "onnxruntime-gpu" and not install.extras:
                    yield Spot(
                        start=install.offset,
                        message=f"onnxruntime-gpu finds no CUDA on {base} and computes on the CPU: "
                        "install onnxruntime-gpu[cuda,cudnn]",
                    )
