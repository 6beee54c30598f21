"""`lading.lock`: the lock as a TOML file, one canonical text a value, and back again, strictly.

Sorted, so that two locks differ in the lines that differ. Reading refuses what it does not know: a key more
or less is damage, and a lock is never half believed.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterable
from typing import Any

from lading.errors import ProjectError
from lading.lock.model import (
    LOCK_FORMAT,
    Lock,
    LockedBase,
    LockedBuild,
    LockedPackage,
    LockedVariant,
    LockedWheel,
    TargetSelection,
)
from lading.lock.parse import parse_lock
from lading.lock.table import Damage, Table
from lading.oci.digest import Digest
from lading.oci.json import canonical_json

LOCK_NAME = "lading.lock"
_HEADER = "# made by lading; do not edit: run `lading lock`\n\n"
_REMEDY = ("lading lock",)
_OPTIONAL = {"url", "sha256", "size_bytes"}


def write_lock(lock: Lock) -> str:
    """The file's text. The same lock gives the same text."""
    import tomli_w

    return _HEADER + tomli_w.dumps(lock_document(lock))


@functools.lru_cache(maxsize=2)
def read_lock(text: str, place: str) -> Lock:
    """Asked for by several steps of one command, and read once.

    Raises ProjectError, with line or key, for a damaged lock and for one of a later format."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProjectError(
            f"{place} is damaged: {error}", place=_place(place, error), hints=_REMEDY
        ) from error
    format_number = document.get("format")
    if isinstance(format_number, int) and format_number > LOCK_FORMAT:
        raise ProjectError(
            f"{place} has format {format_number}; this lading reads up to {LOCK_FORMAT}",
            place=place,
            hints=("pip install --upgrade lading",),
        )
    try:
        return parse_lock(Table(document, "lock"))
    except Damage as damage:
        line = _line_of(text, damage.path)
        raise ProjectError(
            f"{place} is damaged: {damage}", place=f"{place}:{line}" if line else place, hints=_REMEDY
        ) from damage


def lock_identity(lock: Lock) -> Digest:
    """What the lock says, but for what may differ between two locks of the same things: URL hints, layer
    digests, and when the suites' indexes were signed."""
    document = lock_document(lock)
    document.pop("layer", None)
    for suite in document["suite"]:
        suite.pop("date")
        suite.pop("release_sha256")
    for variant in document["variant"]:
        variant["interpreter"].pop("url", None)
        for wheel in variant["wheel"]:
            wheel.pop("url", None)
        for build in variant.get("build", ()):
            build["source"].pop("url", None)
            for wheel in build["wheel"]:
                wheel.pop("url", None)
    return Digest.of(canonical_json(document))


def lock_document(lock: Lock) -> dict[str, Any]:
    """The lock as plain tables, in the file's order and names."""
    return {
        "format": lock.format,
        "inputs": lock.inputs,
        "suite": [
            _fields(suite, ("suite", "codename", "date", "release_sha256"))
            for suite in sorted(lock.suites, key=lambda suite: suite.suite)
        ],
        "variant": [
            _variant_document(variant)
            for variant in sorted(lock.variants, key=lambda one: (one.accelerator, one.platform))
        ],
        "layer": [
            {
                "key": layer.key,
                "kind": layer.kind,
                "digest": str(layer.digest),
                "diff_id": str(layer.diff_id),
                "size_bytes": layer.size_bytes,
            }
            for layer in sorted(lock.layers, key=lambda layer: layer.key)
        ],
    }


_PACKAGE_FIELDS = ("name", "version", "architecture", "filename", "sha256", "size_bytes", "suite", "role")
_WHEEL_FIELDS = ("name", "version", "filename", "sha256", "size_bytes", "url")
_CUDA_FIELDS = ("version", "driver", "full_driver", "capabilities")
_INTERPRETER_FIELDS = (
    "provider",
    "version",
    "build",
    "executable",
    "packages",
    "url",
    "sha256",
    "size_bytes",
)


