"""`lading lint` says how much it looked at, never opens what is no regular file, and shows a rule's page."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lading.inspect.lint.rule import all_rules

from .conftest import Lading

BAD = "FROM debian:12\nRUN apt-get update & apt-get install -y git\n"
STYLE = "FROM python:3.12-slim\nENV PYTHONUNBUFFERED=1\nCMD gunicorn a:b\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "project"
    path.mkdir()
    monkeypatch.chdir(path)
    return path


@pytest.mark.parametrize("name", ["Dockerfile", "requirements.txt", "x.yaml", "pyproject.toml"])
def test_a_pipe_is_never_opened(lading: Lading, folder: Path, name: str) -> None:
    os.mkfifo(folder / name)
    (folder / "Dockerfile.gpu").write_text("FROM debian:12\n")
    said = lading("lint")
    assert said.status == 0
    assert f"{name} was not read: it is a pipe, no regular file" in said.stderr
    assert said.stderr.endswith("1 file, 0 findings, 1 file not read\n")
    said = lading("lint", name)
    assert (said.status, said.stdout) == (2, "")
    assert f"{name} is a pipe, no regular file" in said.stderr


def test_a_pipe_beside_is_never_opened(lading: Lading, folder: Path) -> None:
    (folder / "Dockerfile").write_text("FROM debian:12\n")
    os.mkfifo(folder / "pyproject.toml")
    (folder / "lading.toml").write_text("[lint]\n")
    said = lading("lint", "Dockerfile")
    assert (said.status, "pyproject.toml: is a pipe" in said.stderr) == (1, True), said.stderr


def test_nothing_looked_at_is_said(lading: Lading, folder: Path) -> None:
    (folder / "Dockerfile").mkdir()
    (folder / "oci").mkdir()
    (folder / "oci/oci-layout").write_text("{}")
    assert lading("lint").stderr == ". holds nothing to lint\n0 files, 0 findings\n"
    assert "Dockerfile holds nothing to lint" in lading("lint", "Dockerfile").stderr
    said = lading("lint", "oci")
    assert (said.status, "lading lint oci:oci" in said.stderr) == (0, True)


def test_a_link_that_leads_nowhere_is_said(lading: Lading, folder: Path) -> None:
    (folder / "Dockerfile").symlink_to("gone")
    said = lading("lint")
    assert (said.status, "Dockerfile was not read: it is a link that leads nowhere" in said.stderr) == (
        0,
        True,
    )
    said = lading("lint", "Dockerfile")
    assert (said.status, "leads nowhere" in said.stderr) == (2, True)


def test_a_named_file_of_no_kind_is_a_mistake(lading: Lading, folder: Path) -> None:
    (folder / "notes.txt").write_text("x")
    (folder / "Dockerfile.j2").write_text("FROM {{ base }}")
    (folder / "pod.json").write_text('{"apiVersion": "v1", "kind": "Pod"}')
    said = lading("lint", "notes.txt")
    assert (said.status, "notes.txt is no file that lint knows" in said.stderr) == (2, True)
    assert lading("lint", "pod.json").stderr == "1 file, 0 findings\n"
    said = lading("lint", "Dockerfile.j2")
    assert (said.status, "0 files, 0 findings, 1 file not read" in said.stderr) == (0, True)


def test_the_closing_line_counts(lading: Lading, folder: Path) -> None:
    (folder / "Dockerfile").write_text(BAD + "WORKDIR /proc/self\n")
    (folder / "broken.dockerfile").write_text("RUN x\n")
    last = "1 file, 2 findings, 1 file not read; --fix mends 1 of them"
    assert lading("lint").stderr.endswith(f"{last}; lading lint --explain LDD009 says why\n")
    for form in (("--json",), ("--format", "sarif"), ("--format", "github")):
        assert lading("lint", *form).stderr.endswith(last + "\n")
    assert "--fix mends it;" in lading("lint", "--severity", "LDD034=off").stderr


def test_half_an_option_is_a_mistake_and_a_baseline_is_told(lading: Lading, folder: Path) -> None:
    (folder / "Dockerfile").write_text(BAD)
    said = lading("lint", "--dry-run")
    assert (said.status, "lading lint --fix --dry-run" in said.stderr) == (2, True)
    said = lading("lint", "--baseline", "known.json", "--write-baseline")
    assert (said.status, said.stderr.splitlines()[-1]) == (0, "wrote 1 finding to known.json")


def test_every_rule_has_a_page_to_show(lading: Lading) -> None:
    for name in (*all_rules(), "LDL001"):
        said = lading("lint", "--explain", name.lower())
        assert (said.status, said.stdout.startswith(f"{name}: ")) == (0, True)
        document = lading("lint", "--explain", name, "--json").document
        assert (document["type"], document["rule"], bool(document["page"])) == ("rule", name, True)
    said = lading("lint", "--explain", "LDD0099")
    assert (said.status, "lading lint --explain LDD0" in said.stderr) == (2, True)
    said = lading("lint", "--explain", "DL3008")
    assert (said.status, "hadolint/wiki/DL3008" in said.stderr) == (2, True)


def test_what_an_export_wrote_is_left_out_and_what_lies_beside_is_not(lading: Lading, folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out/Dockerfile").write_text(STYLE)
    assert "LDD020" in lading("lint").stdout
    (folder / "out/lading-export.json").write_text(json.dumps({"files": ["Dockerfile"]}))
    said = lading("lint")
    assert (said.stdout, "1 file of exports left out" in said.stderr) == ("", True)
    assert "LDD020" in lading("lint", "out/Dockerfile").stdout, "named outright it is looked at"
    (folder / "out/Dockerfile.gpu").write_text(STYLE)
    assert lading("lint").stdout.startswith("out/Dockerfile.gpu:")
    for broken in ("{", "[]", '{"files": 3}', '{"files": [3]}'):
        (folder / "out/lading-export.json").write_text(broken)
        assert "out/Dockerfile:" in lading("lint").stdout
