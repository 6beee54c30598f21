"""`lading import` as a command: what it refuses to read, what it leaves behind, and what it says is next."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from lading.cli.main import run_command_line

PARTS = "FROM python:3.12\nWORKDIR /app\nCOPY main.py main.py\nCMD python main.py\n"
WHOLE = PARTS.replace("COPY main.py main.py", "COPY . .")


def run(folder: Path, *words: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    status = run_command_line(("import", *words), {"LADING_HOME": str(folder / "home")}, out, err)
    return status, out.getvalue(), err.getvalue()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "serve"
    folder.mkdir()
    (folder / "Dockerfile").write_text(PARTS)
    (folder / "main.py").write_text("print(1)\n")
    return folder


def test_code_copied_without_a_workdir_enters_the_image(root: Path) -> None:
    (root / "Dockerfile").write_text('FROM python:3.12\nCOPY . .\nCMD ["python", "main.py"]\n')
    status, out, _ = run(root.parent, str(root))
    assert (status, "not carried" in out) == (0, False)
    assert not (root / ".ladingignore").exists()
    assert "workdir" not in (root / "lading.toml").read_text()


class TestLeftovers:
    def test_rules_of_an_earlier_import_go_when_nothing_needs_them(self, root: Path) -> None:
        assert run(root.parent, str(root))[0] == 0
        assert (root / ".ladingignore").exists()
        (root / "Dockerfile").write_text(WHOLE)
        assert "--force removes .ladingignore" in run(root.parent, str(root), "--dry-run")[2]
        assert (root / ".ladingignore").exists()
        assert run(root.parent, str(root))[0] == 1
        status, out, _ = run(root.parent, str(root), "--force", "--json")
        assert (status, json.loads(out)["removed"]) == (0, [".ladingignore"])
        assert not (root / ".ladingignore").exists()

    def test_rules_left_alone_are_refused_by_name(self, root: Path) -> None:
        assert run(root.parent, str(root))[0] == 0
        (root / "lading.toml").unlink()
        (root / "Dockerfile").write_text(WHOLE)
        status, _, err = run(root.parent, str(root))
        assert (status, ".ladingignore: there already" in err) == (1, True)
        assert "removed .ladingignore" in run(root.parent, str(root), "--force")[2]

    def test_rules_that_somebody_wrote_stay(self, root: Path) -> None:
        (root / ".ladingignore").write_text("/data\n")
        assert run(root.parent, str(root), "--force")[0] == 0
        assert (root / ".ladingignore").read_text() == "/data\n"


class TestReading:
    def test_a_folder_is_no_dockerfile(self, root: Path) -> None:
        (root / "Dockerfile").unlink()
        assert f"{root} is a folder, and no Dockerfile is in it" in run(root.parent, str(root))[2]
        (root / "Dockerfile").mkdir()
        status, _, err = run(root.parent, str(root))
        assert (status, f"{root}/Dockerfile is a folder, not a Dockerfile" in err) == (1, True)

    def test_dockerfile_that_is_a_folder_in_the_working_folder(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (root / "Dockerfile").unlink()
        (root / "Dockerfile").mkdir()
        monkeypatch.chdir(root)
        status, _, err = run(root.parent)
        assert (status, "Dockerfile is a folder" in err, "No such file" in err) == (1, True, False)

    def test_what_is_no_regular_file_is_never_opened(self, root: Path) -> None:
        os.mkfifo(root / "pipe")
        status, _, err = run(root.parent, str(root / "pipe"))
        assert (status, "pipe is no regular file" in err, "lading import -" in err) == (1, True, True)

    def test_other_bytes_than_utf_8_are_told_as_lint_does(self, root: Path) -> None:
        (root / "Dockerfile").write_bytes(b"FROM python:3.12\nRUN echo \xff\n")
        status, _, err = run(root.parent, str(root))
        assert (status, "Dockerfile was not read: it is not UTF-8" in err) == (1, True)
        assert "Dockerfile:2" in err


def test_a_build_argument_without_effect_is_told_on_standard_error(root: Path) -> None:
    status, out, err = run(root.parent, str(root), "--build-arg", "NOPE=1")
    assert (status, "NOPE" in out) == (0, False)
    assert "--build-arg NOPE is used nowhere: no ARG declares it" in err


def test_what_to_do_about_files_that_are_there_keeps_the_words_of_the_command(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "lading.toml").write_text("# mine\n")
    (root.parent / "other").mkdir()
    monkeypatch.chdir(root.parent / "other")
    err = run(root.parent, "../serve", "--build-arg", "A=b c", "--stage", "0")[2]
    assert "lading import ../serve --stage 0 --build-arg 'A=b c' --force" in err
    assert "lading import ../serve --stage 0 --build-arg 'A=b c' --dry-run" in err
    token = "hf_" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3z"
    assert token not in run(root.parent, "../serve", "--build-arg", f"A={token}")[2]


class TestNext:
    def test_it_names_the_commands_for_what_was_written(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(root)
        err = run(root.parent)[2]
        commands = [line.split("  ")[1] for line in err.splitlines() if line.startswith("  lading")]
        assert commands == ["lading plan", "lading build --load docker", "lading run app"]

    def test_it_names_the_folder_where_that_is_another(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(root.parent)
        err = run(root.parent, "serve")[2]
        for command in ("plan ./serve", "build ./serve --load docker", "run ./serve app"):
            assert f"lading {command} " in err

    @pytest.mark.parametrize(
        ("start", "expected"),
        [
            ('["python", "train.py"]', "lading run train"),
            ("python train.py", "lading run train"),
            ('["python", "fit.py"]', "lading run train"),
            ('["uvicorn", "main:app"]', "lading run app"),
            ('["bash"]', None),
        ],
    )
    def test_a_task_is_named_only_where_it_starts_the_same(
        self, root: Path, monkeypatch: pytest.MonkeyPatch, start: str, expected: str | None
    ) -> None:
        (root / "train.py").write_text("print(1)\n")
        (root / "Dockerfile").write_text(f"FROM python:3.12\nWORKDIR /app\nCOPY . .\nCMD {start}\n")
        monkeypatch.chdir(root)
        err = run(root.parent)[2]
        assert ("lading run" in err) == (expected is not None)
        assert expected is None or f"{expected} " in err
