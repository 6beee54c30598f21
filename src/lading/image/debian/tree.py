"""From packages to the entries of layers: opened, unpacked in order, effects made, split by origin.

Thin where it opens packages; the rest decides. Documentation is left out (see prune.py), owners and modes are
the packages' own, and nothing of a package is ever executed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lading.errors import InternalError, PackageRefused
from lading.image.debian.accounts import write_accounts
from lading.image.debian.database import extend_database, write_database
from lading.image.debian.effects import apply_effects, check_effects
from lading.image.debian.files import write_folders
from lading.image.debian.ldcache import write_cache
from lading.image.debian.package import OpenedPackage, open_package
from lading.image.debian.root import MERGED_FOLDERS, Root, difference
from lading.image.debian.spool import Spool
from lading.image.layer.tree import EntryKind, TreeEntry
from lading.lock.debian.relation import Term, parse_relations
from lading.lock.model import LockedPackage

_MOST_THREADS = 4
"""Each holds one unpacked package in memory."""

Deb = tuple[LockedPackage, Path]

_FIRST = ("base-files", "base-passwd")
"""Unpacked before all others, as debootstrap does: their folders' modes are the ones that count."""


def debian_tree(debs: Sequence[Deb], *, flavour: str, staging: Path | None = None) -> dict[str, TreeEntry]:
    """The whole root that `debs` make, by path, sorted with parents first.

    `flavour` is `standard` or `minimal`. `staging` is a folder with room for the unpacked files (default:
    the system's for temporary files); the entries keep one unlinked file there open while they live. The
    order of `debs` does not matter. Raises PackageRefused, StoreError.
    """
    return _tree(_open(debs, Spool(staging)), flavour)


def debian_layers(
    groups: Sequence[Sequence[Deb]], *, flavour: str, staging: Path | None = None
) -> tuple[tuple[TreeEntry, ...], ...]:
    """One layer a group: what the root of the groups so far has that the root before had not.

    `groups` go from the bottom up (base, interpreter, what the project asks for) and share no package.
    Each package is opened once. Raises PackageRefused, StoreError.
    """
    spool = Spool(staging)
    packages: list[OpenedPackage] = []
    lower: dict[str, TreeEntry] = {}
    layers = []
    for group in groups:
        packages += _open(group, spool)
        upper = _tree(packages, flavour)
        layers.append(layer_entries(lower, upper))
        lower = upper
    return tuple(layers)


def layer_over(
    base: Mapping[str, TreeEntry], debs: Sequence[Deb], *, flavour: str, staging: Path | None = None
) -> tuple[TreeEntry, ...]:
    """What `debs` add to somebody else's Debian root, given as `base` with the bytes of its records.

    Accounts stay the base's, and so does its linker cache: the loader looks into the folders of libraries by
    itself (ld.so(8)). Raises PackageRefused, StoreError.
    """
    if any(base[name].kind is not EntryKind.SYMLINK for name in MERGED_FOLDERS if name in base):
        raise PackageRefused(debs[0][0].name, "D-merged", "the base image has no merged /usr")
    packages = sorted(_open(debs, Spool(staging)), key=lambda package: package.name)
    root = Root(base)
    lower = dict(root.entries)
    overrides = _Overrides(packages)
    for package in packages:
        check_effects(package)
        for entry in package.entries:
            root.add(entry, package=package.name, replaces=overrides)
    extend_database(root, packages, with_scripts=flavour != "minimal")
    apply_effects(root, packages)
    return difference(lower, root.finished())


def layer_entries(lower: dict[str, TreeEntry], upper: dict[str, TreeEntry]) -> tuple[TreeEntry, ...]:
    """What `upper` has that `lower` has not, or otherwise; sorted, parents first.

    Both come from one `debian_tree` family: adding packages never takes a path away. Raises InternalError
    where it did.
    """
    gone = lower.keys() - upper.keys()
    if gone:
        raise InternalError(f"adding Debian packages removed {min(gone)!r} and {len(gone) - 1} other paths")
    return difference(lower, upper)


def _open(debs: Sequence[Deb], spool: Spool) -> list[OpenedPackage]:
    """In threads, because decompression is most of the work and needs no interpreter."""
    ordered = sorted(debs, key=lambda deb: deb[0].name)
    with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as pool:
        return list(pool.map(lambda deb: open_package(deb[0], deb[1], spool), ordered))


def _tree(opened: Sequence[OpenedPackage], flavour: str) -> dict[str, TreeEntry]:
    packages = sorted(opened, key=lambda package: (package.name not in _FIRST, package.name))
    for package in packages:
        check_effects(package)
    root = Root()
    overrides = _Overrides(packages)
    for package in packages:
        for entry in package.entries:
            root.add(entry, package=package.name, replaces=overrides)
    write_database(root, packages, with_scripts=flavour != "minimal")
    apply_effects(root, packages)
    write_accounts(root)
    write_folders(root)
    write_cache(root, _architecture(packages))
    return root.finished()


def _architecture(packages: Sequence[OpenedPackage]) -> str:
    found = {package.locked.architecture for package in packages} - {"all"}
    if len(found) > 1:
        raise PackageRefused(packages[0].name, "D-architecture", f"packages of {sorted(found)} are mixed")
    return found.pop() if found else "amd64"


class _Overrides:
    """Which package may take files over from which: its field Replaces (Debian Policy 7.6.1)."""

    def __init__(self, packages: Sequence[OpenedPackage]) -> None:
        self._versions = {package.name: package.locked.version for package in packages}
        self._terms = {package.name: _replaced(package) for package in packages}

    def __call__(self, package: str, other: str) -> bool:
        version = self._versions.get(other)
        return any(
            term.name == other and term.accepts_version(version) for term in self._terms.get(package, ())
        )


def _replaced(package: OpenedPackage) -> tuple[Term, ...]:
    try:
        groups = parse_relations(package.fields.get("Replaces", "").replace("\n", " "))
    except ValueError as error:
        raise PackageRefused(package.name, "D-control", f"its Replaces cannot be read: {error}") from error
    return tuple(term for group in groups for term in group)
