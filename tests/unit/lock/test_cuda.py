"""What an image asks of a host comes from the lock and dated facts; what cannot work together is refused."""

from __future__ import annotations

import datetime
import tomllib
from importlib.resources import files

import pytest

from lading.errors import ResolutionFailed
from lading.lock.accelerators import check_accelerator
from lading.lock.cuda import cuda_facts, cuda_release_of, is_driver_enough, needs_of
from lading.lock.pylock import FoundWheel


def wheels(*pins: str) -> tuple[FoundWheel, ...]:
    found = []
    for pin in pins:
        name, _, version = pin.partition("==")
        filename = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
        found.append(
            FoundWheel(name=name, version=version, filename=filename, sha256="0" * 64, size_bytes=1, url=None)
        )
    return tuple(found)


TORCH12 = ("torch==2.9.1", "nvidia-cuda-runtime-cu12==12.8.90", "nvidia-cudnn-cu12==9.10.2.21")
TORCH13 = ("torch==2.14.0", "cuda-toolkit==13.0.3", "nvidia-cuda-runtime==13.0.96", "nvidia-cudnn-cu13==9.24")


@pytest.mark.parametrize(
    ("pins", "version", "driver", "full"),
    [
        (TORCH12, "12.8", "525", "570.86.10"),
        (TORCH13, "13.0", "580", "580.65.06"),
        (("torch==2.9.1+cu126",), "12.6", "525", "560.35.05"),
        (("torch==2.3.1+cu118",), "11.8", "450", "520.61.05"),
        (("torch==2.9.1+cu126", *TORCH12[1:]), "12.8", "525", "570.86.10"),
        (("cupy-cuda12x==14.0",), "12", "525", None),
        (("jax-cuda13-plugin==0.10", "jax==0.10"), "13", "580", None),
        (("tensorflow==2.19.1", "nvidia-cuda-runtime-cu12==12.5.82"), "12.5", "525", "555.42.06"),
    ],
)
def test_the_driver_floor_is_that_of_cudas_major_version(
    pins: tuple[str, ...], version: str, driver: str, full: str | None
) -> None:
    needs = needs_of(wheels(*pins), cuda_facts())
    assert needs is not None
    assert (needs.version, needs.driver, needs.full_driver) == (version, driver, full)


def test_wheels_without_cuda_ask_for_nothing() -> None:
    assert (
        needs_of(wheels("numpy==2.0", "torch==2.13.0+cpu", "nvidia-ml-py==13.580.82"), cuda_facts()) is None
    )


def test_capabilities_are_those_of_the_build() -> None:
    def of(*pins: str) -> str:
        needs = needs_of(wheels(*pins), cuda_facts())
        assert needs is not None
        return " ".join(needs.capabilities)

    assert of("torch==2.9.1+cu126").startswith("5.0 6.0 7.0")
    assert of(*TORCH12) == "7.0 7.5 8.0 8.6 9.0 10.0 12.0"
    assert of(*TORCH13) == "7.5 8.0 8.6 9.0 10.0 12.0"
    assert of("torch==2.15.0", "cuda-toolkit==13.2.2") == ""  # no row speaks of it, so nothing is claimed
    assert "7.0" in of("nvidia-cuda-runtime-cu12==12.9.79").split()
    assert "7.0" not in of("nvidia-cuda-runtime==13.0.96").split()


def test_drivers_are_compared_as_versions() -> None:
    assert is_driver_enough("1000.1", "580")
    assert not is_driver_enough("579.99", "580")
    assert is_driver_enough("525", "525")
    with pytest.raises(ValueError, match="no version"):
        is_driver_enough("new", "525")


def test_every_fact_has_its_source_and_the_day_it_was_read() -> None:
    document = tomllib.loads(files("lading.lock").joinpath("data/cuda.toml").read_text(encoding="utf-8"))
    sources = document.pop("source")
    rows = [row for kind in document.values() for row in kind]
    assert len(rows) > 50
    assert {row["source"] for row in rows} == set(sources)
    assert all(isinstance(row["read"], datetime.date) for row in rows)


def refused(accelerator: str, *pins: str) -> ResolutionFailed:
    with pytest.raises(ResolutionFailed) as caught:
        check_accelerator(wheels(*pins), accelerator)
    assert caught.value.hints
    return caught.value


