"""Packages found without running anything = what the real build backend puts into its wheel."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lading.project.load import load_project
from lading.project.model import CodeKind

pytestmark = [pytest.mark.slow, pytest.mark.network]

PROJECT = '[project]\nname = "My.App"\ndynamic = ["version"]\n[project.scripts]\nfit = "my_app:main"\n'
LITERAL = PROJECT.replace('dynamic = ["version"]', 'version = "3.2"')
INIT = '"""My app."""\n\n__version__ = "3.2"\n'
CASES = {
    "setuptools-src": (
        PROJECT + '[build-system]\nrequires = ["setuptools>=75"]\nbuild-backend = "setuptools.build_meta"\n'
        '[tool.setuptools.dynamic]\nversion = { attr = "my_app.__version__" }\n',
        {
            "src/my_app/__init__.py": INIT,
            "src/my_app/deep/a.py": "",
            "src/other.py": "",
            "tests/test_a.py": "",
        },
    ),
    "setuptools-flat": (
        LITERAL + '[build-system]\nrequires = ["setuptools>=75"]\nbuild-backend = "setuptools.build_meta"\n',
        {
            "my_app/__init__.py": INIT,
            "my_app/deep/__init__.py": "",
            "tests/__init__.py": "",
            "docs/__init__.py": "",
        },
    ),
    "hatchling-src": (
        PROJECT + '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[tool.hatch.version]\npath = "src/my_app/__init__.py"\n',
        {"src/my_app/__init__.py": INIT, "src/my_app/data/x.json": "{}", "other/__init__.py": ""},
    ),
    "hatchling-packages": (
        LITERAL + '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[tool.hatch.build.targets.wheel]\npackages = ["lib/one", "two"]\n',
        {"lib/one/__init__.py": "", "two/__init__.py": "", "three/__init__.py": ""},
    ),
    "flit": (
        PROJECT.replace("My.App", "my_app").replace('"version"', '"version", "description"')
        + '[build-system]\nrequires = ["flit_core>=3.9"]\nbuild-backend = "flit_core.buildapi"\n',
        {"my_app.py": INIT},
    ),
    "uv": (
        LITERAL + '[build-system]\nrequires = ["uv_build>=0.8"]\nbuild-backend = "uv_build"\n',
        {"src/my_app/__init__.py": INIT, "src/my_app/deep/a.py": ""},
    ),
    "poetry": (
        LITERAL
        + '[build-system]\nrequires = ["poetry-core>=2"]\nbuild-backend = "poetry.core.masonry.api"\n',
        {"my_app/__init__.py": INIT, "my_app/deep/a.py": ""},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_backend_agrees(case: str, tmp_path: Path) -> None:
    pyproject, files = CASES[case]
    root = tmp_path / "project"
    for name, content in {"pyproject.toml": pyproject, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    project = load_project(root, environment={})
    assert project.code.kind is CodeKind.PURE, project.code.because

    uv = Path(sys.executable).with_name("uv")
    command = [
        str(uv),
        "build",
        "-q",
        "--wheel",
        "--python",
        sys.executable,
        "--out-dir",
        str(tmp_path / "dist"),
        str(root),
    ]
    subprocess.run(command, check=True, capture_output=True, text=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        built = {name for name in archive.namelist() if ".dist-info/" not in name and not name.endswith("/")}
        metadata = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        entry_points = archive.read(metadata.replace("METADATA", "entry_points.txt")).decode()
        version = next(
            line.removeprefix("Version: ")
            for line in archive.read(metadata).decode().splitlines()
            if line.startswith("Version: ")
        )

    ours = set()
    for file in project.code.files:
        for source, target in project.code.packages.items():
            if file.path == source or file.path.startswith(f"{source}/"):
                ours.add(target + file.path[len(source) :])
    assert built == ours
    assert project.code.distribution == (project.name, version)
    assert "fit" in project.code.scripts
    assert f"fit = {project.code.scripts['fit']}" in entry_points.replace("fit=", "fit = ")
