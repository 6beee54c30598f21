"""Debian packages of one variant: one resolution for all targets, then each target's part.

A package has one role in a variant, the earliest that any target gives it, so that targets share layers.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lading.errors import ProjectError, ResolutionFailed
from lading.lock.base.image import FoundBase
from lading.lock.debian.base import base_packages, interpreter_packages
from lading.lock.debian.resolve import DebianResolution, Suites
from lading.lock.model import LockedPackage, LockedSuite
from lading.project.config import find_package
from lading.project.model import Project
from lading.project.values import SUITES

_ROLES = ("base", "interpreter", "apt")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedPackages:
    """`targets` maps each target to the sorted names it holds."""

    packages: tuple[LockedPackage, ...]
    targets: Mapping[str, tuple[str, ...]]
    suites: tuple[LockedSuite, ...]
    warnings: tuple[str, ...]


def resolve_debian(
    project: Project, suites: Suites, *, provider: str, added: Mapping[str, tuple[str, ...]]
) -> ResolvedPackages:
    """Base, interpreter (when `provider` is `debian`) and apt packages of every target.

    `added` maps targets to names that something in their wheels asks for. Raises ResolutionFailed.
    """
    wanted = {target: _wanted(project, target, provider, added.get(target, ())) for target in project.targets}
    names = sorted({name for roles in wanted.values() for held in roles.values() for name in held})
    with _told_where(project):
        resolution = suites.resolve(names)
    roles: dict[str, str] = {}
    targets: dict[str, tuple[str, ...]] = {}
    for target, by_role in wanted.items():
        held = _target_roles(resolution, by_role, project.targets[target].flavour)
        targets[target] = tuple(sorted(held))
        for name, role in held.items():
            roles[name] = min(roles.get(name, role), role, key=_ROLES.index)
    packages = tuple(
        dataclasses.replace(package, role=roles[package.name])
        for package in resolution.packages
        if package.name in roles
    )
    return ResolvedPackages(
        packages=packages, targets=targets, suites=resolution.suites, warnings=resolution.warnings
    )


def resolve_on_base(
    project: Project, suites: Suites | None, base: FoundBase, *, added: Mapping[str, tuple[str, ...]]
) -> ResolvedPackages:
    """The apt packages of every target, over a base image that has most of what they need.

    `suites` are those of the base's Debian release, None where it is of none. Raises ProjectError (packages
    are asked for on another distribution), ResolutionFailed.
    """
    wanted = {
        target: tuple(dict.fromkeys((*settings.apt, *added.get(target, ()))))
        for target, settings in project.targets.items()
    }
    names = {name for held in wanted.values() for name in held}
    if not names:
        return ResolvedPackages(packages=(), targets=dict.fromkeys(wanted, ()), suites=(), warnings=())
    if suites is None:
        raise ProjectError(
            f"`apt` needs a base made of Debian {' or '.join(SUITES)}; {base.locked.reference} is "
            f"{base.locked.distribution or 'of no distribution that it names'}",
            place="[image] apt",
            hints=("choose a base that has these packages already, or a Debian one",),
        )
    there = base.probe.packages
    with _told_where(project):
        resolution = suites.resolve(names, installed=there)
    targets = {
        target: tuple(package.name for package in resolution.closure(n for n in held if n not in there))
        for target, held in wanted.items()
    }
    return ResolvedPackages(
        packages=tuple(dataclasses.replace(package, role="apt") for package in resolution.packages),
        targets=targets,
        suites=resolution.suites,
        warnings=resolution.warnings,
    )


@contextlib.contextmanager
def _told_where(project: Project) -> Iterator[None]:
    """What is wrong with a package that somebody wrote down is wrong on that line."""
    try:
        yield
    except ResolutionFailed as error:
        error.place = find_package(project.root, error.place or "") or error.place
        raise


def _wanted(
    project: Project, target: str, provider: str, added: tuple[str, ...]
) -> dict[str, tuple[str, ...]]:
    settings = project.targets[target]
    return {
        "base": base_packages(settings.flavour),
        "interpreter": interpreter_packages(settings.python) if provider == "debian" else (),
        "apt": tuple(dict.fromkeys((*settings.apt, *added))),
    }


def _target_roles(
    resolution: DebianResolution, wanted: Mapping[str, tuple[str, ...]], flavour: str
) -> dict[str, str]:
    """Package name → the first role whose closure brings it."""
    result: dict[str, str] = {}
    for role in _ROLES:
        for package in resolution.closure(wanted[role], flavour=flavour):
            result.setdefault(package.name, role)
    return result