@pytest.mark.parametrize(
    ("accelerator", "pins", "said"),
    [
        (
            "cuda",
            ("nvidia-cudnn-cu12==9", "nvidia-cudnn-cu13==9"),
            "CUDA twice: nvidia-cudnn-cu12, nvidia-",
        ),
        ("cuda", (*TORCH13, "tensorflow==2.21", "nvidia-cuda-runtime-cu12==12.5.82"), "CUDA twice"),
        ("cuda", (*TORCH13, "cupy-cuda12x==14.2"), "CUDA twice: cupy-cuda12x, cuda-toolkit 13.0.3"),
        ("cuda", (*TORCH12, "jax-cuda13-plugin==0.10"), "CUDA twice"),
        ("cpu", (*TORCH13, "cupy-cuda12x==14.2"), "CUDA twice"),
        ("cuda", ("torch==2.13.0+cpu",), "is a build for the CPU, and the accelerator is cuda"),
        ("cu126", ("torch==2.13.0+cpu",), "is a build for the CPU, and the accelerator is cu126"),
        ("cu126", TORCH13, "torch 2.14.0 is of CUDA 13.0, and the accelerator is cu126"),
        ("cu126", ("torch==2.9.1+cu128",), "is of CUDA 12.8"),
        ("cuda", ("torch==2.9.1+cu128", "torchvision==0.24.1+cu118"), "CUDA twice"),
        ("cuda", (*TORCH13, "torchvision==0.29.0+cpu"), "torchvision 0.29.0+cpu is a build for the CPU"),
        ("cpu", ("torch==2.14.0+cpu", "torchvision==0.29.0+cu130"), "torchvision 0.29.0+cu130 for CUDA 13.0"),
        ("cuda", ("torch==2.12.1+cu126", "torchvision==0.27.1"), "torchvision 0.27.1 for CUDA 13.0"),
    ],
)
def test_what_cannot_run_together_is_refused(accelerator: str, pins: tuple[str, ...], said: str) -> None:
    assert said in refused(accelerator, *pins).message


@pytest.mark.parametrize(
    ("accelerator", "pins", "said"),
    [
        ("cuda", ("onnxruntime-gpu==1.24.1",), "require `onnxruntime-gpu[cuda,cudnn]`"),
        ("cpu", ("onnxruntime-gpu==1.24.1",), "`onnxruntime` is for the CPU"),
        ("cuda", (*TORCH13, "tensorflow==2.21.0"), "require `tensorflow[and-cuda]`"),
        ("cuda", ("jax==0.10.2",), "require `jax[cuda12]`"),
        ("cuda", ("numpy==2.0",), "nothing in the lock uses CUDA"),
        ("cuda", ("torch==2.9.1+cu126", "torchvision==0.24.1+cu128"), "take both from one index"),
        ("cpu", TORCH12, "although the accelerator is cpu"),
        ("cpu", ("torch==2.14.0+cpu", "torchvision==0.29.0"), "take both from one index"),
    ],
)
def test_what_would_run_on_the_cpu_or_by_luck_is_said(
    accelerator: str, pins: tuple[str, ...], said: str
) -> None:
    assert said in " ".join(check_accelerator(wheels(*pins), accelerator))


@pytest.mark.parametrize(
    ("accelerator", "pins"),
    [
        ("cuda", TORCH12),
        ("cuda", TORCH13),
        ("cu128", TORCH12),
        ("cu130", (*TORCH13, "torchvision==0.29.0")),
        ("cu126", ("torch==2.9.1+cu126", "torchvision==0.24.1+cu126")),
        ("cpu", ("torch==2.14.0+cpu", "torchvision==0.29.0+cpu")),
        ("cuda", ("onnxruntime-gpu==1.24.1", "nvidia-cudnn-cu12==9.1", "nvidia-cuda-runtime-cu12==12.8.90")),
        ("cu128", ("cupy-cuda12x==14.2",)),
        ("cpu", ("numpy==2.0",)),
    ],
)
def test_what_fits_is_not_spoken_of(accelerator: str, pins: tuple[str, ...]) -> None:
    assert check_accelerator(wheels(*pins), accelerator) == ()


def test_the_newest_release_in_the_wheels_counts() -> None:
    assert (
        cuda_release_of(wheels("nvidia-cublas-cu12==12.8.4", "nvidia-cuda-runtime-cu12==12.10.1")) == "12.10"
    )
