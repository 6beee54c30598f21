"""`make demo` on a Debian with python3, python3-venv, make, git and ca-certificates, and nothing else."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.machine import HOME, Machine, copy_sources
from services.people import USER_ID, passed_environment
from services.process import Tool

REPOSITORY = Path(__file__).parent.parent.parent
RIGHT = re.compile(r"^the digit is a 7: right$", re.MULTILINE)
LEVEL = re.compile(r"^level: (namespaces|chroot|process)$", re.MULTILINE)

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.root]


def check_demo(output: str, levels: set[str]) -> None:
    """The demo ended with the right digit, and said at which of `levels` containers ran."""
    assert RIGHT.search(output), output
    found = LEVEL.search(output)
    assert found is not None, output
    assert found[1] in levels, output


def test_as_root(fresh_machine: Machine) -> None:
    """Root on a fresh machine gets real namespaces."""
    copy_sources(REPOSITORY, fresh_machine.path("/root/lading"), owner=0)
    done = fresh_machine.tool(folder="/root/lading")("make", "demo")
    check_demo(done.stdout, {"namespaces"})


def test_as_ordinary_user(fresh_machine: Machine) -> None:
    """Someone without any privilege gets real namespaces too, and can be rid of everything afterwards."""
    copy_sources(REPOSITORY, fresh_machine.path(f"{HOME}/lading"), owner=USER_ID)
    tool = fresh_machine.tool(user_id=USER_ID, folder=f"{HOME}/lading")
    check_demo(tool("make", "demo").stdout, {"namespaces"})
    tool("rm", "-r", f"{HOME}/.local")


@pytest.fixture(scope="session")
def fresh_image(docker: Tool, bookworm_archive: Path) -> str:
    """The fresh machine as a Docker image."""
    docker("import", bookworm_archive, "fresh:1")
    return "fresh:1"


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A folder that root and others can reach by its path."""
    folder = Path(tempfile.mkdtemp(prefix="lading-sources-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.mark.docker
@pytest.mark.parametrize("user_id", [0, USER_ID])
def test_in_a_docker_container(docker: Tool, fresh_image: str, shared_folder: Path, user_id: int) -> None:
    """With Docker's default seccomp profile, as root and as another: the image's own loader.

    Root could chroot there, but nobody may mount, and a task's inputs and outputs are mounts.
    """
    home = shared_folder / "home"
    copy_sources(REPOSITORY, home / "lading", owner=user_id)
    shutil.chown(home, user_id, user_id)
    etc = shared_folder / "authorities.crt"
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", etc)
    settings = [f"--env={name}={value}" for name, value in passed_environment(wheel_folders=False).items()]
    done = docker(
        *("run", "--rm", "--network", "host", "--user", f"{user_id}:{user_id}", *settings),
        *("--volume", f"{home}:{HOME}", "--volume", f"{etc}:/etc/ssl/certs/ca-certificates.crt:ro"),
        *(f"--env=HOME={HOME}", "--workdir", f"{HOME}/lading", fresh_image, "make", "demo"),
    )
    check_demo(done.stdout, {"process"})
