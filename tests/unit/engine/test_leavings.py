"""What a run wrote into its working folder is told from what was there, and from what its mounts keep."""

from __future__ import annotations

import shutil
from pathlib import Path

from lading.engine.embedded.account import account_of
from lading.engine.embedded.leavings import MOST_NAMES, written_beside
from lading.engine.embedded.plan import ContainerPlan, Payload, Place
from lading.engine.model import Level


def plan_in(folder: Path, level: Level, working_dir: str, *places: Place) -> ContainerPlan:
    return ContainerPlan(
        run_id="r1",
        level=level,
        user_namespace=True,
        folder=str(folder / "run"),
        root=str(folder / "root"),
        lower_count=1,
        disk_scratch=True,
        payload=Payload(command=("true",), environment={}),
        working_dir=working_dir,
        account=account_of("", "", ""),
        host_uid=0,
        host_gid=0,
        places=places,
        shm_bytes=1,
        network=False,
        read_only_root=False,
        hostname="lading",
        terminal=False,
        etc_files={},
    )


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")


def test_namespaces_tell_the_upper_layer_but_for_mounts_links_and_caches(tmp_path: Path) -> None:
    upper = tmp_path / "run/scratch/upper"
    write(upper, "app/b", "app/models/a", "app/out/kept", "app/__pycache__/c", "app/.coverage", "etc/hosts")
    (upper / "app/link").symlink_to("b")
    out = Place(target="/app/out", source="/host")
    plan = plan_in(tmp_path, Level.NAMESPACES, "/app", out)
    assert written_beside(plan, "/app") == ("b", "models/a")


def test_a_process_tells_what_differs_from_the_image(tmp_path: Path) -> None:
    write(tmp_path / "root/app", "train.py", "notes")
    copy = tmp_path / "run/working"
    shutil.copytree(tmp_path / "root/app", copy)
    write(copy, "model")
    (copy / "notes").write_text("longer")
    (copy / "out").symlink_to(tmp_path)
    plan = plan_in(tmp_path, Level.PROCESS, str(copy))
    assert written_beside(plan, "/app") == ("model", "notes")


def test_nothing_is_told_of_folders_that_are_not_the_runs_own(tmp_path: Path) -> None:
    write(tmp_path / "project", "a")
    write(tmp_path / "run/scratch/upper", "a")
    assert written_beside(plan_in(tmp_path, Level.PROCESS, str(tmp_path / "project")), "/app") == ()
    assert written_beside(plan_in(tmp_path, Level.NAMESPACES, "/"), "/") == ()
    assert written_beside(plan_in(tmp_path, Level.NAMESPACES, "/none"), "/none") == ()


def test_the_names_are_bounded(tmp_path: Path) -> None:
    write(tmp_path / "run/scratch/upper/app", *(f"{number:04}" for number in range(MOST_NAMES + 5)))
    assert len(written_beside(plan_in(tmp_path, Level.NAMESPACES, "/app"), "/app")) == MOST_NAMES
