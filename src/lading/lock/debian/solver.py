"""Closes a list of package names over Depends and Pre-Depends (Debian Policy 7).

Pure and deterministic. For each name only its highest version counts; Recommends are not followed. Of
alternatives the first that is already chosen is taken, else the first that can be had; a choice that turns
out to conflict is banned and the closure made again. It is no SAT solver: what it cannot find it says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lading.errors import ResolutionFailed
from lading.lock.debian.packages import Package, SuiteIndex
from lading.lock.debian.relation import Term
from lading.lock.debian.version import version_key

_PRIORITIES = ("required", "important", "standard", "optional", "extra")
_MOST_BANS = 32
_SUCCESSORS = {
    "libgl1-mesa-glx": "libgl1",
    "libegl1-mesa": "libegl1",
    "libgles2-mesa": "libgles2",
}
"""Names that old instructions have, and what came instead; their letters alone would lead elsewhere."""
_CONFLICTS = " (conflicts with what is chosen)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    packages: Mapping[str, Package]
    """By name, sorted."""
    needs: Mapping[str, tuple[str, ...]]
    """Package → the chosen packages that satisfy its relations."""
    roots: Mapping[str, str]
    """Wanted name → the chosen package (another one where the name is virtual)."""


class Universe:
    """The highest version of every package over several suites; of equal versions the first suite's."""

    def __init__(self, indexes: Sequence[SuiteIndex], architecture: str) -> None:
        self.architecture = architecture
        self._indexes = indexes
        self._best: dict[str, Package | None] = {}

    def package(self, name: str) -> Package | None:
        if name not in self._best:
            found = [
                package
                for index in self._indexes
                for package in index.packages(name)
                if package.architecture in ("all", self.architecture)
            ]
            self._best[name] = max(found, key=lambda package: version_key(package.version), default=None)
        return self._best[name]

    def nearest(self, name: str) -> str | None:
        """The package that was probably meant by a name that none has."""
        successor = _SUCCESSORS.get(name)
        if successor is not None and self.package(successor) is not None:
            return successor
        from lading.project.report import nearest

        # Of 64 thousand names only those that begin alike: comparing letters is slow.
        alike = {known for index in self._indexes for known in index.names if known[:2] == name[:2]}
        close = nearest(name, alike)
        return close if close is not None and self.package(close) is not None else None

    def satisfying(self, term: Term) -> list[Package]:
        """What satisfies `term`, best first: the package of that name, then its providers."""
        package = self.package(term.name)
        candidates = [package] if package is not None else []
        names = {name for index in self._indexes for name in index.providers(term.name)} - {term.name}
        providers = filter(None, map(self.package, names))
        candidates += sorted(providers, key=lambda provider: (_rank(provider.priority), provider.name))
        return [candidate for candidate in candidates if satisfies(candidate, term, self.architecture)]


def _rank(priority: str) -> int:
    return _PRIORITIES.index(priority) if priority in _PRIORITIES else len(_PRIORITIES)


def satisfies(package: Package, term: Term, architecture: str) -> bool:
    """Whether `package` is `term`, or provides it."""
    if not term.accepts_architecture(package.architecture, architecture):
        return False
    if package.name == term.name:
        return term.accepts_version(package.version)
    return any(
        provided.name == term.name and term.accepts_version(provided.version or None)
        for provided in package.provides
    )


