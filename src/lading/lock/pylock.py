"""From a pylock.toml (PEP 751) to exactly one wheel a package, for one target environment. Pure."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from packaging.pylock import (
    Package,
    PackageArchive,
    PackageWheel,
    Pylock,
    PylockSelectError,
    PylockUnsupportedVersionError,
    PylockValidationError,
)
from packaging.tags import Tag

from lading.errors import ProjectError, ResolutionFailed
from lading.lock.target import TargetEnvironment

BuildPackage = Callable[[Package, Mapping[str, str]], "FoundWheel"]
"""Builds a package that has no wheel; gets the versions of all that have one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundWheel:
    """A wheel as a resolver names it; `url` may hold credentials or be a `file:` URL or a path."""

    name: str
    version: str
    filename: str
    sha256: str
    size_bytes: int | None
    url: str | None


def read_pylock(text: str, place: str) -> Pylock:
    """Raises ProjectError, with the place of the fault, for what is no valid pylock.toml."""
    try:
        return Pylock.from_dict(tomllib.loads(text))
    except (
        tomllib.TOMLDecodeError,
        PylockValidationError,
        PylockUnsupportedVersionError,
    ) as error:
        raise ProjectError(f"{place} is no valid pylock.toml: {error}", place=place) from error


def select_wheels(
    pylock: Pylock,
    target: TargetEnvironment,
    *,
    groups: Collection[str] = (),
    hashes: Mapping[str, frozenset[str]] | None = None,
    place: str,
    build: BuildPackage | None = None,
) -> tuple[FoundWheel, ...]:
    """One wheel a package, sorted by name. `groups` are extras or dependency groups; `hashes` are the sha256
    values that the project's requirements allow, by name.

    Raises ResolutionFailed for a package without a fitting wheel, or from a directory, VCS or archive.
    """
    extras = set(pylock.extras or ()) & set(groups)
    named = (set(pylock.dependency_groups or ()) & set(groups)) | set(pylock.default_groups or ())
    found = []
    unbuilt = []
    try:
        for package, source in pylock.select(
            environment=target.markers(), tags=target.tags(), extras=extras, dependency_groups=named
        ):
            if isinstance(source, PackageArchive) and _address(source).endswith(".whl"):
                found.append(_linked(package, source))
                continue
            if not isinstance(source, PackageWheel):
                if build is None:
                    raise _no_wheel(package, place)
                unbuilt.append(package)
                continue
            found.append(_found(package, source, hashes or {}, target.tags(), place))
    except PylockSelectError as error:
        raise ResolutionFailed(
            f"{place} has nothing for Python {target.python} on {target.platform}: {error}",
            place=place,
            hints=("lock it for this Python and platform, or change python in [image]",),
        ) from error
    versions = {wheel.name: wheel.version for wheel in found}
    if build is not None:
        found += [build(package, versions) for package in unbuilt]
    return tuple(sorted(found, key=lambda wheel: wheel.name))


def _address(archive: PackageArchive) -> str:
    return str(archive.url or archive.path or "").partition("#")[0]


def _linked(package: Package, archive: PackageArchive) -> FoundWheel:
    """A wheel that is named by its own place."""
    filename = unquote(_address(archive).rpartition("/")[2])
    return FoundWheel(
        name=str(package.name),
        version=str(package.version) if package.version is not None else _version_of(filename),
        filename=filename,
        sha256=archive.hashes["sha256"].lower(),
        size_bytes=archive.size,
        url=archive.url or archive.path,
    )


def _found(
    package: Package,
    wheel: PackageWheel,
    hashes: Mapping[str, frozenset[str]],
    tags: Collection[Tag],
    place: str,
) -> FoundWheel:
    sha256 = wheel.hashes.get("sha256")
    if sha256 is None:
        raise ResolutionFailed(
            f"nobody gives a sha256 for {wheel.filename}",
            place=place,
            hints=(
                f"keep the wheel yourself: pip download {package.name} --no-deps --dest wheels && "
                "export UV_FIND_LINKS=wheels",
            ),
        )
    allowed = hashes.get(package.name)
    if allowed is not None and sha256 not in allowed:
        raise ResolutionFailed(
            f"the hashes written for {package.name} allow no wheel that fits this target; "
            f"{wheel.filename} has sha256 {sha256}",
            place=place,
            hints=(f"add --hash=sha256:{sha256} to {package.name} once you trust it",),
        )
    version = str(package.version) if package.version is not None else _version_of(wheel.filename)
    return FoundWheel(
        name=str(package.name),
        version=version,
        filename=wheel.filename,
        sha256=sha256.lower(),
        size_bytes=wheel.size,
        url=wheel.url or wheel.path,
    )


def _version_of(filename: str) -> str:
    return filename.split("-")[1]


def _no_wheel(package: Package, place: str) -> ResolutionFailed:
    kind = "only a source archive"
    for attribute, words in (
        ("vcs", "a version control URL"),
        ("directory", "a local folder"),
        ("archive", "an archive URL"),
    ):
        if getattr(package, attribute) is not None:
            kind = words
    return ResolutionFailed(
        f"{package.name} {package.version or '(any version)'} comes as {kind}, "
        "which has to be built, and nothing here builds it",
        place=place,
        hints=(
            f"build a wheel and point lading to its folder: pip wheel {package.name} --no-deps -w wheels "
            "&& export UV_FIND_LINKS=wheels",
        ),
    )
