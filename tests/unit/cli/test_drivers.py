"""A driver that is too old is said, warned of or refused from the lock alone, before a byte is fetched."""

from __future__ import annotations

import textwrap
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lading.lock.check import inputs_digest
from lading.lock.lockfile import write_lock
from lading.lock.model import (
    Lock,
    LockedCuda,
    LockedInterpreter,
    LockedVariant,
    LockedWheel,
    TargetSelection,
)
from lading.project.load import load_project
from nvidia_host import make_host

from .conftest import Lading, Said

CUDA = {
    "cuda": LockedCuda(version="13.0", driver="580", full_driver="580.65.06", capabilities=("9.0", "12.0")),
    "cu126": LockedCuda(version="12.6", driver="525", full_driver="560.35.05"),
    "cpu": None,
}


@dataclass
class Index:
    """Where the lock says that the wheel is: nothing is there, and it writes down what it was asked for."""

    url: str
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def index() -> Iterator[Index]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET  # noqa: N815 — the name that http.server looks for

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state = Index(url=f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def project(tmp_path: Path, index: Index) -> Path:
    """Locked for three accelerators; no wheel of it is anywhere."""
    root = tmp_path / "p"
    root.mkdir()
    (root / "requirements.txt").write_text("torch\n")
    (root / "lading.toml").write_text(
        textwrap.dedent(
            """
            [image]
            python = "3.13"
            accelerator = ["cuda", "cu126", "cpu"]
            platform = "linux/amd64"
            [train]
            run = "python train.py"
            [big]
            run = "python train.py"
            gpus = { count = 2, memory = "40GB" }
            """
        )
    )
    (root / "train.py").write_text("import torch\n")
    loaded = load_project(root, environment={})
    wheel = LockedWheel(
        name="torch",
        version="2.14.0",
        filename="torch-2.14.0-cp313-cp313-manylinux_2_28_x86_64.whl",
        sha256="ab" * 32,
        size_bytes=1000,
        url=f"{index.url}/torch.whl",
    )
    interpreter = LockedInterpreter(
        provider="debian", version="3.13", build="3.13.5-2", executable="/usr/bin/python3.13"
    )
    variants = tuple(
        LockedVariant(
            accelerator=accelerator,
            platform="linux/amd64",
            interpreter=interpreter,
            packages=(),
            wheels=(wheel,),
            targets={
                target: TargetSelection(wheels=("torch",), packages=(), cuda=cuda)
                for target in loaded.targets
            },
        )
        for accelerator, cuda in CUDA.items()
    )
    lock = Lock(inputs=inputs_digest(loaded), suites=(), variants=variants)
    (root / "lading.lock").write_text(write_lock(lock))
    return root


def host(tmp_path: Path, driver: str) -> str:
    return str(make_host(tmp_path / f"host-{driver}", driver))


def test_the_plan_names_the_driver_and_this_hosts(lading: Lading, project: Path, tmp_path: Path) -> None:
    old = lading("plan", str(project), LADING_NVIDIA_ROOT=host(tmp_path, "535.104.05"))
    assert "cuda  13.0  driver ≥ 580  (this host: 535 — too old)" in old.stdout
    assert "compute capabilities 9.0 12.0" in old.stdout
    assert "this host has 535.104.05, and could not run it" in old.stderr
    new = lading("plan", str(project), LADING_NVIDIA_ROOT=host(tmp_path, "580.65.06"))
    assert "(this host: 580 ok)" in new.stdout
    assert new.stderr == ""
    none = lading("plan", str(project), LADING_NVIDIA_ROOT=str(tmp_path / "nothing"))
    assert "(this host: none)" in none.stdout
    cpu = lading("plan", str(project), "--accelerator", "cpu")
    assert "driver" not in cpu.stdout


def test_the_plan_as_json_has_the_same(lading: Lading, project: Path, tmp_path: Path) -> None:
    said = lading("plan", "--json", str(project), LADING_NVIDIA_ROOT=host(tmp_path, "535.104.05"))
    assert said.document["cuda"] == {
        "version": "13.0",
        "driver_floor": "580",
        "full_driver": "580.65.06",
        "capabilities": ["9.0", "12.0"],
        "host_driver": "535.104.05",
        "host_fits": False,
    }
    assert said.document["labels"]["dev.lading.cuda.driver-floor"] == "580"


@pytest.mark.parametrize(
    "command",
    [
        ("run", "FOLDER", "train"),
        ("run", "FOLDER", "--", "python"),
        ("shell", "FOLDER"),
        ("up", "FOLDER", "--task", "train"),
    ],
)
def test_what_would_run_here_is_refused_before_anything_is_fetched(
    lading: Lading, project: Path, index: Index, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """Driver 535 under an image of CUDA 13: the server that has the wheel is not even asked."""
    words = [str(project) if word == "FOLDER" else word for word in command]
    said = lading(*words, LADING_NVIDIA_ROOT=host(tmp_path, "535.104.05"))
    _refused(said, tmp_path)
    assert index.asked == []
    assert "needs driver 580 or later; this host has 535.104.05" in said.stderr
    assert "--accelerator cpu" in said.stderr


def test_with_a_driver_that_is_new_enough_the_server_is_asked(
    lading: Lading, project: Path, index: Index, tmp_path: Path
) -> None:
    """So the silence of the refused ones means something. `--accelerator cu126` is content with 535."""
    command = ("run", str(project), "train", "--accelerator", "cu126", "--workers", "1")
    said = lading(*command, LADING_NVIDIA_ROOT=host(tmp_path, "535.104.05"))
    assert said.status == 3
    assert "driver" not in said.stderr
    assert index.asked


def _refused(said: Said, tmp_path: Path) -> None:
    assert said.status == 3, said.stderr
    blobs = tmp_path / "home/blobs/sha256"
    assert not blobs.exists() or not list(blobs.iterdir())


def test_an_older_cuda_of_the_same_lock_is_not_refused(lading: Lading, project: Path, tmp_path: Path) -> None:
    """It goes on to fetch, which it may not: 525 is enough for CUDA 12."""
    variables = {"LADING_NVIDIA_ROOT": host(tmp_path, "535.104.05")}
    said = lading("run", str(project), "train", "--accelerator", "cu126", "--offline", **variables)
    assert said.status == 3
    assert "driver" not in said.stderr


def test_an_image_for_another_host_is_refused_only_where_that_host_is_named(
    lading: Lading, project: Path, tmp_path: Path
) -> None:
    required = lading("build", str(project), "--require-driver", "535")
    assert required.status == 1
    assert "needs driver 580 or later; --require-driver says 535" in required.stderr
    assert 'accelerator = "cu128"' in required.stderr
    assert lading("plan", str(project), "--require-driver", "535").status == 1
    assert lading("plan", str(project), "--require-driver", "580").status == 0
    warned = lading("build", "--offline", str(project), LADING_NVIDIA_ROOT=host(tmp_path, "535.104.05"))
    assert "this host has 535.104.05, and could not run it" in warned.stderr


def test_gpus_that_the_host_has_not_are_refused_first(lading: Lading, project: Path, tmp_path: Path) -> None:
    nothing = lading("run", str(project), "big", LADING_NVIDIA_ROOT=str(tmp_path / "nothing"))
    _refused(nothing, tmp_path)
    assert "2 GPUs of 40 GB were asked for, and this host has no NVIDIA driver loaded" in nothing.stderr
    assert "big.gpus" in nothing.stderr
    one = lading("run", str(project), "big", LADING_NVIDIA_ROOT=host(tmp_path, "580.65.06"))
    _refused(one, tmp_path)
    assert "this host has 1: NVIDIA H100 80GB HBM3 (86 GB)" in one.stderr
    asked = lading(
        "run", str(project), "--gpus", "1", "--", "python", LADING_NVIDIA_ROOT=str(tmp_path / "no")
    )
    _refused(asked, tmp_path)
    assert "1 GPU was asked for" in asked.stderr


def test_the_engines_say_which_gpus_there_are(lading: Lading, tmp_path: Path) -> None:
    variables = {"LADING_NVIDIA_ROOT": host(tmp_path, "580.65.06")}
    assert (
        "gpus    1: NVIDIA H100 80GB HBM3; NVIDIA's driver 580.65.06" in lading("engines", **variables).stdout
    )
    document = lading("engines", "--json", **variables).document
    assert (document["driver"], document["gpus"][0]["capability"]) == ("580.65.06", "9.0")
    none = lading("engines", "--json", LADING_NVIDIA_ROOT=str(tmp_path / "nowhere")).document
    assert (none["driver"], none["gpus"]) == (None, [])
