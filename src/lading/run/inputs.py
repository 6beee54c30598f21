"""A task's inputs: what `data:NAME`, `task:NAME` and paths mean, by content.

Knows the project's declarations, the ledger and the store; must not know containers.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lading.errors import DigestMismatch, ProjectError, StoreError
from lading.oci.digest import Digest
from lading.project.model import DataSource, Project, Task
from lading.run.ledger import Ledger
from lading.run.outputs import outputs_present, read_outputs, tree_digest, write_files
from lading.run.rows import RunPhase
from lading.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One input: its content's digest, and where its files are or (with `outputs`) will be written."""

    name: str
    digest: Digest
    path: Path | None
    outputs: Digest | None = None
    """Manifest of another task's outputs; they are written out only when the run really starts."""


def resolve_inputs(project: Project, task: Task, store: Store, ledger: Ledger) -> tuple[Input, ...]:
    """Every input of `task`, sorted by name. Raises ProjectError with the input's key as its place."""
    return tuple(
        _resolve(name, source, project, task, store, ledger) for name, source in sorted(task.inputs.items())
    )


def input_tasks(task: Task) -> tuple[str, ...]:
    """Names of the tasks whose outputs `task` reads, sorted."""
    return tuple(sorted({source[5:] for source in task.inputs.values() if source.startswith("task:")}))


def materialize_inputs(inputs: tuple[Input, ...], store: Store, folder: Path) -> Mapping[str, Path]:
    """Host paths by input name; outputs of other tasks are written under `folder`."""
    places: dict[str, Path] = {}
    for item in inputs:
        if item.outputs is not None:
            places[item.name] = folder / item.name
            write_files(read_outputs(item.outputs, store).files, store, places[item.name])
        elif item.path is not None:
            places[item.name] = item.path
    return places


def _resolve(name: str, source: str, project: Project, task: Task, store: Store, ledger: Ledger) -> Input:
    place = f"{project.config_path or project.root}: {task.name}.inputs.{name}"
    if not name or "/" in name or name in (".", ".."):
        raise ProjectError(f"an input cannot be called {name!r}", place=place)
    if source.startswith("task:"):
        return _from_task(name, source[5:], project, store, ledger, place)
    if source.startswith("data:"):
        data = project.data.get(source[5:])
        if data is None:
            known = ", ".join(sorted(project.data)) or "none"
            raise ProjectError(f"no data is called {source[5:]!r}; known: {known}", place=place)
        return _from_data(name, data, project, store, place)
    return _from_path(name, source, project, None, place)


def _from_task(name: str, source: str, project: Project, store: Store, ledger: Ledger, place: str) -> Input:
    if source not in project.tasks:
        raise ProjectError(f"no task is called {source!r}", place=place)
    for run in ledger.runs(project.name, source):
        if run.phase is RunPhase.FINISHED and run.outputs is not None:
            try:
                present = outputs_present(read_outputs(run.outputs, store), store)
            except StoreError:
                present = False
            if present:
                return Input(name=name, digest=run.outputs, path=None, outputs=run.outputs)
    raise ProjectError(
        f"the task {source!r} has no finished run with outputs", place=place, hints=(f"lading run {source}",)
    )


def _from_data(name: str, data: DataSource, project: Project, store: Store, place: str) -> Input:
    scheme, separator, _ = data.source.partition("://")
    if not separator:
        return _from_path(name, data.source, project, data.sha256, place)
    if scheme not in ("http", "https"):
        raise ProjectError(
            f"data {data.name!r} comes by {scheme}://; paths and http(s) with a sha256 are what can be read",
            place=place,
            hints=(f'[data.{data.name}]  source = "data/{data.name}"',),
        )
    if data.sha256 is None:
        raise ProjectError(
            f"data {data.name!r} comes from the network and has no sha256",
            place=place,
            hints=(f"curl -fsSL {data.source} | sha256sum",),
        )
    digest = Digest.from_hex(data.sha256)
    if not store.blobs.has(digest):
        _download(data.source, digest, store)
    return Input(name=name, digest=digest, path=store.blobs.path(digest))


def _from_path(name: str, source: str, project: Project, sha256: str | None, place: str) -> Input:
    path = Path(project.root, source)
    if not path.exists():
        raise ProjectError(f"the input {name!r} is not there: {path}", place=place)
    digest = tree_digest(path)
    if sha256 is not None and digest.hex != sha256:
        raise DigestMismatch(f"the input {name!r} has sha256 {digest.hex}, not {sha256}", place=place)
    return Input(name=name, digest=digest, path=path.absolute())


def _download(url: str, digest: Digest, store: Store) -> None:
    # Heavy, and most runs read local files only.
    import requests

    from lading.errors import FetchFailed

    try:
        with requests.get(url, stream=True, timeout=60) as response, store.blobs.writer() as writer:
            response.raise_for_status()
            for chunk in response.iter_content(1 << 20):
                writer.write(chunk)
            writer.commit(digest)
    except requests.RequestException as error:
        raise FetchFailed(f"fetching an input failed: {type(error).__name__}", place=url) from error


def new_run_id() -> str:
    return secrets.token_hex(6)


def checkpoint_key(project: Project, task: Task) -> str:
    """Folder name of a task's checkpoints: two projects of one name in two places do not share them."""
    place = hashlib.sha256(str(project.root).encode()).hexdigest()[:12]
    return f"{project.name}-{place}/{task.name}"
