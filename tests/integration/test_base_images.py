"""Projects on somebody else's image: the right Python, nothing installed twice, none of its bytes moved.

The bases are stand-ins, made of Debian's own files in the shapes that images in the field have.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest
from bases import SLIM_PYTHON, Bases, locked, numpy_held, torch_held, write_project

from foreign_images import Layer
from services.process import Tool

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.registry, pytest.mark.root]

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
CHECK = """\
import importlib.metadata, sys
import numpy, six
print(sys.base_prefix, importlib.metadata.version("numpy"), numpy.__file__)"""


@pytest.mark.parametrize(
    ("kind", "prefix", "path"),
    [
        ("slim", "usr/local", "/usr/local/bin:/usr/bin"),
        ("conda", "opt/conda", "/opt/conda/bin:/usr/bin"),
    ],
)
def test_the_bases_own_python_and_packages_are_used(
    bases: Bases, lading: Tool, tmp_path: Path, kind: str, prefix: str, path: str
) -> None:
    """Held packages are constraints, never installed twice, and the base's environment stays."""
    extra = bases.layer(
        {
            f"{prefix}/bin/python3": "python3.11",
            "opt/conda/conda-meta/python-3.11.2-0.json": b"{}",
            **numpy_held(f"{prefix}/lib/python3.11/site-packages"),
        }
    )
    env = {"PATH": path, "BASE": kind}
    base = bases.push(kind, bases.base, bases.python_at(prefix), extra, env=env)
    project = write_project(tmp_path / kind, base, "numpy\nsix\n", code=CHECK)

    said = lading("run", "--", "python", "main.py", cwd=project).stdout.split()
    named = lading("run", "--", "sh", "-c", "echo $BASE $PATH", cwd=project).stdout.strip()

    assert said == [f"/{prefix}", "2.99.0+base", f"/{prefix}/lib/python3.11/site-packages/numpy/__init__.py"]
    assert named == f"{kind} /opt/venv/bin:{path}"
    variant = locked(project)
    assert [wheel["name"] for wheel in variant["wheel"] if wheel["name"] == "numpy"] == []
    assert variant["base"]["held"]["numpy"] == "2.99.0+base"
    assert variant["interpreter"]["provider"] == "base"


def test_a_torch_in_the_base_is_not_installed_again(bases: Bases, lading: Tool, tmp_path: Path) -> None:
    """A stand-in for torch that needs a held package: both stay the base's, also through a dependency."""
    site = "opt/conda/lib/python3.11/site-packages"
    torch: Layer = {"opt/conda/bin/python3": "python3.11", **torch_held(site)}
    env = {"PATH": "/opt/conda/bin:/usr/bin"}
    base = bases.push("pytorch", bases.base, bases.python_at("opt/conda"), bases.layer(torch), env=env)
    project = write_project(tmp_path / "p", base, "torch\nsix\n")

    lading("lock", cwd=project)

    assert [wheel["name"] for wheel in locked(project)["wheel"] if wheel["name"] in ("torch", "numpy")] == []
    done = lading("run", "--", "python", "-c", "import torch, six; print(torch.__file__)", cwd=project)
    assert done.stdout.strip() == f"/{site}/torch/__init__.py"


def test_another_version_than_the_bases_is_refused_by_name(
    bases: Bases, lading: Tool, tmp_path: Path
) -> None:
    extra = bases.layer(
        {"usr/local/bin/python3": "python3.11", **numpy_held("usr/local/lib/python3.11/site-packages")}
    )
    base = bases.push("older", bases.base, bases.python_at("usr/local"), extra)
    project = write_project(tmp_path / "p", base, "numpy<2\n")

    done = lading("lock", cwd=project, check=False)

    assert done.returncode == 1
    assert "numpy" in done.stderr
    assert "the versions that" in done.stderr
    assert "Traceback" not in done.stderr


def test_apt_adds_to_a_debian_base(bases: Bases, lading: Tool, tmp_path: Path) -> None:
    """Only what the base lacks is unpacked, and dpkg knows both halves."""
    extra = bases.layer({"usr/local/bin/python3": "python3.11"})
    base = bases.push("apt", bases.base, bases.python_at("usr/local"), extra)
    project = write_project(tmp_path / "p", base, "six\n", 'apt = ["libsndfile1"]\n')

    lading("lock", cwd=project)
    script = "import ctypes; ctypes.CDLL('libsndfile.so.1'); print('loaded')"
    loaded = lading("run", "--", "python", "-c", script, cwd=project).stdout
    listed = lading("run", "--", "dpkg-query", "-W", "-f", "${Package} ${Status}\n", cwd=project).stdout

    assert loaded == "loaded\n"
    assert "libsndfile1 install ok installed" in listed
    assert "libc6 install ok installed" in listed
    assert "libc6" not in {package["name"] for package in locked(project)["package"]}


