"""Brings locked packages into the store as blobs: from the store itself, else from the mirror, verified.

Thin. What is in a package is for lading.image.debian.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lading.errors import FetchFailed
from lading.lock.debian.mirror import Mirrors, discover_mirrors
from lading.lock.debian.transport import MirrorReader, open_reader
from lading.lock.model import LockedPackage
from lading.oci.digest import Digest
from lading.store import Store

_CONNECTIONS = 8


def fetch_packages(
    packages: Iterable[LockedPackage], *, store: Store, environment: Mapping[str, str], offline: bool = False
) -> dict[str, Path]:
    """Package name → its `.deb` in the store, each checked by size and sha256 in this call.

    Raises FetchFailed (a mirror that no longer has it, or offline), DigestMismatch, OutsideError, StoreError.
    """
    wanted = sorted(packages, key=lambda package: package.name)
    missing = [package for package in wanted if not _is_intact(package, store)]
    if missing:
        suite = missing[0].suite.removesuffix("-security").removesuffix("-updates")
        mirrors = discover_mirrors(environment, suite)
        with (
            open_reader(mirrors, store, environment, offline=offline) as reader,
            ThreadPoolExecutor(_CONNECTIONS) as pool,
        ):
            for _ in pool.map(lambda package: _fetch(package, mirrors, reader, store, offline), missing):
                pass
    return {package.name: store.blobs.path(Digest.from_hex(package.sha256)) for package in wanted}


def _is_intact(package: LockedPackage, store: Store) -> bool:
    """Whether the store has the bytes; damaged ones are removed, so that they come again."""
    digest = Digest.from_hex(package.sha256)
    if store.blobs.size_bytes(digest) is None:
        return False
    with store.blobs.path(digest).open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() == package.sha256:
            return True
    store.blobs.remove(digest)
    return False


def _fetch(
    package: LockedPackage, mirrors: Mirrors, reader: MirrorReader, store: Store, offline: bool
) -> None:
    mirror = mirrors.url_of(package.suite) or mirrors.archive
    url = f"{mirror}/{package.filename}"
    if offline and not mirror.startswith("file:"):
        raise FetchFailed(
            f"{package.name} {package.version} is not in the store, and --offline forbids fetching it",
            place=url,
            hints=("run the same command once without --offline",),
        )
    content = reader.read_exact(url, sha256=package.sha256, size_bytes=package.size_bytes)
    if content is None:
        raise FetchFailed(
            f"the mirror no longer has {package.name} {package.version}",
            place=url,
            hints=("lading lock --upgrade",),
        )
    store.blobs.put(content)
