"""The doctor on real hosts: this one, as root and as an ordinary user, and containers of Docker that were
started wrongly on purpose.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_world import program_archive

from services.people import Person
from services.process import Tool

pytestmark = [pytest.mark.slow, pytest.mark.root]

HARMLESS = {"docker-stopped", "cgroups-not-delegated", "cgroups-missing", "cgroups-read-only"}
"""True here or there, and nothing that keeps anything from working."""


def found(text: str) -> dict[str, dict[str, object]]:
    return {finding["cause"]: finding for finding in json.loads(text)["findings"]}


@pytest.fixture
def lading(tmp_path: Path) -> Tool:
    """The real command line, with a home that is empty."""
    program = Path(sys.executable).parent / "lading"
    return Tool(prefix=(str(program),), env={"HOME": str(tmp_path), "LADING_HOME": ""})


def test_a_host_that_works_has_no_false_finding_for_root(lading: Tool) -> None:
    said = found(lading("doctor", "--json").stdout)
    assert said.keys() <= HARMLESS, said


def test_a_host_that_works_has_no_false_finding_for_an_ordinary_user(ordinary_user: Person) -> None:
    said = found(ordinary_user.lading("doctor", "--json", check=False))
    assert said.keys() <= HARMLESS | {"podman-subids"}, said
    assert not (ordinary_user.home / ".local/share/lading").exists()


def test_a_home_that_may_not_be_looked_into_is_a_finding_and_no_failure(ordinary_user: Person) -> None:
    done = ordinary_user.tool("env", "HOME=/root", "lading", "doctor", "--json", check=False)
    assert found(done.stdout).keys() - HARMLESS - {"podman-subids"} == {"store-not-writable"}


@pytest.mark.docker
def test_a_daemon_that_answers_is_no_finding(lading: Tool, docker: Tool) -> None:
    address = docker.prefix[docker.prefix.index("--host") + 1]
    said = found(lading("doctor", "--json", env={"DOCKER_HOST": address}).stdout)
    assert not {cause for cause in said if cause.startswith("docker")}, said


@pytest.mark.docker
def test_a_daemon_of_roots_refuses_an_ordinary_user(ordinary_user: Person, docker: Tool) -> None:
    address = docker.prefix[docker.prefix.index("--host") + 1]
    socket = Path(address.removeprefix("unix://"))
    open_folders = [folder for folder in socket.parents if not folder.stat().st_mode & 0o001]
    for folder in open_folders:
        folder.chmod(folder.stat().st_mode | 0o011)
    socket.chmod(0o660)
    done = ordinary_user.tool("env", f"DOCKER_HOST={address}", "lading", "doctor", "--json", check=False)
    assert "docker-permission" in found(done.stdout)


@pytest.fixture(scope="module")
def image(docker: Tool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    name = f"lading-doctor-{uuid.uuid4().hex[:8]}"
    path = tmp_path_factory.mktemp("image") / "root.tar"
    path.write_bytes(program_archive())
    docker("import", path, name)
    yield name
    docker("rmi", name)


@pytest.fixture
def volume() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="lading-doctor-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


OPEN = "--security-opt=seccomp=unconfined --security-opt=apparmor=unconfined"
BARE = f"{OPEN} --security-opt=systempaths=unconfined --shm-size=1g"


@pytest.mark.docker
@pytest.mark.parametrize("user", [0, 1000])
@pytest.mark.parametrize(
    ("options", "store", "causes"),
    [
        ("", "{volume}", {"seccomp", "shared-memory-small"}),
        ("--shm-size=1g", "{volume}", {"seccomp"}),
        (f"{OPEN} --shm-size=1g", "{volume}", {"proc-masked"}),
        (BARE, "{volume}", set()),
        (f"{BARE} --memory=512m", "{volume}", {"memory-limit-small"}),
        (BARE, "/home/store", {"store-in-container"}),
        (f"{BARE} --read-only", "/home/store", {"store-read-only"}),
        (f"{BARE} --tmpfs=/store:rw,exec,mode=1777,size=8g", "/store", {"store-in-memory"}),
        (
            f"{BARE} --tmpfs=/store:rw,noexec,mode=1777,size=1g",
            "/store",
            {"store-in-memory", "store-noexec", "disk-full"},
        ),
        (f"{BARE} --env=REQUESTS_CA_BUNDLE=/etc/none.pem", "{volume}", {"certificates-missing"}),
        (
            f"{BARE} --env=https_proxy=http://127.0.0.1:9 --env=no_proxy=localhost",
            "{volume}",
            {"proxy-unreachable"},
        ),
    ],
)
def test_a_container_started_wrongly_is_told_what_is_wrong(
    docker: Tool,
    image: str,
    volume: Path,
    readable_venv: Path,
    options: str,
    store: str,
    causes: set[str],
    user: int,
) -> None:
    venv = readable_venv.parent.parent
    place = store.format(volume=volume)
    if place == "/home/store" and user and "--read-only" not in options:
        causes = {"store-not-writable"}  # /home is root's
    script = "from lading.cli.main import main; main()"
    done = docker(
        *("run", "--rm", "--network=none", f"--user={user}:{user}", "--env=PYTHONDONTWRITEBYTECODE=1"),
        *(f"--volume={path}:{path}" for path in (volume, venv)),
        *(f"--env=LADING_HOME={place}", *options.split(), image),
        *(readable_venv / "python", "-c", script, "doctor", "--json", "--fail-on=off"),
    )
    assert done.stdout, done.stderr
    said = found(done.stdout)
    assert said.keys() - HARMLESS == causes | {"mirror-unknown"}, said  # apt is not in this image
