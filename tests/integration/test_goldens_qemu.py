"""The layer writer's golden digests on other processors, under Debian's qemu.

isal and libdeflate choose their code by what the processor can do. Layers must not show which it was.
"""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import pytest

from lading.image.layer.recipe import FORMAT
from services.process import Tool, require, run

REPOSITORY = Path(__file__).parent.parent.parent
SCRIPT = REPOSITORY / "tests/golden/layers.py"
EXPECTED = json.loads((REPOSITORY / f"tests/golden/format-{FORMAT}.json").read_text())

pytestmark = pytest.mark.slow


def golden_under(command: tuple[str, ...], store: Path, env: dict[str, str]) -> object:
    """What the script says when the processor is what `command` makes it."""
    done = run([*command, str(SCRIPT), str(store)], env={"PATH": "/usr/bin:/bin", **env}, timeout_seconds=300)
    return json.loads(done.stdout)


@pytest.mark.catalogue("D14")
def test_native(tmp_path: Path) -> None:
    """This machine's processor gives the golden digests."""
    assert golden_under((sys.executable,), tmp_path / "store", {}) == EXPECTED


@pytest.mark.catalogue("D14")
@pytest.mark.engines
@pytest.mark.parametrize("processor", ["qemu64", "Nehalem", "Haswell"])
def test_x86_models(processor: str, tmp_path: Path) -> None:
    """An x86 without AVX, one from 2008 and one with AVX2 give the golden digests."""
    command = (require("qemu-x86_64-static", "qemu-user-static"), "-cpu", processor, sys.executable)
    assert golden_under(command, tmp_path / "store", {}) == EXPECTED


@pytest.fixture(scope="session")
def arm64_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Debian's Python for arm64, unpacked only: no maintainer script runs, so no emulation is registered."""
    root = tmp_path_factory.mktemp("arm64") / "root"
    mmdebstrap = Tool(prefix=(require("mmdebstrap", "mmdebstrap"), "--quiet", "--architectures=arm64"))
    mmdebstrap("--variant=extract", "--include=python3", "bookworm", root)
    return root


@pytest.fixture(scope="session")
def arm64_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two compressors of the lock file, as wheels for arm64, unpacked side by side with lading."""
    folder = tmp_path_factory.mktemp("arm64-packages")
    pip = Tool(prefix=(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"))
    flags = ["--only-binary", ":all:", "--python-version", "3.11", "--implementation", "cp"]
    for abi in ("cp311", "abi3", "none"):
        flags += ["--abi", abi]
    for platform in ("manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "any"):
        flags += ["--platform", platform]
    locked = REPOSITORY / "requirements/runtime.txt"
    pip(*flags, "--requirement", locked, "--dest", folder / "wheels")
    for wheel in (folder / "wheels").glob("*.whl"):
        if wheel.name.startswith(("deflate-", "isal-", "packaging-", "tomli_w-", "requests-")):
            zipfile.ZipFile(wheel).extractall(folder)
    return folder


@pytest.mark.catalogue("D14")
@pytest.mark.engines
@pytest.mark.network
def test_arm64(arm64_root: Path, arm64_packages: Path, tmp_path: Path) -> None:
    """Another architecture's build of both compressors gives the golden digests."""
    emulator = require("qemu-aarch64-static", "qemu-user-static")
    command = (emulator, "-L", str(arm64_root), str(arm64_root / "usr/bin/python3.11"))
    env = {"PYTHONHOME": str(arm64_root / "usr"), "PYTHONPATH": f"{arm64_packages}:{REPOSITORY / 'src'}"}
    assert golden_under(command, tmp_path / "store", env) == EXPECTED
