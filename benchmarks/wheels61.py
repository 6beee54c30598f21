"""The benchmark set: 61 wheels for Python 3.11 on Linux, pinned and hashed, fetched once.

The set is torch for CPU, scikit-learn, pandas, onnxruntime, fastapi, mlflow-skinny and their needs. torch's
CPU build is on no default index: name a folder or page that has it in PIP_FIND_LINKS.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.places import PYTHON_VERSION, WHEELS

LOCK = Path(__file__).parent / "wheels61.txt"
_REQUIREMENTS = Path(__file__).parent / "wheels61.in"
_PLATFORMS = (
    *(f"manylinux_2_{minor}_x86_64" for minor in range(36, 16, -1)),  # Debian 12 has glibc 2.36
    *("manylinux2014_x86_64", "any"),
)
"""Best first, as a resolver ranks them: the files on disk are then the ones that a lock names."""
_COUNT = 61


def fetch_wheels(folder: Path = WHEELS) -> list[Path]:
    """All 61 wheels, sorted by name; downloads what is missing."""
    if len(wheels := sorted(folder.glob("*.whl"))) != _COUNT:
        download_wheels("--no-deps", "--require-hashes", "-r", str(LOCK), folder=folder)
        wheels = sorted(folder.glob("*.whl"))
    if len(wheels) != _COUNT:
        raise SystemExit(f"{folder} holds {len(wheels)} wheels instead of {_COUNT}")
    return wheels


def fetch_cuda_torch(folder: Path) -> Path:
    """torch's CUDA wheel, over 500 MB, without what it depends on."""
    if not (wheels := sorted(folder.glob("torch-*.whl"))):
        clean = {name: value for name, value in os.environ.items() if name != "PIP_FIND_LINKS"}
        download_wheels("--no-deps", "torch===2.13.0", folder=folder, env={**clean, "PIP_FIND_LINKS": ""})
        wheels = sorted(folder.glob("torch-*.whl"))
    return wheels[0]


def fetch_cuda_closure(folder: Path) -> list[Path]:
    """torch's CUDA wheel and everything it depends on: about 3 GB.

    `===` compares letters: a build for CPU in PIP_FIND_LINKS is `2.13.0` too, by any other comparison.
    """
    done = folder / "complete"
    if not done.exists():
        download_wheels("torch===2.13.0", folder=folder, env={**os.environ, "PIP_FIND_LINKS": ""})
        done.touch()
    return sorted(folder.glob("*.whl"))


def download_wheels(*arguments: str, folder: Path, env: dict[str, str] | None = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary", ":all:"]
    command += ["--python-version", PYTHON_VERSION, "--implementation", "cp", "--dest", str(folder)]
    for abi in ("cp311", "abi3", "none"):
        command += ["--abi", abi]
    for platform in _PLATFORMS:
        command += ["--platform", platform]
    subprocess.run([*command, *arguments], check=True, env=env)


def _relock() -> None:
    command = [
        str(Path(sys.executable).parent / "uv"),
        "pip",
        "compile",
        "--quiet",
        "--no-build",
        "--upgrade",
    ]
    command += ["--python-version", PYTHON_VERSION, "--python-platform", "x86_64-manylinux_2_28"]
    command += ["--generate-hashes", "--no-header", "--no-annotate", "--output-file", str(LOCK)]
    links = os.environ.get("UV_FIND_LINKS") or os.environ.get("PIP_FIND_LINKS") or ""
    subprocess.run([*command, str(_REQUIREMENTS)], check=True, env={**os.environ, "UV_FIND_LINKS": links})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--relock", action="store_true", help="newest versions into wheels61.txt")
    if parser.parse_args().relock:
        _relock()
    wheels = fetch_wheels()
    megabytes = sum(wheel.stat().st_size for wheel in wheels) / 1e6
    print(f"{len(wheels)} wheels, {megabytes:.0f} MB, in {WHEELS}")


if __name__ == "__main__":
    main()
