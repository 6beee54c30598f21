"""A project that has an environment.yml and nothing else."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from bases import locked
from folder_server import folder_server

from services.process import Tool
from small_wheel import make_wheel

pytestmark = [pytest.mark.slow, pytest.mark.network]

ENVIRONMENT = """\
name: Reviews
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python=3.11
  - numpy
  - conda-forge::six=1.16=pyh6c4a22f_0
  - pyyaml>=6
  - mkl
  - pip
  - pip:
      - humanize>=4
"""
CODE = """\
import sys, humanize, numpy, six, yaml
print(sys.version_info[:2], six.__version__, yaml.safe_load("[1, 2]"), humanize.naturalsize(10**6))
print(numpy.arange(3).sum())
"""
CUDA = """\
channels: [pytorch, nvidia]
dependencies: [python=3.11, pytorch=2.9, pytorch-cuda=12.6, six]
"""
LINUX = "cp311-cp311-manylinux_2_28_x86_64"


def test_names_of_conda_and_its_pip_part_become_an_image_that_runs(lading: Tool, tmp_path: Path) -> None:
    """PyYAML has another name there, six a build string; mkl and pip are not for wheels."""
    project = tmp_path / "reviews"
    project.mkdir()
    (project / "environment.yml").write_text(ENVIRONMENT)
    (project / "train.py").write_text(CODE)
    said = lading("run", "--", "python", "train.py", cwd=project).stdout
    assert said.splitlines() == ["(3, 11) 1.16.0 [1, 2] 1.0 MB", "3"]
    assert locked(project)["target"]["train"]["wheels"] == ["humanize", "numpy", "pyyaml", "six"]


def test_its_cuda_is_locked_from_the_index_of_that_release(lading: Tool, tmp_path: Path) -> None:
    """PyTorch's index, with a folder a release; all else comes from the usual one."""
    project = tmp_path / "p"
    project.mkdir()
    (project / "environment.yml").write_text(CUDA)
    (project / "train.py").write_text("import torch, six\n")
    mirror = tmp_path / "mirror"
    for backend in ("cpu", "cu126", "cu128"):
        filename, content = make_wheel("torch", f"2.9.1+{backend}", tag=LINUX, requires=("six",))
        page = mirror / "whl" / backend / "torch"
        page.mkdir(parents=True)
        (page.parent / filename).write_bytes(content)
        link = f"../{filename.replace('+', '%2B')}#sha256={hashlib.sha256(content).hexdigest()}"
        (page / "index.html").write_text(f'<!DOCTYPE html><a href="{link}">{filename}</a>')
    with folder_server(mirror) as server:
        index = {"LADING_TORCH_INDEX": f"{server.url}/whl"}
        lading("lock", cwd=project, env=index)
        lading("build", cwd=project, env=index)
    variant = locked(project)
    assert variant["accelerator"] == "cu126"
    train = variant["target"]["train"]
    assert train["wheels"] == ["six", "torch"]
    assert train["cuda"]["version"] == "12.6"
    versions = {wheel["name"]: wheel["version"] for wheel in variant["wheel"]}
    assert versions["torch"] == "2.9.1+cu126"
    assert {path.split("/")[2] for path in server.asked if "/whl/" in path} == {"cu126"}
