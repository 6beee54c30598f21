"""The real engines that other tests lean on do start, answer and hold what they are given."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from services.people import Person
from services.podman import RUN_LIMITS
from services.process import Tool

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def tiny_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root of one static program: enough to start a container."""
    path = tmp_path_factory.mktemp("tiny") / "root.tar"
    busybox = Path("/usr/bin/qemu-x86_64-static").read_bytes()
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("bin/program")
        member.size, member.mode = len(busybox), 0o755
        archive.addfile(member, io.BytesIO(busybox))
    return path


@pytest.mark.docker
@pytest.mark.root
@pytest.mark.registry
def test_docker_imports_runs_and_pushes(docker: Tool, registry: str, tiny_root: Path) -> None:
    """An image goes through our own dockerd into our own registry."""
    name = f"{registry}/tiny:1"
    docker("import", tiny_root, name)
    said = docker("run", "--rm", name, "/bin/program", "--version").stdout
    assert "qemu" in said
    assert "digest: sha256:" in docker("push", name).stdout


@pytest.mark.engines
@pytest.mark.root
def test_podman_runs(podman: Tool, tiny_root: Path) -> None:
    """Podman runs a container from storage of our own."""
    podman("import", tiny_root, "localhost/tiny:1")
    done = podman(
        "run", "--rm", "--network", "none", *RUN_LIMITS, "localhost/tiny:1", "/bin/program", "--version"
    )
    assert "qemu" in done.stdout


@pytest.mark.engines
@pytest.mark.root
def test_containerd_answers(ctr: Tool) -> None:
    """ctr talks to our own containerd: client and server are of one release."""
    said = ctr("version").stdout
    client, server = said.split("Server:")
    version = next(line for line in server.splitlines() if "Version:" in line)
    assert version in client


@pytest.mark.root
@pytest.mark.network
def test_ordinary_user_has_no_privilege(ordinary_user: Person) -> None:
    """Commands of the ordinary user run with its id, its own home, no capability, and can import lading."""
    program = "import json, os, lading; print(json.dumps([os.getuid(), os.getgroups(), os.environ['HOME']]))"
    said = ordinary_user.tool("python", "-c", program, cwd=ordinary_user.home).stdout
    assert json.loads(said) == [1000, [], str(ordinary_user.home)]
    assert "CapEff:\t0000000000000000" in ordinary_user.tool("cat", "/proc/self/status", cwd=Path("/")).stdout
    assert os.stat(ordinary_user.home).st_uid == 1000
