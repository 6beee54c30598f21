"""What is code and what is lading's own: a setting retrains nothing, wherever it is written."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from lading.image.kinds.code import code_layer
from lading.project.load import load_project

PROJECT = '[project]\nname = "p"\nversion = "1"\n'


def contents(root: Path, pyproject: str) -> set[tuple[str, int, str | None]]:
    """What the layer holds, path by path."""
    (root / "pyproject.toml").write_text(pyproject)
    layer = code_layer(load_project(root, environment={}), "3.13")
    made = {(path, mode, hashlib.sha256(content).hexdigest()) for path, mode, content in layer.generated}
    return made | {(file.path, file.mode, file.sha256) for file in layer.files}


@pytest.mark.parametrize("package", [False, True])
def test_a_setting_in_pyproject_makes_no_other_code(tmp_path: Path, package: bool) -> None:
    (tmp_path / "train.py").touch()
    more = ""
    if package:
        (tmp_path / "src" / "p").mkdir(parents=True)
        (tmp_path / "src" / "p" / "__init__.py").touch()
        more = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    plain = PROJECT + more
    without = contents(tmp_path, plain)

    assert contents(tmp_path, plain + '\n[tool.lading.train]\ngate = "a > 1"\n') == without
    assert contents(tmp_path, plain + '\n[tool.lading.train]\ngate = "a > 2"\n') == without


def test_any_other_change_of_pyproject_does(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    ours = '[tool.lading.train]\ngate = "a > 1"\n'

    assert contents(tmp_path, PROJECT + ours) != contents(tmp_path, PROJECT + "[tool.mine]\nx = 1\n" + ours)


def test_the_copy_in_the_image_is_pyproject_without_the_settings(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    (tmp_path / "pyproject.toml").write_text(f"{PROJECT}[tool.lading.train]\ngate = 'a > 1'\n")
    layer = code_layer(load_project(tmp_path, environment={}), "3.13")

    assert layer.generated == (("app/pyproject.toml", 0o644, PROJECT.encode()),)
    assert [file.path for file in layer.files] == ["app/train.py"]
