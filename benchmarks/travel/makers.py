"""Who makes images: lading, and BuildKit in two Docker engines with the Dockerfile an expert would write.

Each maker has its own folder of code and requirements, brings what is in it to the registry under a tag, and
knows how to make its next build a cold one. Base, interpreter and wheels are there on all sides; nothing is
resolved but by `LadingMaker.lock`, which is timed apart.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from benchmarks.docker_side import make_base
from benchmarks.places import BENCH, PYTHON_VERSION, SUITE, TRIXIE, user_environment
from benchmarks.travel.hosts import patient
from benchmarks.travel.sets import WheelSet
from services.docker import docker_engine
from services.process import Tool
from services.trixie import CONTAINERD_STORE, context_path, make_trixie_root, trixie_docker

_DOCKERFILE = """\
FROM {base}
RUN --mount=type=bind,source=wheels,target=/wheels \\
    --mount=type=bind,source=requirements.txt,target=/requirements.txt \\
    --mount=type=cache,id={cache},target=/root/.cache/uv \\
    uv pip install --quiet --python /opt/venv/bin/python --offline --no-index --no-deps \\
    --link-mode copy {bytecode} --find-links /wheels --requirements /requirements.txt
ENV PATH=/opt/venv/bin:/usr/bin:/bin
WORKDIR /app
COPY {link} code /app
"""
_PROJECT = """\
[image]
python   = "{python}"
base     = "debian:{suite}"
"""


class Maker(Protocol):
    """Makes images of a folder and pushes them."""

    name: str
    repository: str

    def edit(self, code: str) -> None:
        """Another `main.py`."""

    def require(self, requirements: str) -> None:
        """Other requirements."""

    def make_cold(self) -> None:
        """Forget what was built, but for the base."""

    def push(self, tag: str, *, bytecode: bool = False, zstd: bool = False) -> None:
        """Build, and push to the repository under `tag`."""


@dataclass(kw_only=True)
class DockerMaker:
    """20.10 builds and then pushes; 26 does both in one, with `COPY --link` and layers of zstd."""

    name: str
    repository: str
    folder: Path
    docker: Tool
    modern: bool
    cache: int = 0
    cold: bool = False

    def edit(self, code: str) -> None:
        (self.folder / "code/main.py").write_text(code)

    def require(self, requirements: str) -> None:
        (self.folder / "requirements.txt").write_text(requirements)

    def make_cold(self) -> None:
        """An empty cache for uv and no layer; the wheels stay in the build context that the engine has."""
        self.cache += 1
        self.cold = True

    def push(self, tag: str, *, bytecode: bool = False, zstd: bool = False) -> None:
        text = _DOCKERFILE.format(
            base=f"{self.repository}:base",
            cache=f"uv{self.cache}",
            bytecode="--compile-bytecode" if bytecode else "",
            link="--link" if self.modern else "",
        )
        (self.folder / "Dockerfile").write_text(text)
        self.build(self.folder, tag)

    def build(self, folder: Path, tag: str) -> None:
        image = f"{self.repository}:{tag}"
        fresh = ("--no-cache",) if self.cold else ()
        self.cold = False
        if self.modern:
            form = "oci-mediatypes=true" if tag == "base" else "compression=zstd,oci-mediatypes=true"
            output = f"type=image,name={image},push=true,unpack={str(tag == 'base').lower()},{form}"
            place = context_path(folder.relative_to(BENCH).as_posix())
            more = ("--provenance=false", "--network", "none", *fresh, "--output", output)
            self.docker("buildx", "build", *more, place)
        else:
            self.docker("build", "--network", "none", *fresh, "--tag", image, folder)
            self.docker("push", "--quiet", image)


@contextmanager
def docker_maker(registry: str, wheels: WheelSet, *, modern: bool) -> Iterator[DockerMaker]:
    """An engine of our own with the base in it and in the registry."""
    number = "26" if modern else "20"
    folder = BENCH / f"travel/docker{number}"
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("wheels", "code"):
        (folder / name).mkdir(parents=True)
    for wheel in wheels.wheels():
        os.link(wheel, folder / "wheels" / wheel.name)
    base = make_base()
    engine = trixie_docker(make_trixie_root(TRIXIE), BENCH, CONTAINERD_STORE) if modern else docker_engine()
    with engine as docker:
        maker = DockerMaker(
            name="Docker 26 + buildx" if modern else "Docker 20.10",
            repository=f"{registry}/docker{number}",
            folder=folder,
            docker=patient(docker),
            modern=modern,
        )
        maker.build(base, "base")
        yield maker


@dataclass(kw_only=True)
class LadingMaker:
    """One project; cold is a store that has base and interpreter alone."""

    name: str = "lading"
    repository: str
    folder: Path
    wheels: WheelSet
    _warm: Path = field(init=False)

    def __post_init__(self) -> None:
        self._warm = self.folder / "store-base"

    def edit(self, code: str) -> None:
        (self.folder / "app/main.py").write_text(code)

    def require(self, requirements: str) -> None:
        (self.folder / "app/requirements.txt").write_text(requirements)

    def lock(self) -> None:
        self._lading("lock")

    def make_cold(self) -> None:
        shutil.rmtree(self.folder / "store", ignore_errors=True)
        shutil.copytree(self._warm, self.folder / "store", symlinks=True)

    def push(self, tag: str, *, bytecode: bool = False, zstd: bool = False) -> None:
        words = ["push", f"{self.repository}:{tag}", "--locked"]
        words += [] if bytecode else ["--no-bytecode"]
        self._lading(*words, *(["--compression", "zstd"] if zstd else []))

    def prepare(self) -> None:
        """A store with base, interpreter and their bytecode, and these in the registry too."""
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "app").mkdir(parents=True)
        (self.folder / "app/lading.toml").write_text(_PROJECT.format(python=PYTHON_VERSION, suite=SUITE))
        self.edit('print("hello")\n')
        self.require("")
        for bytecode in (True, False):
            words = [] if bytecode else ["--no-bytecode"]
            self._lading("push", f"{self.repository}:base", *words)
        (self.folder / "store").rename(self._warm)
        self.make_cold()

    def _lading(self, *words: str) -> None:
        clean = user_environment()
        links = ",".join(map(str, self.wheels.folders))
        subprocess.run(
            [str(Path(sys.executable).parent / "lading"), "--quiet", *words],
            cwd=self.folder / "app",
            env={**clean, "LADING_HOME": str(self.folder / "store"), "UV_FIND_LINKS": links},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=True,
        )


def lading_maker(registry: str, wheels: WheelSet) -> LadingMaker:
    maker = LadingMaker(repository=f"{registry}/lading", folder=BENCH / "travel/lading", wheels=wheels)
    maker.prepare()
    return maker
