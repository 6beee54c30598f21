"""How code becomes importable without running it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lading.project.model import Code, CodeKind

from .folders import load_folder

PROJECT = '[project]\nname = "my-app"\nversion = "1.4"\n'
DYNAMIC = '[project]\nname = "my-app"\ndynamic = ["version"]\n'


def backend(name: str) -> str:
    return f'[build-system]\nrequires = []\nbuild-backend = "{name}"\n'


SETUPTOOLS = backend("setuptools.build_meta")
HATCH = backend("hatchling.build")


def code(root: Path, pyproject: str, *files: str, **contents: str) -> Code:
    made = {
        **dict.fromkeys(files, ""),
        **{name.replace("__", "/", 1): text for name, text in contents.items()},
    }
    return load_folder(root, {"pyproject.toml": pyproject, **made}).code


@pytest.mark.parametrize(
    ("pyproject", "files", "packages"),
    [
        (
            PROJECT + SETUPTOOLS,
            ["src/my_app/__init__.py", "src/other.py"],
            {"src/my_app": "my_app", "src/other.py": "other.py"},
        ),
        (PROJECT, ["src/my_app/__init__.py"], {"src/my_app": "my_app"}),
        (PROJECT + SETUPTOOLS, ["my_app/__init__.py", "tests/__init__.py"], {"my_app": "my_app"}),
        (PROJECT + SETUPTOOLS, ["my_app.py"], {"my_app.py": "my_app.py"}),
        (
            PROJECT + SETUPTOOLS + '[tool.setuptools]\npackages = ["a", "a.b"]\n',
            ["a/__init__.py", "a/b/__init__.py"],
            {"a": "a"},
        ),
        (
            PROJECT + SETUPTOOLS + '[tool.setuptools.packages.find]\nwhere = ["lib"]\n',
            ["lib/a/__init__.py"],
            {"lib/a": "a"},
        ),
        (PROJECT + HATCH, ["src/my_app/__init__.py"], {"src/my_app": "my_app"}),
        (PROJECT + HATCH, ["my_app/__init__.py", "src/x"], {"my_app": "my_app"}),
        (
            PROJECT + HATCH + '[tool.hatch.build.targets.wheel]\npackages = ["src/a", "b"]\n',
            ["src/a/__init__.py", "b/x.py"],
            {"src/a": "a", "b": "b"},
        ),
        (PROJECT + backend("flit_core.buildapi"), ["my_app.py"], {"my_app.py": "my_app.py"}),
        (
            PROJECT + backend("flit_core.buildapi") + '[tool.flit.module]\nname = "m"\n',
            ["src/m/__init__.py"],
            {"src/m": "m"},
        ),
        (PROJECT + backend("uv_build"), ["src/my_app/__init__.py"], {"src/my_app": "my_app"}),
        (
            PROJECT + backend("uv_build") + '[tool.uv.build-backend]\nmodule-root = ""\n',
            ["my_app/__init__.py"],
            {"my_app": "my_app"},
        ),
        (PROJECT + backend("poetry.core.masonry.api"), ["my_app/__init__.py"], {"my_app": "my_app"}),
        (
            PROJECT
            + backend("poetry.core.masonry.api")
            + '[tool.poetry]\npackages = [{ include = "a", from = "lib" }]\n',
            ["lib/a/__init__.py"],
            {"lib/a": "a"},
        ),
    ],
)
def test_plain_projects_are_importable_without_running_anything(
    tmp_path: Path, pyproject: str, files: list[str], packages: dict[str, str]
) -> None:
    found = code(tmp_path, pyproject, *files)
    assert (found.kind, dict(found.packages)) == (CodeKind.PURE, packages), found.because
    assert found.distribution == ("my-app", "1.4")


@pytest.mark.parametrize(
    ("pyproject", "contents"),
    [
        (
            DYNAMIC + SETUPTOOLS + '[tool.setuptools.dynamic]\nversion = { attr = "my_app.__version__" }\n',
            "__version__ = '3.2'\n",
        ),
        (DYNAMIC + HATCH + '[tool.hatch.version]\npath = "my_app/__init__.py"\n', "__version__ = '3.2'\n"),
        (DYNAMIC + backend("flit_core.buildapi"), '"""My app."""\n__version__: str = "3.2"\n'),
    ],
)
def test_a_literal_version_is_read_and_not_run(tmp_path: Path, pyproject: str, contents: str) -> None:
    found = code(tmp_path, pyproject, my_app____init__=f"{contents}raise SystemExit\n")
    assert found.kind is CodeKind.BUILD  # nothing at my_app/__init__.py
    files = {"pyproject.toml": pyproject, "my_app/__init__.py": f"{contents}raise SystemExit\n"}
    assert load_folder(tmp_path / "two", files).code.distribution == ("my-app", "3.2")


@pytest.mark.parametrize(
    ("pyproject", "files", "because"),
    [
        (
            PROJECT + SETUPTOOLS,
            {"setup.py": "import numpy\nsetup(ext_modules=[])\n", "my_app.py": ""},
            "setup.py computes",
        ),
        (PROJECT + backend("maturin"), {}, "maturin has to run"),
        (PROJECT + backend("scikit_build_core.build"), {}, "has to run"),
        (PROJECT + backend("mesonpy"), {}, "has to run"),
        (
            PROJECT + SETUPTOOLS,
            {"a/__init__.py": "", "b/__init__.py": ""},
            "several top-level packages: a, b",
        ),
        (PROJECT + SETUPTOOLS, {"src/a/__init__.py": "", "src/a/fast.pyx": ""}, "fast.pyx is compiled"),
        (PROJECT + HATCH + "[tool.hatch.build.hooks.vcs]\n", {"my_app.py": ""}, "hooks"),
        (DYNAMIC + SETUPTOOLS, {"my_app.py": ""}, "version is computed"),
        (
            DYNAMIC + SETUPTOOLS + '[tool.setuptools.dynamic]\nversion = { attr = "my_app.v" }\n',
            {"my_app.py": "v = f()\n"},
            "computed",
        ),
        (PROJECT + '[build-system]\nbuild-backend = "b"\nbackend-path = ["."]\n', {}, "in the project"),
        ("", {"setup.py": "setup()\n"}, "setup.py says"),
    ],
)
def test_what_takes_running_code_is_left_to_a_build(
    tmp_path: Path, pyproject: str, files: dict[str, str], because: str
) -> None:
    found = load_folder(tmp_path, {"pyproject.toml": pyproject, **files}).code
    assert found.kind is CodeKind.BUILD
    assert because in found.because


@pytest.mark.parametrize("pyproject", ["", "[tool.ruff]\n", PROJECT])
def test_a_folder_of_scripts_is_copied(tmp_path: Path, pyproject: str) -> None:
    assert code(tmp_path, pyproject, "train.py").kind is CodeKind.FOLDER


def test_scripts_and_entry_points_are_read(tmp_path: Path) -> None:
    text = (
        PROJECT
        + HATCH
        + '[project.scripts]\nfit = "my_app:main"\n[project.gui-scripts]\nshow = "my_app:show"\n'
        '[project.entry-points."mlflow.app"]\nours = "my_app:plugin"\n'
    )
    found = code(tmp_path, text, "src/my_app/__init__.py")
    assert dict(found.scripts) == {"fit": "my_app:main", "show": "my_app:show"}
    assert found.entry_points == {"mlflow.app": {"ours": "my_app:plugin"}}


def test_a_bare_setup_py_computes_nothing(tmp_path: Path) -> None:
    files = {
        "pyproject.toml": PROJECT + SETUPTOOLS,
        "my_app.py": "",
        "setup.py": "from setuptools import setup\n\nsetup()\n",
    }
    assert load_folder(tmp_path, files).code.kind is CodeKind.PURE


def test_the_readme_of_a_project_that_is_built_does_not_enter_its_image(tmp_path: Path) -> None:
    found = load_folder(tmp_path, {"pyproject.toml": PROJECT + backend("maturin"), "README.md": ""}).code
    assert "README.md" not in [file.path for file in found.files]
