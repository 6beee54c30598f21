"""What a list of Debian package names resolves to today: exact packages, and the signed indexes that said so.

Thin: finds the mirror, fetches the suites in parallel, and lets the solver decide.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from lading.errors import UsageError
from lading.lock.debian.base import is_needed
from lading.lock.debian.contents import LibraryIndex
from lading.lock.debian.index import FetchedSuite, SuiteRequest, fetch_suite, read_libraries
from lading.lock.debian.mirror import Mirrors, discover_mirrors
from lading.lock.debian.packages import Package
from lading.lock.debian.solver import Universe, solve
from lading.lock.debian.transport import open_reader
from lading.lock.model import LockedPackage, LockedSuite
from lading.store import Store

_NO_SECURITY = (
    "no mirror of security updates is known: packages come without {suite}-security; "
    "set LADING_DEBIAN_SECURITY_MIRROR"
)
_ARCHITECTURES = ("amd64", "arm64")


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianResolution:
    """Every package of one closure. Which of them a part needs is `closure`'s to say."""

    packages: tuple[LockedPackage, ...]
    """Sorted by name."""
    suites: tuple[LockedSuite, ...]
    warnings: tuple[str, ...]
    waived: bool = False
    """Expiry or rollback was waived (`allow_expired`): belongs into the provenance."""
    needs: Mapping[str, tuple[str, ...]] = field(repr=False)
    """Package → the packages that satisfy its relations."""
    roots: Mapping[str, str] = field(repr=False)
    """Wanted name → package (another one where the name is virtual)."""

    def closure(self, names: Iterable[str], *, flavour: str = "standard") -> tuple[LockedPackage, ...]:
        """The packages that `names` need among these, sorted by name; in `minimal` without what only
        maintainer scripts use. Raises UsageError for a name that was neither wanted nor found.
        """
        found: set[str] = set()
        open_names = [self._package_name(name) for name in names]
        while open_names:
            name = open_names.pop()
            if name not in found:
                found.add(name)
                open_names.extend(need for need in self.needs[name] if is_needed(name, need, flavour))
        return tuple(package for package in self.packages if package.name in found)

    def _package_name(self, name: str) -> str:
        found = self.roots.get(name, name)
        if found not in self.needs:
            raise UsageError(f"Debian package {name!r} is not part of this resolution")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Suites:
    """A suite with its updates and security updates, as signed today: one reading for several questions."""

    universe: Universe
    fetched: tuple[FetchedSuite, ...]
    warnings: tuple[str, ...]
    waived: bool
    read_libraries: Callable[[], LibraryIndex | None] = field(repr=False)
    """The suite's own library index; None where the mirror has none. Raises FetchFailed, DigestMismatch."""

    def resolve(
        self, wanted: Iterable[str], *, installed: Mapping[str, str] | None = None
    ) -> DebianResolution:
        """The closure of `wanted`, without what a base image has `installed` (name → version).

        Raises ResolutionFailed.
        """
        closure = solve(wanted, self.universe, installed=installed)
        return DebianResolution(
            packages=tuple(_locked(package) for package in closure.packages.values()),
            suites=tuple(one.locked for one in self.fetched),
            warnings=self.warnings,
            waived=self.waived,
            needs=closure.needs,
            roots=closure.roots,
        )


def resolve_packages(
    *,
    suite: str,
    architecture: str,
    wanted: tuple[str, ...],
    store: Store,
    environment: Mapping[str, str],
    offline: bool = False,
    allow_expired: bool = False,
) -> DebianResolution:
    """The closure of `wanted` over `suite`, its updates and its security updates.

    Raises what `read_suites` raises, and ResolutionFailed.
    """
    suites = read_suites(
        suite=suite,
        architecture=architecture,
        store=store,
        environment=environment,
        offline=offline,
        allow_expired=allow_expired,
    )
    return suites.resolve(wanted)


def read_suites(
    *,
    suite: str,
    architecture: str,
    store: Store,
    environment: Mapping[str, str],
    offline: bool = False,
    allow_expired: bool = False,
) -> Suites:
    """The signed indexes of `suite`, its updates and its security updates.

    Debian's word for the architecture: `amd64`, `arm64`. `allow_expired` is for snapshots: it waives expiry
    and rollback, with a warning each. Raises OutsideError (no mirror), FetchFailed, SignatureRefused,
    DigestMismatch, UsageError.
    """
    if architecture not in _ARCHITECTURES:
        raise UsageError(f"unknown Debian architecture {architecture!r}; known: {', '.join(_ARCHITECTURES)}")
    mirrors = discover_mirrors(environment, suite)
    names = [name for name in (suite, f"{suite}-updates", f"{suite}-security") if mirrors.url_of(name)]
    requests = [
        SuiteRequest(
            suite=name,
            mirror=mirrors.url_of(name) or "",
            architecture=architecture,
            offline=offline,
            allow_expired=allow_expired,
        )
        for name in names
    ]
    warnings = () if mirrors.security else (_NO_SECURITY.format(suite=suite),)
    fetched = _fetch_suites(requests, mirrors, store, environment, offline=offline)
    suite_warnings = [warning for one in fetched for warning in one.warnings]

    def libraries() -> LibraryIndex | None:
        with open_reader(mirrors, store, environment, offline=offline) as reader:
            return read_libraries(fetched[0], reader=reader, store=store)

    return Suites(
        universe=Universe([one.index for one in fetched], architecture),
        fetched=tuple(fetched),
        warnings=(*warnings, *suite_warnings),
        waived=any("allowed on purpose" in warning for warning in suite_warnings),
        read_libraries=libraries,
    )


def _fetch_suites(
    requests: Sequence[SuiteRequest],
    mirrors: Mirrors,
    store: Store,
    environment: Mapping[str, str],
    *,
    offline: bool,
) -> list[FetchedSuite]:
    now = datetime.datetime.now(datetime.UTC)

    def fetch(request: SuiteRequest) -> FetchedSuite:
        return fetch_suite(request, reader=reader, store=store, environment=environment, now=now)

    with (
        open_reader(mirrors, store, environment, offline=offline) as reader,
        ThreadPoolExecutor(len(requests)) as pool,
    ):
        return list(pool.map(fetch, requests))


def _locked(package: Package) -> LockedPackage:
    return LockedPackage(
        name=package.name,
        version=package.version,
        architecture=package.architecture,
        filename=package.filename,
        sha256=package.sha256,
        size_bytes=package.size_bytes,
        suite=package.suite,
    )
