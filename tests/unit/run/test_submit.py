"""Laws of a run: what is sealed is reused, every end is recorded, nothing is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lading.errors import EngineError, ProjectError, TaskFailed
from lading.project.limits import Limits
from lading.project.model import DataSource, GpuRequest, Task
from lading.run.ledger import Ledger
from lading.run.rows import RunPhase
from lading.run.submit import RunResult, recover_runs, run_task
from lading.run.task import prepare_run, watch_lock
from lading.store import Store
from lading.store.locks import file_lock
from run.host_engine import HostEngine, alive
from run.projects import Remembering, make_image, make_project

TRAIN = """
import json, os, pathlib, sys
params = json.loads(pathlib.Path(os.environ["LADING_PARAMS"]).read_text())
data = (pathlib.Path(os.environ["LADING_INPUTS"]) / "rows").read_text()
out = pathlib.Path(os.environ["LADING_OUTPUTS"])
print("training", params["epochs"], os.environ["EPOCHS"], sys.argv[1], data.strip())
(out / "metrics.json").write_text(json.dumps({"accuracy": 0.97, "val": {"loss": 0.1}}))
(out / "sub").mkdir()
(out / "sub/weights.bin").write_bytes(b"w" * 100)
count = pathlib.Path(os.environ["LADING_CHECKPOINTS"]) / "count"
count.write_text(str(int(count.read_text()) + 1 if count.exists() else 1))
"""


class Bench:
    """A project folder, a store, a ledger and the host engine, wired."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "project"
        (self.root / "data").mkdir(parents=True)
        (self.root / "data/rows.csv").write_text("1,2,3\n")
        (self.root / "train.py").write_text(TRAIN)
        self.home = folder / "home"
        self.store = Store.open({"LADING_HOME": str(self.home)})
        self.ledger = Ledger.open(self.store)
        self.engine = HostEngine(folder / "engine")
        self.reporter = Remembering()

    def task(self, run: str | None = None, **more: object) -> Task:
        values: dict[str, object] = {
            "name": "train",
            "run": run or f"{sys.executable} {self.root}/train.py {{epochs}}",
            "params": {"epochs": 3},
            "inputs": {"rows": "data:rows"},
        }
        return Task(**{**values, **more})  # type: ignore[arg-type]

    def run(self, task: Task | None = None, *, rerun: bool = False, **more: object) -> RunResult:
        project = make_project(
            self.root, task or self.task(), data=(DataSource(name="rows", source="data/rows.csv"),)
        )
        prepared = prepare_run(
            project,
            project.tasks["train"],
            make_image(self.store),
            store=self.store,
            ledger=self.ledger,
            environment={"TOKEN": "s3cret"},
            **more,  # type: ignore[arg-type]
        )
        return run_task(
            prepared,
            engine=self.engine,
            store=self.store,
            ledger=self.ledger,
            reporter=self.reporter,
            rerun=rerun,
        )

    def leftovers(self) -> list[str]:
        """What a run may not leave: work folders, locks of runs, staged files."""
        paths = [*self.home.glob("runs/*/*"), *self.home.glob("staging/*"), *self.home.glob("locks/run-*")]
        return sorted(path.name for path in paths if path.name != "log")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    yield bench
    bench.engine.close()
    bench.ledger.close()


def test_the_contract_with_user_code(bench: Bench) -> None:
    result = bench.run()
    assert bench.reporter.printed == b"training 3 3 3 1,2,3\n"
    assert result.metrics == {"accuracy": 0.97, "val.loss": 0.1}
    assert (bench.root / "out/sub/weights.bin").read_bytes() == b"w" * 100
    assert result.row.phase is RunPhase.FINISHED
    assert (result.row.exit_status, result.row.level, result.row.enforced_by) == (
        0,
        "process",
        {"memory": "none"},
    )
    assert result.row.cost.peak_memory_bytes == 1 << 20
    log = bench.home / "runs" / result.row.run_id / "log"
    assert log.read_bytes() == bench.reporter.printed
    assert bench.leftovers() == []


def test_the_same_seal_is_reused_and_said(bench: Bench) -> None:
    first = bench.run()
    again = bench.run()
    assert (again.reused, again.row.run_id) == (True, first.row.run_id)
    assert len(bench.engine.submitted) == 1
    assert again.describe_reuse(again.row.ended_at + 720) == (
        f"reused run {first.row.run_id[:4]}, 12 min old; --rerun to run again"
    )


