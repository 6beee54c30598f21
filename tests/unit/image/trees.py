"""What uv installs from a wheel, and how that differs from what lading plans to install."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from lading.image.wheel.install import Prefix, WheelInstall


@dataclass(frozen=True)
class InstalledTree:
    root: Path
    prefix: Prefix
    files: dict[str, tuple[int, str]]
    """Path in the image → (mode, sha256) of every file that the installation added."""


def install_with_uv(wheel: Path, root: Path) -> InstalledTree:
    """Install `wheel` into a new virtual environment at `root`, without network, cache or configuration."""
    uv = [str(Path(sys.executable).with_name("uv")), "--offline", "--no-cache", "--quiet"]
    environment = {**os.environ, "UV_NO_CONFIG": "1"}
    subprocess.run([*uv, "venv", "--python", sys.executable, str(root)], check=True, env=environment)
    before = set(root.rglob("*"))
    install = ["pip", "install", "--no-deps", "--link-mode", "copy", "--python", str(root / "bin" / "python")]
    subprocess.run([*uv, *install, str(wheel)], check=True, env=environment)
    added = [path for path in set(root.rglob("*")) - before if path.is_file() and path != root / ".lock"]
    return InstalledTree(
        root=root,
        prefix=Prefix(
            python_version=f"{sys.version_info.major}.{sys.version_info.minor}", root=str(root).lstrip("/")
        ),
        files={
            str(path).lstrip("/"): (
                stat.S_IMODE(path.stat().st_mode),
                hashlib.sha256(path.read_bytes()).hexdigest(),
            )
            for path in added
        },
    )


def differences(tree: InstalledTree, install: WheelInstall) -> set[tuple[str, str]]:
    """(file, how) for each path not equal in both; a file of .dist-info by its last part, others in full."""
    ours = {file.path: (file.mode, file.sha256) for file in install.files}
    found = set()
    for path in ours.keys() | tree.files.keys():
        if path not in ours:
            how = "only uv"
        elif path not in tree.files:
            how = "only lading"
        elif ours[path][1] != tree.files[path][1]:
            how = "other content"
        elif ours[path] != tree.files[path]:
            how = "other mode"
        else:
            continue
        found.add((path.rpartition("/")[2] if ".dist-info/" in path else path, how))
    return found
