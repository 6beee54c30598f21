"""`[[image.step]]`: where it stands, what its key says, what its changes become."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from lading.errors import ProjectError
from lading.image.kinds.step import plan_inputs, write_changes
from lading.image.layer.tree import EntryKind
from lading.image.layer.writer import LayerWriter, WrittenLayer
from lading.image.plan import NOT_REPRODUCIBLE, Plan, PlanInputs, make_plan
from lading.image.spec import FilesLayer, PlannedFile, StepLayer
from lading.project.model import ImageSettings, ImageStep
from lading.store import Store
from small_image import small_variant


def plan(*steps: ImageStep, seen: tuple[PlannedFile, ...] = (), **settings: object) -> Plan:
    image = ImageSettings(python="3.13", base="debian:trixie", steps=steps, **settings)  # type: ignore[arg-type]
    own = FilesLayer(kind="code", title="code", files=())
    return make_plan(
        PlanInputs(
            project="p",
            target="train",
            tag="p:1-cpu",
            settings=image,
            variant=small_variant(),
            code=own,
            runtime=replace(own, kind="runtime"),
            cmd=("python",),
            step_inputs=(seen,) * len(steps),
            files=(replace(own, kind="files"),),
            model=(replace(own, kind="model"),),
        )
    )


def step_of(made: Plan, number: int = 1) -> StepLayer:
    return next(s for s in made.layers if isinstance(s, StepLayer) and s.number == number)


def test_steps_stand_above_what_is_installed_and_below_what_changes_often() -> None:
    kinds = [spec.kind for spec in plan(ImageStep(run="a"), ImageStep(run="b", network=True)).layers]
    assert kinds[-6:] == ["step", "open-step", "files", "runtime", "code", "model"]
    assert not {"wheel", "tail", "apt", "bytecode"} & set(kinds[-6:])


def test_a_key_says_all_that_a_step_depends_on() -> None:
    """Another command, variable, input, network, secret's name or layer below: another key; nothing else."""
    file = PlannedFile(path="app/a", mode=0o644, size_bytes=1, sha256="a" * 64)
    step = ImageStep(run="a", inputs=("a",))
    keys = [
        step_of(plan(step)).key,
        step_of(plan(replace(step, run="b"))).key,
        step_of(plan(replace(step, env={"A": "1"}))).key,
        step_of(plan(step, env={"A": "2"})).key,
        step_of(plan(replace(step, network=True))).key,
        step_of(plan(replace(step, secrets=("T",)))).key,
        step_of(plan(step, seen=(file,))).key,
        step_of(plan(step, seen=(replace(file, sha256="b" * 64),))).key,
        step_of(plan(ImageStep(run="first"), step), 2).key,
        step_of(plan(step, flavour="minimal")).key,
    ]
    assert len(set(keys)) == len(keys)
    assert step_of(plan(replace(step, place="lading.toml:7"))).key == keys[0]
    assert step_of(plan(step, labels={"a": "b"})).key == keys[0]


def test_a_step_with_the_network_marks_the_image() -> None:
    assert NOT_REPRODUCIBLE not in plan(ImageStep(run="a")).labels
    marked = plan(ImageStep(run="a"), ImageStep(run="b", network=True)).labels
    assert marked[NOT_REPRODUCIBLE] == "step 2: with the network"


def test_inputs_lie_under_app(tmp_path: Path) -> None:
    (tmp_path / "cfg").mkdir()
    (tmp_path / "cfg/a").write_text("a")
    (tmp_path / "go.sh").write_text("true")
    (tmp_path / "go.sh").chmod(0o755)
    seen = plan_inputs(tmp_path, ImageStep(run="a", inputs=("go.sh", "cfg", "cfg/a")))
    assert [(file.path, file.mode) for file in seen] == [("app/cfg/a", 0o644), ("app/go.sh", 0o755)]


def written(tmp_path: Path, changes: Path, below: dict[str, int]) -> tuple[WrittenLayer, tuple[str, ...]]:
    store = Store.open({"LADING_HOME": str(tmp_path / "store")})
    with store.blobs.writer() as blob:
        writer = LayerWriter(blob)
        warnings = write_changes(changes, writer, below)
        return writer.finish(), warnings


def test_changes_become_entries_whiteouts_and_links(tmp_path: Path) -> None:
    """Overlayfs' own marks: a device 0:0 is a removed path, an attribute an emptied folder."""
    up = tmp_path / "up"
    for folder in ("etc/skel", "srv", "root", "var/tmp", "tmp/x", "app", "run", "opt"):
        (up / folder).mkdir(parents=True)
    (up / "root").chmod(0o700)
    (up / "srv").chmod(0o1777)
    for path in ("etc/hosts", "tmp/x/y", "var/tmp/z", "root/z", "srv/b", "etc/skel/n"):
        (up / path).write_text("z")
    os.link(up / "srv/b", up / "srv/c")
    (up / "srv/a").symlink_to("b")
    os.mkfifo(up / "srv/pipe")
    os.mknod(up / "etc/gone", stat.S_IFCHR | 0o600, 0)
    os.setxattr(up / "etc/skel", "user.overlay.opaque", b"y")
    below = {"etc": 0o755, "root": 0o700, "srv": 0o755, "opt": 0o755, "tmp": 0o755, "var": 0o755}
    layer, warnings = written(tmp_path, up, below)
    assert [(e.path, e.kind, e.mode) for e in layer.index] == [
        ("etc", EntryKind.DIRECTORY, 0o755),
        ("etc/.wh.gone", EntryKind.FILE, 0o644),
        ("etc/skel", EntryKind.DIRECTORY, 0o755),
        ("etc/skel/.wh..wh..opq", EntryKind.FILE, 0o644),
        ("etc/skel/n", EntryKind.FILE, 0o644),
        ("root", EntryKind.DIRECTORY, 0o700),
        ("root/z", EntryKind.FILE, 0o644),
        ("srv", EntryKind.DIRECTORY, 0o1777),
        ("srv/a", EntryKind.SYMLINK, 0o777),
        ("srv/b", EntryKind.FILE, 0o644),
        ("srv/c", EntryKind.HARDLINK, 0o644),
    ]
    assert warnings == ("/srv/pipe is left out: it is no file, folder or link",)


def test_a_name_that_means_a_removed_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "up/srv").mkdir(parents=True)
    (tmp_path / "up/srv/.wh.a").write_text("")
    with pytest.raises(ProjectError, match="removed files"):
        written(tmp_path, tmp_path / "up", {})


def test_nothing_changed_is_an_empty_layer(tmp_path: Path) -> None:
    (tmp_path / "up/usr/lib").mkdir(parents=True)
    layer, _ = written(tmp_path, tmp_path / "up", {"usr": 0o755, "usr/lib": 0o755})
    assert layer.index == ()
