"""`lading import`, then `lading build`: the image does what Docker's build of the Dockerfile does.

Thirteen Dockerfiles of different kinds, each built by Docker and, imported, by lading; both images are run by
Docker and must say the same. Public bases are replaced by stand-ins, named as such (services/stand_ins.py).
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from services.process import Tool
from services.stand_ins import StandIns, make_stand_ins

pytestmark = [
    pytest.mark.slow,
    pytest.mark.network,
    pytest.mark.root,
    pytest.mark.docker,
    pytest.mark.registry,
]

DOCKERFILES = Path(__file__).parent / "dockerfiles"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """`says`: what a container that is told nothing prints, as a pattern; `lost`: what cannot be carried."""

    says: str
    lost: tuple[str, ...] = ()
    dockerfile: str = "Dockerfile"
    """The one that Docker builds."""
    words: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    """What must stand in `[image]`."""


CASES = {
    "slim": Case(says=r"trained 2 epochs with six 1\.17\.0", settings={"python": "3.11"}),
    "venv_stages": Case(
        says=r"threshold 0\.5 six 1\.17\.0 user 10001",
        settings={"requirements": "requirements/prod.txt", "user": "10001:10001"},
    ),
    "uv_sync": Case(says=r"Circle\(radius=2\.0\) 0\.3\.0 no dev group"),
    "poetry": Case(says=r"\[1, 2, 3\] 1\.\d+\.0"),
    "conda": Case(says=r"mean 2\.0 1\.17\.0", settings={"env": {"DATA_DIR": "/app/data"}}),
    "cuda": Case(says=r"cuda 12\.4\.1 --devices all\n\['add\.cu'\] 1\.17\.0 packaging"),
    "pytorch": Case(says=r"torch 2\.8\.0 six 1\.17\.0", lost=("VOLUME",)),
    "tokenizer": Case(says=r"\[1, 2\] /opt/cache/huggingface made"),
    "libraries": Case(
        says=r"loaded curl 1\.17\.0", settings={"apt": ["libsndfile1", "libglib2.0-0", "curl"]}
    ),
    "user": Case(says=r"hello you 1001 True 1\.17\.0", settings={"user": "1001:1001"}),
    # Docker 20.10 knows no heredocs: it builds the same without them.
    "heredoc": Case(says=r"tiny model \['level 1', 'level 2', 'level 3'\]", dockerfile="Dockerfile.plain"),
    "notebook": Case(says=r"sum 45\ndone"),
}


@pytest.fixture(scope="module")
def stand_ins(docker: Tool, registry: str, tmp_path_factory: pytest.TempPathFactory) -> StandIns:
    return make_stand_ins(docker, registry, tmp_path_factory.mktemp("stand-ins"))


@pytest.fixture
def loader(lading: Tool, docker: Tool, tmp_path: Path) -> Tool:
    """lading, for which `docker` is the engine of the tests."""
    folder = tmp_path / "bin"
    folder.mkdir()
    words = " ".join(shlex.quote(word) for word in docker.prefix)
    (folder / "docker").write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    (folder / "docker").chmod(0o755)
    env = {**lading.env, **docker.env, "PATH": f"{folder}:{os.environ['PATH']}"}
    return Tool(prefix=lading.prefix, env=env, timeout_seconds=900)


def checked_out(name: str, folder: Path, stand_ins: StandIns) -> Path:
    """A copy of the case whose bases are stand-ins, with the lock that its author would have."""
    shutil.copytree(DOCKERFILES / name, folder)
    for dockerfile in folder.glob("Dockerfile*"):
        dockerfile.write_text(stand_ins.replaced(dockerfile.read_text()))
    if name == "uv_sync":
        from uv import find_uv_bin

        subprocess.run([find_uv_bin(), "lock", "--quiet", "--python", "3.11"], cwd=folder, check=True)
    return folder


def docker_build(docker: Tool, folder: Path, name: str, dockerfile: str) -> str:
    """BuildKit's own image; what a RUN fetches comes through the host's network."""
    tag = f"imported-{name.replace('_', '-')}:docker"
    docker("build", "--network", "host", "--tag", tag, "--file", folder / dockerfile, folder)
    return tag


def imported(loader: Tool, folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(loader("import", "--json", "Dockerfile", cwd=folder).stdout)
    return document


def run_image(docker: Tool, tag: str, words: tuple[str, ...] = ()) -> str:
    return docker("run", "--rm", "--network", "none", tag, *words).stdout


@pytest.mark.parametrize("name", CASES)
def test_an_imported_image_says_what_dockers_says(
    docker: Tool, loader: Tool, stand_ins: StandIns, tmp_path: Path, name: str
) -> None:
    case = CASES[name]
    theirs = docker_build(docker, checked_out(name, tmp_path / "theirs", stand_ins), name, case.dockerfile)
    folder = checked_out(name, tmp_path / name.replace("_", "-"), stand_ins)
    said = imported(loader, folder)
    ours = json.loads(loader("build", "--json", "--load", "docker", cwd=folder).stdout)["tag"]

    expected = run_image(docker, theirs, case.words)
    assert re.fullmatch(case.says, expected.strip()), expected
    assert run_image(docker, ours, case.words) == expected
    lost = [row["instruction"] for row in said["instructions"] if row["fate"] == "not carried"]
    assert [instruction.split()[0] for instruction in lost] == list(case.lost)
    settings = image_table(folder)
    assert {key: settings.get(key) for key in case.settings} == case.settings
    docker("rmi", "--force", theirs, ours)


def image_table(folder: Path) -> dict[str, Any]:
    import tomllib

    return dict(tomllib.loads((folder / "lading.toml").read_text())["image"])


@pytest.fixture
def service(docker: Tool, loader: Tool, stand_ins: StandIns, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The tags of the FastAPI service as Docker and as lading have built it."""
    original = checked_out("service", tmp_path / "theirs", stand_ins)
    theirs = docker_build(docker, original, "service", "Dockerfile")
    folder = checked_out("service", tmp_path / "service", stand_ins)
    imported(loader, folder)
    ours = json.loads(loader("build", "--json", "--load", "docker", cwd=folder).stdout)["tag"]
    yield theirs, ours
    docker("rmi", "--force", theirs, ours)


def test_an_imported_service_answers_and_is_healthy(docker: Tool, service: tuple[str, str]) -> None:
    """gunicorn under Docker: the same answers, the health check passes, and the config says the same."""
    configs = []
    for tag in service:
        container = docker("run", "--detach", "--network", "host", tag).stdout.strip()
        try:
            assert until(docker, container, "healthy")
            ask = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8123/double/21').read().decode())"
            assert json.loads(docker("exec", container, "python", "-c", ask).stdout) == {"result": 42.0}
            inspected = json.loads(docker("inspect", container).stdout)[0]["Config"]
        finally:
            docker("rm", "--force", container)
        configs.append({key: inspected[key] for key in ("Cmd", "ExposedPorts", "Healthcheck", "StopSignal")})
    theirs, ours = configs
    # Docker keeps a shell's words apart from CMD-SHELL; they run the same.
    assert theirs["Healthcheck"].pop("Test")[1] == ours["Healthcheck"].pop("Test")[-1]
    assert ours == theirs


def until(docker: Tool, container: str, wanted: str) -> bool:
    """Whether Docker's own health check comes to say so within two minutes."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        state = json.loads(docker("inspect", container).stdout)[0]["State"]
        if state["Health"]["Status"] == wanted:
            return True
        assert state["Running"], docker("logs", container).stderr
        time.sleep(0.5)
    return False
