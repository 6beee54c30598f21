"""`bake = true`: which model goes into a serve image, as the files that the build puts there."""

from __future__ import annotations

from pathlib import Path

from lading.errors import ProjectError
from lading.image.request import BakedModel
from lading.image.spec import MODELS, PlannedFile
from lading.project.model import Project, ServeSettings
from lading.run.ledger import Ledger
from lading.run.model import SealedModel, find_model, model_files, read_model
from lading.run.outputs import OutputFile, Outputs, outputs_present
from lading.run.rows import ModelRow
from lading.serve.sealing import chosen_model, outputs_of_path
from lading.store import Store


def baked_model(project: Project, store: Store, ledger: Ledger) -> BakedModel | None:
    """The model of `[serve]`, if it is to be baked: a task's newest sealed one, a named one, or a file's.

    Raises ProjectError or UsageError when there is none.
    """
    settings = project.serve
    if settings is None or not settings.bake:
        return None
    source = settings.model
    if source.startswith("model:"):
        return _sealed(project, *chosen_model(source, store, ledger), store)
    if source in project.tasks:
        return _sealed(project, *_newest(project, source, store, ledger), store)
    return _from_path(project, settings, store)


def _newest(project: Project, task: str, store: Store, ledger: Ledger) -> tuple[ModelRow, SealedModel]:
    for row in ledger.models(project.name):
        if not store.blobs.has(row.digest):
            continue
        sealed = read_model(row.digest, store)
        if sealed.record.get("task") == task:
            return row, sealed
    raise ProjectError(
        f"[serve] bake = true, and no model of the task {task!r} is sealed yet",
        place=str(project.config_path or project.root),
        hints=(f"lading up {project.root}  # trains, seals and serves", 'or [serve] model = "model.onnx"'),
    )


def _sealed(project: Project, row: ModelRow, sealed: SealedModel, store: Store) -> BakedModel:
    if not outputs_present(Outputs(digest=row.digest, files=sealed.files), store):
        raise ProjectError(
            f"files of the model {row.reference} are no longer in the store", hints=("lading up --rerun",)
        )
    files = _planned(project, sealed.files, store)
    return BakedModel(name=project.name, version=str(row.version), reference=row.reference, files=files)


def _from_path(project: Project, settings: ServeSettings, store: Store) -> BakedModel:
    path = Path(project.root, settings.model)
    outputs = outputs_of_path(path, store)
    found = find_model(outputs)
    if found.file is None:
        raise ProjectError(
            f"[serve] bake = true, and {settings.model} holds no ONNX model",
            place=str(path),
            hints=("name a .onnx file, or the task that makes one",),
        )
    files, _ = model_files(outputs, found.file, store)
    return BakedModel(
        name=project.name,
        version="1",
        reference=settings.model,
        files=_planned(project, files, store),
    )


def _planned(project: Project, files: tuple[OutputFile, ...], store: Store) -> tuple[PlannedFile, ...]:
    return tuple(
        PlannedFile(
            path=f"{MODELS}/{project.name}/{file.path}",
            mode=0o644,
            size_bytes=file.size_bytes,
            sha256=file.digest.hex,
            source=str(store.blobs.path(file.digest)),
        )
        for file in files
    )
