"""Laws of `up`: everything once, in order, checked before it is announced; nothing left when cut short."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from run.host_engine import HostEngine
from run.projects import Remembering, make_image, make_project
from run.tiny_onnx import doubling_model

import lading_runtime
from lading.cli.up import next_steps
from lading.errors import EngineError, GateFailed, GateInconclusive, ProjectError, UsageError
from lading.image.model import Image
from lading.oci.manifest import Manifest
from lading.project.model import GpuRequest, Project, ServeSettings, Task
from lading.run.ledger import Ledger
from lading.run.model import ARTIFACT_MODEL, read_model
from lading.run.rows import RunPhase
from lading.serve.client import call, is_ready, predict
from lading.serve.replay import differences
from lading.serve.service import list_services, stop_service
from lading.serve.up import UpPorts, UpResult, up
from lading.store import Store

STAND_IN = Path(__file__).parent / "stand_in"
SOURCE = Path(lading_runtime.__file__).parents[1]
TRAIN = """
import json, os, shutil
out = os.environ["LADING_OUTPUTS"]
shutil.copy("{root}/model.onnx", out)
json.dump({{"accuracy": {accuracy}}}, open(out + "/metrics.json", "w"))
"""


class Bench:
    def __init__(self, folder: Path) -> None:
        self.root = folder / "project"
        self.root.mkdir()
        (self.root / "model.onnx").write_bytes(doubling_model())
        self.accuracy = 0.97
        self.store = Store.open({"LADING_HOME": str(folder / "home")})
        self.ledger = Ledger.open(self.store)
        binaries = folder / "bin"
        binaries.mkdir()
        (binaries / "python").symlink_to(sys.executable)
        self.engine = HostEngine(folder / "engine")
        self.environment = {"PATH": f"{binaries}:{os.environ['PATH']}", "PYTHONPATH": f"{STAND_IN}:{SOURCE}"}
        self.serving: dict[str, str] = {}
        self.serve_content = "1"
        self.reporter = Remembering()
        self.built: list[str] = []

    def project(self, *, gate: str | None = "accuracy > 0.95", **serve: object) -> Project:
        (self.root / "train.py").write_text(TRAIN.format(root=self.root, accuracy=self.accuracy))
        # The code is no input here, as it would be in an image; the parameter stands for it.
        task = Task(
            name="train",
            run=f"{sys.executable} {self.root}/train.py",
            params={"code": self.accuracy},
            gate=gate,
        )
        settings = ServeSettings(**{"model": "train", "grace_seconds": 2.0, **serve})  # type: ignore[arg-type]
        return make_project(self.root, task, serve=settings)

    def build(self, project: Project, target: str) -> Image:
        self.built.append(target)
        image = make_image(self.store, target, content=self.serve_content if target == "serve" else "1")
        if target == "serve":
            env = tuple((self.environment | self.serving).items())
            image = dataclasses.replace(image, config=dataclasses.replace(image.config, env=env))
        return dataclasses.replace(image, reused=self.built.count(target) > 1)

    def lock(self, project: Project) -> None:
        (self.root / "lading.lock").write_text("locked")

    def up(self, project: Project | None = None, **more: object) -> UpResult:
        ports = UpPorts(
            lock=self.lock,
            build=self.build,
            engine=self.engine,
            store=self.store,
            ledger=self.ledger,
            reporter=self.reporter,
            environment={},
        )
        return up(project or self.project(), ports, **more)  # type: ignore[arg-type]

    def running(self) -> int:
        """Containers of the host engine that are alive."""
        return sum(child.poll() is None for child in self.engine._children.values())

    def folders(self) -> list[str]:
        """Run folders that hold more than a log."""
        return [
            path.name
            for path in (self.store.root / "runs").glob("*")
            if [inner.name for inner in path.iterdir()] != ["log"]
        ]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    yield bench
    bench.engine.close()
    bench.ledger.close()


def ask(result: UpResult, values: list[float]) -> list[float]:
    assert result.service is not None
    request = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 2], "data": values}]}
    return predict(result.service.url, "digits", request)["outputs"][0]["data"]


def test_the_whole_river(bench: Bench) -> None:
    result = bench.up()
    assert ask(result, [1.5, -2]) == [3.0, -4.0]
    names = ["lock", "build train", "run train", "gate", "build serve", "seal model", "serve"]
    assert [step.name for step in result.steps] == bench.reporter.phases == names
    assert result.verdict is not None
    assert str(result.verdict) == "accuracy 0.97 > 0.95 ✓"
    assert result.model is not None
    assert result.model.reference == "digits@1"
    assert result.service is not None
    assert result.service.replayed
    assert bench.running() == 1


def test_a_second_up_does_nothing_twice(bench: Bench) -> None:
    first, second = bench.up(), bench.up()
    assert second.reused
    assert len(bench.engine.submitted) == 3  # train, the recorded answer, the server
    assert second.service is not None
    assert first.service is not None
    assert second.service.url == first.service.url
    assert second.model == first.model
    assert bench.running() == 1


def test_a_new_model_replaces_the_old_one_after_its_replay(bench: Bench) -> None:
    first = bench.up()
    bench.accuracy = 0.98
    second = bench.up()
    assert second.model is not None
    assert second.model.reference == "digits@2"
    assert ask(second, [1, 2]) == [2.0, 4.0]
    assert first.service is not None
    assert not is_ready(first.service.url, "digits")
    assert bench.running() == 1
    assert len(bench.folders()) == 1


def test_a_failed_gate_seals_and_serves_nothing(bench: Bench) -> None:
    for gate, error in (("accuracy > 0.99", GateFailed), ("f1 > 0.5", GateInconclusive)):
        with pytest.raises(error):
            bench.up(bench.project(gate=gate))
    assert bench.ledger.models() == ()
    assert bench.ledger.services() == ()
    assert "serve" not in bench.built


def test_the_line_to_copy_asks_the_service(bench: Bench) -> None:
    project = bench.project()
    result = bench.up(project)
    assert result.service is not None
    asking, stopping = next_steps(project, result.service, result.sealed)

    _, curl, _, body, url = shlex.split(asking)
    assert (curl, stopping) == ("curl", "stop:  lading stop digits")
    assert call(url, body.encode(), timeout_seconds=10)[0] == 200


def test_gpus_are_refused_before_anything_is_built(bench: Bench) -> None:
    project = bench.project()
    task = dataclasses.replace(project.tasks["train"], gpus=GpuRequest(count=1))
    with pytest.raises(EngineError, match="GPU"):
        bench.up(dataclasses.replace(project, tasks={"train": task}))
    assert bench.built == []


def test_the_first_line_says_whether_the_lock_was_written(bench: Bench) -> None:
    bench.lock(bench.project())
    (bench.root / "lading.lock").write_text("of an earlier edit")

    assert [bench.up().steps[0].note, bench.up().steps[0].note] == ["written", "reused"]


def test_the_gate_knows_the_model_before(bench: Bench) -> None:
    bench.up()
    bench.accuracy = 0.96
    with pytest.raises(GateFailed, match=r"stable.accuracy 0.97"):
        bench.up(bench.project(gate="accuracy >= stable.accuracy"))


def test_a_service_that_answers_otherwise_is_refused_and_the_old_one_goes_on(bench: Bench) -> None:
    inputs = [{"name": "X", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]
    (bench.root / "sample.json").write_text(json.dumps({"inputs": inputs}))
    project = bench.project(sample="sample.json")
    first = bench.up(project)
    bench.serving = {"STAND_IN_FACTOR": "3"}
    bench.serve_content = "2"
    with pytest.raises(ProjectError, match="otherwise than was recorded"):
        bench.up(project)
    assert ask(first, [1, 2]) == [2.0, 4.0]
    assert [row.state for row in bench.ledger.services()] == ["ready"]
    assert bench.running() == 1


def test_a_service_that_ends_before_it_is_ready_is_told_with_its_words(bench: Bench) -> None:
    bench.up()
    stop_service("digits", engine=bench.engine, store=bench.store, ledger=bench.ledger)
    result = bench.up()
    assert result.service is not None
    port = int(result.service.url.rpartition(":")[2])
    other = make_project(
        bench.root,
        *bench.project().tasks.values(),
        serve=ServeSettings(model="train", port=port),
        name="other",
    )
    with pytest.raises(EngineError, match="port-failed"):
        bench.up(other)
    assert bench.running() == 1


def test_a_killed_service_is_started_anew(bench: Bench) -> None:
    first = bench.up()
    bench.engine.close()
    assert [
        row.state for row in list_services(engine=bench.engine, store=bench.store, ledger=bench.ledger)
    ] == ["stopped"]
    second = bench.up()
    assert ask(second, [1, 1]) == [2.0, 2.0]
    assert second.service != first.service
    assert [step.name for step in second.steps if not step.reused] == ["serve"]


def test_stop_is_clean_and_idempotent(bench: Bench) -> None:
    result = bench.up()
    assert result.service is not None
    ports = {"engine": bench.engine, "store": bench.store, "ledger": bench.ledger}
    assert stop_service("digits", **ports)  # type: ignore[arg-type]
    assert not stop_service("digits", **ports)  # type: ignore[arg-type]
    assert bench.running() == 0
    assert bench.folders() == []
    with pytest.raises(UsageError, match="known: digits"):
        stop_service("other", **ports)  # type: ignore[arg-type]


def test_a_sample_with_another_response_is_refused(bench: Bench) -> None:
    inputs = [{"name": "X", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]
    outputs = [{"name": "Y", "datatype": "FP32", "shape": [1, 2], "data": [2, 4]}]
    sample = bench.root / "sample.json"
    sample.write_text(json.dumps({"request": {"inputs": inputs}, "response": {"outputs": outputs}}))
    bench.up(bench.project(sample="sample.json"))
    outputs[0]["data"] = [2, 5]
    sample.write_text(json.dumps({"request": {"inputs": inputs}, "response": {"outputs": outputs}}))
    with pytest.raises(ProjectError, match=r"1 of 2 values differ, first at 1: 4.0, was 5"):
        bench.up(bench.project(sample="sample.json"))


def test_a_sample_that_does_not_fit_is_told_with_what_would(bench: Bench) -> None:
    (bench.root / "sample.json").write_text(
        '{"inputs": [{"name": "Z", "datatype": "FP32", "shape": [1], "data": [1]}]}'
    )
    with pytest.raises(ProjectError, match="no input 'Z'") as caught:
        bench.up(bench.project(sample="sample.json"))
    assert caught.value.hints == ("the model takes: X FP32[-1, 2]",)


def test_a_sample_that_was_made_up_never_refuses_a_model(bench: Bench) -> None:
    bench.serving = {"STAND_IN_REFUSES_ZEROS": "1"}
    first = bench.up()
    assert ask(first, [1, 2]) == [2.0, 4.0]
    assert first.service is not None
    assert not first.service.replayed
    words = "nothing is replayed: you gave no sample, and the model refuses the one made up for it"
    remedy = 'put real values into sample.json and write sample = "sample.json" under [serve]'
    because = "Unknown Category"
    again = bench.up()
    assert (again.reused, again.model) == (True, first.model)
    assert bench.reporter.warnings == [f"{words}: {because}; {remedy}", f"{words}; {remedy}"]
    (bench.root / "sample.json").write_text(bench.reporter.lines[0])
    with pytest.raises(ProjectError, match=r"sample could not be answered.*Unknown Category"):
        bench.up(bench.project(sample="sample.json"))
    (bench.root / "sample.json").write_text(bench.reporter.lines[0].replace("0.0", "1.0"))
    result = bench.up(bench.project(sample="sample.json"))
    assert result.service is not None
    assert result.service.replayed


def test_a_model_too_large_for_a_made_up_sample_is_served_without(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lading.run.model._MOST_VALUES", 1)
    first = bench.up()
    assert ask(first, [1, 2]) == [2.0, 4.0]
    assert first.sealed is not None
    assert first.sealed.sample is None
    assert "too large to make one up" in bench.reporter.warnings[0]
    assert bench.up().reused


def test_a_model_that_does_not_load_is_not_told_as_a_sample(bench: Bench) -> None:
    (bench.root / "model.onnx").write_bytes(doubling_model().replace(b"Add", b"Sub"))
    with pytest.raises(
        ProjectError, match=r"^the model does not load in the serving image: model\.onnx is no ONNX"
    ):
        bench.up()


def test_the_artifact_is_a_modelpack_manifest_with_its_history(bench: Bench) -> None:
    result = bench.up()
    assert result.model is not None
    manifest = Manifest.from_json(json.loads(bench.store.blobs.read(result.model.digest)))
    assert manifest.artifact_type == ARTIFACT_MODEL
    assert manifest.layers[0].annotations == {"org.cncf.model.filepath": "model.onnx"}
    sealed = read_model(result.model.digest, bench.store)
    assert sealed.record["seal"] == str(result.runs[0].row.seal)
    assert sealed.record["metrics"] == {"accuracy": 0.97}
    assert sealed.record["gate"]["outcome"] == "pass"
    assert sealed.sample is not None
    assert sealed.sample.outputs[0]["data"] == [0.0, 0.0]


def test_a_path_and_a_known_model_are_served_without_training(bench: Bench) -> None:
    first = bench.up(bench.project(model="model.onnx"))
    assert ask(first, [3, 4]) == [6.0, 8.0]
    assert "train" not in bench.built
    second = bench.up(bench.project(model="model:digits@1"))
    assert second.service is not None
    assert second.service.reused
    with pytest.raises(UsageError, match="known: digits@1"):
        bench.up(bench.project(model="model:digits@9"))


def test_outputs_without_an_onnx_model_are_told(bench: Bench) -> None:
    (bench.root / "model.onnx").rename(bench.root / "model.pt")
    task = Task(name="train", run=f"sh -c 'cp {bench.root}/model.pt $LADING_OUTPUTS'")
    project = make_project(bench.root, task, serve=ServeSettings(model="train"))
    with pytest.raises(ProjectError, match=r"found model.pt \(PyTorch\), which is not sealed"):
        bench.up(project)


@pytest.mark.parametrize("moment", ["run train", "seal model", "serve"])
def test_an_interrupt_in_any_step_leaves_nothing(bench: Bench, moment: str) -> None:
    """Ctrl-C arrives when the step's container is there: it is stopped, and the ledger tells the truth."""
    starts = {"run train": 1, "seal model": 2, "serve": 3}[moment]
    observe = bench.engine.observe

    def interrupted(handle: dict[str, object]) -> object:
        if len(bench.engine.submitted) == starts:
            bench.engine.observe = observe  # type: ignore[method-assign]
            raise KeyboardInterrupt
        return observe(handle)

    bench.engine.observe = interrupted  # type: ignore[method-assign, assignment]
    with pytest.raises(KeyboardInterrupt):
        bench.up()
    assert bench.running() == 0
    assert bench.folders() == []
    assert len(bench.ledger.models()) == (1 if moment == "serve" else 0)
    assert all(row.phase.ended for row in bench.ledger.runs())
    phase = RunPhase.INTERRUPTED if moment == "run train" else RunPhase.FINISHED
    assert bench.ledger.runs()[0].phase is phase
    assert all(row.state == "refused" for row in bench.ledger.services())
    assert ask(bench.up(), [1, 1]) == [2.0, 2.0]


