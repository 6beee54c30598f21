"""Hosts that have nothing yet: an engine each, fresh, which pulls an image and starts it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.places import BENCH, TRIXIE, user_environment
from services.containerd import containerd_engine
from services.docker import docker_engine
from services.process import Tool
from services.trixie import make_trixie_root, trixie_docker

_LIMIT_SECONDS = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One engine, running."""

    version: str
    pull: Callable[[str], object]
    start: Callable[[str, str], object]
    """An image and the module that Python imports in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKind:
    """How to get a host; `reads_zstd` where its engine can."""

    name: str
    fresh: Callable[[], AbstractContextManager[Host]]
    reads_zstd: bool = True


def host_kinds() -> tuple[HostKind, ...]:
    return (
        HostKind(name="Docker 20.10", fresh=_docker20, reads_zstd=False),
        HostKind(name="Docker 26", fresh=_docker26),
        HostKind(name="containerd", fresh=_containerd),
        HostKind(name="lading", fresh=_lading),
    )


def patient(tool: Tool) -> Tool:
    """With time for a slow machine."""
    return replace(tool, timeout_seconds=_LIMIT_SECONDS)


def _docker(docker: Tool) -> Host:
    return Host(
        version=docker("version", "--format", "{{.Server.Version}}").stdout.strip(),
        pull=lambda image: docker("pull", "--quiet", image),
        start=lambda image, module: docker(
            "run", "--rm", "--network", "none", image, "python", "-c", f"import {module}"
        ),
    )


@contextmanager
def _docker20() -> Iterator[Host]:
    with docker_engine() as docker:
        yield _docker(patient(docker))


@contextmanager
def _docker26() -> Iterator[Host]:
    """With the storage driver that its package sets up: overlay2."""
    with trixie_docker(make_trixie_root(TRIXIE), BENCH, {}) as docker:
        yield _docker(docker)


@contextmanager
def _containerd() -> Iterator[Host]:
    with containerd_engine() as engine:
        ctr = patient(engine)
        said = re.search(r"Server:\s+Version:\s+(\S+)", ctr("version").stdout)
        yield Host(
            version=said[1] if said else "",
            pull=lambda image: ctr("images", "pull", "--plain-http", image),
            start=lambda image, module: ctr("run", "--rm", image, "one", "python", "-c", f"import {module}"),
        )


@contextmanager
def _lading() -> Iterator[Host]:
    home = Path(tempfile.mkdtemp(prefix="home-", dir=BENCH))
    clean = user_environment()

    def lading(*arguments: str) -> str:
        command = [str(Path(sys.executable).parent / "lading"), "--quiet", *arguments]
        done = subprocess.run(
            command,
            cwd=home,
            env={**clean, "LADING_HOME": str(home)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return done.stdout

    try:
        yield Host(
            version=lading("--version").split()[-1],
            pull=lambda image: lading("pull", image),
            start=lambda image, module: lading(
                "run", "--image", image, "--", "python", "-c", f"import {module}"
            ),
        )
    finally:
        shutil.rmtree(home, ignore_errors=True)
