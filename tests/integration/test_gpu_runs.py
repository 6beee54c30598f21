"""The host's driver in a container, and nothing of it without a request: as root and as an ordinary user.

No GPU is needed: the host's driver is a folder of files (tests/nvidia_host.py). That CUDA works with the real
driver's files bound so is what Apptainer has shown for years; here it is which files stand where.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_world import World, program_archive, put_layer

from lading.store import Store
from nvidia_host import make_host, uuid
from services.process import require

pytestmark = [pytest.mark.slow, pytest.mark.root, pytest.mark.network]


@pytest.fixture(scope="module")
def archive() -> bytes:
    return program_archive()


@pytest.fixture(scope="module", params=["root", "user"])
def world(request: pytest.FixtureRequest, archive: bytes, readable_venv: Path) -> Iterator[World]:
    uid = 0 if request.param == "root" else 1000
    folder = Path(tempfile.mkdtemp(prefix="lading-gpu-"))
    folder.chmod(0o755)
    store = Store.open({"LADING_HOME": str(folder / "store")})
    base = put_layer(store, archive)
    host = make_host(
        folder / "host", "580.65.06", memory_mib=(81559, 81559), used_mib=(70000,), character_devices=True
    )
    switch: tuple[str, ...] = ()
    if uid:
        for place in (folder, *folder.rglob("*")):
            if not place.is_relative_to(host):
                os.chown(place, uid, uid, follow_symlinks=False)
        ids = (f"--reuid={uid}", f"--regid={uid}", "--clear-groups")
        switch = (require("setpriv", "util-linux"), *ids, "--inh-caps=-all", "--bounding-set=-all")
    yield World(
        python=readable_venv / "python",
        prefix=switch,
        uid=uid,
        folder=folder,
        base=base,
        environment={"LADING_NVIDIA_ROOT": str(host)},
    )
    shutil.rmtree(folder)


def test_the_gpu_that_was_given_is_there_and_no_other(world: World) -> None:
    done = world.sh(
        "for d in /dev/nvidia*; do echo $d; done; echo $CUDA_VISIBLE_DEVICES $NVIDIA_VISIBLE_DEVICES",
        gpus={"count": 1},
        env={"PATH": "/usr/bin:/bin", "NVIDIA_VISIBLE_DEVICES": "all"},
    )
    assert done.exit_status == 0, done.err
    *devices, cuda, nvidia = done.out.split()
    assert devices == ["/dev/nvidia-caps", "/dev/nvidia-uvm", "/dev/nvidia1", "/dev/nvidiactl"]
    assert (cuda, nvidia) == (uuid(1), uuid(1))


def test_a_device_can_be_opened_and_used(world: World) -> None:
    done = world.py(
        "import os, stat; f = os.open('/dev/nvidia1', os.O_RDWR);"
        "print(os.read(f, 4), stat.S_ISCHR(os.fstat(f).st_mode)); os.open('/dev/nvidia-caps/nvidia-cap1', 0)",
        gpus={"count": 1},
    )
    assert (done.exit_status, done.out.strip()) == (0, r"b'\x00\x00\x00\x00' True")


def test_the_drivers_libraries_come_first_and_cannot_be_changed(world: World) -> None:
    done = world.sh(
        "echo $LD_LIBRARY_PATH; cd /lading/nvidia/lib; ls; head -c 4 libcuda.so.1; echo x > libcuda.so.1",
        gpus={"count": 1},
        env={"PATH": "/usr/bin:/bin", "LD_LIBRARY_PATH": "/usr/local/cuda/compat"},
    )
    path, *names, head = done.out.split()
    assert path == "/lading/nvidia/lib:/usr/local/cuda/compat"
    assert names == ["libcuda.so.1", "libnvidia-ml.so.1", "libnvidia-ptxjitcompiler.so.1"]
    assert head == "\x7fELF"
    assert "Read-only file system" in done.err


def test_nvidia_smi_is_on_the_path(world: World) -> None:
    done = world.sh("nvidia-smi", gpus={"count": 2})
    assert (done.exit_status, len(done.out.splitlines())) == (0, 2)


@pytest.mark.catalogue("X15")
def test_x15_without_a_request_there_is_no_gpu_whatever_the_image_says(world: World) -> None:
    done = world.sh(
        "for d in /dev/nvidia* /lading/*; do [ -e $d ] && echo $d; done; "
        "echo ${NVIDIA_VISIBLE_DEVICES}+${CUDA_VISIBLE_DEVICES}+",
        env={"PATH": "/usr/bin:/bin", "NVIDIA_VISIBLE_DEVICES": "all"},
    )
    assert done.out == "void++\n"


def test_a_detached_run_and_what_is_executed_in_it_have_the_gpu(world: World) -> None:
    spec = world.spec(("sleep", "30"), gpus={"count": 1})
    assert "handle" in world.perform(do="submit", spec=spec).answer
    try:
        done = world.perform(
            do="exec", run_id=spec["run_id"], command=["sh", "-c", "echo /dev/nvidia1 $LD_LIBRARY_PATH"]
        )
        assert done.out.split() == ["/dev/nvidia1", "/lading/nvidia/lib"]
    finally:
        world.perform(do="stop", run_id=spec["run_id"], grace=0)


def test_a_second_run_takes_the_gpu_that_no_run_holds(world: World) -> None:
    """Memory in use does not tell yet: the first has only just started."""
    first = world.spec(("sleep", "30"), gpus={"count": 1})
    assert "handle" in world.perform(do="submit", spec=first).answer
    try:
        assert world.sh("echo $CUDA_VISIBLE_DEVICES", gpus={"count": 1}).out.split() == [uuid(0)]
    finally:
        world.perform(do="stop", run_id=first["run_id"], grace=0)
    assert world.sh("echo $CUDA_VISIBLE_DEVICES", gpus={"count": 1}).out.split() == [uuid(1)]


def test_more_than_there_is_is_refused_and_leaves_nothing(world: World) -> None:
    done = world.sh("true", gpus={"count": 3})
    assert "3 GPUs were asked for, and this host has 2" in done.answer["error"]
    assert world.scratch_folders() == []


def test_a_level_that_cannot_give_gpus_says_so(world: World) -> None:
    below = dataclasses.replace(world, environment={**world.environment, "LADING_EMBEDDED_LEVEL": "process"})
    done = below.sh("true", gpus={"count": 1})
    assert "GPUs are given at level namespaces" in done.answer["error"]
