"""Docker's half of the comparison: BuildKit and uv on a local base, pushed to a registry on loopback.

Everything that can be warm is: the base is in the engine and in the registry, the wheels are already in the
build context's cache, uv reads them from disk, nothing is resolved.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.places import BENCH, SUITE, WHEELS
from benchmarks.wheels61 import LOCK
from services.docker import docker_engine
from services.process import Tool, require
from services.registry import image_registry

_DOCKERFILE = """\
FROM bench-base
RUN --mount=type=bind,source=wheels,target=/wheels \\
    uv pip install --quiet --python /opt/venv/bin/python --offline --no-cache --no-index --no-deps \\
    --link-mode copy {bytecode} --find-links /wheels --requirements /wheels/requirements.txt
COPY main.py /app/main.py
ENV PATH=/opt/venv/bin:/usr/bin:/bin
WORKDIR /app
"""
_BASE = """\
FROM scratch
ADD root.tar /
COPY uv /usr/local/bin/uv
RUN uv venv --quiet --python /usr/bin/python3 /opt/venv
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerSide:
    """A running engine with the base in it, and the registry it pushes to."""

    docker: Tool
    registry: str
    folder: Path

    def image(self, *, bytecode: bool) -> str:
        return f"{self.registry}/bench:{'bytecode' if bytecode else 'plain'}"

    def build(self, *, bytecode: bool, warm: bool = False) -> float:
        """Seconds of `docker build`; `warm` lets it reuse what it built before."""
        dockerfile = self.folder / f"Dockerfile.{bytecode}"
        dockerfile.write_text(_DOCKERFILE.format(bytecode="--compile-bytecode" if bytecode else ""))
        fresh = () if warm else ("--no-cache",)
        began = time.perf_counter()
        name = self.image(bytecode=bytecode)
        self.docker("build", "--network", "none", *fresh, "--tag", name, "--file", dockerfile, self.folder)
        return time.perf_counter() - began

    def push(self, *, bytecode: bool) -> float:
        """Seconds of `docker push`, which is when Docker compresses and hashes."""
        began = time.perf_counter()
        self.docker("push", "--quiet", self.image(bytecode=bytecode))
        return time.perf_counter() - began


@contextmanager
def docker_side() -> Iterator[DockerSide]:
    """An engine of our own with the default network, ready to be measured."""
    folder = _context()
    with docker_engine(bridge=True) as docker, image_registry() as registry:
        docker("build", "--tag", "bench-base", "--file", folder / "base/Dockerfile", folder / "base")
        docker("tag", "bench-base", f"{registry}/bench:base")
        docker("push", "--quiet", f"{registry}/bench:base")
        yield DockerSide(docker=docker, registry=registry, folder=folder)


def _context() -> Path:
    folder = BENCH / "docker"
    (folder / "wheels").mkdir(parents=True, exist_ok=True)
    for wheel in WHEELS.glob("*.whl"):
        if not (folder / "wheels" / wheel.name).exists():
            shutil.copy(wheel, folder / "wheels" / wheel.name)
    shutil.copy(LOCK, folder / "wheels/requirements.txt")
    (folder / "main.py").write_text('print("hello")\n')
    make_base()
    return folder


def make_base() -> Path:
    """The build context of a base image: Debian with Python, uv and an empty environment."""
    folder = BENCH / "docker/base"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Dockerfile").write_text(_BASE)
    _copy_uv(folder / "uv")
    if not (root := folder / "root.tar").exists():
        make_root(root, "python3,libgomp1,libstdc++6,ca-certificates")
    return folder


def _copy_uv(target: Path) -> None:
    from uv import find_uv_bin

    shutil.copy(find_uv_bin(), target)


def make_root(target: Path, packages: str) -> None:
    """A minimal Debian with `packages`, from the mirror mmdebstrap knows."""
    part = target.with_suffix(".part.tar")
    command = [require("mmdebstrap", "mmdebstrap"), "--quiet", "--variant=minbase", f"--include={packages}"]
    subprocess.run([*command, SUITE, str(part)], check=True, stdin=subprocess.DEVNULL)
    part.rename(target)
