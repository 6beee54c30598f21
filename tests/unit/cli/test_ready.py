"""The remembered image: taken only while nothing has changed, forgotten in doubt."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lading.cli.ready import Ready, question, ready_from, recall, remember
from lading.project.load import load_project
from lading.project.model import Project
from lading.store import Store
from small_image import put_image

KEY = "0" * 64


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open({"LADING_HOME": str(tmp_path / "home")})


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    (folder / "lading.toml").write_text(
        '[train]\nrun = "python train.py"\nenv = { A = "1" }\nmemory = "1GB"\n'
    )
    (folder / "train.py").write_text("print(1)\n")
    (folder / "src/data.txt").write_text("data\n")
    (folder / "requirements.txt").write_text("six\n")
    return load_project(folder, environment={})


@pytest.fixture
def ready(store: Store, project: Project) -> Ready:
    ready = ready_from(project, put_image(store), "train")
    assert ready.folders == ["/app/out"]
    remember(store, KEY, ready, project)
    return ready


def test_what_was_remembered_is_recalled_as_it_was(store: Store, ready: Ready) -> None:
    assert recall(store, KEY) == ready
    assert ready.task_env == {"A": "1"}
    assert ready.limits == {"memory_bytes": 1_000_000_000}


def edit(folder: Path) -> None:
    (folder / "train.py").write_text("print(2)\n")


def edit_with_the_old_time(folder: Path) -> None:
    path = folder / "train.py"
    status = path.stat()
    path.write_text("print(2)\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def add(folder: Path) -> None:
    (folder / "src/more.txt").write_text("")


def remove(folder: Path) -> None:
    (folder / "src/data.txt").unlink()


def make_executable(folder: Path) -> None:
    (folder / "train.py").chmod(0o755)


def rename(folder: Path) -> None:
    (folder / "train.py").rename(folder / "fit.py")


def swap(folder: Path) -> None:
    (folder / "src/data.txt").rename(folder / "old")
    (folder / "old").rename(folder / "src/data2.txt")


@pytest.mark.parametrize("change", [edit, edit_with_the_old_time, add, remove, make_executable, rename, swap])
def test_any_change_below_the_folder_forgets_it(
    store: Store, project: Project, ready: Ready, change: Callable[[Path], None]
) -> None:
    change(project.root)

    assert recall(store, KEY) is None


def test_a_commit_forgets_nothing(store: Store, project: Project, ready: Ready) -> None:
    (project.root / ".git").mkdir()
    (project.root / ".git/HEAD").write_text("ref: refs/heads/main")

    assert recall(store, KEY) == ready


def test_a_layer_that_is_gone_or_cut_forgets_it(store: Store, ready: Ready) -> None:
    path = store.root / "blobs/sha256" / ready.layers[0][0].removeprefix("sha256:")
    path.chmod(0o644)
    os.truncate(path, 3)
    assert recall(store, KEY) is None
    path.unlink()
    assert recall(store, KEY) is None


def test_a_folder_that_is_gone_forgets_it(store: Store, project: Project, ready: Ready) -> None:
    project.root.rename(project.root.parent / "elsewhere")

    assert recall(store, KEY) is None


def test_what_depends_on_more_than_the_folder_is_not_remembered(
    store: Store, project: Project, ready: Ready, tmp_path: Path
) -> None:
    outside = tmp_path / "base.txt"
    outside.write_text("six\n")
    elsewhere = replace(project, requirements=replace(project.requirements, included=(outside,)))
    remember(store, "1" * 64, ready, elsewhere)
    (project.root / "requirements.txt").write_text("six==${SIX}\n")
    remember(store, "2" * 64, ready, project)

    assert recall(store, "1" * 64) is None
    assert recall(store, "2" * 64) is None


def test_another_question_has_another_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    keys = {
        question([], {}, {}),
        question(["train"], {}, {}),
        question([], {"accelerator": "cuda"}, {}),
        question([], {}, {"SOURCE_DATE_EPOCH": "1"}),
    }
    same = question([], {}, {"PATH": "/bin"})
    monkeypatch.chdir(tmp_path)

    assert same in keys
    assert len(keys | {question([], {}, {})}) == 5
