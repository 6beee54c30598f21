"""Rules about GPUs, shared memory and threads in compose files. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from lading.inspect.lint.model import Severity, Spot
from lading.inspect.lint.rule import Kind, rule
from lading.inspect.lint.rules.services import (
    add_key,
    environment,
    gpu_devices,
    image,
    is_training,
    mounts,
    program,
    replace_scalar,
    services,
    words,
)
from lading.inspect.lint.yaml_file import Value

_ALWAYS_GPU = frozenset(
    {
        "vllm/vllm-openai", "nvcr.io/nvidia/pytorch", "nvcr.io/nvidia/tensorflow",
        "nvcr.io/nvidia/tritonserver", "nvidia/cuda",
        "nvcr.io/nvidia/cuda", "lmsysorg/sglang", "nvcr.io/nvidia/tensorrt",
        "ghcr.io/huggingface/text-generation-inference"
    }
)  # fmt: skip
_GPU_TAG = {
    "pytorch/pytorch": re.compile(r"cuda"),
    "tensorflow/tensorflow": re.compile(r"-gpu"),
    "tensorflow/serving": re.compile(r"-gpu"),
    "pytorch/torchserve": re.compile(r"-gpu"),
    "rayproject/ray": re.compile(r"-gpu|-cu\d"),
    "rayproject/ray-ml": re.compile(r"-gpu|-cu\d"),
    "onerahmet/openai-whisper-asr-webservice": re.compile(r"-gpu"),
}
_NOT_GPU = re.compile(r"cpu|rocm|xpu|intel|neuron|hpu")
_TORCH = re.compile(r"torch|vllm|deepspeed|megatron|nemo")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@rule(
    "LDC003", "A GPU image without a GPU", Kind.COMPOSE, Severity.WARNING,
    "docs.docker.com/compose/how-tos/gpu-support",
)  # fmt: skip
def no_reservation(document: Value) -> Iterator[Spot]:
    """compose gives no GPU that is not reserved: the server ends at its start, or computes on the CPU. Said
    of images that exist for GPUs, of commands that ask for `cuda`, and not where any line names a device.

    Bad:

        image: vllm/vllm-openai:v0.6.6

    Good:

        image: vllm/vllm-openai:v0.6.6
        deploy:
          resources:
            reservations:
              devices:
                - driver: nvidia
                  count: 1
                  capabilities: [gpu]
    """
    for name, service in services(document):
        if service.get("extends") is not None or gpu_devices(service) or _hides_gpus(service):
            continue
        repository, tag = image(service)
        pattern = _GPU_TAG.get(repository)
        for_gpus = repository in _ALWAYS_GPU and not _NOT_GPU.search(tag)
        for_gpus = for_gpus or (pattern is not None and pattern.search(tag) is not None)
        found = program(service)
        asks = found is not None and (
            "cuda" in found.option("--device", "-d") or found.program == "nvidia-smi"
        )
        if for_gpus or asks:
            what = f"{repository}:{tag}" if for_gpus else "its command"
            yield Spot(
                start=service.keys.get("image", service.start),
                message=f"{what} wants a GPU, and service {name} reserves none",
            )


def _hides_gpus(service: Value) -> bool:
    """Whether its variables say what it does without or with GPUs."""
    names = {name: value for name, value, _ in environment(service)}
    return (
        "NVIDIA_VISIBLE_DEVICES" in names
        or names.get("CUDA_VISIBLE_DEVICES") in {"", "-1"}
        or service.get("env_file") is not None
        or "cpu" in " ".join(words(service.get("command"))).lower()
    )


@rule(
    "LDC004", "Training with 64 MB of shared memory", Kind.COMPOSE, Severity.WARNING,
    "codabench#1189; pytorch/tutorials 0ba3e39: data loaders pass tensors through /dev/shm", mends=True,
)  # fmt: skip
def small_shared_memory(document: Value) -> Iterator[Spot]:
    """Workers of a data loader, and NCCL between processes, pass what they have through /dev/shm, and a
    container has 64 MB of it: `Bus error`, some batches after the start. Said of services that train with
    torch on a GPU.

    Bad:

        command: python train.py

    Good:

        shm_size: 1gb
        command: python train.py

    The mend adds `shm_size: 1gb`; large batches want more.
    """
    for name, service in services(document):
        if not is_training(name, service) or service.get("extends") is not None:
            continue
        found = program(service)
        launched = found is not None and found.program.startswith(
            ("torchrun", "torch.", "deepspeed", "accelerate")
        )
        torch = launched or _TORCH.search(service.text("image") or "") is not None
        if not (torch and gpu_devices(service)) and not launched:
            continue
        if service.get("shm_size") is not None or service.get("ipc") is not None or _mounts_shm(service):
            continue
        yield Spot(
            start=service.keys.get("command", service.start),
            message=f"service {name} trains with the 64 MB of /dev/shm that a container has: shm_size",
            edits=add_key(service, "shm_size: 1gb"),
        )


def _mounts_shm(service: Value) -> bool:
    tmpfs = service.get("tmpfs")
    return any("/dev/shm" in mount.target for mount in mounts(service)) or (
        tmpfs is not None and "/dev/shm" in str(tmpfs.data)
    )


@rule(
    "LDC013", "More threads than processors", Kind.COMPOSE, Severity.WARNING,
    "OpenMP: OMP_NUM_THREADS; compose's `cpus` is a quota", mends=True,
)  # fmt: skip
def too_many_threads(document: Value) -> Iterator[Spot]:
    """The limit is a share of time: sixteen threads in the time of four wait for each other at every barrier,
    slower than four would be.

    Bad:

        cpus: 4
        environment: {OMP_NUM_THREADS: "16"}

    Good:

        cpus: 4
        environment: {OMP_NUM_THREADS: "4"}

    The mend writes the limit.
    """
    for name, service in services(document):
        limit = _cpus(service)
        found = service.get("environment")
        if limit is None or found is None:
            continue
        most = max(1, math.floor(limit))
        for variable, count, at in environment(service):
            if variable not in _THREADS or not count.isdecimal() or int(count) <= math.ceil(limit):
                continue
            value = found.get(variable)
            item = next((item for item in found.items if item.start == at), None)
            edits = replace_scalar(value, str(most)) if value is not None else ()
            if item is not None:
                edits = replace_scalar(item, f"{variable}={most}")
            yield Spot(
                start=at,
                message=f"service {name}: {variable}={count} with {limit:g} processors",
                edits=edits,
            )


def _cpus(service: Value) -> float | None:
    for path in (("deploy", "resources", "limits", "cpus"), ("cpus",)):
        text = service.text(*path)
        if text is not None:
            try:
                return float(text) or None
            except ValueError:
                return None
    return None
