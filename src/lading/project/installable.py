"""Whether a project can be importable as if installed without running any of its code, and how.

Knows the simple discovery rules of the common build backends (setuptools, hatchling, flit, uv, poetry-core).
What those rules do not cover is classified BUILD: the backend itself must say. Runs nothing.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lading.project.model import CodeKind
from lading.project.pyproject import Pyproject
from lading.project.requirement_lines import normalized
from lading.project.static_version import static_version

_BACKENDS = ("setuptools", "hatchling", "flit_core", "uv_build", "poetry")
_NOT_PACKAGES = frozenset(
    {
        "test", "tests", "docs", "doc", "examples", "example", "scripts", "tools", "benchmarks", "benchmark",
        "build", "dist", "data", "notebooks", "bin", "ci", "deploy", "config", "conf", "requirements",
        "assets", "images", "models", "out", "tasks", "site",
    }
)  # fmt: skip
"""Top-level folders that setuptools' flat layout never takes for packages, and some more of ours."""
_SOURCE_OF_EXTENSIONS = (".pyx", ".pxd", ".cu", ".f90")


@dataclass(frozen=True, slots=True, kw_only=True)
class Installable:
    """How the project's code becomes importable. See Code for the fields."""

    kind: CodeKind
    because: str
    packages: Mapping[str, str] = field(default_factory=dict)
    scripts: Mapping[str, str] = field(default_factory=dict)
    entry_points: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    distribution: tuple[str, str] | None = None


class _NeedsBackend(Exception):
    """The simple rules do not say; carries what the backend is needed for."""


def classify(root: Path, pyproject: Pyproject | None) -> Installable:
    """How the code of the project in `root` becomes importable."""
    project = pyproject.project if pyproject is not None else None
    if pyproject is None or project is None:
        if (root / "setup.py").is_file() or ((root / "setup.cfg").is_file() and _has_build_system(pyproject)):
            return Installable(
                kind=CodeKind.BUILD, because="setup.py says what is installed, so it has to run"
            )
        return Installable(kind=CodeKind.FOLDER, because="no [project] in pyproject.toml")
    if not _has_build_system(pyproject) and not _has_src_layout(root) and not (root / "setup.py").is_file():
        return Installable(
            kind=CodeKind.FOLDER, because="pyproject.toml has no [build-system] and there is no src/"
        )
    try:
        return _pure(root, pyproject, project)
    except _NeedsBackend as reason:
        return Installable(kind=CodeKind.BUILD, because=str(reason))


def _has_build_system(pyproject: Pyproject | None) -> bool:
    return pyproject is not None and "build-system" in pyproject.document


def _has_src_layout(root: Path) -> bool:
    source = root / "src"
    return source.is_dir() and any((entry / "__init__.py").is_file() for entry in source.iterdir())


def _pure(root: Path, pyproject: Pyproject, project: Mapping[str, Any]) -> Installable:
    backend = _backend(pyproject.document)
    tool = pyproject.document.get("tool")
    tool = tool if isinstance(tool, dict) else {}
    _refuse_computed(root, backend, tool, pyproject.dynamic)
    name = project.get("name")
    if not isinstance(name, str):
        raise _NeedsBackend("[project] has no name")
    packages = _DISCOVERY[backend](
        root, normalized(name).replace("-", "_"), _table(tool, _TOOL_NAMES[backend])
    )
    version = project.get("version")
    if not isinstance(version, str):
        first = root / next(iter(packages))
        version = static_version(root, backend, tool, first) if "version" in pyproject.dynamic else None
    if version is None:
        raise _NeedsBackend("its version is computed")
    for source in packages:
        _refuse_extensions(root / source)
    scripts = {**_references(project, "scripts"), **_references(project, "gui-scripts")}
    groups = project.get("entry-points")
    entry_points = {group: _references(groups, group) for group in groups} if isinstance(groups, dict) else {}
    return Installable(
        kind=CodeKind.PURE,
        because=f"{backend}: {', '.join(packages)}",
        packages=packages,
        scripts=scripts,
        entry_points=entry_points,
        distribution=(name, version),
    )


