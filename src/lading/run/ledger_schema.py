"""The ledger's tables and how its file is opened. Knows SQLite; must not know what the rows mean.

Append-only: triggers refuse UPDATE and DELETE, so that a row once written is history. A state that changes
is a new row in an events table.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from lading.errors import StoreError
from lading.store import Store

SCHEMA_VERSION = 1
_BUSY_SECONDS = 60.0
_LEAST_FREE_BYTES = 1 << 20

_TABLES = """
CREATE TABLE images (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, project TEXT NOT NULL, target TEXT NOT NULL,
    accelerator TEXT NOT NULL, platform TEXT NOT NULL, tag TEXT NOT NULL, digest TEXT NOT NULL,
    config_digest TEXT NOT NULL, lock_digest TEXT NOT NULL, size_bytes INTEGER NOT NULL, seconds REAL NOT NULL
);
CREATE INDEX images_by_target ON images (project, target, id);
CREATE TABLE runs (
    run_id TEXT PRIMARY KEY, at REAL NOT NULL, project TEXT NOT NULL, task TEXT NOT NULL,
    seal TEXT NOT NULL, seal_terms TEXT NOT NULL, reusable INTEGER NOT NULL, image_digest TEXT NOT NULL,
    lock_digest TEXT NOT NULL, limits TEXT NOT NULL
);
CREATE INDEX runs_by_seal ON runs (seal);
CREATE INDEX runs_by_task ON runs (project, task);
CREATE TABLE run_events (
    id INTEGER PRIMARY KEY, run_id TEXT NOT NULL REFERENCES runs (run_id), at REAL NOT NULL,
    state TEXT NOT NULL, detail TEXT NOT NULL
);
CREATE INDEX run_events_by_run ON run_events (run_id, id);
CREATE TABLE models (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,
    digest TEXT NOT NULL, project TEXT NOT NULL, run_id TEXT, metrics TEXT NOT NULL,
    UNIQUE (name, version), UNIQUE (name, digest)
);
CREATE TABLE service_events (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL,
    revision TEXT NOT NULL, detail TEXT NOT NULL
);
CREATE INDEX service_events_by_name ON service_events (name, id);
"""
_TABLE_NAMES = ("images", "runs", "run_events", "models", "service_events")


def _append_only(table: str) -> str:
    return "".join(
        f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;\n"
        for verb in ("UPDATE", "DELETE")
    )


@contextlib.contextmanager
def ledger_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into StoreErrors that say what to do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        # SQLite says "disk I/O error" of a full disk, where its shared memory cannot be made.
        if "full" in str(error) or _is_full(path):
            raise StoreError(
                "the ledger could not be used: no space left on its disk",
                place=str(path),
                hints=("lading store gc", f"df -h {path.parent}"),
            ) from error
        raise StoreError(
            f"the ledger could not be used: {error}",
            place=str(path),
            hints=("export LADING_HOME=/a/folder/on/a/local/disk",),
        ) from error
    except sqlite3.DatabaseError as error:
        raise StoreError(
            f"the ledger is damaged ({error}); images and blobs are not, only the history of runs is in it",
            place=str(path),
            hints=(f"mv {path} {path}.damaged",),
        ) from error


def _is_full(path: Path) -> bool:
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _LEAST_FREE_BYTES


def connect(store: Store) -> sqlite3.Connection:
    """An open ledger of the current schema, made when absent. Raises StoreError."""
    path = store.root / "ledger.db"
    with ledger_errors(path):
        connection = sqlite3.connect(_address(path), uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            _prepare(connection, store, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _address(path: Path) -> str:
    """As a URI. On a read-only file system nobody can be writing, so SQLite needs no lock files there."""
    read_only = os.statvfs(path.parent).f_flag & os.ST_RDONLY
    return f"file:{quote(str(path))}" + ("?mode=ro&immutable=1" if read_only else "")


def _prepare(connection: sqlite3.Connection, store: Store, path: Path) -> None:
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    # A run that was announced as finished stays finished after a power cut.
    connection.execute("PRAGMA synchronous = FULL")
    if _version(connection) == 0:
        # Two processes that switch a new file to WAL at once would see "locked" in spite of the timeout.
        with store.lock("ledger"):
            if _version(connection) == 0:
                connection.execute("PRAGMA journal_mode = WAL")
                triggers = "".join(_append_only(table) for table in _TABLE_NAMES)
                version = f"PRAGMA user_version = {SCHEMA_VERSION};"
                connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} {triggers} {version} COMMIT;")
    if (found := _version(connection)) != SCHEMA_VERSION:
        raise StoreError(
            f"the ledger has schema {found}; this lading writes schema {SCHEMA_VERSION}",
            place=str(path),
            hints=("export LADING_HOME=/another/folder",),
        )


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
