"""Whether the store is whole: every blob hashed again, every record checked against the blobs.

Finds damage of any size, since a blob's name is its sha256. Knows digests and records, not images.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lading.errors import DigestMismatch, StoreError
from lading.oci.digest import Digest
from lading.store.atomic import fsync_directory, store_errors
from lading.store.collect import blobs_named, entries, record_kinds, set_aside
from lading.store.locks import file_lock
from lading.store.records import Records
from lading.store.store import Store

TREE_FACTS = "tree.json"
"""What a finished tree has beside its files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """One thing wrong in the store.

    `kind`: `corrupt-blob`, `foreign-file`, `torn-record`, `dangling-record` or `half-tree`.
    """

    kind: str
    place: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    blob_count: int
    size_bytes: int
    record_count: int
    damages: tuple[Damage, ...]
    repaired: bool = False


def verify(
    store: Store,
    *,
    repair: bool = False,
    workers: int | None = None,
    progress: Callable[[int], None] = lambda size_bytes: None,
) -> Verification:
    """Hash every blob again and check every record against the blobs.

    `repair` removes what is damaged: all of it can be made or fetched again. `progress` is told bytes hashed,
    from several threads. A read-only store is verified without a lock. Raises StoreError.
    """
    with _holding(store, exclusive=repair), store_errors("verifying", store.root):
        bad, foreign, blob_count, size_bytes = _check_blobs(store, workers, progress)
        damages = [*bad.values(), *foreign]
        checked = [
            (records.path(key), _check_record(store, kind, records, key, set(bad)))
            for kind, records in record_kinds(store)
            for key in records.keys()  # noqa: SIM118 not a dict
        ]
        damages += [damage for _, damage in checked if damage is not None]
        damages += _half_trees(store)
        if repair:
            _repair(store, [path for path, damage in checked if damage is not None], damages)
    return Verification(
        blob_count=blob_count,
        size_bytes=size_bytes,
        record_count=len(checked),
        damages=tuple(damages),
        repaired=repair,
    )


def _repair(store: Store, records: list[Path], damages: list[Damage]) -> None:
    for path in records:
        path.unlink(missing_ok=True)
    for damage in damages:
        if damage.kind in ("corrupt-blob", "foreign-file"):
            Path(damage.place).unlink(missing_ok=True)
        elif damage.kind == "half-tree":
            set_aside(store, Path(damage.place))
    fsync_directory(store.root / "blobs/sha256")


def _half_trees(store: Store) -> list[Damage]:
    """A tree is renamed into place with its facts in it, so one without them was not made by lading."""
    return [
        Damage(kind="half-tree", place=str(path), message=f"tree {path.name} has no {TREE_FACTS}")
        for path in entries(store.root / "trees")
        if not (path / TREE_FACTS).is_file()
    ]


def _check_blobs(
    store: Store, workers: int | None, progress: Callable[[int], None]
) -> tuple[dict[str, Damage], list[Damage], int, int]:
    from concurrent.futures import ThreadPoolExecutor  # only verify needs threads

    folder = store.root / "blobs/sha256"
    paths = entries(folder)
    blobs = [path for path in paths if re.fullmatch("[0-9a-f]{64}", path.name)]
    foreign = [
        Damage(kind="foreign-file", place=str(path), message="not a blob's name")
        for path in paths
        if path not in set(blobs)
    ]

    def check(path: Path) -> tuple[Damage | None, int]:
        size_bytes = 0
        digest = Digest.from_hex(path.name)
        try:
            for chunk in store.blobs.chunks(digest):
                size_bytes += len(chunk)
                progress(len(chunk))
        except DigestMismatch:
            message = f"blob {digest} is not what its name says ({size_bytes} bytes)"
            return Damage(kind="corrupt-blob", place=str(path), message=message), size_bytes
        return None, size_bytes

    count = workers or min(8, len(os.sched_getaffinity(0)))
    with ThreadPoolExecutor(max_workers=count, thread_name_prefix="verify") as pool:
        results = list(pool.map(check, blobs))
    bad = {path.name: damage for path, (damage, _) in zip(blobs, results, strict=True) if damage}
    return bad, foreign, len(blobs), sum(size for _, size in results)


def _check_record(store: Store, kind: str, records: Records, key: str, bad: set[str]) -> Damage | None:
    place = str(records.path(key))
    value = records.get(key)
    if value is None:
        return Damage(kind="torn-record", place=place, message=f"record {kind}/{key} is damaged")
    for name in sorted(blobs_named(value)):
        if name in bad or not store.blobs.has(Digest.from_hex(name)):
            state = "is corrupt" if name in bad else "is gone"
            message = f"record {kind}/{key} names blob sha256:{name}, which {state}"
            return Damage(kind="dangling-record", place=place, message=message)
    return None


@contextlib.contextmanager
def _holding(store: Store, *, exclusive: bool) -> Iterator[None]:
    """The store's lock, or none where the store cannot be written: then nobody collects in it either."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(file_lock(store.root / "locks/store", shared=not exclusive))
        except StoreError as error:
            cause = error.__cause__
            read_only = isinstance(cause, OSError) and cause.errno in (errno.EROFS, errno.EACCES)
            if exclusive or not read_only:
                raise
        yield