def _backend(document: Mapping[str, Any]) -> str:
    system = document.get("build-system")
    written = (
        system.get("build-backend", "setuptools.build_meta") if isinstance(system, dict) else "setuptools"
    )
    if isinstance(system, dict) and "backend-path" in system:
        raise _NeedsBackend("its build backend lies in the project")
    name = str(written).partition(".")[0]
    if name not in _BACKENDS:
        raise _NeedsBackend(f"build backend {written} has to run")
    return name


def _refuse_computed(root: Path, backend: str, tool: Mapping[str, Any], dynamic: tuple[str, ...]) -> None:
    computed = set(dynamic) & {"scripts", "gui-scripts", "entry-points", "name"}
    if computed:
        raise _NeedsBackend(f"{', '.join(sorted(computed))} of [project] are dynamic")
    if backend == "setuptools" and (root / "setup.py").is_file() and not _is_bare_setup(root / "setup.py"):
        raise _NeedsBackend("setup.py computes something")
    setuptools = _table(tool, "setuptools")
    if "ext-modules" in setuptools or "cmdclass" in setuptools:
        raise _NeedsBackend("[tool.setuptools] builds extension modules")
    if backend == "hatchling" and "hooks" in _table(_table(tool, "hatch"), "build"):
        raise _NeedsBackend("[tool.hatch.build.hooks] run code")
    if backend == "poetry" and "build" in _table(tool, "poetry"):
        raise _NeedsBackend("[tool.poetry.build] runs code")


