"""Python packages that the base image holds already: constraints for the lock, never installed twice.

The resolver must know their versions and what they need, also where no index has them (`2.8.0a0+nv25.6`). So
it is shown wheels of the same name, version and METADATA that hold nothing else, and forgets them afterwards.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from packaging.version import InvalidVersion, Version

from lading.errors import ResolutionFailed
from lading.lock.pylock import FoundWheel

_WHEEL = "Wheel-Version: 1.0\nGenerator: lading\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_FIXED_TIME = (1980, 1, 2, 0, 0, 0)


def write_placeholders(held: Mapping[str, str], metadata: Mapping[str, str], folder: Path) -> None:
    """One wheel a held distribution, of its METADATA alone."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, version in held.items():
        stem = f"{re.sub('[-_.]+', '_', name)}-{version}"
        files = {
            f"{stem}.dist-info/METADATA": metadata[name].encode(),
            f"{stem}.dist-info/WHEEL": _WHEEL.encode(),
        }
        rows = [f"{path},sha256={_digest(content)},{len(content)}" for path, content in files.items()]
        record = f"{stem}.dist-info/RECORD"
        files[record] = "".join(f"{row}\n" for row in [*rows, f"{record},,"]).encode()
        with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as archive:
            for path, content in files.items():
                archive.writestr(zipfile.ZipInfo(path, _FIXED_TIME), content)


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def without_held(wheels: Iterable[FoundWheel], held: Mapping[str, str], base: str) -> tuple[FoundWheel, ...]:
    """The wheels that are to be installed. Raises ResolutionFailed for another version than the base's."""
    kept = []
    for wheel in wheels:
        there = held.get(wheel.name)
        if there is None:
            kept.append(wheel)
        elif not _is_same(wheel.version, there):
            raise ResolutionFailed(
                f"{base} holds {wheel.name} {there}, and {wheel.version} is asked for: "
                "the same package is not installed twice",
                place="[image] base",
                hints=(f"ask for {wheel.name}=={there.partition('+')[0]}, or choose another base",),
            )
    return tuple(kept)


def over_held(wheels: Iterable[FoundWheel], held: Mapping[str, str]) -> tuple[FoundWheel, ...]:
    """The wheels that a build needs installed over a base: not those that it holds in the same version."""
    return tuple(
        wheel for wheel in wheels if wheel.name not in held or not _is_same(wheel.version, held[wheel.name])
    )


def _is_same(version: str, there: str) -> bool:
    """Whether they differ in the build alone (PEP 440, local version identifiers)."""
    try:
        return Version(version).public == Version(there).public
    except InvalidVersion:
        return version == there
