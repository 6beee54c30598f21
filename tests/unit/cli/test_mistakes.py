"""A table of bad command lines: each is answered by words and a next step, before anything is built."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Lading

PROJECT = {"lading.toml": '[train]\nrun = "python train.py"\n\n[eval]\nrun = "true"\n', "train.py": ""}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    for name, text in PROJECT.items():
        (folder / name).write_text(text)
    monkeypatch.chdir(folder)
    return folder


MISTAKES = [
    ("build --workers 0", 2, "`0` is not a whole number of at least 1"),
    ("build --workers two", 2, "`two` is not a whole number"),
    ("build --accelerator tpu", 2, "`tpu` is not an accelerator: cpu, cuda, or one CUDA release"),
    ("build --accelerator cu12", 2, "`cu12` is not an accelerator"),
    ("build --require-driver new", 2, "`new` is no version of NVIDIA's driver"),
    ("run --gpus all -- true", 2, "`all` is not a whole number"),
    ("run --gpus 1:lots -- true", 2, "lots"),
    ("build --platform windows/amd64", 2, "unknown platform 'windows/amd64'"),
    ("build --target sreve", 2, "there is no target `sreve`"),
    ("build --output image.tar", 2, "`image.tar` is no output"),
    ("build --output oci:-", 2, "cannot go to standard output"),
    ("build --output docker-archive:/no/such/folder/a.tar", 2, "there is no folder"),
    ("build --output docker-archive:- --output oci-archive:-", 2, "cannot both be standard output"),
    ("build no-such-folder", 1, "is not a folder"),
    ("build a b", 2, "one argument too many: `b`"),
    ("plan --target tran", 2, "there is no target `tran`"),
    ("lock --upgrade --locked", 2, "nothing can be upgraded"),
    ("lock --upgrade --upgrade torch", 2, "`--upgrade` moves everything"),
    ("lock --locked", 4, "there is no lading.lock"),
    ("plan --locked", 4, "there is no lading.lock"),
    ("init", 1, "is there already and is not overwritten"),
    ("run", 2, "which task? there are train, eval"),
    ("run trian", 2, "`trian` is no task or target here"),
    ("run a b c", 2, "`c` is one word too many"),
    ("run --", 2, "no command after `--`"),
    ("run --param lr=1 -- true", 2, "`--param` and `--rerun` belong to a task"),
    ("explain serve:0", 2, "there is no image serve:0 in the store"),
    ("explain sha256:0ca3e5deed5c", 2, "no images in the store have a digest that begins with 0ca3e5deed5c"),
    ("scan 0ca3e5deed5c", 2, "no images in the store have a digest"),
    ("run train --param lr=1", 1, "no parameter is called 'lr'; the task declares none"),
    ("run train --param lr", 2, "`--param lr` is not NAME=VALUE"),
    ("run train --env =x", 2, "`--env =x` is not NAME=VALUE"),
    ("run train --mount /tmp:/x", 2, "a task is sealed"),
    ("run -t -- true", 2, "standard input is no terminal"),
    ("run --mount /tmp -- true", 2, "is not FROM:TO"),
    ("run --mount /tmp:/x:rx -- true", 2, "is not FROM:TO"),
    ("run --mount /no/such:/x -- true", 2, "there is no /no/such"),
    ("run --mount /tmp:x -- true", 2, "is not an absolute path inside"),
    ("run --tmpfs /x:lots -- true", 2, "'lots' is not a size"),
    ("run --tmpfs x -- true", 2, "is not PATH:SIZE"),
    ("run --secret NOT_SET -- true", 2, "not in the environment: NOT_SET"),
    ("run --memory much -- true", 2, "'much' is not a size"),
    ("run --cpus none -- true", 2, "`none` is no number of processors"),
    ("run --cpus nan -- true", 2, "`nan` is no number of processors"),
    ("run --timeout soon -- true", 2, "'soon' is not a duration"),
    ("up --param x", 2, "`--param x` is not NAME=VALUE"),
    ("exec", 2, "say which command"),
    ("exec -- true", 2, "nothing is running"),
    ("exec nobody -- true", 2, "`nobody` is not running"),
    ("stop", 2, "say what to stop"),
    ("stop nobody", 2, "no run and no task `nobody`"),
    ("stop --all --grace x", 2, "`x` is no duration"),
    ("logs nobody", 2, "no run and no task `nobody`"),
    ("logs", 2, "nothing was run yet"),
    ("why", 2, "nothing was run yet"),
    ("runs --limit none", 2, "`none` is not a whole number"),
    ("engines extra", 2, "one argument too many: `extra`"),
]


@pytest.mark.parametrize(("line", "status", "words"), MISTAKES, ids=[line for line, _, _ in MISTAKES])
def test_a_mistake_is_answered_with_words(
    lading: Lading, project: Path, line: str, status: int, words: str
) -> None:
    said = lading(*line.split())

    assert (said.status, said.stdout) == (status, "")
    assert words in said.stderr
    assert "hint: " in said.stderr or status == 1
    assert "Traceback" not in said.stderr
    assert sorted(path.name for path in project.iterdir()) == sorted(PROJECT)


@pytest.mark.parametrize("line", ["run trian", "plan --locked", "build --target sreve"])
def test_the_same_mistake_is_a_document_under_json(lading: Lading, project: Path, line: str) -> None:
    said = lading(*line.split(), "--json")

    assert said.document["type"] == "error"
    assert said.document["exit_status"] == said.status


@pytest.mark.parametrize("command", ["build", "plan", "lock", "up", "init"])
def test_a_folder_that_is_not_there_is_told_with_the_commands_own_form(
    lading: Lading, project: Path, command: str
) -> None:
    assert f"hint: lading {command} PROJECT_FOLDER\n" in lading(command, "no-such-folder").stderr


@pytest.mark.parametrize("command", ["build", "plan", "lock", "up", "run", "push"])
def test_a_folder_that_is_no_project_is_told_before_anything_in_it_is_read(
    lading: Lading, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "big.bin").symlink_to("/no/such/file")
    monkeypatch.chdir(empty)

    said = lading(command, *(["localhost:5000/x"] if command == "push" else []))

    assert said.status == 1
    assert f"error: {empty} is no project: no requirements.txt, pyproject.toml, train.py or lading.toml" in (
        said.stderr
    )
    assert f"hint: lading {command} " in said.stderr
    assert [path.name for path in empty.iterdir()] == ["big.bin"]


def test_a_folder_inside_a_project_is_told_where_the_project_is(
    lading: Lading, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "src" / "a").mkdir(parents=True)
    monkeypatch.chdir(project / "src" / "a")

    assert "hint: lading plan ../..\n" in lading("plan").stderr


def test_up_without_a_task_writes_no_lock(lading: Lading, project: Path) -> None:
    (project / "lading.toml").write_text('name = "x"\n')
    (project / "train.py").unlink()

    said = lading("up")

    assert (said.status, sorted(path.name for path in project.iterdir())) == (2, ["lading.toml"])
    assert "the project has no task" in said.stderr


def test_an_output_inside_the_project_is_warned_of_before_anything_is_built(
    lading: Lading, project: Path
) -> None:
    said = lading("build", "--locked", "--output", "oci-archive:x.tar", "--sbom", "../sbom.json")

    assert "x.tar will be written inside the project" in said.stderr
    assert "beside the project: ../x.tar" in said.stderr
    assert "sbom.json" not in said.stderr


def test_did_you_mean_names_the_near_thing(lading: Lading, project: Path) -> None:
    assert "hint: lading run train\n" in lading("run", "trian").stderr
    assert "hint: lading build --target serve\n" in lading("build", "--target", "sreve").stderr


def test_what_the_configuration_lacks_is_said_all_at_once(lading: Lading, project: Path) -> None:
    (project / "lading.toml").write_text("[image]\npyton = 3\nbase = 4\n")

    said = lading("plan", "--json")

    assert said.status == 1
    assert len(said.document["problems"]) >= 2
    assert all(problem["place"].startswith("lading.toml:") for problem in said.document["problems"])
