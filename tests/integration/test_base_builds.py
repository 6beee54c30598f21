"""Packages without wheels over somebody else's image: built in a room that stands on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bases import SLIM_PYTHON, Bases, locked, put_layer, torch_held, write_project
from source_trees import EXTENSION, SETUP_EXTENSION, SETUP_TORCH, git, library, sdist

from foreign_images import Layer
from lading.registry.stack import read_stack
from services.process import Tool

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.registry, pytest.mark.root]

SITE = "usr/local/lib/python3.11/site-packages"
UBUNTU: Layer = {"usr/lib/os-release": b"ID=ubuntu\nVERSION_CODENAME=jammy\n"}


def built(project: Path) -> dict[str, dict[str, Any]]:
    return {build["name"]: build for build in locked(project).get("build", ())}


def extension(folder: Path, marked: str = "") -> None:
    files = {"setup.py": SETUP_EXTENSION + marked, "extension.c": EXTENSION}
    sdist(folder / "sdists", "demo_extension", "1.5", files)


def test_a_room_stands_on_the_base_with_its_python_its_torch_and_the_suites_compilers(
    bases: Bases, lading: Tool, tmp_path: Path
) -> None:
    """Compilers go into the room alone, and another machine builds the same wheels again."""
    held = bases.layer({**SLIM_PYTHON, **torch_held(SITE)})
    layers = (bases.base, bases.python_at("usr/local"), bases.headers_at("usr/local"), held)
    base = bases.push("for-builds", *layers, env={"PATH": "/usr/local/bin:/usr/bin:/bin"})
    extension(tmp_path)
    sdist(tmp_path / "sdists", "demo_kernels", "2.0", {"setup.py": SETUP_TORCH})
    project = write_project(
        tmp_path / "p",
        base,
        "--find-links ../sdists\ntorch\ndemo-extension\ndemo-kernels\n",
        '[image.build.demo-kernels]\nneeds = ["torch"]\n',
        code="import demo_extension, demo_kernels\nprint(demo_extension.answer(), demo_kernels.BUILT_WITH)",
    )

    first = lading("lock", cwd=project)
    said = lading("run", "--", "python", "main.py", cwd=project).stdout.split()
    digest = lading("build", cwd=project).stdout

    assert "building demo-extension from source" in first.stderr
    assert said == ["42", "2.8.0a0+nv25.6"]
    wheels = {wheel["name"] for build in built(project).values() for wheel in build["wheel"]}
    assert "setuptools" in wheels and not wheels & {"torch", "numpy"}
    tools = {package["name"] for package in locked(project)["build_package"]}
    assert "gcc" in tools and not tools & {"libc6", "dash", "python3.11"}
    assert locked(project)["package"] == []
    elsewhere = {"LADING_HOME": str(tmp_path / "elsewhere")}
    again = lading("build", "--locked", cwd=project, env=elsewhere)
    assert "building demo-extension from source" in again.stderr
    assert again.stdout == digest


def test_every_kind_of_source_is_built_on_a_base(bases: Bases, lading: Tool, tmp_path: Path) -> None:
    """Git, an archive by path, a folder, an editable one, and the project itself."""
    base = bases.push("kinds", bases.base, bases.python_at("usr/local"), bases.layer(SLIM_PYTHON))
    repository = library(tmp_path / "repository", "demo-git", "git")
    git(repository, "init", "--quiet")
    git(repository, "add", "-A")
    git(repository, "commit", "--quiet", "-m", "one")
    library(tmp_path / "folder", "demo-folder", "folder")
    library(tmp_path / "editable", "demo-editable", "editable")
    said = "Metadata-Version: 2.2\nName: demo-archive\nVersion: 1\n"
    setup = (
        "from setuptools import setup\nsetup(name='demo-archive', version='1', py_modules=['demo_archive'])\n"
    )
    files = {"PKG-INFO": said, "setup.py": setup, "demo_archive.py": "VALUE = 'archive'\n"}
    sdist(tmp_path / "sdists", "demo_archive", "1", files)
    names = ("git", "archive", "folder", "editable", "own")
    project = write_project(
        tmp_path / "p",
        base,
        f"demo-git @ git+{repository.as_uri()}\n../sdists/demo_archive-1.tar.gz\n../folder\n-e ../editable\n",
        code="".join(f"import demo_{name}\nprint(demo_{name}.VALUE)\n" for name in names),
    )
    (project / "demo_own.py").write_text("VALUE = 'own'\n")
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools>=64", "setuptools-scm"]\n'
        'build-backend = "setuptools.build_meta"\n[project]\nname = "demo-own"\ndynamic = ["version"]\n'
        '[tool.setuptools]\npy-modules = ["demo_own"]\n[tool.setuptools_scm]\n'
    )

    printed = lading("run", "--", "python", "main.py", cwd=project).stdout.split()

    assert printed == list(names)
    assert {build["source"]["kind"] for build in built(project).values()} == {"git", "path", "project"}


def test_an_older_base_is_brought_up_to_its_suite_in_the_room_alone(
    bases: Bases, lading: Tool, tmp_path: Path
) -> None:
    """Compilers want the suite's very libc, and the base was made before its last update.

    Its Python is Debian's own, without headers: these come as Debian's package.
    """
    stack = read_stack(bases.store, [bases.base.digest], lambda path, _: path == "var/lib/dpkg/status")
    status = (stack.read("var/lib/dpkg/status") or b"").decode()
    stanzas = status.split("\n\n")
    (libc,) = [stanza for stanza in stanzas if stanza.startswith("Package: libc6\n")]
    version = next(line for line in libc.splitlines() if line.startswith("Version: "))
    older = status.replace(libc, libc.replace(version, "Version: 2.36-9+deb12u1"))
    layer = bases.layer({"usr/bin/python3": "python3.11", "var/lib/dpkg/status": older.encode()})
    base = bases.push("older-libc", bases.base, bases.python_at("usr"), layer)
    extension(tmp_path, "# on an older base\n")
    code = "import demo_extension\nprint(demo_extension.answer())"
    project = write_project(tmp_path / "p", base, "--find-links ../sdists\ndemo-extension\n", code=code)

    lading("lock", cwd=project)
    said = lading("run", "--", "sh", "-c", "python main.py; dpkg-query -W libc6", cwd=project).stdout.split()

    assert {"libc6", "python3.11-dev"} <= {package["name"] for package in locked(project)["build_package"]}
    assert said[0] == "42"
    assert said[-1] == "2.36-9+deb12u1"


def test_without_a_compiler_another_distribution_builds_what_needs_none(
    bases: Bases, lading: Tool, tmp_path: Path
) -> None:
    """lading adds packages to no base but Debian's: what must be compiled is refused with the remedy."""
    extra = bases.layer({**SLIM_PYTHON, **UBUNTU})
    base = bases.push(
        "ubuntu", bases.base, bases.python_at("usr/local"), bases.headers_at("usr/local"), extra
    )
    library(tmp_path / "folder", "demo-folder", "folder")
    code = "import demo_folder\nprint(demo_folder.VALUE)"
    pure = write_project(tmp_path / "pure", base, "../folder\n", code=code)
    assert lading("run", "--", "python", "main.py", cwd=pure).stdout == "folder\n"
    assert "build_package" not in locked(pure)

    extension(tmp_path, "# on another distribution\n")
    compiled = write_project(tmp_path / "compiled", base, "--find-links ../sdists\ndemo-extension\n")
    refused = lading("lock", cwd=compiled, check=False)
    assert refused.returncode == 1
    assert "has no compiler, and lading adds one to Debian bases alone" in refused.stderr
    assert "UV_FIND_LINKS" in refused.stderr

    more = '[image.build.demo-extension]\napt = ["libsndfile1-dev"]\n'
    asking = write_project(tmp_path / "asking", base, "--find-links ../sdists\ndemo-extension\n", more)
    refused = lading("lock", cwd=asking, check=False)
    assert refused.returncode == 1
    assert "asks for libsndfile1-dev" in refused.stderr
    assert "image.build.demo-extension.apt[0]" in refused.stderr


def test_another_distribution_that_has_a_compiler_compiles(
    bases: Bases, lading: Tool, tmp_path: Path
) -> None:
    """As images called devel do: Debian's own compiler stands in for theirs."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "lading.toml").write_text('[image]\npython = "3.11"\napt = ["gcc", "libc6-dev"]\n')
    (tools / "main.py").write_text("\n")
    layers = json.loads(lading("build", "--json", "--output", f"oci:{tmp_path}/layout", cwd=tools).stdout)[
        "layers"
    ]
    (apt,) = [layer for layer in layers if layer["kind"] == "apt"]
    with_tools = put_layer(bases.store, tmp_path / "layout", apt)
    extra = bases.layer({**SLIM_PYTHON, **UBUNTU})
    base = bases.push(
        "devel", bases.base, with_tools, bases.python_at("usr/local"), bases.headers_at("usr/local"), extra
    )
    extension(tmp_path, "# with the base's compiler\n")
    code = "import demo_extension\nprint(demo_extension.answer())"
    project = write_project(tmp_path / "p", base, "--find-links ../sdists\ndemo-extension\n", code=code)

    assert lading("run", "--", "python", "main.py", cwd=project).stdout == "42\n"
    assert "build_package" not in locked(project)
