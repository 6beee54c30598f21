"""Laws of metrics: four sources, one flat list; what cannot be read is a warning and never a number."""

from __future__ import annotations

import json
import math
import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lading.run.metrics import read_metrics


def test_nested_numbers_are_joined_with_dots(tmp_path: Path) -> None:
    document = {"a": 1, "b": {"c": 2.5, "d": {"e": True}}, "s": "text", "n": None, "val/loss x": 3}
    (tmp_path / "metrics.json").write_text(json.dumps(document))
    metrics, warnings = read_metrics(tmp_path)
    assert math.isnan(metrics.pop("n"))
    assert metrics == {"a": 1.0, "b.c": 2.5, "b.d.e": 1.0, "val.loss_x": 3.0}
    assert warnings == ()


def test_the_last_line_of_each_key_counts(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"loss": 3, "lr": 0.1}\n\n{"loss": 2}\n{"loss": NaN}\n')
    metrics, _ = read_metrics(tmp_path)
    assert metrics["lr"] == 0.1
    assert math.isnan(metrics["loss"])


def test_metrics_json_wins(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"loss": 3, "lr": 0.1}')
    (tmp_path / "metrics.json").write_text('{"loss": 1}')
    assert read_metrics(tmp_path)[0] == {"loss": 1.0, "lr": 0.1}


def test_mlflow_files_of_the_newest_run(tmp_path: Path) -> None:
    folder = tmp_path / "mlruns/0/run1/metrics/val"
    folder.mkdir(parents=True)
    (folder / "loss").write_text("1000 0.5 0\n1001 0.25 1\n")
    assert read_metrics(tmp_path)[0] == {"val.loss": 0.25}


def test_mlflow_database_of_the_newest_run(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "mlflow.db") as connection:
        connection.execute("CREATE TABLE runs (run_uuid TEXT, start_time INTEGER)")
        connection.execute("CREATE TABLE latest_metrics (key, value, timestamp, step, is_nan, run_uuid)")
        connection.execute("INSERT INTO runs VALUES ('old', 1), ('new', 2)")
        rows = [("acc", 0.5, 0, 0, 0, "old"), ("acc", 0.9, 0, 0, 0, "new"), ("f1", 0, 0, 0, 1, "new")]
        connection.executemany("INSERT INTO latest_metrics VALUES (?, ?, ?, ?, ?, ?)", rows)
    connection.close()
    metrics, warnings = read_metrics(tmp_path)
    assert metrics["acc"] == 0.9
    assert math.isnan(metrics["f1"])
    assert warnings == ()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metrics.json", b"[1, 2]"),
        ("metrics.json", b"{"),
        ("metrics.json", b"[" * 100_000),
        ("metrics.json", b"\xff\xfe"),
        ("metrics.jsonl", b'{"a": 1}\nnonsense\n'),
        ("mlflow.db", b"no database at all, and long enough to be looked at as one" * 10),
    ],
)
def test_what_cannot_be_read_is_a_warning(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    _, warnings = read_metrics(tmp_path)
    assert len(warnings) == 1
    assert warnings[0].startswith(f"{name} in the outputs could not be read: ")


def test_planted_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text('{"password": 7}')
    outputs = tmp_path / "outputs"
    (outputs / "mlruns/0/run").mkdir(parents=True)
    (outputs / "metrics.json").symlink_to(tmp_path / "secret")
    (outputs / "mlruns/0/run/metrics").symlink_to(tmp_path)
    assert read_metrics(outputs) == ({}, ())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(["metrics.json", "metrics.jsonl", "mlflow.db"]), content=st.binary(max_size=300))
def test_no_bytes_crash_the_reader(tmp_path: Path, name: str, content: bytes) -> None:
    for path in tmp_path.iterdir():
        path.unlink()
    (tmp_path / name).write_bytes(content)
    metrics, _ = read_metrics(tmp_path)
    assert all(isinstance(value, float) for value in metrics.values())
