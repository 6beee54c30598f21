"""What `lading doctor` says of a run on record, and what a failed command ends with."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import Lading
from lading.cli.dead_runs import explained
from lading.cli.main import report
from lading.cli.session import Session
from lading.engine.circumstances import Circumstances
from lading.errors import TaskFailed
from lading.oci.digest import Digest
from lading.run.ledger import Ledger
from lading.run.record import write_circumstances
from lading.run.rows import RunPhase, RunRow
from lading.store import Store

RUN = "7f3a12ab90cd"
TRACEBACK = 'Traceback (most recent call last):\n  File "/app/train.py", line 3, in <module>\n'
MISSING = f"epoch 1\n{TRACEBACK}ModuleNotFoundError: No module named 'cv2'\n"
Plant = Callable[..., None]


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plant:
    """Put a run of the task `train` that failed on record."""
    monkeypatch.chdir(tmp_path)
    store = Store.open({"LADING_HOME": str(tmp_path / "home")})

    def put(log: str, *, exit_status: int = 1, run_id: str = RUN, **seen: Any) -> None:
        digest = Digest.of(run_id.encode())
        secrets = seen.pop("secrets", [])
        reason = seen.pop("reason", "it failed")
        limit = seen.pop("limit", None)
        row = RunRow(
            run_id=run_id,
            at=1.0,
            project="digits",
            task="train",
            seal=digest,
            seal_terms={
                "command": ["python", "train.py"],
                "network": False,
                "secrets": secrets,
                "gpus": None,
            },
            reusable=True,
            image_digest=digest,
            lock_digest=digest,
            limits={"memory_bytes": limit} if limit else {},
        )
        with Ledger.open(store) as ledger:
            ledger.add_run(row)
            ledger.finish_run(run_id, RunPhase.FAILED, exit_status=exit_status, reason=reason)
        folder = store.root / "runs" / run_id
        folder.mkdir(parents=True)
        (folder / "log").write_text(log)
        write_circumstances(store, run_id, Circumstances(**seen))

    return put


def test_a_run_is_explained_by_its_id_and_by_its_task(lading: Lading, plant: Plant) -> None:
    plant(MISSING)
    said = lading("doctor", "7f3a")
    assert said.status == 0
    first, cause, *rest = said.stdout.splitlines()
    assert first.startswith("run 7f3a12ab of train of the project ")
    assert first.endswith("failed, exit code 1")
    assert cause == "run-module-missing: A Python module is not in the image"
    assert "  remedy  echo opencv-python-headless >> requirements.txt" in rest
    assert rest[-1] == "  more    lading doctor --explain run-module-missing"
    assert lading("doctor", "train", "--all").stdout.splitlines()[1] == cause


def test_a_run_as_a_document(lading: Lading, plant: Plant) -> None:
    plant("", exit_status=137, host_oom_kills=1)
    document = lading("doctor", "7f3a", "--json").document
    assert document["run"]["run_id"] == RUN
    assert document["circumstances"]["host_oom_kills"] == 1
    (finding,) = document["findings"]
    assert (finding["cause"], finding["certain"]) == ("run-host-memory", False)
    assert lading("doctor", "7f3a").stdout.splitlines()[1].startswith("perhaps run-host-memory: ")


def test_an_explanation_fails_only_where_it_is_asked_to(lading: Lading, plant: Plant) -> None:
    plant(MISSING)
    assert lading("doctor", "7f3a", "--fail-on", "error").status == 1
    assert lading("doctor", "7f3a", "--fail-on", "off").status == 0


def test_the_page_of_a_cause_is_printed(lading: Lading) -> None:
    said = lading("doctor", "--explain", "run-shm-full")
    assert said.status == 0
    assert said.stdout.startswith("run-shm-full: Shared memory (/dev/shm) was full\n")


@pytest.mark.parametrize(
    "words", [("doctor", "nosuch"), ("doctor", "train", "other"), ("doctor", "bundle", "train", "other")]
)
def test_words_that_name_no_run_are_usage(lading: Lading, plant: Plant, words: tuple[str, ...]) -> None:
    plant(MISSING)
    said = lading(*words)
    assert said.status == 2
    assert "hint: lading" in said.stderr


def session(tmp_path: Path) -> Session:
    return Session(
        environment={"LADING_HOME": str(tmp_path / "home")}, stdout=io.StringIO(), stderr=io.StringIO()
    )


def test_a_failed_command_ends_with_the_cause_where_it_is_certain(tmp_path: Path, plant: Plant) -> None:
    plant(MISSING)
    error = explained(TaskFailed("it failed", child_exit_status=1, run_id=RUN), session(tmp_path))
    assert error.cause == "run-module-missing"
    assert error.hints[-1] == "a Python module is not in the image: lading doctor 7f3a12ab"
    assert error.as_json()["cause"] == "run-module-missing"


def test_and_only_with_the_way_to_what_is_known_where_it_is_not(tmp_path: Path, plant: Plant) -> None:
    plant("", exit_status=3)
    error = explained(
        TaskFailed("it failed", child_exit_status=3, run_id=RUN, hints=("lading logs train",)),
        session(tmp_path),
    )
    assert error.cause is None
    assert error.hints == ("lading logs train", "lading doctor 7f3a12ab")
    lost = TaskFailed("it failed", child_exit_status=3)
    assert explained(lost, session(tmp_path)).hints == ()


def test_a_failed_command_says_so_itself(tmp_path: Path, plant: Plant) -> None:
    plant(MISSING)
    it = session(tmp_path)
    status = report(
        TaskFailed("it failed", child_exit_status=23, run_id=RUN, hints=("lading logs train",)), it
    )
    assert status == 23
    assert it.stderr.getvalue().splitlines() == [  # type: ignore[attr-defined]
        "error: it failed",
        "hint: lading logs train",
        "hint: echo opencv-python-headless >> requirements.txt",
        "hint: a Python module is not in the image: lading doctor 7f3a12ab",
    ]


def test_a_record_without_circumstances_still_tells_its_limits(
    lading: Lading, plant: Plant, tmp_path: Path
) -> None:
    plant("", exit_status=137, reason="task 'train' was killed at its memory limit of 5 bytes", limit=5)
    (tmp_path / f"home/runs/{RUN}/circumstances.json").unlink()
    document = lading("doctor", "7f3a", "--json").document
    assert [finding["cause"] for finding in document["findings"]] == ["run-memory-limit"]
    assert document["findings"][0]["proof"][0].startswith("its engine killed it")


def members(path: Path) -> dict[str, str]:
    with tarfile.open(path) as tar:
        found = {}
        for member in tar:
            file = tar.extractfile(member)
            assert file is not None
            found[member.name.partition("/")[2]] = file.read().decode()
        return found


def test_a_bundle_holds_the_run_and_no_secret(lading: Lading, plant: Plant, tmp_path: Path) -> None:
    plant(f"token is swordfish-77 {TRACEBACK}", secrets=["HF_TOKEN"])
    (tmp_path / "lading.toml").write_text('name = "digits"\n[train]\nrun = "python train.py"\n')
    said = lading("doctor", "bundle", HF_TOKEN="swordfish-77")
    assert said.status == 0, said.stderr
    assert said.stdout == "lading-bundle-7f3a12ab.tar.gz\n"
    found = members(tmp_path / said.stdout.strip())
    assert {"README.txt", "run.json", "log.txt", "diagnosis.json", "project/lading.toml"} <= found.keys()
    assert "token is [redacted]" in found["log.txt"]
    assert not any("swordfish" in text for text in found.values())
    again = lading("doctor", "bundle", HF_TOKEN="swordfish-77")
    assert again.status == 2
    assert "--output" in again.stderr


def test_a_bundle_leaves_the_log_out_where_a_secret_is_not_there_to_be_looked_for(
    lading: Lading, plant: Plant, tmp_path: Path
) -> None:
    plant("token is swordfish-77", secrets=["SOME_WORD"])
    said = lading("doctor", "bundle", "train", "--output", "b.tar.gz", "--json")
    assert "log.txt" not in said.document["members"]
    assert any(line.startswith("the log: ") for line in said.document["left_out"])
    assert not any("swordfish" in text for text in members(tmp_path / "b.tar.gz").values())


def test_a_bundle_needs_no_run(lading: Lading, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = lading("doctor", "bundle")
    assert said.stdout == "lading-bundle.tar.gz\n"
    assert {"README.txt", "versions.json", "host.json", "doctor.json"} <= members(
        tmp_path / said.stdout.strip()
    ).keys()