def test_recorded_values_are_compared_with_a_tolerance_only_where_they_are_floats() -> None:
    def output(datatype: str, *data: object) -> list[dict[str, object]]:
        return [{"name": "Y", "datatype": datatype, "shape": [len(data)], "data": list(data)}]

    assert differences(output("FP32", 1.0), output("FP32", 1.00001)) == []
    assert differences(output("FP32", 1.0), output("FP32", 1.01)) != []
    assert differences(output("INT64", 5), output("INT64", 6)) != []
    assert differences(output("BYTES", "a"), output("BYTES", "b")) != []
    assert differences(output("BOOL", True), output("BOOL", 1)) != []
    assert differences(output("FP32", 1.0), output("FP64", 1.0)) != []
    assert differences(output("FP32", 1.0), []) == ["output 'Y' is missing"]


def test_tasks_that_wait_for_each_other_are_told(bench: Bench) -> None:
    tasks = (
        Task(name="a", run="true", inputs={"x": "task:b"}),
        Task(name="b", run="true", inputs={"x": "task:a"}),
    )
    with pytest.raises(ProjectError, match="a → b → a"):
        bench.up(make_project(bench.root, *tasks), task="a")


def test_up_without_a_service_runs_what_the_task_needs_first(bench: Bench) -> None:
    tasks = (
        Task(name="prepare", run="sh -c 'echo data > $LADING_OUTPUTS/x'"),
        Task(name="train", run="sh -c 'cat $LADING_INPUTS/in/x'", inputs={"in": "task:prepare"}),
    )
    result = bench.up(make_project(bench.root, *tasks), task="train")
    assert [run.row.task for run in result.runs] == ["prepare", "train"]
    assert bench.reporter.printed == b"data\n"
    shutil.rmtree(bench.root / "out")
    with pytest.raises(UsageError, match="which task"):
        bench.up(make_project(bench.root, *tasks))
