"""`lading import`: what it prints, what it writes, and that nothing that is there is overwritten."""

from __future__ import annotations

from pathlib import Path

from lading.project.load import load_project

from .conftest import Lading

TEXT = "FROM python:3.12-slim\nWORKDIR /app\nCOPY . .\nRUN pip install six\nVOLUME /x\nCMD python main.py\n"


def folder(tmp_path: Path, text: str = TEXT) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "Dockerfile").write_text(text)
    (root / "main.py").write_text("print(1)\n")
    return root


def test_it_writes_a_project_and_a_table_of_every_line(lading: Lading, tmp_path: Path) -> None:
    root = folder(tmp_path)
    said = lading("import", str(root / "Dockerfile"))
    assert said.status == 0
    rows = [line.split()[0] for line in said.stdout.splitlines()]
    assert rows == ["line", "1", "2", "3", "4", "5", "6"]
    assert "VOLUME /x" in said.stdout and "not carried" in said.stdout
    assert load_project(root, environment={}).targets["train"].command == ("/bin/sh", "-c", "python main.py")
    assert (root / "requirements.txt").read_text().endswith("\nsix\n")


def test_nothing_is_overwritten_without_force(lading: Lading, tmp_path: Path) -> None:
    root = folder(tmp_path)
    (root / "lading.toml").write_text("# mine\n")
    said = lading("import", str(root))
    assert (said.status, "not overwritten" in said.stderr, "--force" in said.stderr) == (1, True, True)
    assert (root / "lading.toml").read_text() == "# mine\n"
    assert not (root / "requirements.txt").exists(), "all files, or none"
    assert lading("import", str(root), "--force").status == 0
    first = {path.name: path.read_text() for path in root.iterdir()}
    assert lading("import", str(root), "--force").status == 0
    assert {path.name: path.read_text() for path in root.iterdir()} == first, "a second import says the same"


def test_dry_run_and_stdout_write_nothing(lading: Lading, tmp_path: Path) -> None:
    root = folder(tmp_path)
    before = sorted(root.iterdir())
    assert lading("import", str(root), "--dry-run").stdout.startswith("line")
    assert lading("import", str(root), "--stdout").stdout.startswith("# Made by `lading import`")
    document = lading("import", str(root), "--dry-run", "--json").document
    assert set(document["files"]) == {"lading.toml", "requirements.txt"}
    assert document["written"] == []
    assert sorted(root.iterdir()) == before


def test_a_context_may_be_another_folder(lading: Lading, tmp_path: Path) -> None:
    root = folder(tmp_path)
    docker = tmp_path / "docker"
    docker.mkdir()
    (root / "Dockerfile").rename(docker / "gpu.Dockerfile")
    assert lading("import", str(docker / "gpu.Dockerfile"), "--context", str(root)).status == 0
    assert (root / "lading.toml").exists()


def test_mistakes_are_told_by_name(lading: Lading, tmp_path: Path) -> None:
    root = folder(tmp_path, "ONCE upon a time\n")
    said = lading("import", str(root))
    assert (said.status, "is no instruction" in said.stderr) == (1, True)
    assert lading("import", str(tmp_path / "nowhere")).status == 1
    assert lading("import", str(root), "--build-arg", "X").status == 2
    assert lading("import", str(root), "--context", str(tmp_path / "nowhere")).status == 2
