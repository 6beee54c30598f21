"""`lading lint` with hadolint, and mends that change a file beside the one with the finding."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Lading

WHOLE = "FROM python:3.12-slim\nWORKDIR /app\nCOPY . .\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    (folder / "Dockerfile").write_text(WHOLE)
    (folder / "kaggle.json").write_text("{}")
    monkeypatch.chdir(folder)
    return folder


def test_a_mend_makes_the_file_beside_and_a_second_changes_nothing(lading: Lading, project: Path) -> None:
    assert "+++ b/.dockerignore" in lading("lint", "--fix", "--dry-run").stderr
    assert not (project / ".dockerignore").exists()
    said = lading("lint", "--fix")
    assert (said.status, said.stdout) == (0, "")
    assert sorted((project / ".dockerignore").read_text().splitlines()) == [".git", "kaggle.json"]
    assert (project / "Dockerfile").read_text() == WHOLE
    assert lading("lint", "--fix").stderr == "1 file, 0 findings\n"


def test_a_mend_keeps_what_the_file_beside_says(lading: Lading, project: Path) -> None:
    (project / ".dockerignore").write_text("*.md")
    (project / "Dockerfile.gpu").write_text(WHOLE)
    assert lading("lint", "--fix").status == 0
    kept = (project / ".dockerignore").read_text().splitlines()
    assert kept[0] == "*.md"
    assert sorted(line for line in kept if line) == ["*.md", ".git", "kaggle.json"]


def test_hadolint_is_asked_by_option_or_by_the_project(lading: Lading, project: Path) -> None:
    (project / "Dockerfile").write_text("FROM debian\nRUN sudo true\n")
    assert lading("lint").stdout == ""
    said = lading("lint", "--hadolint")
    assert said.status == 1
    assert [line.split()[:3] for line in said.stdout.splitlines()] == [
        ["Dockerfile:1:1:", "warning", "DL3006:"],
        ["Dockerfile:2:1:", "error", "DL3004:"],
    ]
    (project / "lading.toml").write_text('[lint]\nhadolint = true\nseverity = { DL3004 = "off" }\n')
    said = lading("lint")
    assert (said.status, said.stdout.count("\n")) == (0, 1)
    assert "error DL3006" in lading("lint", "--severity", "DL3006=error").stdout
    assert "DL3006" in lading("lint", "--fix").stdout, "asked about what is left"
    assert lading("lint", "--severity", "XX3006=error").status == 2


def test_hadolint_that_is_not_there_is_named_with_its_remedy(
    lading: Lading, project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    said = lading("lint", "--hadolint")
    assert said.status == 2
    assert "pip install 'lading[hadolint]'" in said.stderr
