"""Rules about GPU libraries that are there twice, and about variables that rule GPUs and threads. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lading.inspect.lint.dockerfile import Dockerfile
from lading.inspect.lint.model import Edit, Severity, Spot
from lading.inspect.lint.rule import Kind, rule
from lading.inspect.lint.rules.scripts import (
    Install,
    RunCommand,
    final_stage,
    pip_arguments,
    pip_installs,
    run_commands,
)
from lading.inspect.lint.rules.stages import PLAIN, base_name, line_before, remove_line, settings, started_at

_SYSTEM_CUDA = re.compile(
    r"tensorrt|cudnn|cuda-|libcu|libnv|onnxruntime|cupy|nvcc|vllm|sglang|deepspeed|flash.attn|xformers|apex|paddle"
    r"|mxnet|tensorflow(?!\[and-cuda)|rapids|cudf|cuml|ctranslate2|faster.whisper|whisper|bitsandbytes|llama|dali|triton|"
    r"numba|pycuda|faiss|ffmpeg|git\+|--from|conda|poetry|pipenv|uv (?:sync|run)|\.sh\b|cmake|setup\.py",
    re.IGNORECASE,
)
"""Words of what uses the system's CUDA, or may."""
_THREADS = frozenset(
    {"OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "BLIS_NUM_THREADS"}
)
_BINARY_CUDA = re.compile(r"\[[^\]]*cuda")
_CUDA_FOLDER = re.compile(r"/usr/local/cuda(?:-\d+(?:\.\d+)?)?/(?:lib64|lib|extras/CUPTI/lib64)/?")


def brings_cuda(run: RunCommand, install: Install) -> bool:
    """Whether the wheel comes with CUDA's libraries, or requires the packages that hold them."""
    urls = [word for word in run.values if "whl/cpu" in word or word == "cpu"]
    if install.name == "torch":
        match = re.match(r"[=~]=\s*(\d+)\.(\d+)", install.version)
        old = match is not None and (int(match[1]), int(match[2])) < (2, 1)
        named = any("whl/cu" in word for word in run.values) or "+cu" in install.version
        return (
            not urls and "+cpu" not in install.version and "@" not in install.version and (named or not old)
        )
    if install.name == "jax":
        return _BINARY_CUDA.match(install.extras) is not None and "local" not in install.extras
    return install.name == "tensorflow" and "and-cuda" in install.extras


def _cuda_wheel(document: Dockerfile) -> tuple[RunCommand, Install] | None:
    """The first wheel with CUDA that the final stage names."""
    if any("PIP_INDEX" in entry.text or "PIP_EXTRA" in entry.text for entry in document.instructions):
        return None
    for stage in document.ancestry(final_stage(document)):
        for run in run_commands(stage):
            for install in pip_installs(run):
                if brings_cuda(run, install):
                    return run, install
    return None


@rule(
    "LDD002", "CUDA is there twice", Kind.DOCKERFILE, Severity.WARNING,
    "METADATA of torch and jax[cuda]: they require nvidia-cublas, nvidia-cudnn and the rest",
)  # fmt: skip
def two_cudas(document: Dockerfile) -> Iterator[Spot]:
    """Wheels of torch, jax[cuda12] and tensorflow[and-cuda] bring CUDA and cuDNN of their own: what the
    `-runtime` base holds is two gigabytes that nothing reads. Silent when the stage holds anything else that
    may use the system's CUDA, or installs from a file.

    Bad:

        FROM nvidia/cuda:12.4.1-cudnn-runtime-ubuntu22.04
        RUN pip install torch==2.6.0

    Good:

        FROM nvidia/cuda:12.4.1-base-ubuntu22.04
        RUN pip install torch==2.6.0
    """
    stage = final_stage(document)
    repository, tag = base_name(document, stage)
    found = _cuda_wheel(document)
    if repository not in {"nvidia/cuda", "nvcr.io/nvidia/cuda"} or "-runtime" not in tag or found is None:
        return
    for member in document.ancestry(stage):
        for entry in member.instructions:
            if entry.keyword in {"RUN", "COPY", "ADD", "ENV", "SHELL"} and _SYSTEM_CUDA.search(entry.text):
                return
        for run in run_commands(member):
            begin = pip_arguments(run.values)
            if begin is not None and any(word in {"-r", "-e", "."} for word in run.values[begin:]):
                return
    base = re.sub(r"-(?:cudnn\d*-)?runtime", "-base", tag)
    yield Spot(
        start=found[1].offset,
        message=f"{found[1].name} brings its own CUDA, and {repository}:{tag} a second one: "
        f"{repository}:{base} is enough",
    )


@rule(
    "LDD029", "A number of threads is baked in", Kind.DOCKERFILE, Severity.WARNING,
    "OpenMP: OMP_NUM_THREADS and OMP_WAIT_POLICY; CPU limits of containers are quotas, not cores",
)  # fmt: skip
def baked_threads(document: Dockerfile) -> Iterator[Spot]:
    """How many processors a container may use is decided where it starts. More threads than that wait for
    each other, and OMP_WAIT_POLICY=ACTIVE lets them wait at full load, which eats the quota. One thread is
    never too many, and is left alone.

    Bad:

        ENV OMP_NUM_THREADS=16

    Good:

        docker run --cpus 4 -e OMP_NUM_THREADS=4 …
    """
    for name, (value, entry) in settings(document, final_stage(document)).items():
        count = value.value
        if name in _THREADS and count.isdecimal() and int(count) > 1:
            yield Spot(
                start=entry.offset(value.start) if value.text else entry.start,
                message=f"{name}={count} holds on every machine: set it where the container starts",
            )
        elif name == "OMP_WAIT_POLICY" and count.upper() == "ACTIVE":
            yield Spot(
                start=entry.offset(value.start),
                message="OMP_WAIT_POLICY=ACTIVE spends the CPU quota on waiting",
            )


@rule(
    "LDD030", "LD_LIBRARY_PATH leads past the wheels' own CUDA", Kind.DOCKERFILE, Severity.WARNING,
    "JAX's installation guide: LD_LIBRARY_PATH can override the CUDA libraries of the wheels", mends=True,
)  # fmt: skip
def library_path(document: Dockerfile) -> Iterator[Spot]:
    """Wheels with CUDA find their libraries by themselves. LD_LIBRARY_PATH comes first: the system's CUDA, of
    another version, is loaded instead, and fails at the first kernel.

    Bad:

        ENV LD_LIBRARY_PATH=/usr/local/cuda/lib64:$LD_LIBRARY_PATH
        RUN pip install "jax[cuda12]"

    Good:

        RUN pip install "jax[cuda12]"

    The mend removes the line, where it holds nothing but CUDA's folders.
    """
    found = _cuda_wheel(document)
    setting = settings(document, final_stage(document)).get("LD_LIBRARY_PATH")
    if found is None or setting is None:
        return
    value, entry = setting
    parts = [part for part in value.value.split(":") if part.strip("${}") not in {"", "LD_LIBRARY_PATH"}]
    cuda = [part for part in parts if _CUDA_FOLDER.fullmatch(part)]
    others = [other for other in document.instructions if other.keyword in {"RUN", "COPY", "ADD"}]
    if not cuda or any(_SYSTEM_CUDA.search(other.text) for other in others):
        return
    plain = len(entry.pairs) == 1 and cuda == parts
    yield Spot(
        start=entry.offset(value.start) if value.text else entry.start,
        message=f"{cuda[0]} is searched before the CUDA that {found[1].name} brings",
        edits=remove_line(document, entry) if plain else (),
    )


@rule(
    "LDD031", "An image for GPUs that does not ask for them", Kind.DOCKERFILE, Severity.WARNING,
    "NVIDIA Container Toolkit: NVIDIA_VISIBLE_DEVICES and NVIDIA_DRIVER_CAPABILITIES", mends=True,
)  # fmt: skip
def undeclared_gpu(document: Dockerfile) -> Iterator[Spot]:
    """CUDA's images set two variables by which the NVIDIA runtime knows which GPUs and which parts of the
    driver a container wants. A plain base sets neither: with that runtime, the container sees no GPU, or
    the driver without CUDA. Said where the image holds a wheel that is for GPUs alone.

    Bad:

        FROM python:3.12-slim
        RUN pip install "jax[cuda12]"

    Good:

        FROM python:3.12-slim
        ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
        RUN pip install "jax[cuda12]"

    The mend adds the line before CMD. On a node of Kubernetes whose default runtime is NVIDIA's, a pod that
    asks for no GPU then sees all of them, as it does with CUDA's own images: set NVIDIA_VISIBLE_DEVICES to
    `void` there.
    """
    stage = final_stage(document)
    if base_name(document, stage)[0] not in PLAIN or "NVIDIA_" in document.text:
        return
    found = None
    for member in document.ancestry(stage):
        for run in run_commands(member):
            for install in pip_installs(run):
                if found is None and _is_for_gpus(run, install):
                    found = run, install
    if found is None:
        return
    entry = started_at(document)
    line = "ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility"
    edits: tuple[Edit, ...] = () if entry is None else (line_before(document, entry, line),)
    yield Spot(
        start=found[1].offset,
        message=f"{found[1].name} wants a GPU, and the image does not ask the NVIDIA runtime for one: {line}",
        edits=edits,
    )


def _is_for_gpus(run: RunCommand, install: Install) -> bool:
    if install.name in {"onnxruntime-gpu", "tensorrt", "vllm"} or install.name.startswith("cupy-cuda"):
        return True
    if install.name == "torch":
        return "+cu" in install.version or any("whl/cu" in word for word in run.values)
    return brings_cuda(run, install)
