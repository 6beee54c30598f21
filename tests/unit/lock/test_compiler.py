"""triton brings the compiler it calls to the images that train, and to no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lading.lock.compiler import compiler_packages
from lading.lock.model import LockedInterpreter
from lock.index import make_project

DEBIAN = LockedInterpreter(
    provider="debian", version="3.11", build="3.11.2-6", executable="/usr/bin/python3.11"
)
STANDALONE = LockedInterpreter(
    provider="standalone", version="3.12", build="x", executable="/usr/local/bin/python3.12"
)
HELD = {"train": ("torch", "triton"), "dev": ("torch", "triton"), "serve": ("onnxruntime",)}


def test_targets_that_train_get_a_compiler_and_pythons_headers(tmp_path: Path) -> None:
    added = compiler_packages(make_project(tmp_path), "cuda", DEBIAN, dict(HELD))
    assert [one.name for one in added] == ["gcc", "libc6-dev", "libpython3.11-dev"]
    assert {(one.because, one.targets) for one in added} == {("triton compiles kernels", ("dev", "train"))}


def test_a_standalone_python_has_its_headers_with_it(tmp_path: Path) -> None:
    added = compiler_packages(make_project(tmp_path), "cu126", STANDALONE, dict(HELD))
    assert [one.name for one in added] == ["gcc", "libc6-dev"]


def test_serving_images_get_none_even_with_triton_in_them(tmp_path: Path) -> None:
    assert compiler_packages(make_project(tmp_path), "cuda", DEBIAN, {"serve": ("triton",)}) == ()


@pytest.mark.parametrize(
    ("accelerator", "held", "image"),
    [
        ("cpu", ("triton",), {}),
        ("cuda", ("torch",), {}),
        ("cuda", ("tritonclient",), {}),
        ("cuda", ("triton",), {"flavour": "minimal"}),
        ("cuda", ("triton",), {"add_packages": False}),
    ],
)
def test_what_has_no_use_for_a_compiler_gets_none(
    tmp_path: Path, accelerator: str, held: tuple[str, ...], image: dict[str, Any]
) -> None:
    project = make_project(tmp_path, **image)
    assert compiler_packages(project, accelerator, DEBIAN, {"train": held}) == ()
