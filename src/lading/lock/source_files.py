"""What a source says of itself without being run: its build backend and its name.

Sources: PEP 517, PEP 518 (defaults of `[build-system]`), PEP 621, PEP 643 (PKG-INFO).
"""

from __future__ import annotations

import configparser
import tarfile
import tomllib
import zipfile
from collections.abc import Mapping
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath
from typing import Any

from packaging.utils import canonicalize_name

from lading.errors import ProjectError
from lading.lock.builder import BuildBackend

_LEGACY = "setuptools.build_meta:__legacy__"
_READ = ("pyproject.toml", "PKG-INFO", "setup.cfg", "setup.py")
_LARGEST_FILE_BYTES = 4 << 20


def source_texts(path: Path, subdirectory: str | None, place: str) -> dict[str, str]:
    """The few files at the top of a source that say what it is. Raises ProjectError for no source."""
    if path.is_dir():
        top = path / (subdirectory or ".")
        names = [name for name in _READ if (top / name).is_file()]
        return {name: (top / name).read_text("utf-8", errors="replace") for name in names}
    try:
        found = _zip_texts(path) if zipfile.is_zipfile(path) else _tar_texts(path)
    except (tarfile.TarError, zipfile.BadZipFile, OSError, EOFError) as error:
        raise ProjectError(f"{place} is no source archive: {error}", place=place) from error
    tops = {PurePosixPath(name).parts[0] for name in found}
    root = PurePosixPath(next(iter(tops))) if len(tops) == 1 else PurePosixPath()
    if any(PurePosixPath(name).parent == PurePosixPath() for name in found):
        root = PurePosixPath()
    root = root / (subdirectory or ".")
    return {
        PurePosixPath(name).name: text for name, text in found.items() if PurePosixPath(name).parent == root
    }


def _tar_texts(path: Path) -> dict[str, str]:
    with tarfile.open(path) as archive:
        return {
            str(PurePosixPath(member.name)): opened.read().decode(errors="replace")
            for member in archive
            if member.isfile() and _is_wanted(member.name, member.size)
            if (opened := archive.extractfile(member)) is not None
        }


def _zip_texts(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as archive:
        return {
            str(PurePosixPath(info.filename)): archive.read(info).decode(errors="replace")
            for info in archive.infolist()
            if not info.is_dir() and _is_wanted(info.filename, info.file_size)
        }


def _is_wanted(name: str, size_bytes: int) -> bool:
    return PurePosixPath(name).name in _READ and size_bytes <= _LARGEST_FILE_BYTES


def build_backend(texts: Mapping[str, str], place: str) -> BuildBackend:
    """`[build-system]` with its defaults. Raises ProjectError for one that breaks the rules."""
    document = _pyproject(texts, place)
    system = document.get("build-system")
    if system is None:
        if not texts.keys() & {"setup.py", "setup.cfg", "pyproject.toml"}:
            raise ProjectError(
                f"{place} has neither pyproject.toml nor setup.py: nothing says how it is built"
            )
        return BuildBackend(requires=("setuptools>=40.8.0",), name=_LEGACY)
    requires = system.get("requires") if isinstance(system, dict) else None
    if not isinstance(requires, list) or not all(isinstance(text, str) for text in requires):
        raise ProjectError(f"[build-system] of {place} has no list `requires` (PEP 518)", place=place)
    name, path = system.get("build-backend", _LEGACY), system.get("backend-path", [])
    if not isinstance(name, str) or not isinstance(path, list) or any(not _is_inside(one) for one in path):
        raise ProjectError(f"[build-system] of {place} names no usable backend (PEP 517)", place=place)
    return BuildBackend(requires=tuple(requires), name=name, path=tuple(path))


def _is_inside(path: object) -> bool:
    return isinstance(path, str) and not path.startswith("/") and ".." not in PurePosixPath(path).parts


def _pyproject(texts: Mapping[str, str], place: str) -> dict[str, Any]:
    try:
        return tomllib.loads(texts.get("pyproject.toml", ""))
    except tomllib.TOMLDecodeError as error:
        raise ProjectError(f"pyproject.toml of {place} is not TOML: {error}", place=place) from error


def source_name(texts: Mapping[str, str], place: str) -> str | None:
    """The distribution's normalized name, where something static says it."""
    project = _pyproject(texts, place).get("project")
    if isinstance(project, dict) and isinstance(project.get("name"), str):
        return canonicalize_name(project["name"])
    if name := HeaderParser().parsestr(texts.get("PKG-INFO", "")).get("Name"):
        return canonicalize_name(str(name))
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(texts.get("setup.cfg", ""))
    except configparser.Error:
        return None
    written = parser.get("metadata", "name", fallback=None)
    return canonicalize_name(written) if written else None
