"""What the store holds and what it may let go: `du` and `gc`.

Knows blobs, records, trees and the digests that blobs and records name; must not know what an image is. The
caller says what is needed (`roots`); whatever a root names, directly or through other JSON, is needed too.

Order of deletion: records, then blobs, then trees. A collection killed at any point leaves no record that
names a blob which is gone, so nothing needs repair.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lading.errors import DigestMismatch, StoreError
from lading.oci.digest import Digest
from lading.store.atomic import store_errors, temporary_name
from lading.store.locks import file_lock
from lading.store.records import Records
from lading.store.store import Store

STAGING_GRACE_SECONDS = 3600
"""A dead writer's file is kept this long: its pid may be alive in a container that shares the store."""
_PASSING_LOCKS = ("pull-", "upload-", "wheel-")
_MAX_DOCUMENT_BYTES = 8 << 20
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_STAGING_NAME = re.compile(r"(\d+)-[0-9a-f]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one kind of thing takes on disk."""

    kind: str
    count: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What a collection removed, or would remove."""

    blobs: tuple[Digest, ...] = ()
    records: tuple[str, ...] = ()
    """`KIND/KEY`."""
    trees: tuple[str, ...] = ()
    toolchains: tuple[str, ...] = ()
    """Interpreters prepared for compiling bytecode; only builds use them."""
    staging: tuple[str, ...] = ()
    size_bytes: int = 0
    kept_in_use: tuple[str, ...] = field(default=())
    """Trees that a running container holds."""


def du(store: Store) -> tuple[Usage, ...]:
    """Disk use by kind, largest first; only reads. A file with several names counts once."""
    counts: dict[str, tuple[int, int]] = {}
    seen: set[tuple[int, int]] = set()

    def add(kind: str, size_bytes: int) -> None:
        count, total = counts.get(kind, (0, 0))
        counts[kind] = (count + 1, total + size_bytes)

    with store_errors("measuring the store", store.root):
        for path, size_bytes in _files(store.root, seen):
            parts = path.relative_to(store.root).parts
            if parts[0] != "blobs":
                add(parts[0] if len(parts) > 1 else parts[0].partition(".")[0].lower(), size_bytes)
            else:
                add(_blob_kind(path), size_bytes)
    usage = [Usage(kind=kind, count=count, size_bytes=size) for kind, (count, size) in counts.items()]
    return tuple(sorted(usage, key=lambda item: (-item.size_bytes, item.kind)))


def gc(
    store: Store,
    roots: Iterable[Digest],
    *,
    keep_seconds: float,
    dry_run: bool = False,
    wait: bool = True,
    now: Callable[[], float] = time.time,
) -> Collected:
    """Remove what no root names and nobody has touched for `keep_seconds`.

    Waits until no build is running, or, with `wait` off, raises StoreError when one is. Trees that a running
    container holds are kept. `dry_run` removes nothing. Raises StoreError.
    """
    with file_lock(store.root / "locks/store", blocking=wait) as held:
        if not held:
            raise StoreError("a build is using the store", place=str(store.root), hints=("lading store gc",))
        with store_errors("collecting", store.root):
            return _Collection(store, frozenset(reachable(store, roots)), keep_seconds, dry_run, now()).run()


def reachable(store: Store, roots: Iterable[Digest]) -> Iterator[Digest]:
    """The roots and every digest that they name, through JSON blobs, whether or not it is in the store."""
    waiting = list(roots)
    seen: set[Digest] = set()
    while waiting:
        digest = waiting.pop()
        if digest in seen:
            continue
        seen.add(digest)
        yield digest
        waiting.extend(_named_by_blob(store, digest))


class _Collection:
    def __init__(
        self, store: Store, live: frozenset[Digest], keep_seconds: float, dry_run: bool, now: float
    ) -> None:
        self._store = store
        self._live = {digest.hex for digest in live}
        self._keep_seconds = keep_seconds
        self._dry_run = dry_run
        self._now = now
        self._size_bytes = 0
        self._in_use: list[str] = []

    def run(self) -> Collected:
        blobs = [digest for digest in self._store.blobs if self._is_garbage(digest)]
        gone = {digest.hex for digest in blobs}
        records = self._remove_records(gone)
        for digest in blobs:
            self._remove(self._store.blobs.path(digest))
        trees = self._remove_trees()
        toolchains = self._remove_toolchains()
        staging = self._sweep_staging()
        self._remove_locks()
        return Collected(
            blobs=tuple(blobs),
            records=tuple(records),
            trees=tuple(trees),
            toolchains=tuple(toolchains),
            staging=tuple(staging),
            size_bytes=self._size_bytes,
            kept_in_use=tuple(self._in_use),
        )

    def _is_garbage(self, digest: Digest) -> bool:
        return digest.hex not in self._live and self._is_old(self._store.blobs.path(digest))

    def _is_old(self, path: Path) -> bool:
        """A time in the future is as far away as one in the past: the clock was set."""
        return abs(self._now - path.lstat().st_mtime) >= self._keep_seconds

    def _remove_records(self, gone: set[str]) -> list[str]:
        removed = []
        keys: set[str] = set()
        for kind, records in record_kinds(self._store):
            for key in list(records.keys()):
                value = records.get(key)
                if value is None or not gone.isdisjoint(blobs_named(value)):
                    removed.append(f"{kind}/{key}")
                    keys.add(key)
                    self._remove(records.path(key))
        for kind, records in record_kinds(self._store):  # what else was kept about the same key
            for key in keys.intersection(records.keys()):
                if f"{kind}/{key}" not in removed:
                    removed.append(f"{kind}/{key}")
                    self._remove(records.path(key))
        return sorted(removed)

    def _remove_trees(self) -> list[str]:
        removed = []
        for path in entries(self._store.root / "trees"):
            if path.name in self._live or not self._is_old(path):
                continue
            with file_lock(self._store.root / f"locks/tree-{path.name}", blocking=False) as held:
                if held:
                    removed.append(path.name)
                    self._remove_folder(path)
                else:
                    self._in_use.append(path.name)
        return removed

    def _remove_toolchains(self) -> list[str]:
        paths = [path for path in entries(self._store.root / "toolchains") if self._is_old(path)]
        for path in paths:
            self._remove_folder(path)
        return [path.name for path in paths]

    def _remove_folder(self, path: Path) -> None:
        """Out of sight in one step: what is half there must never look whole."""
        self._size_bytes += sum(size for _, size in _files(path, set()))
        if not self._dry_run:
            set_aside(self._store, path)

    def _sweep_staging(self) -> list[str]:
        removed = []
        for path in entries(self._store.staging):
            match = _STAGING_NAME.match(path.name)
            if match is not None and _is_alive(int(match[1])):
                continue
            grace = min(self._keep_seconds, STAGING_GRACE_SECONDS)
            if abs(self._now - path.lstat().st_mtime) < grace:
                continue
            removed.append(path.name)
            if path.is_dir() and not path.is_symlink():
                self._remove_folder(path)
            else:
                self._remove(path)
        return removed

    def _remove_locks(self) -> None:
        """Of blobs on their way in or out, and of wheels in the making: one file each, else for ever."""
        for path in entries(self._store.root / "locks"):
            if path.name.startswith(_PASSING_LOCKS):
                with file_lock(path, blocking=False) as held:
                    if held:
                        self._remove(path)

    def _remove(self, path: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._size_bytes += path.lstat().st_size
            if not self._dry_run:
                path.unlink()


def record_kinds(store: Store) -> list[tuple[str, Records]]:
    """Every folder of records in the store, by kind."""
    return [(path.name, Records(store.root, path.name)) for path in entries(store.root / "records")]


def blobs_named(value: Any) -> set[str]:
    """Hex names of the blobs that a record says exist: whatever stands under a key `digest`."""
    if isinstance(value, list):
        return {name for item in value for name in blobs_named(item)}
    if not isinstance(value, dict):
        return set()
    names = {name for item in value.values() for name in blobs_named(item)}
    text = value.get("digest")
    if isinstance(text, str) and (match := _DIGEST.fullmatch(text)):
        names.add(match[1])
    return names


def _named_by_blob(store: Store, digest: Digest) -> Iterator[Digest]:
    """Every digest in the blob's text, if the blob is a JSON object. A damaged blob names nothing."""
    size_bytes = store.blobs.size_bytes(digest)
    if size_bytes is None or size_bytes > _MAX_DOCUMENT_BYTES:
        return
    with store.blobs.path(digest).open("rb") as file:
        if file.read(1) != b"{":
            return
    try:
        text = store.blobs.read(digest).decode()
        json.loads(text)
    except (DigestMismatch, ValueError):
        return
    for name in set(_DIGEST.findall(text)):
        yield Digest.from_hex(name)


_MAGICS = (
    (b"\x1f\x8b", "layers"),
    (b"\x28\xb5\x2f\xfd", "layers"),
    (b"PK\x03\x04", "wheels"),
    (b"!<arch>\n", "debs"),
    (b"{", "documents"),
)


def _blob_kind(path: Path) -> str:
    """By the first bytes: a layer is compressed, a wheel is a ZIP, a Debian package an ar archive."""
    with path.open("rb") as file:
        start = file.read(8)
    return next((kind for magic, kind in _MAGICS if start.startswith(magic)), "blobs")


def entries(folder: Path) -> list[Path]:
    try:
        return [folder / name for name in sorted(os.listdir(folder))]
    except FileNotFoundError:
        return []


def _files(folder: Path, seen: set[tuple[int, int]]) -> Iterator[tuple[Path, int]]:
    """Every file below `folder` with the bytes it takes; each inode once."""
    for base, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(base, name)
            try:
                status = path.lstat()
            except FileNotFoundError:
                continue
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                yield path, status.st_size


def _is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def set_aside(store: Store, path: Path) -> None:
    """Remove a folder of the store: out of sight in one step, then file by file. Raises OSError."""
    aside = store.staging / temporary_name()
    path.rename(aside)
    _remove_tree(aside)


def _remove_tree(path: Path) -> None:
    """Also folders that their image made unwritable."""
    for base, folders, _ in os.walk(path):
        for name in folders:
            if not Path(base, name).is_symlink():
                Path(base, name).chmod(0o700)
    shutil.rmtree(path)
