"""Many builds at once on one store, and one build twice."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lading.store import Store
from lading.store.verify import verify
from services.process import Tool

pytestmark = [pytest.mark.slow, pytest.mark.network]

PROJECTS = {
    "alone": "idna\nsix\n",
    "more": "idna\nsix\npackaging\n",
    "others": "tqdm\npackaging\n",
    "large": "networkx\nidna\n",
}
"""They share some wheels, and `large` has a layer of its own for one."""
SAME = 22
"""Builds of one project among all."""
ALL = 40


@pytest.fixture(scope="module")
def projects(lading: Tool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Four locked projects, and `store` with base and interpreter but none of their layers."""
    folder = tmp_path_factory.mktemp("together")
    settings = '[image]\npython = "3.11"\nbase = "debian:bookworm"\nbytecode = false\n'
    for name, requirements in {"bare": "", **PROJECTS}.items():
        (folder / name).mkdir()
        (folder / name / "lading.toml").write_text(settings)
        (folder / name / "requirements.txt").write_text(requirements)
        (folder / name / "main.py").write_text(f'print("{name}")\n')
    lading("build", folder / "bare")
    for name in PROJECTS:
        lading("lock", folder / name)
    home = Path(lading.env["LADING_HOME"])
    unwanted = shutil.ignore_patterns("trees", "containers", "ledger*", "sha256")
    shutil.copytree(home, folder / "store", symlinks=True, ignore=unwanted)
    shutil.copytree(home / "blobs/sha256", folder / "store/blobs/sha256", copy_function=os.link)
    yield folder
    shutil.rmtree(folder)


def build(project: Path, store: Path, *options: str) -> str:
    """The image's digest."""
    command = [str(Path(sys.executable).parent / "lading"), "build", "--json", "--locked", *options]
    env = {**os.environ, "LADING_HOME": str(store)}
    done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    digest: str = json.loads(done.stdout)["digest"]
    return digest


@pytest.mark.catalogue("S29")
def test_forty_builds_at_once_are_all_right_and_each_blob_is_there_once(
    projects: Path, tmp_path: Path
) -> None:
    """Twenty-two of one project, eighteen of three that share layers with it: as if one after the other."""
    apart, together = tmp_path / "apart", tmp_path / "together"
    for home in (apart, together):
        shutil.copytree(projects / "store", home, symlinks=True)
    expected = {name: build(projects / name, apart) for name in PROJECTS}
    others = [name for name in PROJECTS if name != "more"]
    names = ["more"] * SAME + [others[number % len(others)] for number in range(ALL - SAME)]
    with ThreadPoolExecutor(ALL) as pool:
        digests = list(pool.map(lambda name: build(projects / name, together, "--workers", "1"), names))
    assert digests == [expected[name] for name in names]
    store = Store.open({"LADING_HOME": str(together)})
    assert layers_in(store) == layers_in(Store.open({"LADING_HOME": str(apart)}))
    assert list(store.staging.iterdir()) == []
    assert verify(store).damages == ()


def layers_in(store: Store) -> list[str]:
    """All blobs that are no JSON: manifests the digests speak for, and provenance says when it was made."""
    return sorted(digest for digest in store.blobs if next(store.blobs.chunks(digest))[:1] != b"{")


@pytest.mark.catalogue("D01", "D07")
def test_a_build_proves_itself_by_being_done_twice(projects: Path, tmp_path: Path) -> None:
    """--prove writes every layer again and compares; cold or warm, the digest is one."""
    shutil.copytree(projects / "store", tmp_path / "store", symlinks=True)
    cold = build(projects / "large", tmp_path / "store")
    assert build(projects / "large", tmp_path / "store", "--prove") == cold
