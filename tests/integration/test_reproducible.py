"""One project, one digest: whoever builds, wherever, whenever, with whatever Python.

Every variant differs from the reference in many ways at once. When one fails, the layers that differ are
named; `lading build --prove` and fewer differences at a time find the cause.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.machine import Machine, copy_sources, machine
from services.people import Person
from services.process import Tool, require, service_folder

REPOSITORY = Path(__file__).parent.parent.parent
EXAMPLES = ("digits", "text")

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.root]


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What one build of one example came out as."""

    digest: str
    layers: Mapping[str, str]
    lock: str

    @classmethod
    def by(cls, tool: Tool, folder: Path | str, *options: str, lock: Path) -> Built:
        """Build with `tool`, a `lading` command; `lock` is where the lock is on this disk."""
        document: dict[str, Any] = json.loads(tool("build", "--json", *options, folder).stdout)
        layers = {layer["title"]: layer["digest"] for layer in document["layers"]}
        return cls(digest=document["digest"], layers=layers, lock=lock.read_text())


def check_same(reference: Built, built: Built) -> None:
    """The same lock to the byte, the same layers, the same image."""
    assert built.lock == reference.lock
    assert built.layers == reference.layers
    assert built.digest == reference.digest


@pytest.fixture(scope="module")
def shared() -> Iterator[Path]:
    """A folder that every user can reach."""
    with service_folder("same") as folder:
        folder.chmod(0o755)
        yield folder


@pytest.fixture(scope="module")
def reference(shared: Path) -> dict[str, Built]:
    """Both examples, locked and built as root in an empty store with this Python."""
    tool = Tool(prefix=(str(Path(sys.executable).parent / "lading"),), timeout_seconds=900)
    built = {}
    for example in EXAMPLES:
        folder = copy_example(example, shared / "reference")
        env = {"LADING_HOME": str(shared / "store")}
        built[example] = Built.by(with_env(tool, env), folder, "--workers", "2", lock=folder / "lading.lock")
    return built


@pytest.fixture(scope="module")
def wheels(shared: Path, reference: dict[str, Built]) -> Path:
    """Every locked wheel, so that a variant with a wrong clock or no network can build."""
    folder = shared / "wheels"
    folder.mkdir()
    for built in reference.values():
        for variant in tomllib.loads(built.lock)["variant"]:
            for wheel in variant["wheel"]:
                fetch_wheel(wheel, folder)
    return folder


def fetch_wheel(wheel: Mapping[str, Any], folder: Path) -> None:
    """From a folder of wheels on this machine, else from where the lock has seen it."""
    target = folder / wheel["filename"]
    links = os.environ.get("UV_FIND_LINKS") or os.environ.get("PIP_FIND_LINKS") or ""
    for place in links.replace(",", " ").split():
        if (source := Path(place) / target.name).is_file():
            shutil.copy(source, target)
            return
    if not target.exists():
        with urllib.request.urlopen(wheel["url"], timeout=60) as response:
            target.write_bytes(response.read())


def copy_example(example: str, parent: Path) -> Path:
    """A folder with the example as Git has it: no lock, no outputs."""
    folder = parent / example
    copy_sources(REPOSITORY / "examples" / example, folder, owner=os.geteuid())
    return folder


def with_env(tool: Tool, env: Mapping[str, str]) -> Tool:
    return Tool(prefix=tool.prefix, env={**tool.env, **env}, timeout_seconds=tool.timeout_seconds)


def with_umask(tool: Tool, umask: str) -> Tool:
    prefix = ("/bin/sh", "-c", 'umask "$0"; exec "$@"', umask, *tool.prefix)
    return Tool(prefix=prefix, env=tool.env, timeout_seconds=tool.timeout_seconds)


@contextmanager
def disordered(folder: Path, mount_point: Path) -> Iterator[Path]:
    """`folder` seen through a file system that lists directories in another order every time."""
    mount_point.mkdir(parents=True)
    disorderfs = require("disorderfs", "disorderfs")
    subprocess.run([disorderfs, "--shuffle-dirents=yes", str(folder), str(mount_point)], check=True)
    try:
        yield mount_point
    finally:
        subprocess.run(["umount", str(mount_point)], check=True)


