"""The services and people of the integration tests: started once for the whole run, when first asked for."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bases import Bases, make_bases

from services.containerd import containerd_engine
from services.docker import docker_engine
from services.machine import Machine, machine, make_root_archive
from services.people import Person, person, user_venv
from services.podman import buildah_in, container_storage, podman_in
from services.process import Tool, require
from services.registry import image_registry
from services.trixie import CONTAINERD_STORE, make_trixie_root, trixie_docker

REPOSITORY = Path(__file__).parent.parent.parent


@pytest.fixture(scope="session")
def docker() -> Iterator[Tool]:
    """Docker 20.10 with BuildKit. Containers that need the network take `--network host`."""
    with docker_engine() as tool:
        yield tool


@pytest.fixture(scope="session")
def containerd_docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tool]:
    """Docker 26 with containerd's image store. Its client sees no files of this machine."""
    folder = tmp_path_factory.mktemp("docker26")
    root = make_trixie_root(folder / "trixie")
    try:
        with trixie_docker(root, folder, CONTAINERD_STORE) as tool:
            yield tool
    finally:
        shutil.rmtree(root)


@pytest.fixture(scope="session")
def registry() -> Iterator[str]:
    """`127.0.0.1:PORT` of Debian's registry."""
    with image_registry() as address:
        yield address


@pytest.fixture(scope="session")
def ctr() -> Iterator[Tool]:
    """containerd's own client."""
    with containerd_engine() as tool:
        yield tool


@pytest.fixture(scope="session")
def storage() -> Iterator[Path]:
    """The storage that podman and buildah share."""
    with container_storage() as folder:
        yield folder


@pytest.fixture(scope="session")
def podman(storage: Path) -> Tool:
    return podman_in(storage)


@pytest.fixture(scope="session")
def buildah(storage: Path) -> Tool:
    return buildah_in(storage)


@pytest.fixture(scope="session")
def skopeo() -> Tool:
    return Tool(prefix=(require("skopeo", "skopeo"),))


@pytest.fixture(scope="session")
def umoci() -> Tool:
    return Tool(prefix=(require("umoci", "umoci"),))


@pytest.fixture(scope="session")
def oci_image_tool() -> Tool:
    return Tool(prefix=(require("oci-image-tool", "oci-image-tool"),))


@pytest.fixture(scope="session")
def readable_venv() -> Iterator[Path]:
    """`bin` of a virtual environment with lading on Debian's own Python, readable by every user."""
    with user_venv() as binaries:
        yield binaries


@pytest.fixture
def ordinary_user(readable_venv: Path) -> Iterator[Person]:
    """User id 1000 with an empty home and no privilege."""
    with person(readable_venv) as who:
        yield who


@pytest.fixture(scope="session")
def bookworm_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Debian 12 plus exactly the packages a fresh machine needs, as a tar file."""
    archive = tmp_path_factory.mktemp("debian") / "bookworm.tar"
    make_root_archive(archive, "bookworm")
    return archive


@pytest.fixture(scope="session")
def trixie_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of Debian 13, whose Python is 3.13."""
    archive = tmp_path_factory.mktemp("debian") / "trixie.tar"
    make_root_archive(archive, "trixie")
    return archive


@pytest.fixture
def fresh_machine(bookworm_archive: Path) -> Iterator[Machine]:
    """A Debian 12 that nobody has touched yet."""
    with machine(bookworm_archive) as fresh:
        yield fresh


@pytest.fixture(scope="session")
def warm_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for all tests that do not mind what others have built in it."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="session")
def lading(warm_home: Path) -> Tool:
    """The real command line on the shared store; `env={"LADING_HOME": …}` chooses another."""
    program = Path(sys.executable).parent / "lading"
    return Tool(prefix=(str(program),), env={"LADING_HOME": str(warm_home)}, timeout_seconds=900)


@pytest.fixture(scope="session")
def bases(lading: Tool, umoci: Tool, registry: str, tmp_path_factory: pytest.TempPathFactory) -> Bases:
    """A registry with images to build on."""
    return make_bases(lading, umoci, registry, tmp_path_factory.mktemp("bases"))


@pytest.fixture(autouse=True)
def no_leaked_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the person who runs the tests has set for lading does not reach them."""
    for name in [name for name in os.environ if name.startswith("LADING_")]:
        monkeypatch.delenv(name)