def test_limits_do_not_break_the_seal_and_all_else_does(bench: Bench) -> None:
    bench.run()
    assert bench.run(bench.task(limits=Limits(memory_bytes=1 << 30, cpus=1))).reused
    assert not bench.run(bench.task(), params={"epochs": "4"}).reused
    assert not bench.run(bench.task(env={"A": "1"})).reused
    (bench.root / "data/rows.csv").write_text("other\n")
    assert not bench.run().reused
    assert not bench.run(rerun=True).reused


def test_a_run_with_the_network_or_the_working_tree_is_never_reused(bench: Bench) -> None:
    for more in ({"task": bench.task(network=True)}, {"dev": True}):
        for _ in range(2):
            assert not bench.run(**more).reused  # type: ignore[arg-type]


def test_reuse_puts_missing_and_older_outputs_back(bench: Bench) -> None:
    bench.run()
    (bench.root / "out/metrics.json").unlink()
    (bench.root / "out/mine.txt").write_text("the user's own")
    (bench.root / "out/sub/weights.bin").write_bytes(b"older")
    assert bench.run().reused
    assert json.loads((bench.root / "out/metrics.json").read_text())["accuracy"] == 0.97
    assert (bench.root / "out/sub/weights.bin").read_bytes() == b"w" * 100
    assert (bench.root / "out/mine.txt").read_text() == "the user's own"


def test_a_lost_output_blob_means_a_new_run(bench: Bench) -> None:
    result = bench.run()
    bench.store.blobs.remove(result.outputs.files[0].digest)
    assert not bench.run().reused


def test_checkpoints_outlive_the_run(bench: Bench) -> None:
    bench.run()
    bench.run(rerun=True)
    (count,) = bench.home.glob("checkpoints/*/train/count")
    assert count.read_text() == "2"


def test_outputs_of_the_last_run_that_are_gone_now_leave_the_folder(bench: Bench) -> None:
    command = "sh -c 'echo {epochs} > $LADING_OUTPUTS/file{epochs}; echo same > $LADING_OUTPUTS/both'"
    bench.run(bench.task(command))
    bench.run(bench.task(command), params={"epochs": 4})
    assert sorted(os.listdir(bench.root / "out")) == ["both", "file4"]


def test_a_failure_carries_the_childs_exit_code_and_is_recorded(bench: Bench) -> None:
    with pytest.raises(TaskFailed, match="exit code 17") as caught:
        bench.run(bench.task("sh -c 'echo no; exit 17'"))
    assert caught.value.exit_status == 17
    (row,) = bench.ledger.runs()
    assert (row.phase, row.exit_status) == (RunPhase.FAILED, 17)
    assert bench.leftovers() == []
    with pytest.raises(TaskFailed):
        bench.run(bench.task("sh -c 'echo no; exit 17'"))
    assert len(bench.engine.submitted) == 2


def test_secrets_reach_the_process_and_nothing_that_is_kept(bench: Bench) -> None:
    task = bench.task("sh -c 'test ${#TOKEN} = 6'", secrets=("TOKEN",))
    bench.run(task)
    for path in bench.home.rglob("*"):
        if path.is_file():
            assert b"s3cret" not in path.read_bytes()
    with pytest.raises(ProjectError, match="MISSING"):
        bench.run(bench.task(secrets=("MISSING",)))


@pytest.mark.parametrize(
    ("inputs", "word"),
    [
        ({"x": "data:nothing"}, "known: rows"),
        ({"x": "task:other"}, "no task"),
        ({"x": "task:train"}, "no finished run"),
        ({"x": "nowhere.csv"}, "not there"),
        ({"../x": "data:rows"}, "cannot be called"),
    ],
)
def test_a_bad_input_is_told(bench: Bench, inputs: dict[str, str], word: str) -> None:
    with pytest.raises(ProjectError, match=word):
        bench.run(bench.task(inputs=inputs))


def test_another_tasks_outputs_are_an_input(bench: Bench) -> None:
    bench.run()
    second = bench.task("sh -c 'cat $LADING_INPUTS/model/sub/weights.bin'", inputs={"model": "task:train"})
    bench.run(second)
    assert bench.reporter.printed.endswith(b"w" * 100)


def test_gpus_are_refused_not_ignored(bench: Bench) -> None:
    with pytest.raises(EngineError, match="GPU"):
        bench.run(bench.task(gpus=GpuRequest(count=1)))


