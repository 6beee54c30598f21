"""What resolution depends on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lading.project.inputs import project_inputs

from .folders import load_folder

FILES = {
    "pyproject.toml": (
        '[project]\nname = "p"\nversion = "1"\ndependencies = ["a"]\n'
        '[dependency-groups]\nweb = ["b"]\n[tool.ruff]\nline-length = 1\n[tool.uv]\nno-build = true\n'
    ),
    "train.py": "",
}


def inputs(root: Path, changes: dict[str, str] | None = None) -> str:
    return json.dumps(project_inputs(load_folder(root, {**FILES, **(changes or {})})), sort_keys=True)


def test_inputs_hold_nothing_of_the_machine(tmp_path: Path) -> None:
    assert inputs(tmp_path / "one") == inputs(tmp_path / "another folder")
    assert str(tmp_path) not in inputs(tmp_path / "one")


@pytest.mark.parametrize(
    "changes",
    [
        {"train.py": "x = 1\n"},
        {"README.md": "x"},
        {"lading.toml": '[train]\ngate = "a > 1"\n[image]\nenv = { A = "1" }\n'},
        {"pyproject.toml": FILES["pyproject.toml"].replace("line-length = 1", "line-length = 2")},
        {"pyproject.toml": "# comment\n" + FILES["pyproject.toml"]},
        {"pyproject.toml": FILES["pyproject.toml"].replace('version = "1"', 'version = "2"')},
    ],
)
def test_an_edit_that_resolution_never_sees_leaves_them_alone(
    tmp_path: Path, changes: dict[str, str]
) -> None:
    assert inputs(tmp_path / "one") == inputs(tmp_path / "two", changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"pyproject.toml": FILES["pyproject.toml"].replace('["a"]', '["a>1"]')},
        {"pyproject.toml": FILES["pyproject.toml"].replace('["b"]', '["c"]')},
        {"pyproject.toml": FILES["pyproject.toml"].replace("no-build = true", "no-build = false")},
        {"lading.toml": '[image]\npython = "3.11"\n'},
        {"lading.toml": '[image]\naccelerator = ["cpu", "cuda"]\n'},
        {"lading.toml": '[image]\nplatform = "linux/arm64"\n'},
        {"lading.toml": '[image]\napt = ["git"]\n'},
        {"lading.toml": '[image.serve]\ngroups = ["web"]\n'},
        {"lading.toml": '[image.dev]\nonly = ["web"]\n'},
        {"uv.lock": "version = 1\n"},
    ],
)
def test_an_edit_that_resolution_sees_changes_them(tmp_path: Path, changes: dict[str, str]) -> None:
    assert inputs(tmp_path / "one") != inputs(tmp_path / "two", changes)


def test_every_included_requirements_file_counts(tmp_path: Path) -> None:
    def of(root: str, constraint: str) -> dict[str, object]:
        files = {"requirements.txt": "-c c.txt\n", "c.txt": constraint}
        return project_inputs(load_folder(tmp_path / root, files))

    assert of("one", "a<2\n") != of("two", "a<3\n")