def test_a_step_runs_in_what_stands_on_the_base(bases: Bases, lading: Tool, tmp_path: Path) -> None:
    """It sees the base's files and the wheels, removes a file of the base, and its layer is made once."""
    extra = bases.layer({**SLIM_PYTHON, "srv/of-the-base": b"old\n"})
    base = bases.push("step", bases.base, bases.python_at("usr/local"), extra)
    step = "python -c 'import six; print(six.__name__)' > /srv/seen; rm /srv/of-the-base"
    project = write_project(tmp_path / "p", base, "six\n", f"[[image.step]]\nrun = {json.dumps(step)}\n")

    said = lading("run", "--", "sh", "-c", "cat /srv/*", cwd=project).stdout
    again = json.loads(lading("build", "--json", "--prove", cwd=project).stdout)

    assert said == "six\n"
    assert [layer["kind"] for layer in again["layers"]].count("step") == 1


def test_no_byte_of_a_base_in_the_same_registry_moves(
    bases: Bases, lading: Tool, registry: str, tmp_path: Path
) -> None:
    """Layers of the base are mounted; from the lock alone an empty store builds without fetching them."""
    extra = bases.layer({"usr/local/bin/python3": "python3.11"})
    base = bases.push("mounted", bases.base, bases.python_at("usr/local"), extra)
    project = write_project(tmp_path / "p", base, "six\n")
    place = f"{registry}/team/on-base"

    first = json.loads(lading("push", "--json", place, cwd=project).stdout)
    empty = {"LADING_HOME": str(tmp_path / "empty")}
    again = json.loads(lading("push", "--json", "--locked", place, cwd=project, env=empty).stdout)

    sizes = [layer["size_bytes"] for layer in first["layers"] if layer["kind"] == "base"]
    assert first["pushed"]["mounted_bytes"] >= sum(sizes)
    assert first["pushed"]["uploaded_bytes"] < 2_000_000
    assert again["digest"] == first["digest"]
    fetched = sum(path.stat().st_size for path in (tmp_path / "empty/blobs/sha256").iterdir())
    assert fetched < 1_000_000


def test_without_debian_apt_is_refused(bases: Bases, lading: Tool, tmp_path: Path) -> None:
    ubuntu: Layer = {"usr/lib/os-release": b"ID=ubuntu\nVERSION_CODENAME=jammy\n", "usr/local/cuda/x": b""}
    extra = bases.layer({"usr/local/bin/python3": "python3.11", **ubuntu})
    base = bases.push("cuda", bases.base, bases.python_at("usr/local"), extra)
    project = write_project(tmp_path / "p", base, "six\n", 'apt = ["libsndfile1"]\n')

    done = lading("lock", cwd=project, check=False)

    assert (done.returncode, "needs a base made of Debian" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ('interpreter = "base"\n', "no Python on its PATH"),
        ('python = "3.10"\ninterpreter = "base"\n', "no Python"),
    ],
)
def test_a_base_without_python_is_told_apart(
    bases: Bases, lading: Tool, tmp_path: Path, more: str, reason: str
) -> None:
    base = bases.push("bare", bases.base)
    done = lading("lock", cwd=write_project(tmp_path / "p", base, "six\n", more), check=False)
    assert (done.returncode, reason in done.stderr, "standalone" in done.stderr) == (1, True, True)


def test_a_scratch_image_is_refused(bases: Bases, lading: Tool, tmp_path: Path) -> None:
    base = bases.push("scratch", bases.layer({"server": b"\x7fELF"}))
    done = lading("lock", cwd=write_project(tmp_path / "p", base, "six\n"), check=False)
    assert (done.returncode, "it has no C library" in done.stderr) == (1, True)


def test_a_base_that_is_not_there_is_named(lading: Tool, registry: str, tmp_path: Path) -> None:
    project = write_project(tmp_path / "p", f"{registry}/bases/nowhere:1", "six\n")
    done = lading("lock", cwd=project, check=False)
    assert (done.returncode, "is not there" in done.stderr, "Traceback" in done.stderr) == (1, True, False)


def test_the_service_example_answers_on_a_stand_in_for_its_base(
    bases: Bases, lading: Tool, tmp_path: Path
) -> None:
    """examples/service with its `FROM` replaced by a slim image of this registry: FastAPI in a container."""
    base = bases.push("service", bases.base, bases.python_at("usr/local"), bases.layer(SLIM_PYTHON))
    folder = tmp_path / "service"
    shutil.copytree(EXAMPLES / "service", folder, ignore=shutil.ignore_patterns("out", "lading.lock"))
    settings = folder / "lading.toml"
    named = 'base = "docker.io/library/python:3.12-slim"'
    assert named in settings.read_text()
    settings.write_text(settings.read_text().replace(named, f'base = "{base}"'))
    lading("build", "--target", "train", cwd=folder)
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [*lading.prefix, "run", "api", "--param", f"port={port}"]
    with subprocess.Popen(command, cwd=folder, env={**os.environ, **lading.env}) as server:
        try:
            assert answer(f"{address}/health", server) == {"status": "ready"}
            body = json.dumps({"text": "what names the layers?"}).encode()
            asked = Request(f"{address}/closest", body, {"Content-Type": "application/json"})
            assert "manifest" in str(answer(asked, server)["text"])
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(60)


def answer(request: str | Request, server: subprocess.Popen[bytes]) -> dict[str, object]:
    """What the server says, once it listens."""
    until = time.monotonic() + 60
    while True:
        try:
            with urlopen(request, timeout=10) as response:
                said: dict[str, object] = json.load(response)
                return said
        except URLError as error:
            if server.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"the server does not answer: {error}") from error
            time.sleep(0.1)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
