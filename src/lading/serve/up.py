"""`up`: the whole river in one call. Lock → train → gate → seal → serve → replay, each step once.

Knows the order and what may be taken from earlier; what a lock or a build is comes in as functions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lading.engine.model import Engine
from lading.errors import ProjectError, UsageError
from lading.image.model import Image
from lading.project.model import Project, ServeSettings, Task
from lading.run.gate import Verdict, enforce, evaluate
from lading.run.inputs import input_tasks
from lading.run.ledger import Ledger
from lading.run.model import SealedModel
from lading.run.report import Reporter, Step
from lading.run.rows import ModelRow
from lading.run.submit import RunResult, run_task
from lading.run.task import check_gpus, prepare_run, settle_params
from lading.serve.sealing import SealRequest, chosen_model, outputs_of_path, sample_wanted, seal_for_service
from lading.serve.service import Service, start_service
from lading.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class UpPorts:
    """What `up` needs of the world. `build` returns the image of a target and may report by itself."""

    lock: Callable[[Project], object]
    """Makes `lading.lock` fit; its answer is not looked at."""
    build: Callable[[Project, str], Image]
    engine: Engine
    store: Store
    ledger: Ledger
    reporter: Reporter
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class UpResult:
    steps: tuple[Step, ...]
    runs: tuple[RunResult, ...] = ()
    verdict: Verdict | None = None
    model: ModelRow | None = None
    service: Service | None = None
    sealed: SealedModel | None = field(default=None, repr=False)

    @property
    def reused(self) -> bool:
        """True when nothing had to be done."""
        return all(step.reused for step in self.steps)


def up(
    project: Project,
    ports: UpPorts,
    *,
    rerun: bool = False,
    params: Mapping[str, Any] | None = None,
    task: str | None = None,
) -> UpResult:
    """Bring `project` up and return what came of it and what each step cost.

    `params` go to the task that makes the model; `task` names it where the project does not. Raises what
    its steps raise; GateFailed and GateInconclusive before anything is sealed.
    """
    return _Up(project, ports, rerun=rerun, params=params or {}).go(task)


class _Up:
    def __init__(self, project: Project, ports: UpPorts, *, rerun: bool, params: Mapping[str, Any]) -> None:
        self._project = project
        self._ports = ports
        self._rerun = rerun
        self._params = params
        self._steps: list[Step] = []
        self._images: dict[str, Image] = {}

    def go(self, task_name: str | None) -> UpResult:
        project, settings = self._project, self._project.serve
        with self._step("lock") as step:
            before = _lock_file(project)
            self._ports.lock(project)
            step.reused = before is not None and before == _lock_file(project)
            step.note = "reused" if step.reused else "written"
        source = task_name or (settings.model if settings is not None else None) or only_task(project)
        if source.startswith("model:"):
            return self._serve_known(source, settings)
        if source not in project.tasks:
            return self._serve_path(source, settings)
        order = task_order(project, source)
        for name in order:
            check_gpus(project, project.tasks[name], self._ports.engine)
        runs = [self._run(project.tasks[name]) for name in order]
        verdict = self._gate(project.tasks[source], runs[-1])
        if settings is None:
            return UpResult(steps=tuple(self._steps), runs=tuple(runs), verdict=verdict)
        request = SealRequest(
            project=project,
            settings=settings,
            outputs=runs[-1].outputs,
            task=source,
            run=runs[-1].row,
            metrics=runs[-1].metrics,
            verdict=verdict,
        )
        return self._serve(request, settings, tuple(runs), verdict)

    def _serve_known(self, source: str, settings: ServeSettings | None) -> UpResult:
        model, sealed = chosen_model(source, self._ports.store, self._ports.ledger)
        return self._start(settings or ServeSettings(model=source), model, sealed, (), None)

    def _serve_path(self, source: str, settings: ServeSettings | None) -> UpResult:
        if settings is None or not Path(self._project.root, source).exists():
            known = ", ".join(sorted(self._project.tasks)) or "none"
            raise ProjectError(
                f"{source!r} is no task and no file of the project; tasks: {known}",
                place=str(self._project.config_path or self._project.root),
                hints=("lading plan",),
            )
        outputs = outputs_of_path(Path(self._project.root, source), self._ports.store)
        request = SealRequest(project=self._project, settings=settings, outputs=outputs)
        return self._serve(request, settings, (), None)

    def _serve(
        self,
        request: SealRequest,
        settings: ServeSettings,
        runs: tuple[RunResult, ...],
        verdict: Verdict | None,
    ) -> UpResult:
        image = self._build("serve")
        with self._step("seal model") as step:
            ports = self._ports
            result = seal_for_service(request, image, ports.engine, ports.store, ports.ledger)
            step.reused = result.reused
            step.size_bytes = result.sealed.size_bytes
            step.note = result.model.reference
            for word in result.unsealed:
                ports.reporter.line(f"{word} stays a plain output: only ONNX models are sealed")
            for number, words in enumerate(sample_wanted(result.sealed, result.refusal)):
                (ports.reporter.line if number else ports.reporter.warning)(words)
        return self._start(settings, result.model, result.sealed, runs, verdict)

    def _start(
        self,
        settings: ServeSettings,
        model: ModelRow,
        sealed: SealedModel,
        runs: tuple[RunResult, ...],
        verdict: Verdict | None,
    ) -> UpResult:
        image = self._build("serve")
        ports = self._ports
        with self._step("serve") as step:
            service = start_service(
                self._project.name,
                settings=settings,
                image=image,
                model=model,
                sealed=sealed,
                engine=ports.engine,
                store=ports.store,
                ledger=ports.ledger,
                reporter=ports.reporter,
            )
            step.reused = service.reused
            replayed = "sample replayed" if service.replayed else "no sample to replay"
            step.note = f"{model.reference} at {service.url}, {replayed}"
        return UpResult(
            steps=tuple(self._steps),
            runs=runs,
            verdict=verdict,
            model=model,
            service=service,
            sealed=sealed,
        )

    def _run(self, task: Task) -> RunResult:
        makes_model = self._project.serve is None or self._project.serve.model == task.name
        params = self._params if makes_model else {}
        settle_params(self._project, task, params)
        image = self._build(task.target)
        ports = self._ports
        with self._step(f"run {task.name}") as step:
            prepared = prepare_run(
                self._project,
                task,
                image,
                store=ports.store,
                ledger=ports.ledger,
                environment=ports.environment,
                params=params,
            )
            result = run_task(
                prepared,
                engine=ports.engine,
                store=ports.store,
                ledger=ports.ledger,
                reporter=ports.reporter,
                rerun=self._rerun,
            )
            step.reused = result.reused
            step.size_bytes = result.outputs.size_bytes
            step.note = result.describe_reuse(time.time()) if result.reused else _run_note(result)
        return result

    def _gate(self, task: Task, result: RunResult) -> Verdict | None:
        if task.gate is None:
            return None
        with self._step("gate") as step:
            place = f"{self._project.config_path or self._project.root}: {task.name}.gate"
            verdict = evaluate(task.gate, result.metrics | self._stable_metrics(result), place=place)
            enforce(verdict, place=place)
            step.note, step.reused = str(verdict), result.reused
        return verdict

    def _stable_metrics(self, result: RunResult) -> dict[str, float]:
        """Metrics of the newest model that another run made, as `stable.NAME`."""
        models = self._ports.ledger.models(self._project.name)
        stable = next((model for model in models if model.run_id != result.row.run_id), None)
        known = stable.metrics.items() if stable is not None else ()
        return {f"stable.{name}": value for name, value in known if value is not None}

    def _build(self, target: str) -> Image:
        if target not in self._images:
            with self._step(f"build {target}") as step:
                image = self._ports.build(self._project, target)
                self._ports.ledger.add_image(image)
                step.reused = image.reused
                step.size_bytes = sum(layer.size_bytes for layer in image.layers)
            self._images[target] = image
        return self._images[target]

    @contextmanager
    def _step(self, name: str) -> Iterator[_Open]:
        self._ports.reporter.phase(name)
        start, step = time.monotonic(), _Open()
        yield step
        done = Step(
            name=name,
            seconds=time.monotonic() - start,
            size_bytes=step.size_bytes,
            reused=step.reused,
            note=step.note,
        )
        self._steps.append(done)
        self._ports.reporter.finished(done)


class _Open:
    """A step that is going on."""

    size_bytes = 0
    reused = False
    note = ""


def _lock_file(project: Project) -> bytes | None:
    try:
        return Path(project.root, "lading.lock").read_bytes()
    except OSError:
        return None


def only_task(project: Project) -> str:
    """The project's single task. Raises UsageError when there is none or several."""
    if len(project.tasks) == 1:
        return next(iter(project.tasks))
    if not project.tasks:
        raise UsageError("the project has no task", hints=('[train]  run = "python train.py"', "lading init"))
    names = ", ".join(sorted(project.tasks))
    raise UsageError(f"which task? the project has {names}", hints=('[serve]  model = "train"',))


def task_order(project: Project, name: str) -> tuple[str, ...]:
    """`name` and every task whose outputs it reads, directly or not, in the order to run them.

    Raises ProjectError for a circle or a task that is not there.
    """
    order: list[str] = []

    def visit(current: str, path: tuple[str, ...]) -> None:
        place = f"{project.config_path or project.root}: {current}"
        if current in path:
            raise ProjectError(f"tasks wait for each other: {' → '.join((*path, current))}", place=place)
        if current not in project.tasks:
            raise ProjectError(f"no task is called {current!r}", place=f"{place}.inputs")
        if current not in order:
            for needed in input_tasks(project.tasks[current]):
                visit(needed, (*path, current))
            order.append(current)

    visit(name, ())
    return tuple(order)


def _run_note(result: RunResult) -> str:
    row, parts = result.row, []
    if row.level is not None:
        parts.append(row.level)
    if row.cost.cpu_seconds is not None:
        parts.append(f"{row.cost.cpu_seconds:.1f} cpu s")
    if row.cost.peak_memory_bytes is not None:
        parts.append(f"peak {row.cost.peak_memory_bytes / 1e6:.0f} MB")
    return ", ".join([f"run {row.run_id[:4]}", *parts])
