"""A secret in the project: stopped before anything is built, by name, with a code of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from lading.project.load import load_project

from .conftest import Lading


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.catalogue("Z12")
@pytest.mark.parametrize("command", ["build", "plan", "run", "up"])
def test_a_credential_has_an_exit_code_and_a_word_of_its_own(
    lading: Lading, tmp_path: Path, command: str
) -> None:
    """The exit code of a project's mistake, 1; `code` tells it from all other mistakes; nothing is built."""
    folder = write(tmp_path / "p", {"train.py": "print(1)\n", ".env": "HF_TOKEN=abc\n"})
    said = lading(command, str(folder), "--json")
    assert said.status == 1
    assert said.document["code"] == "credential"
    assert ".env" in said.stderr + said.stdout
    assert not (folder / "lading.lock").exists()


@pytest.mark.catalogue("Z03")
def test_the_history_of_git_never_enters_an_image(tmp_path: Path) -> None:
    """Whatever the ignore rules say: a secret that was removed from the files is still in there."""
    folder = write(
        tmp_path / "p",
        {
            "train.py": "print(1)\n",
            ".git/objects/aa/bb": "HF_TOKEN=abc",
            ".git/config": "[remote]\nurl = https://me:secret@h.example/x\n",
            "sub/.git": "gitdir: ../.git/modules/sub\n",
            ".ladingignore": "!.git\n!.git/**\n",
        },
    )
    project = load_project(folder, environment={})
    assert [file.path for file in project.code.files if ".git" in file.path] == []
