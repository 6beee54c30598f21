"""What is detected, and what is asked instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from lading.errors import ConfigError
from lading.project.detect import ask_for_task
from lading.project.load import load_project

from .folders import load_folder, write_folder

GUARDED = 'if __name__ == "__main__":\n    pass\n'


@pytest.mark.parametrize(
    ("files", "run"),
    [
        ({"train.py": "x = 1\n"}, "python train.py"),
        ({"main.py": GUARDED}, "python main.py"),
        ({"train.py": "", "main.py": "x = 1\n"}, "python train.py"),
        ({"train.py": "", "train_data.py": "def f(): ...\n"}, "python train.py"),
        ({"train_model.py": GUARDED, "model.py": GUARDED}, "python train_model.py"),
    ],
)
def test_exactly_one_script_is_the_task(tmp_path: Path, files: dict[str, str], run: str) -> None:
    project = load_folder(tmp_path, files)
    assert {name: task.run for name, task in project.tasks.items()} == {"train": run}
    assert project.serve is not None
    assert project.serve.model == "train"
    assert ask_for_task(project) is None


def test_of_several_scripts_none_is_guessed_and_all_are_named(tmp_path: Path) -> None:
    project = load_folder(tmp_path, {"train.py": GUARDED, "main.py": GUARDED})
    assert project.tasks == {}
    assert project.serve is None
    question = ask_for_task(project)
    assert question is not None
    assert "main.py, train.py" in question.message
    assert 'run = "python train.py"' in (question.suggestion or "")


def test_without_any_script_the_question_says_what_to_write(tmp_path: Path) -> None:
    question = ask_for_task(load_folder(tmp_path, {"model.py": ""}))
    assert question is not None
    assert "[train]" in (question.suggestion or "")


def test_a_table_without_run_refines_the_detected_task(tmp_path: Path) -> None:
    project = load_folder(tmp_path, {"train.py": "", "lading.toml": '[train]\ngate = "accuracy > 0.9"\n'})
    assert project.tasks["train"].run == "python train.py"
    assert project.tasks["train"].gate == "accuracy > 0.9"
    assert [finding.because for finding in project.findings if finding.what == "task"] == [
        "train.py is there"
    ]


def test_a_sample_is_found_and_nothing_else_is_guessed(tmp_path: Path) -> None:
    project = load_folder(tmp_path, {"train.py": "", "tests/sample.json": "{}", "data/big.csv": "1\n"})
    assert project.serve is not None
    assert project.serve.sample == "tests/sample.json"
    task = project.tasks["train"]
    assert (task.gpus, task.gate, dict(task.inputs), dict(project.data)) == (None, None, {}, {})


def test_targets_inherit_the_image_and_say_what_differs(tmp_path: Path) -> None:
    text = """
