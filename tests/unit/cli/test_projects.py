"""In a project's folder, the commands that look back look at this project; `--all` at every one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lading.oci.digest import Digest
from lading.project.load import load_project
from lading.project.name import folder_project
from lading.run.ledger import Ledger
from lading.run.rows import RunRow
from lading.store import Store

from .conftest import Lading

DIGEST = Digest.of(b"x")


def a_run(project: str, run_id: str, at: float) -> RunRow:
    return RunRow(
        run_id=run_id,
        at=at,
        project=project,
        task="train",
        seal=DIGEST,
        seal_terms={"image": run_id},
        reusable=True,
        image_digest=DIGEST,
        lock_digest=DIGEST,
        limits={},
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of project `mine`, with one run; `other` has a newer one and a model."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "lading.toml").write_text('name = "mine"\n')
    with Ledger.open(Store.open({"LADING_HOME": str(tmp_path / "home")})) as ledger:
        ledger.add_run(a_run("mine", "aaaa", 1.0))
        ledger.add_run(a_run("other", "bbbb", 2.0))
        ledger.add_model(name="other", digest=DIGEST, project="other", run_id="bbbb", metrics={})
    monkeypatch.chdir(folder)
    return folder


def ids(text: str) -> list[str]:
    return [json.loads(line)["run_id"] for line in text.splitlines()]


def test_runs_and_models_are_of_the_project_in_this_folder(lading: Lading, folder: Path) -> None:
    assert ids(lading("runs", "--json").stdout) == ["aaaa"]
    assert ids(lading("runs", "--json", "--all").stdout) == ["bbbb", "aaaa"]
    assert lading("models").stdout == ""
    assert "of other projects: --all" in lading("models").stderr
    assert lading("models", "other", "--json").stdout == lading("models", "--all", "--json").stdout != ""
    assert lading("services").status == lading("ps").status == 0


def test_outside_of_a_project_everything_is_listed(
    lading: Lading, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "empty").mkdir()
    monkeypatch.chdir(folder / "empty")

    assert ids(lading("runs", "--json").stdout) == ["bbbb", "aaaa"]


def test_why_answers_plainly_on_a_first_run(lading: Lading, folder: Path) -> None:
    for words in ((), ("train",), ("aaaa",)):
        said = lading("why", *words)
        assert (said.status, said.stdout) == (0, "first run of train: nothing to compare\n")
    assert lading("why", "--json").document["other"] is None


def test_an_id_is_found_wherever_it_is_and_a_task_only_here(lading: Lading, folder: Path) -> None:
    (folder / "lading.toml").write_text('name = "third"\n')

    assert lading("why", "bbbb").status == 0
    assert lading("why", "train").status == 2
    assert lading("why", "train", "--all").status == 0
    assert lading("logs").status == 2


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"lading.toml": 'name = "a"\n', "train.py": ""}, "a"),
        ({"pyproject.toml": '[project]\nname = "b"\nversion = "1"\n', "train.py": ""}, "b"),
        ({"pyproject.toml": '[tool.lading]\nname = "c"\n', "train.py": ""}, "c"),
        ({"train.py": ""}, "my-folder"),
        ({"environment.yml": "dependencies: []\n"}, "my-folder"),
        ({"notes.txt": ""}, None),
    ],
)
def test_the_name_is_the_one_that_loading_gives(
    tmp_path: Path, files: dict[str, str], name: str | None
) -> None:
    root = tmp_path / "my folder"
    root.mkdir()
    for path, text in files.items():
        (root / path).write_text(text)

    assert folder_project(root) == name
    if name is not None:
        assert load_project(root, environment={}).name == name
