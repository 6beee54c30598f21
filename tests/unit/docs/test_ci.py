"""The recipes for CI are what the two services accept: checked against their own schemas, offline."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).parents[3] / "docs/ci"
SCHEMAS = {"github.yml": "vendor.github-workflows", "gitlab.yml": "vendor.gitlab-ci"}


def check(path: Path, schema: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_every_recipe_has_a_schema() -> None:
    assert {path.name for path in FOLDER.iterdir()} == SCHEMAS.keys()


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_recipe_is_what_its_service_reads(name: str) -> None:
    done = check(FOLDER / name, SCHEMAS[name])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_schema_would_find_a_mistake(name: str, tmp_path: Path) -> None:
    """An oracle that accepts anything is none."""
    wrong = (FOLDER / name).read_text("utf-8").replace("timeout", "time-out").replace("  script:", "  scrpt:")
    (tmp_path / name).write_text(wrong)
    assert check(tmp_path / name, SCHEMAS[name]).returncode == 1


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_recipe_holds_no_secret_and_asks_for_the_lock(name: str) -> None:
    text = (FOLDER / name).read_text("utf-8")
    assert "lading push --locked" in text
    assert "LADING_HOME" in text
    assert "docker" not in text.lower().replace("no docker", "")


def test_the_lint_action_and_hook_are_well_formed() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-actions"]
    subprocess.run([*command, str(FOLDER.parents[1] / "action.yml")], check=True, capture_output=True)
    (hook,) = yaml.safe_load((FOLDER.parents[1] / ".pre-commit-hooks.yaml").read_text("utf-8"))
    assert {"id", "name", "entry", "language", "files"} <= hook.keys()
    names = ("Dockerfile", "docker/Dockerfile.gpu", "a/compose.yaml", "k8s/job.yml", "b.dockerfile")
    assert all(re.search(hook["files"], name) for name in names)
    assert not re.search(hook["files"], "src/main.py")
