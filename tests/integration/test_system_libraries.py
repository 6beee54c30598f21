"""It runs, not only builds: packages are added for what wheels need, and the tables agree with the world."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lading.cli.building import build_context
from lading.cli.session import Session
from lading.image.needs import read_needs
from lading.image.target import open_sources
from lading.lock.debian import read_suites
from lading.lock.libraries import (
    BASE_LIBRARIES,
    COMMON_LIBRARIES,
    is_self_contained,
    optional_purpose,
)
from lading.lock.make import make_lock
from lading.lock.needs import outside_needs
from lading.project.load import load_project
from lading.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.network]

REPOSITORY = Path(__file__).parent.parent.parent
_LARGEST_BYTES = 20 << 20
SELF_CONTAINED = (
    "contourpy", "cryptography", "grpcio", "h5py", "kiwisolver", "lxml", "matplotlib", "numexpr",
    "numpy", "onnx", "orjson", "pandas", "pillow", "psutil", "psycopg2-binary", "pydantic-core",
    "pyyaml", "regex", "safetensors", "scikit-learn", "sentencepiece", "shapely", "sqlalchemy",
    "statsmodels", "tiktoken", "tokenizers",
)  # fmt: skip


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {**os.environ, "LADING_HOME": str(tmp_path_factory.mktemp("home"))}


def lading(environment: dict[str, str], folder: Path, *arguments: str) -> str:
    program = Path(sys.executable).parent / "lading"
    result = subprocess.run(
        [program, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=900
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize(("suite", "glib"), [("bookworm", "libglib2.0-0"), ("trixie", "libglib2.0-0t64")])
def test_opencv_runs_with_nothing_configured(
    tmp_path: Path, environment: dict[str, str], suite: str, glib: str
) -> None:
    """examples/vision as it is: cv2 is there, an sdist built, the plan says why; serving got nothing."""
    folder = tmp_path / "vision"
    shutil.copytree(
        REPOSITORY / "examples/vision", folder, ignore=shutil.ignore_patterns("out", "lading.lock")
    )
    with (folder / "lading.toml").open("a") as file:
        file.write(f'image.base = "debian:{suite}"\n')
    assert "the leftmost at (16, 16)" in lading(environment, folder, "run")
    planned: dict[str, Any] = json.loads(lading(environment, folder, "plan", "--json"))
    assert planned["lock_fits"]
    because = {one["name"]: one["because"] for one in planned["added"]}
    assert {"libgl1", glib} <= because.keys()
    assert because["libgl1"].startswith("opencv-python needs libGL.so.1 (opencv_python.libs/")
    served = json.loads(lading(environment, folder, "plan", "--target", "serve", "--json"))
    assert served["added"] == []
    assert all(layer["kind"] != "apt" for layer in served["layers"])
    with (folder / "lading.toml").open("a") as file:
        file.write("image.add_packages = false\n")
    assert json.loads(lading(environment, folder, "plan", "--json"))["added"] == []


def test_the_table_of_common_libraries_is_what_the_index_says(environment: dict[str, str]) -> None:
    store = Store.open(environment)
    suites = read_suites(suite="bookworm", architecture="amd64", store=store, environment=environment)
    index = suites.read_libraries()
    assert index is not None
    for soname, packages in {**COMMON_LIBRARIES, **{s: (p,) for s, p in BASE_LIBRARIES.items()}}.items():
        if "aarch64" in soname or soname == "libgomp.so.1.0.0":
            continue
        shipped = {one.package for one in index.shipping(soname)}
        assert shipped & set(packages), soname


def test_self_contained_wheels_are_so(tmp_path: Path, environment: dict[str, str]) -> None:
    """Today's releases, up to 20 MB each: what the table spares reading would have added nothing."""
    (tmp_path / "requirements.txt").write_text("\n".join(SELF_CONTAINED))
    (tmp_path / "train.py").write_text("")
    (tmp_path / "lading.toml").write_text('image.base = "debian:bookworm"\n')
    assert all(map(is_self_contained, SELF_CONTAINED))
    store = Store.open(environment)
    project = load_project(tmp_path, environment=environment)
    lock = make_lock(project, store, environment)
    wheels = tuple(
        wheel
        for wheel in lock.variants[0].wheels
        if is_self_contained(wheel.name) and wheel.size_bytes <= _LARGEST_BYTES
    )
    session = Session(environment=environment, stdout=sys.stdout, stderr=sys.stderr)
    context = build_context(session, argparse.Namespace(allow_unisolated_builds=False))
    with open_sources(project, context, offline=False) as sources:
        found = read_needs(wheels, store=store, open_wheel=sources.open_wheel)
    unmet = [
        need
        for need in outside_needs({wheel.name: found[wheel.sha256] for wheel in wheels})
        if need.soname not in BASE_LIBRARIES and optional_purpose(need.wheel, need.soname) is None
    ]
    assert unmet == []