def test_hostile_outputs_do_not_reach_the_host(bench: Bench) -> None:
    """Links that lead out and pipes are left behind; a planted metrics link is not read."""
    script = (
        "cd $LADING_OUTPUTS; ln -s /etc/passwd metrics.json; ln -s ../../../x up; mkfifo pipe;"
        " mkdir d; ln -s d/x ok; ln -s /etc dir"
    )
    result = bench.run(bench.task(f"sh -c '{script}'"))
    assert [file.path for file in result.outputs.files] == ["ok"]
    assert len(bench.reporter.warnings) == 4
    assert result.metrics == {}


def test_one_seal_at_once_in_two_threads_runs_once(bench: Bench) -> None:
    results: list[RunResult] = []

    def work() -> None:
        with Ledger.open(bench.store) as ledger:
            other = Bench.__new__(Bench)
            other.__dict__ |= {**bench.__dict__, "ledger": ledger}
            results.append(other.run())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result.reused for result in results) == [False, True, True, True]


CHILD = """
import sys
from pathlib import Path
sys.path[:0] = {path!r}
from run.test_submit import Bench
bench = Bench.__new__(Bench)
bench.root = Path({root!r})
bench.home = Path({home!r})
from lading.store import Store
from lading.run.ledger import Ledger
from run.host_engine import HostEngine
from run.projects import Remembering
bench.store = Store.open({{"LADING_HOME": {home!r}}})
bench.ledger = Ledger.open(bench.store)
bench.engine = HostEngine(Path({engine!r}))
bench.reporter = Remembering()
bench.reporter.warning = lambda text: print("warning:", text, flush=True)
bench.reporter.output = lambda data: print(data.decode(), end="", flush=True)
try:
    bench.run(bench.task({run!r}))
except KeyboardInterrupt:
    sys.exit(130)
"""


def start_child(bench: Bench, run: str) -> subprocess.Popen[str]:
    script = CHILD.format(
        path=sys.path,
        root=str(bench.root),
        home=str(bench.home),
        engine=str(bench.home / "../engine"),
        run=run,
    )
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)


SLOW = "sh -c 'echo saved > $LADING_OUTPUTS/model; echo pid $$; exec sleep 600'"


@pytest.mark.parametrize("number", [signal.SIGINT])
def test_an_interrupt_stops_the_container_and_leaves_nothing(bench: Bench, number: int) -> None:
    child = start_child(bench, SLOW)
    assert child.stdout is not None
    pid = int(child.stdout.readline().split()[1])
    child.send_signal(number)
    assert "an interrupted run keeps no outputs: model;" in child.communicate()[0]
    assert child.returncode == 130
    assert not alive(pid)
    assert [row.phase for row in bench.ledger.runs()] == [RunPhase.INTERRUPTED]
    assert bench.leftovers() == []


def test_a_killed_watchers_run_is_ended_by_the_next_command(bench: Bench) -> None:
    child = start_child(bench, SLOW)
    assert child.stdout is not None
    pid = int(child.stdout.readline().split()[1])
    child.kill()
    child.communicate()
    assert alive(pid)
    assert len(recover_runs(bench.store, bench.ledger, bench.engine)) == 1
    while alive(pid):  # killed; the kernel reaps it when it will
        time.sleep(0.01)
    assert [row.phase for row in bench.ledger.runs()] == [RunPhase.INTERRUPTED]
    assert bench.leftovers() == []
    assert recover_runs(bench.store, bench.ledger, bench.engine) == ()


def test_folders_that_nobody_knows_are_swept_and_living_ones_are_not(bench: Bench) -> None:
    """A killed process may leave a folder before the ledger knows of it; a living one holds its lock."""
    for name in ("dead", "living"):
        (bench.home / "runs" / name / "state").mkdir(parents=True)
    with file_lock(watch_lock(bench.store, "living")):
        recover_runs(bench.store, bench.ledger, bench.engine)
        assert os.listdir(bench.home / "runs") == ["living"]
    recover_runs(bench.store, bench.ledger, bench.engine)
    assert os.listdir(bench.home / "runs") == []


def test_a_living_watchers_run_is_left_alone(bench: Bench) -> None:
    child = start_child(bench, SLOW)
    assert child.stdout is not None
    child.stdout.readline()
    assert recover_runs(bench.store, bench.ledger, bench.engine) == ()
    child.send_signal(signal.SIGINT)
    child.communicate()
