"""Laws of the ledger: append-only, many writers, kill -9, damage is told."""

from __future__ import annotations

import dataclasses
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from lading.errors import StoreError
from lading.oci.digest import Digest
from lading.run.ledger import Ledger
from lading.run.rows import Cost, RunPhase, RunRow, ServiceRow
from lading.store import Store

SEAL = Digest.of(b"seal")
IMAGE = Digest.of(b"image")


def a_run(run_id: str, **changes: object) -> RunRow:
    row = RunRow(
        run_id=run_id,
        at=1.0,
        project="digits",
        task="train",
        seal=SEAL,
        seal_terms={"image": "x"},
        reusable=True,
        image_digest=IMAGE,
        lock_digest=IMAGE,
        limits={},
    )
    return dataclasses.replace(row, **changes)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open({"LADING_HOME": str(tmp_path / "home")})


@pytest.fixture
def ledger(store: Store) -> Ledger:
    with Ledger.open(store, now=lambda: 5.0) as ledger:
        yield ledger


def test_a_finished_run_is_found_by_its_seal_and_no_other_is(ledger: Ledger) -> None:
    for run_id, phase in (("a", RunPhase.FAILED), ("b", RunPhase.FINISHED), ("c", RunPhase.INTERRUPTED)):
        ledger.add_run(a_run(run_id))
        ledger.finish_run(run_id, phase)
    ledger.add_run(a_run("open"))
    ledger.add_run(a_run("networked", reusable=False))
    ledger.finish_run("networked", RunPhase.FINISHED)
    found = ledger.find_run(SEAL)
    assert found is not None
    assert found.run_id == "b"
    assert ledger.find_run(Digest.of(b"other")) is None


def test_a_run_reads_back_as_it_was_written(ledger: Ledger) -> None:
    ledger.add_run(a_run("a"))
    ledger.mark_running("a", engine="embedded", handle={"pid": 7})
    cost = Cost(wall_seconds=1.5, cpu_seconds=1.0, peak_memory_bytes=10)
    metrics = {"accuracy": 0.97, "loss": float("nan")}
    ledger.finish_run("a", RunPhase.FINISHED, exit_status=0, cost=cost, metrics=metrics, outputs=IMAGE)
    row = ledger.run("a")
    assert row is not None
    assert (row.phase, row.engine, row.handle, row.exit_status) == (
        RunPhase.FINISHED,
        "embedded",
        {"pid": 7},
        0,
    )
    assert (row.cost, row.outputs, row.ended_at) == (cost, IMAGE, 5.0)
    assert row.metrics == {"accuracy": 0.97, "loss": None}


def test_an_ended_run_keeps_its_first_end(ledger: Ledger) -> None:
    ledger.add_run(a_run("a"))
    ledger.finish_run("a", RunPhase.INTERRUPTED, reason="Ctrl-C")
    ledger.finish_run("a", RunPhase.FINISHED, exit_status=0)
    row = ledger.run("a")
    assert row is not None
    assert (row.phase, row.reason) == (RunPhase.INTERRUPTED, "Ctrl-C")


@pytest.mark.parametrize("table", ["images", "runs", "run_events", "models", "service_events"])
def test_history_cannot_be_rewritten(ledger: Ledger, store: Store, table: str) -> None:
    ledger.add_run(a_run("a"))
    ledger.add_model(name="m", digest=IMAGE, project="p", run_id=None, metrics={})
    ledger.add_service(a_service("ready"))
    with sqlite3.connect(store.root / "ledger.db") as connection:
        if table == "images":
            columns = "0, 't', 'p', 't', 'a', 'l', 't', 'd', 'd', 'd', 0, 0"
            connection.execute(f"INSERT INTO images VALUES ({columns})")
        for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET at = 0"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)
    connection.close()


def a_service(state: str, name: str = "digits") -> ServiceRow:
    return ServiceRow(
        at=0,
        name=name,
        state=state,
        revision=SEAL,
        image_digest=IMAGE,
        model="digits@1",
        model_digest=IMAGE,
        engine="embedded",
        handle={"pid": 1},
    )


def test_a_service_is_its_last_state(ledger: Ledger) -> None:
    for state in ("starting", "ready", "stopped"):
        ledger.add_service(a_service(state))
    ledger.add_service(a_service("ready", "text"))
    assert [(row.name, row.state) for row in ledger.services()] == [("digits", "stopped"), ("text", "ready")]


