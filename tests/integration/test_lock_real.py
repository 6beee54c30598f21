"""Locks against the real package index and the real Debian mirror."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lading.fetch.http import Fetcher
from lading.lock.lockfile import lock_identity, read_lock, write_lock
from lading.lock.make import check_lock, make_lock
from lading.lock.sources import open_wheel
from lading.project.load import load_project
from lading.project.model import Project
from lading.store import Store

pytestmark = pytest.mark.network


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "LADING_HOME": str(tmp_path / "home")}


@pytest.fixture
def store(environment: dict[str, str]) -> Store:
    return Store.open(environment)


def project_in(root: Path, environment: dict[str, str], requirements: str, config: str = "") -> Project:
    root.mkdir(parents=True)
    (root / "requirements.txt").write_text(requirements)
    (root / "train.py").write_text("print('trained')\n")
    (root / "lading.toml").write_text(f'[image]\npython = "3.11"\nbase = "debian:bookworm"\n{config}')
    return load_project(root, environment=environment)


def test_a_lock_is_made_kept_and_found_fitting(
    tmp_path: Path, environment: dict[str, str], store: Store
) -> None:
    project = project_in(tmp_path / "p", environment, "scikit-learn<1.8\n")
    lock = make_lock(project, store, environment)
    assert read_lock(write_lock(lock), "lading.lock") == lock
    assert check_lock(project, lock) is None
    variant = lock.variants[0]
    assert variant.interpreter.provider == "debian"
    assert variant.interpreter.build.startswith("3.11.2-")
    assert {"python3.11-minimal", "libc6", "ca-certificates"} <= {one.name for one in variant.packages}
    assert {"scikit-learn", "numpy"} <= set(variant.targets["train"].wheels)
    assert "onnxruntime" in variant.targets["serve"].wheels
    assert "scikit-learn" not in variant.targets["serve"].wheels

    looser = project_in(tmp_path / "q", environment, "scikit-learn\n")
    assert check_lock(looser, lock) == "what the project asks for changed since it was locked"
    assert "cuda" in (check_lock(project, lock, accelerators=("cuda",)) or "")
    kept = make_lock(looser, store, environment, previous=lock, offline=True)
    assert kept.variants == lock.variants
    upgraded = make_lock(looser, store, environment, previous=lock, upgrade=("scikit-learn",))
    before = {wheel.name: wheel.version for wheel in lock.variants[0].wheels}
    after = {wheel.name: wheel.version for wheel in upgraded.variants[0].wheels}
    assert after["scikit-learn"] != before["scikit-learn"]
    assert after["numpy"] == before["numpy"]


_MAKE = """
import os, sys
from pathlib import Path
from lading.lock.lockfile import write_lock
from lading.lock.make import make_lock
from lading.project.load import load_project
from lading.store import Store
os.umask(int(sys.argv[2], 8))
project = load_project(Path(sys.argv[1]), environment=os.environ)
sys.stdout.write(write_lock(make_lock(project, Store.open(os.environ), os.environ)))
"""


def test_the_lock_does_not_depend_on_the_laptop(tmp_path: Path, environment: dict[str, str]) -> None:
    """Another home, locale, time zone, umask, folder and a cold store: the same text."""
    project_in(tmp_path / "one", environment, "scikit-learn\nrequests\n")
    project_in(tmp_path / "an/other place", environment, "scikit-learn\nrequests\n")
    (tmp_path / "h").mkdir()
    odd = {
        "LADING_HOME": str(tmp_path / "home2"),
        "HOME": str(tmp_path / "h"),
        "TZ": "Pacific/Kiritimati",
        "LC_ALL": "C",
        "PYTHONHASHSEED": "1",
        "UV_CACHE_DIR": str(tmp_path / "uv"),
    }
    texts = [
        subprocess.run(
            [sys.executable, "-c", _MAKE, str(tmp_path / folder), umask],
            env={**environment, **more},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for folder, umask, more in (("one", "022", {}), ("an/other place", "077", odd))
    ]
    assert texts[0] == texts[1]
    assert texts[0].startswith("# made by lading")


def test_every_accelerator_and_platform_is_locked(
    tmp_path: Path, environment: dict[str, str], store: Store
) -> None:
    """The cpu variant takes a `+cpu` build from a wheel folder, the cuda variant the index's build."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    _stand_in_torch(folder)
    environment = {**environment, "UV_FIND_LINKS": str(folder)}
    project = project_in(
        tmp_path / "p",
        environment,
        "torch\n",
        'accelerator = ["cpu", "cuda"]\nplatform = ["linux/amd64", "linux/arm64"]\n',
    )
    notes: list[str] = []
    lock = make_lock(project, store, environment, note=notes.append)
    assert [(one.accelerator, one.platform) for one in lock.variants] == [
        ("cpu", "linux/amd64"),
        ("cpu", "linux/arm64"),
        ("cuda", "linux/amd64"),
        ("cuda", "linux/arm64"),
    ]
    found = {
        (one.accelerator, one.platform): next(wheel for wheel in one.wheels if wheel.name == "torch")
        for one in lock.variants
    }
    assert found["cpu", "linux/amd64"].version == "2.13.0+cpu"
    assert found["cpu", "linux/amd64"].url is None
    cuda = found["cuda", "linux/amd64"]
    assert "+cpu" not in cuda.version
    assert cuda.size_bytes > 300 << 20
    assert found["cuda", "linux/arm64"].filename.endswith("_aarch64.whl")
    assert any("torch 2.13.0+cpu was taken from a wheel folder" in note for note in notes)
    assert lock_identity(lock) == lock_identity(read_lock(write_lock(lock), "lading.lock"))

    fetcher = Fetcher(staging=store.staging, environment=environment)
    with contextlib.closing(
        open_wheel(cuda, store=store, fetcher=fetcher, environment=environment, folder=project.root)
    ) as source:
        assert b"PK\x05\x06" in bytes(source.read(source.size_bytes - 200, 200))
        assert bytes(source.read(0, 4)) == b"PK\x03\x04"
    fetcher.close()


def _stand_in_torch(folder: Path) -> None:
    """Only its name, tag and metadata count here."""
    info = "torch-2.13.0+cpu.dist-info"
    with zipfile.ZipFile(folder / "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl", "w") as archive:
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: torch\nVersion: 2.13.0+cpu\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: false\n")
        archive.writestr(f"{info}/RECORD", "")


def test_a_python_the_suite_lacks_is_a_standalone_build_or_a_clear_error(
    tmp_path: Path, environment: dict[str, str], store: Store
) -> None:
    """Where the release host is out of reach, the error names it and not the project."""
    from lading.errors import FetchFailed

    root = tmp_path / "p"
    project_in(root, environment, "six\n")
    (root / "lading.toml").write_text('[image]\npython = "3.12"\nbase = "debian:bookworm"\n')
    project = load_project(root, environment=environment)
    try:
        lock = make_lock(project, store, environment)
    except FetchFailed as error:
        assert "SHA256SUMS" in str(error)
    else:
        interpreter = lock.variants[0].interpreter
        assert interpreter.provider == "standalone"
        assert interpreter.sha256 is not None
        assert interpreter.build.startswith("cpython-3.12.")
