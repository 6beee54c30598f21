"""Real wheels, each with a quirk, are accepted strictly and installed as uv installs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from trees import differences, install_with_uv

from lading.fetch.source import LocalFile
from lading.image.wheel.install import verify_wheel

QUIRKS = {
    "numpy": "folder entries, .dist-info before the end",
    "protobuf": "every member has mode 0777",
    "setuptools": "brings INSTALLER, REQUESTED and a .pth file with an import line",
    "pip": "scripts that name a Python version",
    "ruff": "a binary in .data/scripts",
    "jedi": "five thousand members",
    "ipykernel": "files in .data/data",
    "pydantic-core": "made by a Rust ZIP writer",
    "greenlet": "headers",
    "nvidia-nvtx-cu12": "shared objects in a wheel that calls itself pure",
}


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize("project", QUIRKS)
def test_real_wheels_are_installed_as_uv_installs_them(project: str, tmp_path: Path) -> None:
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*download, "--dest", str(tmp_path), project], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    tree = install_with_uv(wheel, tmp_path / "venv")
    with LocalFile(wheel) as source:
        install = verify_wheel(source, wheel.name, tree.prefix)
    assert differences(tree, install) == {
        ("REQUESTED", "only uv"),
        ("direct_url.json", "only uv"),
        ("uv_cache.json", "only uv"),
        ("INSTALLER", "other content"),
        ("RECORD", "other content"),
    }
