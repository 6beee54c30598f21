"""Debian packages that nobody wrote down: which ones the wheels of each target ask for, and why.

Three sources: the ELF needs of the wheels, what their code is known to open by name, and what was decided
elsewhere (a compiler for triton). All are about one target's wheels, so a small target gets
what its own wheels need and nothing else. What the target holds already is never added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from lading.errors import DigestMismatch, ResolutionFailed
from lading.lock.debian.contents import LibraryIndex, Shipped, best_candidates
from lading.lock.debian.resolve import Suites
from lading.lock.libraries import (
    BASE_LIBRARIES,
    COMMON_LIBRARIES,
    is_self_contained,
    opened_by_name,
    optional_purpose,
)
from lading.lock.model import AddedPackage, LockedWheel
from lading.lock.needs import Need, SharedObject, outside_needs

ReadNeeds = Callable[[tuple[LockedWheel, ...]], Mapping[str, tuple[SharedObject, ...]]]
"""sha256 → the shared objects of each wheel. Raises FetchFailed, DigestMismatch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetNeeds:
    """One target as it is before anything is added."""

    name: str
    wheels: tuple[LockedWheel, ...]
    packages: frozenset[str]
    """What it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Additions:
    added: tuple[AddedPackage, ...] = ()
    warnings: tuple[str, ...] = ()

    def by_target(self) -> dict[str, tuple[str, ...]]:
        targets = sorted({target for one in self.added for target in one.targets})
        return {target: tuple(one.name for one in self.added if target in one.targets) for target in targets}


def find_additions(
    targets: Iterable[TargetNeeds],
    suites: Suites,
    read_needs: ReadNeeds | None,
    decided: Iterable[AddedPackage] = (),
) -> Additions:
    """What to add to each of `targets`, of `decided` what is theirs. Without `read_needs` only what is known
    of wheels by their names.

    Raises FetchFailed, DigestMismatch.
    """
    finding = _Finding(suites=suites, decided=tuple(decided))
    held = tuple(targets)
    objects: Mapping[str, tuple[SharedObject, ...]] = {}
    if read_needs is not None:
        wheels = {wheel.sha256: wheel for target in held for wheel in target.wheels if _is_read(wheel)}
        objects = read_needs(tuple(wheels[sha256] for sha256 in sorted(wheels)))
    for target in held:
        finding.look_at(target, objects)
    return finding.result()


def _is_read(wheel: LockedWheel) -> bool:
    """Whether only the bytes tell: a wheel for any platform has no shared object worth the name."""
    return not wheel.filename.endswith("-any.whl") and not is_self_contained(wheel.name)


@dataclass(slots=True, kw_only=True)
class _Finding:
    suites: Suites
    decided: tuple[AddedPackage, ...]
    reasons: dict[str, dict[str, str]] = field(default_factory=dict)
    """Package → target → why."""
    warnings: dict[str, None] = field(default_factory=dict)
    _libraries: LibraryIndex | None = None
    _is_open: bool = False
    _sizes: dict[str, int | None] = field(default_factory=dict)

    def result(self) -> Additions:
        added = tuple(
            AddedPackage(name=name, because=min(by_target.values()), targets=tuple(sorted(by_target)))
            for name, by_target in sorted(self.reasons.items())
        )
        return Additions(added=added, warnings=tuple(self.warnings))

    def look_at(self, target: TargetNeeds, objects: Mapping[str, tuple[SharedObject, ...]]) -> None:
        found = {wheel.name: objects.get(wheel.sha256, ()) for wheel in target.wheels}
        needs = [*outside_needs(found), *self._opened(target)]
        coming = set(target.packages)
        for package, because in self._named(target):
            if package not in coming:
                coming.add(package)
                self.reasons.setdefault(package, {}).setdefault(target.name, because)
        for need in self._in_order([need for need in needs if self._is_unmet(need, target)]):
            self._meet(need, target, coming)

    def _opened(self, target: TargetNeeds) -> Iterable[Need]:
        for wheel in target.wheels:
            for soname in opened_by_name(wheel.name, wheel.filename).sonames:
                yield Need(soname=soname, wheel=wheel.name, path="opened by name")

    def _named(self, target: TargetNeeds) -> Iterable[tuple[str, str]]:
        for wheel in target.wheels:
            for package in opened_by_name(wheel.name, wheel.filename).packages:
                yield package, f"{wheel.name} starts its programs"
        for one in self.decided:
            if target.name in one.targets:
                yield one.name, one.because

    def _is_unmet(self, need: Need, target: TargetNeeds) -> bool:
        in_base = BASE_LIBRARIES.get(need.soname) in target.packages
        return not in_base and optional_purpose(need.wheel, need.soname) is None

    def _in_order(self, needs: list[Need]) -> list[Need]:
        """What only one package ships comes first: it may bring what another could have been chosen for."""
        return sorted(needs, key=lambda need: (len(self._shipping(need)) > 1, need))

    def _meet(self, need: Need, target: TargetNeeds, coming: set[str]) -> None:
        shipped = self._shipping(need)
        candidates = [one.package for one in shipped]
        if held := [name for name in candidates if name in coming]:
            if (by_target := self.reasons.get(held[0])) and target.name in by_target:
                by_target[target.name] = min(by_target[target.name], str(need))
            return
        sizes = {name: size for name in candidates if (size := self._closure_size(name)) is not None}
        best = best_candidates(shipped, sizes, frozenset(self.reasons))
        if not best:
            self.warnings[f"{need}, and no Debian package is known to ship it"] = None
            return
        coming.add(best[0])
        self.reasons.setdefault(best[0], {})[target.name] = str(need)

    def _shipping(self, need: Need) -> tuple[Shipped, ...]:
        for package in COMMON_LIBRARIES.get(need.soname, ()):
            if self.suites.universe.package(package) is not None:
                return (Shipped(package=package, section="libs"),)
        if not self._is_open:
            self._libraries, self._is_open = self._open(), True
        return self._libraries.shipping(need.soname) if self._libraries is not None else ()

    def _open(self) -> LibraryIndex | None:
        """None, and a warning, where the mirror's index is absent or not the signed one."""
        try:
            libraries = self.suites.read_libraries()
        except DigestMismatch as error:
            self.warnings[f"libraries cannot be looked up: {error.message}"] = None
            return None
        if libraries is None:
            self.warnings["libraries cannot be looked up: the mirror has no index of contents"] = None
        return libraries

    def _closure_size(self, package: str) -> int | None:
        """How many packages it brings; None for one that cannot be had."""
        if package not in self._sizes:
            try:
                self._sizes[package] = len(self.suites.resolve([package]).packages)
            except ResolutionFailed:
                self._sizes[package] = None
        return self._sizes[package]
