"""`uv.lock`, `poetry.lock` and `pylock.toml` as packages with the place each begins. Pure.

Only what rules ask: names, versions, what files there are, and whether a package is there in every case or
under a marker.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from lading.inspect.lint.dependencies import Unparsable
from lading.inspect.lint.requirements_file import normalized

LOCK_FILES = ("uv.lock", "poetry.lock", "pylock.toml")
_HEADER = re.compile(r"^\[\[packages?\]\][ \t]*\r?$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedPackage:
    """`files`: names of the archives an index offers; none for a package of another origin."""

    name: str
    version: str
    start: int
    files: tuple[str, ...]
    marked: bool
    """Whether everything that asks for it does so under a marker."""

    @property
    def has_source(self) -> bool:
        return any(not name.endswith(".whl") for name in self.files)

    def has_wheel(self, oldest: tuple[int, int] | None) -> bool:
        """For Linux and a Python not older than `oldest`."""
        return any(name.endswith(".whl") and _fits(name, oldest) for name in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockFile:
    name: str
    packages: tuple[LockedPackage, ...]
    oldest_python: tuple[int, int] | None
    document: Mapping[str, Any]


def read_lock(name: str, text: str) -> LockFile:
    """Raises Unparsable."""
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise Unparsable(f"it is no TOML: {error}") from error
    tables = document.get("packages" if name == "pylock.toml" else "package")
    listed = [one for one in tables if isinstance(one, dict)] if isinstance(tables, list) else []
    starts = [match.start() for match in _HEADER.finditer(text)]
    if len(starts) != len(listed):
        starts = [0] * len(listed)
    unmarked, asked = _edges(listed)
    packages = []
    for start, one in zip(starts, listed, strict=True):
        package = normalized(str(one.get("name", "")))
        own = bool(one.get("marker") or one.get("markers"))
        packages.append(
            LockedPackage(
                name=package,
                version=str(one.get("version", "")),
                start=start,
                files=tuple(_files(one)),
                marked=own or (package in asked and package not in unmarked),
            )
        )
    return LockFile(name=name, packages=tuple(packages), oldest_python=_oldest(document), document=document)


def _edges(tables: list[dict[str, Any]]) -> tuple[set[str], set[str]]:
    """Names that something asks for without a marker, and names that anything asks for."""
    unmarked: set[str] = set()
    asked: set[str] = set()
    for one in tables:
        found = one.get("dependencies")
        edges: list[tuple[str, bool]] = []
        if isinstance(found, list):
            edges += [(str(edge.get("name")), "marker" in edge) for edge in found if isinstance(edge, dict)]
        elif isinstance(found, dict):
            edges += [(name, isinstance(edge, list | dict)) for name, edge in found.items()]
        groups = [*_lists(one.get("optional-dependencies")), *_lists(one.get("dev-dependencies"))]
        edges += [(str(edge.get("name")), "marker" in edge) for group in groups for edge in group]
        for name, marked in edges:
            asked.add(normalized(name))
            if not marked:
                unmarked.add(normalized(name))
    return unmarked, asked


def _lists(value: object) -> Iterator[list[dict[str, Any]]]:
    for part in value.values() if isinstance(value, dict) else ():
        if isinstance(part, list):
            yield [edge for edge in part if isinstance(edge, dict)]


def _files(one: Mapping[str, Any]) -> Iterator[str]:
    """Archive names of a package that an index offers."""
    source = one.get("source")
    if isinstance(source, dict) and "registry" not in source and source.get("type", "legacy") != "legacy":
        return
    if isinstance(source, dict) and not {"registry", "type"} & source.keys():
        return
    lists = [part for part in (one.get("wheels"), one.get("files")) if isinstance(part, list)]
    for archive in [one.get("sdist"), *(archive for part in lists for archive in part)]:
        if isinstance(archive, dict):
            place = (
                archive.get("file") or archive.get("name") or archive.get("url") or archive.get("path") or ""
            )
            if name := str(place).partition("#")[0].rpartition("/")[2]:
                yield name


def _fits(wheel: str, oldest: tuple[int, int] | None) -> bool:
    try:
        tags = parse_wheel_filename(wheel)[3]
    except InvalidWheelFilename:
        return True
    return any(
        (tag.platform == "any" or tag.platform.startswith(("linux", "manylinux", "musllinux")))
        and _python_fits(tag.interpreter, tag.abi, oldest)
        for tag in tags
    )


def _python_fits(interpreter: str, abi: str, oldest: tuple[int, int] | None) -> bool:
    if oldest is None or abi == "abi3" or not interpreter.startswith("cp"):
        return not interpreter.startswith("py2") or oldest is None
    digits = interpreter.removeprefix("cp")
    return not digits.isdecimal() or (int(digits[0]), int(digits[1:] or 0)) >= oldest


def _oldest(document: Mapping[str, Any]) -> tuple[int, int] | None:
    written = document.get("requires-python")
    if written is None and isinstance(document.get("metadata"), dict):
        written = document["metadata"].get("python-versions")
    try:
        specifiers = SpecifierSet(written) if isinstance(written, str) else SpecifierSet()
    except InvalidSpecifier:
        return None
    lowest = [one.version.split(".") for one in specifiers if one.operator in {">=", "==", "~="}]
    found = [
        (int(one[0]), int(one[1]))
        for one in lowest
        if len(one) > 1 and one[0].isdecimal() and one[1].isdecimal()
    ]
    return max(found, default=None)
