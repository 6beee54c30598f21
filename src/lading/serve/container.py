"""What runs in a serving image: the RunSpecs of the model server and of one recorded answer."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from lading.engine.model import Engine, Mount, RunSpec
from lading.errors import EngineError, ProjectError
from lading.image.model import Image
from lading.project.model import ServeSettings
from lading.run.contract import THREAD_VARIABLES
from lading.run.inputs import new_run_id
from lading.run.model import GENERATED, Sample, SealedModel
from lading.run.once import run_once
from lading.run.outputs import OutputFile
from lading.run.task import image_layers, remove_tree, thread_count, watch_lock
from lading.store import Store
from lading.store.atomic import store_errors
from lading.store.locks import file_lock

MODELS = "/models"
STATE = "/lading/state"
READY_FILE = "ready.json"
_RUNTIME = "/opt/lading"
_PYTHON = "python"


def server_spec(
    *,
    run_id: str,
    name: str,
    version: str,
    image: Image,
    model: SealedModel,
    settings: ServeSettings,
    state: Path,
    store: Store,
) -> RunSpec:
    """The model server: the model read-only under /models/NAME, the host's network."""
    command = (
        *(_PYTHON, "-m", "lading_runtime.serve"),
        *("--model", f"{MODELS}/{name}", "--name", name, "--version", version),
        *("--host", settings.host, "--port", str(settings.port)),
        *("--ready-file", f"{STATE}/{READY_FILE}", "--grace-seconds", f"{settings.grace_seconds:g}"),
    )
    return RunSpec(
        run_id=run_id,
        layers=image_layers(image),
        command=command,
        env=_environment(image, settings.limits.cpus),
        user=image.config.user,
        mounts=(*model_mounts(name, model.files, store), Mount(source=state, target=STATE)),
        network=True,
        limits=settings.limits,
        ports=(settings.port,) if settings.port else (),
        grace_seconds=settings.grace_seconds,
    )


def model_mounts(name: str, files: tuple[OutputFile, ...], store: Store) -> tuple[Mount, ...]:
    """The model's files straight from the store: a large model is not copied to be served."""
    return tuple(
        Mount(source=store.blobs.path(item.digest), target=f"{MODELS}/{name}/{item.path}", read_only=True)
        for item in files
    )


def record_answer(
    *, image: Image, files: tuple[OutputFile, ...], sample: Sample, engine: Engine, store: Store
) -> tuple[Sample, str | None]:
    """Run the sample once in the serving image, without the network, and write down what it comes to.

    A sample that lading made up is no reason against a model that refuses it: it comes back without outputs,
    with the model's words. Raises ProjectError when the model refuses the user's own sample or cannot be
    loaded by the image's runtime.
    """
    run_id = new_run_id()
    root, lock = store.root / "runs" / run_id, watch_lock(store, run_id)
    with file_lock(lock):
        try:
            answer = _answer_once(run_id, root, image, files, sample, engine, store)
        finally:
            remove_tree(root)
            lock.unlink(missing_ok=True)
    outputs, said = answer.get("outputs"), str(answer.get("error"))
    if outputs is not None:
        return replace(sample, outputs=tuple(outputs)), None
    if "metadata" not in answer:
        raise ProjectError(
            f"the model does not load in the serving image: {said}",
            hints=("lading plan --target serve  # which runtime it has",),
        )
    if sample.origin == GENERATED:
        return replace(sample, outputs=()), said
    raise ProjectError(
        f"the sample could not be answered: {said}", hints=(f"the model takes: {_takes(answer)}",)
    )


def _answer_once(
    run_id: str,
    root: Path,
    image: Image,
    files: tuple[OutputFile, ...],
    sample: Sample,
    engine: Engine,
    store: Store,
) -> dict[str, Any]:
    with store_errors("making the folder of a run", root):
        (root / "state").mkdir(parents=True)
        (root / "state").chmod(0o777)
        (root / "request.json").write_text(json.dumps(dict(sample.request)))
        root.chmod(0o700)
    command = (
        *(_PYTHON, "-m", "lading_runtime.predict", "--model", f"{MODELS}/model"),
        *("--request", "/lading/request.json", "--answer", f"{STATE}/answer.json"),
    )
    spec = RunSpec(
        run_id=run_id,
        layers=image_layers(image),
        command=command,
        env=_environment(image, None),
        user=image.config.user,
        mounts=(
            *model_mounts("model", files, store),
            Mount(source=root / "request.json", target="/lading/request.json", read_only=True),
            Mount(source=root / "state", target=STATE),
        ),
    )
    printed = bytearray()
    status = run_once(engine, spec, output=printed.extend)
    return _answer(root / "state/answer.json", printed, status.exit_status)


def _answer(path: Path, printed: bytearray, exit_status: int | None) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError):
        document = None
    if isinstance(document, dict):
        return document
    tail = printed[-800:].decode(errors="replace").strip()
    missing = re.search(r"No module named '?([\w.]+)", tail)
    hints = (f"add {missing[1]} to what the serving image holds",) if missing else ()
    raise EngineError(
        f"the serving image could not run the model once (exit code {exit_status}): {tail}", hints=hints
    )


def _takes(answer: dict[str, Any]) -> str:
    inputs = answer["metadata"].get("inputs", [])
    return ", ".join(f"{item['name']} {item['datatype']}{item['shape']}" for item in inputs)


def _environment(image: Image, cpus: float | None) -> dict[str, str]:
    environment = dict(image.config.env)
    environment.setdefault("PYTHONPATH", _RUNTIME)
    environment |= {"HOME": STATE, "PYTHONUNBUFFERED": "1"}
    return environment | dict.fromkeys(THREAD_VARIABLES, str(thread_count(cpus)))
