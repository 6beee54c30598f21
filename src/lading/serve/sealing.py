"""From outputs to a named, versioned model: what `up` does between the gate and the service.

Takes the model that was sealed from the same run with the same sample, when there is one; otherwise runs the
sample once in the serving image, seals and names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lading.engine.model import Engine
from lading.errors import ProjectError, UsageError
from lading.image.model import Image
from lading.oci.digest import Digest
from lading.project.model import Project, ServeSettings
from lading.run.gate import Verdict
from lading.run.ledger import Ledger
from lading.run.model import (
    GENERATED,
    ModelRecord,
    Sample,
    SealedModel,
    find_model,
    generated_sample,
    model_files,
    read_model,
    read_sample,
    seal_model,
)
from lading.run.onnx import OnnxSummary
from lading.run.outputs import Outputs, collect_outputs, outputs_present
from lading.run.rows import ModelRow, RunRow
from lading.serve.container import record_answer
from lading.serve.replay import differences
from lading.store import Store

_LONGEST_BODY = 2000
OUTPUTS_SAMPLE = "sample.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class SealRequest:
    project: Project
    settings: ServeSettings
    outputs: Outputs
    task: str | None = None
    run: RunRow | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SealResult:
    model: ModelRow
    sealed: SealedModel
    reused: bool
    unsealed: tuple[str, ...]
    """Models in the outputs whose format is not sealed."""
    refusal: str | None = None
    """What the model said against a sample that lading made up, when it was asked just now."""


def seal_for_service(
    request: SealRequest, image: Image, engine: Engine, store: Store, ledger: Ledger
) -> SealResult:
    """Seal the model among the outputs, once. Raises ProjectError for no model or a wrong sample."""
    found = find_model(request.outputs)
    if found.file is None:
        others = f"; found {', '.join(found.unsealed)}, which is not sealed" if found.unsealed else ""
        raise ProjectError(
            f"no model.onnx is among the outputs{others}",
            place=f"{request.project.root}: {request.task or request.settings.model}",
            hints=('write the model to os.environ["LADING_OUTPUTS"] + "/model.onnx"',),
        )
    files, summary = model_files(request.outputs, found.file, store)
    sample = find_sample(request, summary, store)
    earlier = _earlier(request, image, files[0].digest, sample, store, ledger)
    if earlier is not None:
        return SealResult(model=earlier[0], sealed=earlier[1], reused=True, unsealed=found.unsealed)
    answered, refusal = None, None
    if sample is not None:
        answered, refusal = record_answer(image=image, files=files, sample=sample, engine=engine, store=store)
        if wrong := differences(sample.outputs, answered.outputs):
            raise ProjectError(
                f"the model does not come to the response in the sample: {'; '.join(wrong)}",
                place=str(request.settings.sample or OUTPUTS_SAMPLE),
            )
    # Against the collector: the artifact is no garbage before its row is there.
    with store.using():
        sealed = seal_model(files, summary, _record(request, image), answered, store)
        model = ledger.add_model(
            name=request.project.name,
            digest=sealed.digest,
            project=request.project.name,
            run_id=request.run.run_id if request.run is not None else None,
            metrics=request.metrics,
        )
    return SealResult(model=model, sealed=sealed, reused=False, unsealed=found.unsealed, refusal=refusal)


def sample_wanted(sealed: SealedModel, refusal: str | None) -> tuple[str, ...]:
    """What is said of a model without a sample that it answers: that it has none, why, and one to fill in."""
    sample = sealed.sample
    words = "nothing is replayed: you gave no sample, and"
    remedy = f'put real values into {OUTPUTS_SAMPLE} and write sample = "{OUTPUTS_SAMPLE}" under [serve]'
    if sample is None:
        return (f"{words} the model's inputs are too large to make one up; {remedy}",)
    if sample.outputs or sample.origin != GENERATED:
        return ()
    words += " the model refuses the one made up for it"
    if refusal is not None:
        words += f": {refusal.removeprefix('the model refused the request: ').rstrip('.')}"
    body = json.dumps(sample.request)
    shown = (body,) if len(body) <= _LONGEST_BODY else ()
    return (f"{words}; {remedy}", *shown)


def find_sample(request: SealRequest, summary: OnnxSummary, store: Store) -> Sample | None:
    """The project's sample, else `sample.json` of the outputs, else zeros that fit the model's inputs."""
    if request.settings.sample is not None:
        return read_sample(Path(request.project.root, request.settings.sample), "project")
    left = request.outputs.find(OUTPUTS_SAMPLE)
    if left is not None and left.link_target is None:
        return read_sample(store.blobs.path(left.digest), "outputs")
    return generated_sample(summary)


def chosen_model(source: str, store: Store, ledger: Ledger) -> tuple[ModelRow, SealedModel]:
    """The model that `model:NAME`, `model:NAME@3` or `model:NAME@sha256:…` names. Raises UsageError."""
    name, _, version = source.removeprefix("model:").partition("@")
    if version.startswith("sha256:"):
        row = ledger.model(name, Digest(version))
    elif version.isdigit():
        row = ledger.model(name, int(version))
    elif version in ("", "newest"):
        row = next(iter(ledger.models(name)), None)
    else:
        row = None
    if row is None:
        known = ", ".join(model.reference for model in ledger.models()) or "none"
        raise UsageError(f"no model is {source.removeprefix('model:')!r}; known: {known}")
    return row, read_model(row.digest, store)


def outputs_of_path(path: Path, store: Store) -> Outputs:
    """A model file or folder of the project, as outputs."""
    folder = path if path.is_dir() else path.parent
    with store.using():
        outputs = collect_outputs(folder, store)
    if path.is_dir():
        return outputs
    wanted = outputs.find(path.name)
    rest = tuple(item for item in outputs.files if not item.path.endswith(".onnx"))
    files = (wanted, *rest) if wanted is not None else rest
    return Outputs(digest=outputs.digest, files=files)


def _earlier(
    request: SealRequest, image: Image, weights: Digest, sample: Sample | None, store: Store, ledger: Ledger
) -> tuple[ModelRow, SealedModel] | None:
    """The model with just these weights, history and sample, when it is still whole."""
    record = _record(request, image).as_json()
    for row in ledger.models(request.project.name):
        if not store.blobs.has(row.digest):
            continue
        sealed = read_model(row.digest, store)
        if sealed.files[0].digest != weights or not _is_recorded(sample, sealed.sample):
            continue
        whole = outputs_present(Outputs(digest=row.digest, files=sealed.files), store)
        if whole and sealed.record == record:
            return row, sealed
    return None


def _is_recorded(sample: Sample | None, recorded: Sample | None) -> bool:
    if sample is None or recorded is None:
        return sample is recorded
    if recorded.request != sample.request or differences(sample.outputs, recorded.outputs):
        return False
    # What was refused when it was made up has to be answered as the user's own.
    return bool(recorded.outputs) or sample.origin == GENERATED


def _record(request: SealRequest, image: Image) -> ModelRecord:
    run = request.run
    return ModelRecord(
        project=request.project.name,
        task=request.task,
        run_id=run.run_id if run is not None else None,
        seal=str(run.seal) if run is not None else None,
        image_digest=str(run.image_digest) if run is not None else None,
        lock_digest=str(run.lock_digest) if run is not None else str(image.lock_digest),
        metrics=request.metrics,
        verdict=request.verdict,
    )