def test_versions_count_up_and_the_same_digest_keeps_its_own(ledger: Ledger) -> None:
    digests = [Digest.of(text) for text in (b"1", b"2", b"1", b"3")]
    rows = [
        ledger.add_model(name="digits", digest=digest, project="digits", run_id=None, metrics={"a": 1})
        for digest in digests
    ]
    assert [row.reference for row in rows] == ["digits@1", "digits@2", "digits@1", "digits@3"]
    assert ledger.model("digits", 2) == rows[1] == ledger.model("digits", digests[1])
    assert [row.version for row in ledger.models("digits")] == [3, 2, 1]
    assert ledger.models("other") == ()


@pytest.mark.parametrize("damage", [b"this is no database" * 300, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_told_with_its_remedy(store: Store, damage: bytes) -> None:
    path = store.root / "ledger.db"
    path.write_bytes(damage)
    with pytest.raises(StoreError, match=r"damaged|could not be used") as caught:
        Ledger.open(store)
    assert caught.value.hints
    assert str(path) == caught.value.place


def test_a_flipped_page_is_told_not_returned(store: Store) -> None:
    with Ledger.open(store) as ledger:
        for number in range(200):
            ledger.add_run(a_run(f"r{number}"))
    path = store.root / "ledger.db"
    content = bytearray(path.read_bytes())
    for offset in range(4096, len(content), 512):
        content[offset : offset + 64] = b"\xee" * 64
    path.write_bytes(content)
    with pytest.raises(StoreError), Ledger.open(store) as ledger:
        ledger.runs()


def test_a_later_schema_is_refused(store: Store) -> None:
    Ledger.open(store).close()
    with sqlite3.connect(store.root / "ledger.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="schema 99"):
        Ledger.open(store)


WRITER = """
import sys
from tests_ledger_row import row
from lading.oci.digest import Digest
from lading.run.ledger import Ledger
from lading.run.rows import RunPhase
from lading.store import Store
store = Store.open({"LADING_HOME": sys.argv[1]})
for number in range(int(sys.argv[3])):
    with Ledger.open(store) as ledger:
        run_id = f"{sys.argv[2]}-{number}"
        ledger.add_run(row(run_id))
        ledger.add_model(name="m", digest=Digest.of(run_id.encode()), project="p", run_id=run_id, metrics={})
        ledger.finish_run(run_id, RunPhase.FINISHED, exit_status=0)
        print(run_id, flush=True)
"""
ROW = """
from lading.oci.digest import Digest
from lading.run.rows import RunRow
def row(run_id):
    d = Digest.of(b"x")
    return RunRow(run_id=run_id, at=1.0, project="p", task="t", seal=d, seal_terms={}, reusable=True,
                  image_digest=d, lock_digest=d, limits={})
"""


def start_writer(folder: Path, store: Store, name: str, count: int) -> subprocess.Popen[str]:
    if not (folder / "writer.py").exists():
        (folder / "tests_ledger_row.py").write_text(ROW)
        (folder / "writer.py").write_text(WRITER)
    command = [sys.executable, "-S", str(folder / "writer.py"), str(store.root), name, str(count)]
    path = os.pathsep.join([str(folder), *sys.path])
    return subprocess.Popen(command, env={"PYTHONPATH": path}, stdout=subprocess.PIPE, text=True)


def test_twenty_writers_at_once_lose_nothing(store: Store, tmp_path: Path) -> None:
    """Also the first opening of all: twenty processes create the file together."""
    writers = [start_writer(tmp_path, store, f"w{number}", 3) for number in range(20)]
    assert {(writer.communicate()[0].count("\n"), writer.returncode) for writer in writers} == {(3, 0)}
    with Ledger.open(store) as ledger:
        rows = ledger.runs()
        assert len(rows) == 60
        assert {row.phase for row in rows} == {RunPhase.FINISHED}
        assert sorted(row.version for row in ledger.models("m")) == list(range(1, 61))


def test_what_was_said_before_a_kill_is_there_after_it(store: Store, tmp_path: Path) -> None:
    writer = start_writer(tmp_path, store, "w", 10_000)
    assert writer.stdout is not None
    said = [writer.stdout.readline().strip() for _ in range(5)]
    writer.send_signal(signal.SIGKILL)
    said += writer.stdout.read().split()
    writer.wait()
    writer.stdout.close()
    with Ledger.open(store) as ledger:
        assert set(said) <= {row.run_id for row in ledger.runs() if row.phase is RunPhase.FINISHED}
    with sqlite3.connect(store.root / "ledger.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_live_digests_name_models_outputs_and_running_images(ledger: Ledger) -> None:
    outputs, model = Digest.of(b"outputs"), Digest.of(b"model")
    ledger.add_run(a_run("a"))
    ledger.finish_run("a", RunPhase.FINISHED, outputs=outputs)
    ledger.add_model(name="m", digest=model, project="p", run_id="a", metrics={})
    ledger.add_service(a_service("ready"))
    assert ledger.live_digests() == {outputs, model, IMAGE}
