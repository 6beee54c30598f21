"""Brings locked packages into the store as blobs: from the store itself, the mirror or a snapshot, verified.

Thin. What is in a package is for lading.image.debian.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from lading.errors import FetchFailed
from lading.fetch.address import origin, split_credentials
from lading.lock.debian.mirror import Mirrors, as_url, discover_mirrors
from lading.lock.debian.snapshot import VARIABLE, snapshot_urls
from lading.lock.debian.transport import MirrorReader, open_reader
from lading.lock.model import LockedPackage, LockedSuite
from lading.oci.digest import Digest
from lading.store import Store

_CONNECTIONS = 8


def fetch_packages(
    packages: Iterable[LockedPackage],
    *,
    store: Store,
    environment: Mapping[str, str],
    offline: bool = False,
    suites: tuple[LockedSuite, ...] = (),
) -> dict[str, Path]:
    """Package name → its `.deb` in the store, each checked by size and sha256 in this call.

    What the mirror has dropped comes from the snapshot server that the environment names, as of the day that
    `suites` were locked. Raises FetchFailed (no place has it any more, or offline), DigestMismatch,
    OutsideError, StoreError.
    """
    wanted = sorted(packages, key=lambda package: package.name)
    missing = [package for package in wanted if not store.blobs.has_intact(Digest.from_hex(package.sha256))]
    if missing:
        suite = missing[0].suite.removesuffix("-security").removesuffix("-updates")
        snapshot = as_url(environment.get(VARIABLE))
        mirrors = _with_credentials(discover_mirrors(environment, suite), snapshot)
        with (
            open_reader(mirrors, store, environment, offline=offline) as reader,
            ThreadPoolExecutor(_CONNECTIONS) as pool,
        ):
            places = _Places(mirrors=mirrors, snapshot=snapshot, suites=suites, offline=offline)
            for _ in pool.map(lambda package: _fetch(package, places, reader, store), missing):
                pass
    return {package.name: store.blobs.path(Digest.from_hex(package.sha256)) for package in wanted}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Places:
    mirrors: Mirrors
    snapshot: str | None
    suites: tuple[LockedSuite, ...]
    offline: bool

    def urls(self, package: LockedPackage) -> tuple[str, ...]:
        """Where `package` may be, best first; offline, only folders."""
        mirror = self.mirrors.url_of(package.suite) or self.mirrors.archive
        older = snapshot_urls(self.snapshot, package, self.suites) if self.snapshot is not None else ()
        urls = (f"{mirror}/{package.filename}", *older)
        return tuple(url for url in urls if not self.offline or url.startswith("file:"))


def _with_credentials(mirrors: Mirrors, snapshot: str | None) -> Mirrors:
    plain, credentials = split_credentials(snapshot or "")
    if credentials is None:
        return mirrors
    return replace(mirrors, credentials={**mirrors.credentials, origin(plain): credentials})


def _fetch(package: LockedPackage, places: _Places, reader: MirrorReader, store: Store) -> None:
    urls = places.urls(package)
    for url in urls:
        content = reader.read_exact(url, sha256=package.sha256, size_bytes=package.size_bytes)
        if content is not None:
            store.blobs.put(content)
            return
    name = f"{package.name} {package.version}"
    if places.offline:
        raise FetchFailed(
            f"{name} is not in the store, and --offline forbids fetching it",
            place=package.filename,
            hints=("run the same command once without --offline",),
        )
    tried = ", ".join(f"not at {url}" for url in urls)
    archive = () if places.snapshot is not None else (f"export {VARIABLE}=URL   # a Debian snapshot server",)
    raise FetchFailed(
        f"{name} is nowhere to be had any more: not in the store, {tried}",
        place=urls[0],
        hints=(
            "lading build --layers-from HOST/REPOSITORY   # where an image of this lock was pushed",
            *archive,
            "lading lock --upgrade",
        ),
    )
