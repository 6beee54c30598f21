"""Small packages without wheels, as archives, folders and repositories."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

from services.process import run

EXTENSION = """#include <Python.h>
static PyObject *answer(PyObject *self, PyObject *none) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "demo_extension", NULL, -1, methods};
PyMODINIT_FUNC PyInit_demo_extension(void) { return PyModule_Create(&module); }
"""
SETUP_EXTENSION = """from setuptools import Extension, setup
setup(name="demo-extension", version="1.5", ext_modules=[Extension("demo_extension", ["extension.c"])])
"""
SETUP_TORCH = """import torch
from setuptools import setup
open("demo_kernels.py", "w").write("BUILT_WITH = %r\\n" % torch.__version__)
setup(name="demo-kernels", version="2.0", py_modules=["demo_kernels"])
"""


def sdist(folder: Path, name: str, version: str, files: dict[str, str]) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for member, text in files.items():
            info = tarfile.TarInfo(f"{name}-{version}/{member}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return path


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main")
    command = ["git", *identity, "-C", str(folder), *words]
    return run(command, env=os.environ, timeout_seconds=60).stdout.strip()


def library(folder: Path, name: str, value: str) -> Path:
    module = name.replace("-", "_")
    folder.mkdir()
    (folder / f"{module}.py").write_text(f"VALUE = {value!r}\n")
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools>=64"]\nbuild-backend = "setuptools.build_meta"\n'
        f'[project]\nname = "{name}"\nversion = "1.0"\n[tool.setuptools]\npy-modules = ["{module}"]\n'
    )
    return folder
