"""Metrics that user code left in its outputs: `metrics.json`, `metrics.jsonl`, MLflow's files or database.

Knows those formats; must not trust them: the files come from a container. What cannot be read is a warning,
because a missing metric makes a gate inconclusive and never passes it.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import sqlite3
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_MAXIMUM_BYTES = 64 << 20
_MAXIMUM_METRICS = 10_000


def read_metrics(outputs: Path) -> tuple[dict[str, float], tuple[str, ...]]:
    """Metrics by name (nested ones joined with dots) and warnings. `metrics.json` wins over the others."""
    metrics: dict[str, float] = {}
    warnings: list[str] = []
    readers = (
        ("mlruns", _mlflow_files),
        ("mlflow.db", _mlflow_database),
        ("metrics.jsonl", _json_lines),
        ("metrics.json", _json),
    )
    for name, reader in readers:
        path = outputs / name
        if not _is_readable(path):
            continue
        try:
            for key, value in reader(path):
                metrics[metric_name(key)] = value
                if len(metrics) > _MAXIMUM_METRICS:
                    raise ValueError(f"more than {_MAXIMUM_METRICS} metrics")
        except (OSError, ValueError, RecursionError, sqlite3.Error) as error:
            warnings.append(f"{name} in the outputs could not be read: {error}")
    return dict(sorted(metrics.items())), tuple(warnings)


def metric_name(name: str) -> str:
    """A name that a gate can say: `val/loss` and `val loss` become `val.loss` and `val_loss`."""
    return re.sub(r"[^A-Za-z0-9_.@]", "_", name.replace("/", "."))


def _is_readable(path: Path) -> bool:
    """A real file of sane size or a real folder: never through a link that user code may have planted."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_size <= _MAXIMUM_BYTES)


def _json(path: Path) -> Iterator[tuple[str, float]]:
    document = json.loads(path.read_bytes())
    if not isinstance(document, dict):
        raise ValueError("it is not one JSON object")
    yield from _flatten("", document)


def _json_lines(path: Path) -> Iterator[tuple[str, float]]:
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            document = json.loads(line)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
        if not isinstance(document, dict):
            raise ValueError(f"line {number} is not a JSON object")
        yield from _flatten("", document)


def _flatten(prefix: str, document: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from _flatten(f"{prefix}{key}.", value)
        elif isinstance(value, int | float):
            try:
                yield f"{prefix}{key}", float(value)
            except OverflowError:
                yield f"{prefix}{key}", math.inf
        elif value is None:
            yield f"{prefix}{key}", math.nan


def _mlflow_files(path: Path) -> Iterator[tuple[str, float]]:
    """`mlruns/EXPERIMENT/RUN/metrics/NAME`, lines of `timestamp value step`; the newest run only."""
    folders = [folder for folder in path.glob("*/*/metrics") if not folder.is_symlink()]
    if not folders:
        return
    newest = max(folders, key=lambda folder: (folder.stat().st_mtime_ns, str(folder)))
    for file in sorted(newest.rglob("*")):
        if file.is_symlink() or not file.is_file() or not _is_readable(file):
            continue
        lines = file.read_text().split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "")
        yield str(file.relative_to(newest)), float(last.split()[1] if len(last.split()) > 1 else "nan")


def _mlflow_database(path: Path) -> Iterator[tuple[str, float]]:
    """MLflow's SQLite tracking store: the newest run's `latest_metrics`."""
    query = (
        "SELECT key, value, is_nan FROM latest_metrics WHERE run_uuid = "
        "(SELECT run_uuid FROM runs ORDER BY start_time DESC LIMIT 1) ORDER BY key"
    )
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        connection.execute("PRAGMA trusted_schema = OFF")
        for key, value, is_nan in connection.execute(query):
            yield str(key), math.nan if is_nan else float(value)