@pytest.mark.catalogue("D02", "D03", "D04", "D11", "D15")
@pytest.mark.parametrize("example", EXAMPLES)
def test_elsewhere(example: str, reference: dict[str, Built], tmp_path: Path) -> None:
    """Other time zone, locale, umask, home, path, hash seed; one worker; a Git checkout; shuffled folders."""
    folder = copy_example(example, tmp_path / "a much deeper path, with blanks" / ("x" * 60))
    git = Tool(prefix=("git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.org"))
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "all")
    env = {
        "LADING_HOME": str(tmp_path / "store"),
        "HOME": str(tmp_path / "home"),
        "TZ": "Pacific/Kiritimati",
        "LC_ALL": "C",
        "PYTHONHASHSEED": "7",
    }
    tool = Tool(prefix=(str(Path(sys.executable).parent / "lading"),), env=env, timeout_seconds=900)
    with disordered(folder, tmp_path / "view" / example) as view:
        lock = view / "lading.lock"
        check_same(reference[example], Built.by(with_umask(tool, "077"), view, "--workers", "1", lock=lock))


@pytest.mark.catalogue("D03", "D07", "D13")
@pytest.mark.parametrize("example", EXAMPLES)
def test_ordinary_user(example: str, reference: dict[str, Built], ordinary_user: Person) -> None:
    """Someone without privilege, with Debian's own Python, from an empty store; then again, all warm."""
    folder = copy_example(example, ordinary_user.home)
    ordinary_user.owns(folder)
    tool = Tool(prefix=(*ordinary_user.tool.prefix, "lading"), timeout_seconds=900)
    cold = Built.by(tool, folder, lock=folder / "lading.lock")
    check_same(reference[example], cold)
    check_same(cold, Built.by(tool, folder, "--locked", lock=folder / "lading.lock"))


@pytest.mark.catalogue("D06")
@pytest.mark.parametrize("example", EXAMPLES)
def test_one_year_on(example: str, reference: dict[str, Built], wheels: Path, tmp_path: Path) -> None:
    """A year later, with the lock and the same wheels at hand: every layer is written again."""
    folder = copy_example(example, tmp_path)
    (folder / "lading.lock").write_text(reference[example].lock)
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    env = {
        "LADING_HOME": str(tmp_path / "store"),
        "UV_FIND_LINKS": str(wheels),
        "LD_PRELOAD": str(library),
        "FAKETIME": "+1y",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    tool = Tool(prefix=(str(Path(sys.executable).parent / "lading"),), env=env, timeout_seconds=900)
    later = Built.by(tool, folder, "--locked", lock=folder / "lading.lock")
    check_same(reference[example], later)


@pytest.fixture(scope="module")
def trixie(trixie_archive: Path) -> Iterator[Machine]:
    """A fresh Debian 13 with lading in it."""
    with machine(trixie_archive) as fresh:
        copy_sources(REPOSITORY, fresh.path("/root/lading"), owner=0)
        fresh.tool(folder="/root/lading")("make", ".venv/installed")
        yield fresh


@pytest.mark.catalogue("D08")
@pytest.mark.parametrize("example", EXAMPLES)
def test_debian_13(example: str, reference: dict[str, Built], wheels: Path, trixie: Machine) -> None:
    """Another Debian, another minor version of Python, another zlib and tar beside it."""
    inside = trixie.path("/root/wheels")
    if not inside.exists():
        # Only what no index has: a wheel found in a folder has no URL to note in the lock.
        inside.mkdir()
        for wheel in wheels.glob("torch-*.whl"):
            shutil.copy(wheel, inside)
    tool = trixie.tool(folder="/root/lading/examples", env={"UV_FIND_LINKS": "/root/wheels"})
    lading = Tool(prefix=(*tool.prefix, "/root/lading/.venv/bin/lading"), timeout_seconds=900)
    lock = trixie.path(f"/root/lading/examples/{example}/lading.lock")
    check_same(reference[example], Built.by(lading, example, lock=lock))