[image]
apt = ["git", "curl"]
env = { A = "1", B = "2" }
[image.serve]
apt = ["curl"]
env = { B = "3", C = "4" }
flavour = "minimal"
[image.dev]
only = ["jupyterlab"]
"""
    targets = load_folder(tmp_path, {"lading.toml": text}).targets
    assert list(targets) == ["train", "serve", "dev"]
    assert targets["train"].apt == ("git", "curl")
    assert targets["serve"].apt == ("curl",)
    assert targets["serve"].env == {"A": "1", "B": "3", "C": "4"}
    assert targets["serve"].flavour == "minimal"
    assert targets["serve"].only == ("onnxruntime",)
    assert targets["dev"].only == ("jupyterlab",)
    assert targets["train"].only is None


def test_groups_of_the_serve_target_replace_the_serving_runtime(tmp_path: Path) -> None:
    files = {
        "pyproject.toml": '[project]\nname = "p"\nversion = "1"\n[dependency-groups]\nweb = ["fastapi"]\n',
        "lading.toml": '[image.serve]\ngroups = ["web"]\n',
    }
    serve = load_folder(tmp_path, files).targets["serve"]
    assert (serve.only, serve.groups) == (None, ("web",))


def test_overrides_replace_keys_and_take_the_type_of_what_they_replace(tmp_path: Path) -> None:
    params = '{ lr = 0.1, epochs = 3, fast = false, tag = "a" }'
    text = f'[train]\nrun = "t {{lr}}"\nparams = {params}\nmemory = "1GB"\ncpus = 2\n'
    write_folder(tmp_path, {"lading.toml": text})
    overrides = {"train": {"params": {"lr": "1e-3", "epochs": "5", "fast": "true"}, "memory": "2GB"}}
    task = load_project(tmp_path, environment={}, task_overrides=overrides).tasks["train"]
    assert task.params == {"lr": 1e-3, "epochs": 5, "fast": True, "tag": "a"}
    assert (task.limits.memory_bytes, task.limits.cpus) == (2 * 10**9, 2)


@pytest.mark.parametrize(
    ("overrides", "key", "says"),
    [
        ({"trian": {}}, "trian", "did you mean 'train'?"),
        ({"train": {"params": {"epoch": "1"}}}, "train.params.epoch", "did you mean 'epochs'?"),
        ({"train": {"params": {"epochs": "many"}}}, "train.params.epochs", "int"),
        ({"train": {"memory": "2g"}}, "train.memory", "GiB"),
    ],
)
def test_wrong_overrides_are_named_with_the_command_line_as_place(
    tmp_path: Path, overrides: dict[str, dict[str, object]], key: str, says: str
) -> None:
    write_folder(tmp_path, {"lading.toml": '[train]\nrun = "t"\nparams = { epochs = 3 }\n'})
    with pytest.raises(ConfigError) as caught:
        load_project(tmp_path, environment={}, task_overrides=overrides)
    problem = caught.value.problems[0]
    assert ("command line", key) == (problem.place, problem.key)
    assert says in f"{problem.message} {problem.suggestion}"


def test_data_that_is_not_there_is_told_and_stops_nothing(tmp_path: Path) -> None:
    """It may be on the machine that trains only."""
    text = '[train]\nrun = "t"\ninputs = { a = "data:d", b = "b.csv" }\n[data.d]\nsource = "data/d.csv"\n'
    findings = load_folder(tmp_path, {"lading.toml": text}).findings
    told = {(finding.what, finding.value) for finding in findings if finding.missing}
    assert told == {("data d", "data/d.csv"), ("input b of train", "b.csv")}


def test_groups_of_the_image_leave_the_serving_runtime_in_the_serve_image_and_it_is_said(
    tmp_path: Path,
) -> None:
    files = {
        "pyproject.toml": '[project]\nname = "p"\nversion = "1"\n[dependency-groups]\nweb = ["fastapi"]\n',
        "lading.toml": '[image]\ngroups = ["web"]\n',
    }
    project = load_folder(tmp_path, files)

    assert (project.targets["serve"].only, project.targets["serve"].groups) == (("onnxruntime",), ())
    assert project.targets["train"].groups == ("web",)
    assert "serve image" in {finding.what for finding in project.findings}


def test_tasks_that_are_written_are_found_too(tmp_path: Path) -> None:
    files = {"lading.toml": '[train]\ngate = "a > 1"\n[eval]\nrun = "python -m e"\n', "train.py": ""}
    project = load_folder(tmp_path, files)

    assert [(f.value, f.because) for f in project.findings if f.what == "task"] == [
        ("train: python train.py", "train.py is there"),
        ("eval: python -m e", "[eval] in lading.toml"),
    ]


@pytest.mark.parametrize(
    ("run", "because"),
    [
        ("python tarin.py --n 3", "is not there; did you mean train.py?"),
        ("python -u tarin.py", "is not there; did you mean train.py?"),
        ("./go.sh", "is not there"),
        ("python notes/secret.py", "is there, but the ignore rules keep it out of the image"),
        ("python ./train.py --n {n}", None),
        ("python -m tarin", None),
        ("python -c 'import x.py'", None),
        ("python -W error tarin.py", None),
        ("cd src && python tarin.py", None),
        ("python {script}.py", None),
        ("python /opt/tool.py", None),
        ("python linked/a.py", None),
        ("fit", None),
    ],
)
def test_a_script_that_a_task_will_not_find_is_told(tmp_path: Path, run: str, because: str | None) -> None:
    (tmp_path / "linked").symlink_to("src")
    files = {
        "lading.toml": f'[fit]\nrun = "{run}"\nparams = {{ n = 1, script = "x" }}\n',
        "train.py": "",
        "src/a.py": "",
        "notes/secret.py": "",
        ".gitignore": "notes/\n",
    }
    told = [finding for finding in load_folder(tmp_path, files).findings if finding.missing]

    assert [finding.because for finding in told] == ([because] if because else [])