@dataclass(slots=True)
class _Attempt:
    universe: Universe
    banned: frozenset[str]
    installed: Mapping[str, str]
    chosen: dict[str, Package] = field(default_factory=dict)
    wanted_by: dict[str, str] = field(default_factory=dict)
    by_choice: set[str] = field(default_factory=set)
    queue: deque[Package] = field(default_factory=deque)
    open_choices: list[tuple[str, tuple[Term, ...]]] = field(default_factory=list)

    def take(self, package: Package, wanted_by: str, *, choice: bool) -> None:
        if package.name in self.chosen:
            return
        self.chosen[package.name] = package
        self.wanted_by[package.name] = wanted_by
        if choice:
            self.by_choice.add(package.name)
        self.queue.append(package)

    def met_by(self, group: Iterable[Term]) -> Package | None:
        for term in group:
            for candidate in self.universe.satisfying(term):
                if candidate.name in self.chosen:
                    return candidate
        return None

    def possible(self, group: Iterable[Term]) -> list[Package]:
        found = {candidate.name: candidate for term in group for candidate in self.universe.satisfying(term)}
        return [candidate for candidate in found.values() if candidate.name not in self.banned]

    def chain(self, name: str) -> str:
        names = [name]
        while (name := self.wanted_by.get(name, "")) and name not in names:
            names.append(name)
        return " → ".join(reversed(names))

    def run(self) -> None:
        """Everything with no choice first, so that a choice sees what is there anyway."""
        while self.queue or self.open_choices:
            while self.queue:
                package = self.queue.popleft()
                for group in package.depends:
                    self.settle(package.name, group)
            if self.open_choices:
                depender, group = self.open_choices.pop(0)
                if self.met_by(group) is None:
                    self.take(self.possible(group)[0], depender, choice=True)

    def is_installed(self, group: Iterable[Term]) -> bool:
        """Whether the base image below satisfies a relation already."""
        return any(
            term.name in self.installed and term.accepts_version(self.installed[term.name]) for term in group
        )

    def settle(self, depender: str, group: tuple[Term, ...]) -> None:
        if self.is_installed(group) or self.met_by(group) is not None:
            return
        possible = self.possible(group)
        if not possible:
            relation = " | ".join(map(str, group))
            chain = self.chain(depender)
            raise ResolutionFailed(
                f"no Debian package satisfies {relation}, wanted by {chain}{self._seen(group)}",
                place=depender,
            )
        if len(possible) == 1:
            self.take(possible[0], depender, choice=False)
        else:
            self.open_choices.append((depender, group))

    def _seen(self, group: Iterable[Term]) -> str:
        seen = [
            f"{package.name} {package.version}{_CONFLICTS if package.name in self.banned else ''}"
            for term in group
            if (package := self.universe.package(term.name)) is not None
        ]
        return f"; there is {', '.join(seen)}" if seen else ""

    def conflict(self) -> tuple[Package, Term, Package] | None:
        """The first chosen package that conflicts with or breaks another chosen one."""
        for package in sorted(self.chosen.values(), key=lambda package: package.name):
            for term in package.conflicts:
                for other in self.universe.satisfying(term):
                    if other.name in self.chosen and other.name != package.name:
                        return package, term, other
        return None


def solve(
    wanted: Iterable[str], universe: Universe, *, installed: Mapping[str, str] | None = None
) -> Closure:
    """`installed` are packages of a base image (name → version), which are not chosen again.

    Raises ResolutionFailed, naming the chain of packages that led there.
    """
    there = installed or {}
    names = sorted(set(wanted) - there.keys())
    banned: frozenset[str] = frozenset()
    for _ in range(_MOST_BANS):
        attempt = _Attempt(universe=universe, banned=banned, installed=there)
        roots = _take_roots(attempt, names)
        attempt.run()
        found = attempt.conflict()
        if found is None:
            return _close(attempt, roots)
        package, term, other = found
        culprits = [one.name for one in (other, package) if one.name in attempt.by_choice]
        if not culprits:
            raise ResolutionFailed(
                f"Debian packages conflict: {package.name} {package.version} ({attempt.chain(package.name)}) "
                f"does not go with {term}: {other.name} {other.version} ({attempt.chain(other.name)})",
                place=package.name,
            )
        banned |= {culprits[0]}
    raise ResolutionFailed(
        f"no set of Debian packages without a conflict was found; tried without {sorted(banned)}"
    )


def _take_roots(attempt: _Attempt, names: Sequence[str]) -> dict[str, str]:
    roots = {}
    for name in names:
        possible = attempt.possible((Term(name),))
        if not possible:
            near = attempt.universe.nearest(name)
            raise ResolutionFailed(
                f"there is no Debian package {name!r} in these suites",
                place=name,
                hints=(f"did you mean {near!r}?",) if near else (),
            )
        if len(possible) > 1 and possible[0].name != name:
            providers = ", ".join(package.name for package in possible)
            raise ResolutionFailed(
                f"{name!r} is a virtual Debian package; name one of: {providers}", place=name
            )
        roots[name] = possible[0].name
        attempt.take(possible[0], "", choice=False)
    return roots


def _close(attempt: _Attempt, roots: Mapping[str, str]) -> Closure:
    needs = {}
    for name, package in sorted(attempt.chosen.items()):
        met = {found.name for group in package.depends if (found := attempt.met_by(group)) is not None}
        needs[name] = tuple(sorted(met - {name}))
    return Closure(packages=dict(sorted(attempt.chosen.items())), needs=needs, roots=roots)
