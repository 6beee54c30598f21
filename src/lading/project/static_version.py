"""A version that is written as a literal somewhere, read without running anything.

Follows what setuptools (`attr`, `file`), hatchling (`path`, its default pattern) and flit (`__version__`) do
for plain literals; anything computed is left to the build backend.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_HATCH_PATTERN = r"(?i)^(__version__|VERSION)(?: ?\: ?str)? *= *(['\"])v?(?P<version>.+?)\2"


def static_version(root: Path, backend: str, tool: Mapping[str, Any], module: Path | None) -> str | None:
    """The dynamic version of a project, or None when it takes running code to know it.

    `module` is the project's main module or package, for flit.
    """
    try:
        if backend == "setuptools":
            return _setuptools(root, tool)
        if backend == "hatchling":
            return _hatchling(root, tool)
        if backend == "flit_core" and module is not None:
            return _literal(module / "__init__.py" if module.is_dir() else module, "__version__")
    except (OSError, SyntaxError, ValueError, re.error):
        return None
    return None


def _setuptools(root: Path, tool: Mapping[str, Any]) -> str | None:
    source = _dig(tool, "setuptools", "dynamic", "version")
    if not isinstance(source, dict):
        return None
    if isinstance(file := source.get("file"), str) or (isinstance(file, list) and len(file) == 1):
        name = file if isinstance(file, str) else str(file[0])
        return _inside(root, name).read_text("utf-8").strip() or None
    attribute = source.get("attr")
    if not isinstance(attribute, str) or "." not in attribute:
        return None
    module, _, name = attribute.rpartition(".")
    where = _dig(tool, "setuptools", "package-dir", "")
    for base in (str(where) if isinstance(where, str) else ".", "src", "."):
        stem = root / base / Path(*module.split("."))
        for path in (stem.with_suffix(".py"), stem / "__init__.py"):
            if path.is_file():
                return _literal(path, name)
    return None


def _hatchling(root: Path, tool: Mapping[str, Any]) -> str | None:
    source = _dig(tool, "hatch", "version")
    if (
        not isinstance(source, dict)
        or not isinstance(source.get("path"), str)
        or source.get("source", "regex") != "regex"
    ):
        return None
    pattern = source.get("pattern", _HATCH_PATTERN)
    if not isinstance(pattern, str):
        return None
    match = re.search(pattern, _inside(root, source["path"]).read_text("utf-8"), re.MULTILINE)
    return match.group("version") if match and "version" in match.groupdict() else None


def _inside(root: Path, name: str) -> Path:
    path = (root / name).resolve()
    if not path.is_relative_to(root.resolve()):
        raise ValueError(f"{name} lies outside the project")
    return path


def _literal(path: Path, name: str) -> str | None:
    """The string a module assigns to `name` at its top level, when that is a literal."""
    for statement in ast.parse(path.read_bytes()).body:
        targets: list[ast.expr] = []
        if isinstance(statement, ast.Assign):
            targets = statement.targets
        elif isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            value = getattr(statement, "value", None)
            return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else None
    return None


def _dig(table: Mapping[str, Any], *keys: str) -> object:
    value: object = table
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
