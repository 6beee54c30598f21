"""The recipes for CI are what the two services accept: checked against their own schemas, offline."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from lading.inspect.lint.documents import is_candidate

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


ROOT = FOLDER.parents[1]


def test_the_lint_action_is_what_github_reads(tmp_path: Path) -> None:
    """And the schema would find a mistake in it."""
    assert check(ROOT / "action.yml", "vendor.github-actions").returncode == 0
    wrong = (ROOT / "action.yml").read_text("utf-8").replace("using: composite", "use: composite")
    (tmp_path / "action.yml").write_text(wrong)
    assert check(tmp_path / "action.yml", "vendor.github-actions").returncode == 1


def test_the_lint_hook_reads_what_the_linter_reads(tmp_path: Path) -> None:
    """check-jsonschema ships no schema of `.pre-commit-hooks.yaml`: this says what pre-commit documents."""
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    schema = {
        "type": "object",
        "required": ["id", "name", "entry", "language"],
        "properties": {
            **{name: {"type": "string"} for name in ("id", "name", "description", "entry")},
            "language": {"enum": ["python", "system", "script", "fail", "pygrep"]},
            "files": {"type": "string", "format": "regex"},
            "additional_dependencies": {"type": "array", "items": {"type": "string"}},
        },
        "additionalProperties": False,
    }
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    validator.validate(hook)
    names = (
        "Dockerfile", "docker/Dockerfile.gpu", "a/compose.yaml", "k8s/job.yml", "b.dockerfile",
        "requirements.txt", "reqs/dev-requirements.txt", "pyproject.toml", "a/uv.lock", "poetry.lock",
        "pylock.toml", "setup.py", "environment.yml", "src/train.py",
    )  # fmt: skip
    assert all(re.search(hook["files"], name) and is_candidate(Path(name).name) for name in names)
    for name in ("README.md", "src/main.rs", "package.json"):
        assert not re.search(hook["files"], name)
        assert not is_candidate(name)