def _variant_document(variant: LockedVariant) -> dict[str, Any]:
    interpreter = _fields(variant.interpreter, _INTERPRETER_FIELDS)
    interpreter["packages"] = sorted(variant.interpreter.packages)
    added = [
        {"name": one.name, "because": one.because, "targets": sorted(one.targets)}
        for one in sorted(variant.added, key=lambda one: one.name)
    ]
    base = {"base": _base_document(variant.base)} if variant.base is not None else {}
    built: dict[str, Any] = {}
    if variant.builds:
        built["build"] = [_build_document(build) for build in sorted(variant.builds, key=_by_build)]
    if variant.build_packages:
        built["build_package"] = [
            _fields(package, _PACKAGE_FIELDS) for package in sorted(variant.build_packages, key=_by_name)
        ]
    return {
        "accelerator": variant.accelerator,
        "platform": variant.platform,
        "interpreter": interpreter,
        **base,
        "target": {name: _selection_document(chosen) for name, chosen in sorted(variant.targets.items())},
        "wheel": [_fields(wheel, _WHEEL_FIELDS) for wheel in sorted(variant.wheels, key=_by_name)],
        "package": [_fields(package, _PACKAGE_FIELDS) for package in sorted(variant.packages, key=_by_name)],
        **({"added": added} if added else {}),
        **built,
    }


def _selection_document(chosen: TargetSelection) -> dict[str, Any]:
    document: dict[str, Any] = {"wheels": sorted(chosen.wheels), "packages": sorted(chosen.packages)}
    if chosen.cuda is not None:
        document["cuda"] = _fields(chosen.cuda, _CUDA_FIELDS)
    return document


def _base_document(base: LockedBase) -> dict[str, Any]:
    return {
        "reference": base.reference,
        "digest": str(base.digest),
        "distribution": base.distribution,
        "glibc_minor": base.glibc_minor,
        "environment": base.environment,
        "env": dict(base.env),
        "held": dict(sorted(base.held.items())),
        "layer": [
            {
                "digest": str(layer.digest),
                "diff_id": str(layer.diff_id),
                "size_bytes": layer.size_bytes,
                "media_type": layer.media_type,
            }
            for layer in base.layers
        ],
    }


_SOURCE_FIELDS = ("kind", "location", "digest", "url", "reference", "subdirectory")


def _build_document(build: LockedBuild) -> dict[str, Any]:
    return {
        **_fields(build, ("name", "version", "sha256", "isolation", "backend")),
        "backend_path": list(build.backend_path),
        "source": _fields(build.source, _SOURCE_FIELDS),
        "wheel": [_fields(wheel, _WHEEL_FIELDS) for wheel in sorted(build.wheels, key=_by_name)],
    }


def _by_build(build: LockedBuild) -> tuple[str, str]:
    return build.name, build.version


def _by_name(item: LockedWheel | LockedPackage) -> tuple[str, str]:
    return item.name, item.filename


def _fields(value: object, names: Iterable[str]) -> dict[str, Any]:
    return {name: found for name in names if (found := getattr(value, name)) is not None}


def _place(place: str, error: tomllib.TOMLDecodeError) -> str:
    match = re.search(r"at line (\d+)", str(error))
    return f"{place}:{match[1]}" if match else place


def _line_of(text: str, path: str) -> int | None:
    """The line of the table that `path` (`lock.variant[1].wheel[3].size_bytes`) stands in, or of its key.

    Walks the headers in the file's order, as write_lock lays them out.
    """
    steps = re.findall(r"([\w-]+)(?:\[(\d+)\])?", path)[1:]
    line = 0
    lines = text.splitlines()
    header = ""
    for name, index in steps:
        header = f"{header}.{name}" if header else name
        wanted = re.compile(rf"\[\[?{re.escape(header)}\]?\]\s*$")
        remaining = int(index or 0)
        found = False
        for number in range(line, len(lines)):
            if wanted.match(lines[number]):
                if remaining == 0:
                    line, found = number + 1, True
                    break
                remaining -= 1
        if not found:
            return _key_line(lines, line, name) or line or None
    return line or None


def _key_line(lines: list[str], start: int, key: str) -> int | None:
    for number in range(start, len(lines)):
        if re.match(rf"\s*{re.escape(key)}\s*=", lines[number]):
            return number + 1
        if lines[number].startswith("["):
            return None
    return None
