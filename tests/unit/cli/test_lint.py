"""`lading lint`: what it prints, what it writes, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Lading

BAD = "FROM debian:12\nRUN apt-get update & apt-get install -y git\n"


def file(folder: Path, text: str = BAD, name: str = "Dockerfile") -> Path:
    path = folder / "project" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_an_error_is_told_with_its_place_and_fails(lading: Lading, tmp_path: Path) -> None:
    path = file(tmp_path)
    said = lading("lint", str(path.parent))
    assert said.status == 1
    assert said.stdout.startswith(f"{path}:2:20: error LDD009: ")
    assert lading("lint", str(path), "--fail-on", "off").status == 0
    assert lading("lint", str(path), "--severity", "LDD009=warning").status == 0
    assert lading("lint", str(path), "--severity", "LDD009=off").stdout == ""


def test_a_fix_shows_its_diff_and_a_second_changes_nothing(lading: Lading, tmp_path: Path) -> None:
    path = file(tmp_path)
    assert "+RUN apt-get update && apt-get" in lading("lint", str(path), "--fix", "--dry-run").stderr
    assert path.read_text() == BAD
    said = lading("lint", str(path), "--fix")
    assert (said.status, said.stdout) == (0, "")
    assert "-RUN apt-get update & apt-get" in said.stderr
    assert path.read_text() == BAD.replace(" & ", " && ")
    assert lading("lint", str(path), "--fix").stderr == "1 file, 0 findings\n"


def test_an_ignore_needs_a_reason(lading: Lading, tmp_path: Path) -> None:
    why = "FROM debian:12\n# lading: ignore LDD009 the mirror is slow\n" + BAD.partition("\n")[2]
    assert lading("lint", str(file(tmp_path, why))).stdout == ""
    said = lading("lint", str(file(tmp_path, why.replace(" the mirror is slow", ""))))
    assert [line.split()[2] for line in said.stdout.splitlines()] == ["LDL001:", "LDD009:"]


def test_a_baseline_leaves_only_what_is_new(lading: Lading, tmp_path: Path) -> None:
    path, known = file(tmp_path), str(tmp_path / "known.json")
    assert lading("lint", str(path), "--baseline", known, "--write-baseline").status == 0
    path.write_text("# a line more\n" + BAD)
    assert lading("lint", str(path), "--baseline", known).stdout == ""
    path.write_text(BAD + "WORKDIR /proc/self\n")
    assert "LDD034" in lading("lint", str(path), "--baseline", known).stdout
    Path(known).write_text("{")
    assert lading("lint", str(path), "--baseline", known).status == 2


def test_other_programs_read_it(lading: Lading, tmp_path: Path) -> None:
    path = file(tmp_path)
    sarif = json.loads(lading("lint", str(path), "--format", "sarif").stdout)
    assert (sarif["version"], sarif["$schema"].endswith("sarif-2.1.0.json")) == ("2.1.0", True)
    (run,) = sarif["runs"]
    (result,) = run["results"]
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "LDD009"
    region = result["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 2, "startColumn": 20}
    assert lading("lint", str(path), "--format", "github").stdout.startswith(
        f"::error file={path},line=2,col=20,"
    )
    assert lading("lint", str(path), "--json").document["findings"][0]["can_fix"] is True


def test_what_cannot_be_read_is_named_and_no_finding(lading: Lading, tmp_path: Path) -> None:
    path = file(tmp_path, "apiVersion: v1\na: [\nkind: A\n", "chart.yaml")
    said = lading("lint", str(path))
    assert (said.status, said.stdout) == (0, "")
    assert "is no plain YAML: line" in said.stderr
    assert lading("lint", str(tmp_path / "absent")).status == 2
    assert lading("lint", str(path), "--severity", "LDD999=off").status == 2


def test_the_project_says_which_levels_hold(
    lading: Lading, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file(tmp_path).parent)
    Path("lading.toml").write_text('[lint]\nfail_on = "warning"\nseverity = { LDD009 = "info" }\n')
    said = lading("lint")
    assert (said.status, "info LDD009" in said.stdout) == (0, True)
    assert lading("lint", "--severity", "LDD009=warning").status == 1
    Path("lading.toml").write_text('[lint]\nseverity = { LDD099 = "off" }\n')
    said = lading("lint")
    assert (said.status, "lading.toml:2: lint.severity.LDD099" in said.stderr) == (1, True)
    Path("lading.toml").write_text('[lint]\nrun = "ruff check"\n')
    assert "error LDD009" in lading("lint").stdout, "a task may have the name"


def test_each_file_has_the_levels_of_the_nearest_project(lading: Lading, tmp_path: Path) -> None:
    for name, written in {
        "a/lading.toml": '[lint]\nfail_on = "off"\n',
        "a/b/pyproject.toml": '[tool.lading.lint]\nseverity = { LDD009 = "info" }\n',
        "a/b/c/pyproject.toml": "[project]\nname = 'c'\nversion = '1'\n",
        "a/b/d/pyproject.toml": "[broken",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(written)
    for folder in ("a", "a/b", "a/b/c", "a/b/d"):
        (tmp_path / folder / "Dockerfile").write_text(BAD)
    said = lading("lint", str(tmp_path / "a"))
    levels = [line.split(": ")[1].split()[0] for line in said.stdout.splitlines() if "LDD009" in line]
    assert (said.status, sorted(levels)) == (0, ["error", "info", "info", "info"])
    assert lading("lint", str(tmp_path / "a/Dockerfile"), "--fail-on", "error").status == 1
    (tmp_path / "a/b/pyproject.toml").write_text('[tool.lading.lint]\nseverity = { LDD009 = "loud" }\n')
    said = lading("lint", str(tmp_path / "a"))
    assert (said.status, "a/b/pyproject.toml:2: lint.severity.LDD009" in said.stderr) == (1, True)


def test_two_mends_at_one_place_are_both_made(lading: Lading, tmp_path: Path) -> None:
    pod = "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n    - name: a\n      image: a:1\n"
    pod += "      securityContext: {readOnlyRootFilesystem: true}\n      env:\n"
    pod += "        - {name: HF_HOME, value: /hf}\n        - {name: TRITON_CACHE_DIR, value: /triton}\n"
    path = file(tmp_path, pod, "pod.yaml")
    said = lading("lint", str(path), "--fix")
    assert (said.status, said.stdout) == (0, "")
    assert path.read_text().count("emptyDir") == path.read_text().count("mountPath") == 2
    assert lading("lint", str(path), "--fix").stderr == "1 file, 0 findings\n"
