"""examples/gpu: locked and planned with the real index's CUDA build of torch, without fetching a wheel, and
trained on the CPU, with the CPU's build of torch, as it would be on a host without a GPU.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from nvidia_host import make_host

pytestmark = [pytest.mark.slow, pytest.mark.network]

EXAMPLE = Path(__file__).parent.parent.parent / "examples/gpu"
LADING = (sys.executable, "-c", "from lading.cli.main import main; main()")


class Project:
    """A copy of the example with a store of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder / "gpu", folder / "home"
        shutil.copytree(EXAMPLE, self.folder)

    def __call__(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*LADING, *arguments],
            cwd=self.folder,
            env={**os.environ, "LADING_HOME": str(self.home), **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def document(self, *arguments: str, **variables: str) -> Any:
        done = self(*arguments, "--json", **variables)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def largest_blob_bytes(self) -> int:
        blobs = self.home / "blobs/sha256"
        return max((path.stat().st_size for path in blobs.rglob("*") if path.is_file()), default=0)


def write_triton(folder: Path) -> None:
    """A wheel of that name and nothing in it: the compiler comes for the name in the lock."""
    info = "triton-0.0.1.dist-info"
    files = {
        "triton.py": b"",
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: triton\nVersion: 0.0.1\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{name},sha256={_hash(content)},{len(content)}\n" for name, content in files.items()]
    files[f"{info}/RECORD"] = "".join([*rows, f"{info}/RECORD,,\n"]).encode()
    folder.mkdir()
    with zipfile.ZipFile(folder / "triton-0.0.1-py3-none-any.whl", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def _hash(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_two_lines_lock_and_plan_torch_with_cuda_and_fetch_no_wheel(project: Project, tmp_path: Path) -> None:
    assert len((EXAMPLE / "lading.toml").read_text().splitlines()) == 2
    old = str(make_host(tmp_path / "old", "470.256.02"))
    plan = project.document("plan", LADING_NVIDIA_ROOT=old)
    assert plan["cuda"]["driver_floor"] in ("525", "580")
    assert plan["cuda"]["host_fits"] is False
    assert plan["labels"]["dev.lading.cuda"] == plan["cuda"]["version"]
    assert plan["env"]["NVIDIA_DRIVER_CAPABILITIES"] == "compute,utility"
    assert plan["fetch_bytes"] > 1 << 30
    assert project("lock").returncode == 0
    said = project("plan").stdout
    assert "triton compiles kernels" in said
    refused = project("run", LADING_NVIDIA_ROOT=old)
    assert (refused.returncode, "this host has 470.256.02" in refused.stderr) == (3, True), refused.stderr
    assert project.largest_blob_bytes() < 1 << 20
    serve = project.document("plan", "--target", "serve")
    assert serve["cuda"] is None
    assert "NVIDIA_VISIBLE_DEVICES" not in serve["env"]


def test_it_trains_on_the_cpu_where_there_is_no_gpu(project: Project) -> None:
    (project.folder / "lading.toml").write_text('[image]\npython = "3.11"\naccelerator = "cpu"\n')
    (project.folder / "requirements.txt").write_text("torch==2.13.0+cpu\n")
    done = project("run")
    assert done.returncode == 0, done.stderr
    assert "cpu: accuracy" in done.stdout
    metrics = json.loads((project.folder / "out/metrics.json").read_text())
    assert metrics["accuracy"] > 0.9


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_the_compiler_that_triton_brings_compiles_against_pythons_headers(
    project: Project, tmp_path: Path, suite: str
) -> None:
    """What triton does for each kernel: a shared library that includes Python.h, loaded again."""
    write_triton(tmp_path / "wheels")
    (project.folder / "lading.toml").write_text(f'[image]\naccelerator = "cuda"\nbase = "debian:{suite}"\n')
    (project.folder / "requirements.txt").write_text("triton==0.0.1\n")
    (project.folder / "probe.py").write_text(PROBE)
    done = project("run", "--", "python", "probe.py", UV_FIND_LINKS=str(tmp_path / "wheels"))
    assert (done.returncode, done.stdout) == (0, "42\n"), done.stderr


PROBE = """
import os, subprocess, sys, sysconfig
os.chdir("/tmp")
with open("launcher.c", "w") as file:
    file.write('''
#include <Python.h>
static PyObject *answer(PyObject *self, PyObject *arguments) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "launcher", NULL, -1, methods};
PyMODINIT_FUNC PyInit_launcher(void) { return PyModule_Create(&module); }
''')
headers = sysconfig.get_paths()["include"]
command = ["gcc", "launcher.c", "-O3", "-shared", "-fPIC", "-o", "launcher.so", "-I" + headers]
subprocess.run(command, check=True)
sys.path.insert(0, ".")
import launcher
print(launcher.answer())
"""
