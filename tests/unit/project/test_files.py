"""The files that enter an image."""

from __future__ import annotations

import os
import socket
import tarfile
from pathlib import Path

import pytest

from lading.errors import ConfigError, Problem
from lading.project.load import load_project

from .folders import load_folder, write_folder


def paths(root: Path, files: dict[str, str | bytes]) -> list[str]:
    return [file.path for file in load_folder(root, files).code.files]


def problems(root: Path) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        load_project(root, environment={})
    return caught.value.problems


def test_files_are_sorted_by_the_bytes_of_their_path(tmp_path: Path) -> None:
    assert paths(tmp_path, {"b.py": "", "a/z.py": "", "a.py": "", "Z.py": "", "é.py": "", "a-b": ""}) == [
        "Z.py",
        "a-b",
        "a.py",
        "a/z.py",
        "b.py",
        "é.py",
    ]


def test_what_never_belongs_to_code_is_left_out(tmp_path: Path) -> None:
    files = {
        "train.py": "",
        ".git/config": "",
        "env/pyvenv.cfg": "",
        "env/lib/x.py": "",
        "pkg/__pycache__/a.pyc": "",
        "old.pyc": "",
        ".pytest_cache/v": "",
        ".mypy_cache/v": "",
        "web/node_modules/x/y.js": "",
        "mlruns/0/meta": "",
        ".ipynb_checkpoints/a.ipynb": "",
        "wandb/run/x": "",
        "out/model.onnx": "",
        "lading.lock": "",
        "pkg/a.py": "",
    }
    assert paths(tmp_path, files) == ["pkg/a.py", "train.py"]


def test_a_readme_edit_changes_nothing_unless_it_is_taken_back(tmp_path: Path) -> None:
    files = {
        "train.py": "",
        "README.md": "one",
        "lading.toml": "",
        ".gitignore": "*.log\n",
        "docs/index.md": "",
        "pkg/README.md": "",
    }
    before = load_folder(tmp_path, files).code
    assert [file.path for file in before.files] == ["pkg/README.md", "train.py"]
    assert load_folder(tmp_path, {"README.md": "another", "lading.toml": "# comment\n"}).code == before
    assert "README.md" in paths(tmp_path, {".ladingignore": "!README.md\n"})


def test_images_that_were_written_into_the_project_are_no_code(tmp_path: Path) -> None:
    write_folder(tmp_path, {"train.py": "", "layout/oci-layout": "{}", "layout/index.json": "{}"})
    for name, member in (("x.tar", "blobs/sha256/ab"), ("y.tar", "./oci-layout"), ("other.tar", "data.csv")):
        with tarfile.open(tmp_path / name, "w") as archive:
            archive.addfile(tarfile.TarInfo(member))

    assert paths(tmp_path, {}) == ["other.tar", "train.py"]


def test_outputs_data_and_wheel_folders_are_no_code(tmp_path: Path) -> None:
    files = {
        "lading.toml": '[fit]\nrun = "x"\noutputs = "runs/out"\n[data.d]\nsource = "data/d.csv"\n',
        "requirements.txt": "-f wheels\n",
        "wheels/a.whl": "",
        "runs/out/m.bin": "",
        "runs/keep.py": "",
        "data/d.csv": "",
        "data/e.csv": "",
    }
    assert paths(tmp_path, files) == ["data/e.csv", "requirements.txt", "runs/keep.py"]


def test_executable_files_and_symlinks_inside_keep_what_they_are(tmp_path: Path) -> None:
    write_folder(tmp_path, {"run.sh": "#!/bin/sh\n", "pkg/a.py": ""})
    (tmp_path / "run.sh").chmod(0o700)
    (tmp_path / "link").symlink_to("pkg/a.py")
    (tmp_path / "pkg/up").symlink_to("../run.sh")
    (tmp_path / "folder").symlink_to("pkg")
    files = {file.path: file for file in load_project(tmp_path, environment={}).code.files}
    assert files["run.sh"].executable
    assert not files["pkg/a.py"].executable
    assert {path: file.link_target for path, file in files.items() if file.link_target} == {
        "link": "pkg/a.py",
        "pkg/up": "../run.sh",
        "folder": "pkg",
    }


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "a/../../outside"])
def test_a_symlink_that_leads_out_is_refused_with_a_remedy(tmp_path: Path, target: str) -> None:
    root = write_folder(tmp_path / "project", {"a/b": ""})
    (tmp_path / "outside").write_text("x")
    (root / "link").symlink_to(target)
    (problem,) = problems(root)
    assert problem.place == "link"
    assert "leads out of the project" in problem.message
    assert problem.suggestion == "echo '/link' >> .ladingignore"


def test_a_chain_of_symlinks_that_leads_out_is_refused(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "project", {"a": ""})
    (root / "first").symlink_to("second")
    (root / "second").symlink_to(tmp_path)
    assert {problem.place for problem in problems(root)} == {"first", "second"}


def test_sockets_and_pipes_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        assert {(p.place, "not a file" in p.message) for p in problems(tmp_path)} == {
            ("pipe", True),
            ("socket", True),
        }


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"a\xff.py")).write_text("")
    (problem,) = problems(tmp_path)
    assert "not UTF-8" in problem.message
    problem.place.encode()


@pytest.mark.parametrize(
    ("name", "size_bytes", "refused"),
    [
        ("w.pt", 20_000_001, True),
        ("w.pt", 20_000_000, False),
        ("x.py", 50_000_000, False),
        ("x.py", 100_000_001, True),
    ],
)
def test_data_and_weights_are_refused_by_size(
    tmp_path: Path, name: str, size_bytes: int, refused: bool
) -> None:
    with (tmp_path / name).open("wb") as file:
        file.truncate(size_bytes)
    (tmp_path / ".gitignore").write_text("*.log\n")
    if not refused:
        assert len(load_project(tmp_path, environment={}).code.files) == 1
        return
    (problem,) = problems(tmp_path)
    assert "do not belong in the image" in problem.message
    assert problem.suggestion == f"echo '/{name}' >> .gitignore; or name it as [data.NAME] source"


def test_the_same_files_come_out_with_and_without_git(tmp_path: Path) -> None:
    files = {"train.py": "", "pkg/a.py": "", ".gitignore": "x\n"}
    assert paths(tmp_path / "one", files) == paths(
        tmp_path / "two", {**files, ".git/HEAD": "ref", ".git/info/exclude": "pkg"}
    )


def test_a_path_that_is_no_folder_is_our_error(tmp_path: Path) -> None:
    from lading.errors import ProjectError

    with pytest.raises(ProjectError, match="not a folder"):
        load_project(tmp_path / "absent", environment={})