def _is_bare_setup(path: Path) -> bool:
    """`from setuptools import setup; setup()` and nothing else."""
    try:
        body = ast.parse(path.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return False
    for statement in body:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            continue
        value = statement.value if isinstance(statement, ast.Expr) else None
        if isinstance(value, ast.Constant):
            continue
        if not isinstance(value, ast.Call) or value.args or value.keywords:
            return False
    return True


def _refuse_extensions(source: Path) -> None:
    files = [source] if source.is_file() else source.rglob("*")
    for file in files:
        if file.suffix in _SOURCE_OF_EXTENSIONS:
            raise _NeedsBackend(f"{file.name} is compiled")


def _table(parent: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def _references(parent: Mapping[str, Any], key: str) -> dict[str, str]:
    return {name: value for name, value in _table(parent, key).items() if isinstance(value, str)}


def _one_of(root: Path, *candidates: str) -> dict[str, str]:
    """The first candidate that is there, mapped to its last name."""
    for candidate in candidates:
        path = root / candidate
        if path.is_file() if candidate.endswith(".py") else (path / "__init__.py").is_file():
            return {candidate: candidate.rpartition("/")[2]}
    raise _NeedsBackend(f"no module at {', '.join(candidates)}")


def _setuptools(root: Path, name: str, tool: Mapping[str, Any]) -> dict[str, str]:
    if tool.keys() & {"packages", "py-modules", "package-dir"}:
        return _setuptools_written(root, tool)
    if (root / "src").is_dir():
        return _children(root, "src")
    packages = {
        entry.name: entry.name
        for entry in sorted(root.iterdir())
        if entry.name.isidentifier() and entry.name not in _NOT_PACKAGES and (entry / "__init__.py").is_file()
    }
    if len(packages) == 1:
        return packages
    if packages:
        raise _NeedsBackend(f"several top-level packages: {', '.join(packages)}")
    return _one_of(root, f"{name}.py")


def _setuptools_written(root: Path, tool: Mapping[str, Any]) -> dict[str, str]:
    packages = tool.get("packages")
    directory = _table(tool, "package-dir")
    if set(directory) - {""}:
        raise _NeedsBackend("[tool.setuptools.package-dir] moves packages")
    where = str(directory.get("", ".")).rstrip("/")
    if isinstance(packages, dict):
        find = _table(packages, "find")
        if (
            set(find) - {"where"}
            or set(packages) - {"find"}
            or not isinstance(find.get("where", ["."]), list)
        ):
            raise _NeedsBackend("[tool.setuptools.packages] has rules of its own")
        folders = [str(folder) for folder in find.get("where", ["."])]
        if "." in folders:
            raise _NeedsBackend("[tool.setuptools.packages.find] searches the whole folder")
        return {
            key: value for folder in folders for key, value in _children(root, folder.rstrip("/")).items()
        }
    modules = tool.get("py-modules", [])
    if not isinstance(packages or [], list) or not isinstance(modules, list):
        raise _NeedsBackend("[tool.setuptools] has rules of its own")
    tops = sorted({str(package).partition(".")[0] for package in packages or []})
    names = [*tops, *(f"{module}.py" for module in modules)]
    found = {(name if where == "." else f"{where}/{name}"): name for name in names}
    if not found or any(not (root / path).exists() for path in found):
        raise _NeedsBackend("[tool.setuptools] names packages that are not there")
    return found


def _children(root: Path, folder: str) -> dict[str, str]:
    """Every package and module right inside a `src` folder."""
    try:
        entries = sorted((root / folder).iterdir())
    except (OSError, ValueError) as error:
        raise _NeedsBackend(f"{folder} is not there") from error
    found = {
        f"{folder}/{entry.name}": entry.name
        for entry in entries
        if (entry.is_dir() and entry.name.isidentifier() and entry.name != "__pycache__")
        or (entry.suffix == ".py" and entry.stem.isidentifier())
    }
    if not found:
        raise _NeedsBackend(f"{folder} holds no package")
    return found


def _hatchling(root: Path, name: str, tool: Mapping[str, Any]) -> dict[str, str]:
    build = _table(tool, "build")
    wheel = _table(_table(build, "targets"), "wheel")
    if set(wheel) - {"packages"} or set(build) - {"targets"}:
        raise _NeedsBackend("[tool.hatch.build] has rules of its own")
    packages = wheel.get("packages")
    if isinstance(packages, list) and packages:
        found = {str(path).strip("/"): str(path).strip("/").rpartition("/")[2] for path in packages}
        if any(not (root / path).exists() for path in found):
            raise _NeedsBackend("[tool.hatch.build.targets.wheel] names packages that are not there")
        return found
    return _one_of(root, name, f"src/{name}", f"{name}.py")


def _flit(root: Path, name: str, tool: Mapping[str, Any]) -> dict[str, str]:
    module = str(_table(tool, "module").get("name", name)).replace(".", "/")
    if "/" in module:
        raise _NeedsBackend("[tool.flit.module] names a namespace package")
    return _one_of(root, module, f"src/{module}", f"{module}.py", f"src/{module}.py")


def _uv(root: Path, name: str, tool: Mapping[str, Any]) -> dict[str, str]:
    options = _table(tool, "build-backend")
    module = options.get("module-name", name)
    if set(options) - {"module-name", "module-root"} or not isinstance(module, str) or "." in module:
        raise _NeedsBackend("[tool.uv.build-backend] has rules of its own")
    where = str(options.get("module-root", "src")).strip("/")
    return _one_of(root, f"{where}/{module}" if where else module)


def _poetry(root: Path, name: str, tool: Mapping[str, Any]) -> dict[str, str]:
    if tool.keys() & {"include", "exclude", "scripts", "plugins"}:
        raise _NeedsBackend("[tool.poetry] has rules of its own")
    packages = tool.get("packages")
    if not packages:
        return _one_of(root, name, f"src/{name}", f"{name}.py")
    found = {}
    for entry in packages if isinstance(packages, list) else [packages]:
        if (
            not isinstance(entry, dict)
            or set(entry) - {"include", "from"}
            or not re.fullmatch(r"\w+", str(entry.get("include")))
        ):
            raise _NeedsBackend("[tool.poetry] packages have rules of their own")
        where = str(entry.get("from", "")).strip("/")
        found[f"{where}/{entry['include']}" if where else entry["include"]] = entry["include"]
    return found


_DISCOVERY = {
    "setuptools": _setuptools,
    "hatchling": _hatchling,
    "flit_core": _flit,
    "uv_build": _uv,
    "poetry": _poetry,
}
_TOOL_NAMES = {
    "setuptools": "setuptools",
    "hatchling": "hatch",
    "flit_core": "flit",
    "uv_build": "uv",
    "poetry": "poetry",
}
