"""A task, an image and a project become one run: its seal, its folders and the engine's RunSpec.

Knows the contract with user code; must not know how a container is started. Resolving reads files and the
ledger; nothing is written before `lay_out`.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lading.engine.model import Engine, ImageLayer, Mount, RunSpec
from lading.errors import EngineError, ProjectError
from lading.image.model import Image
from lading.oci.digest import Digest
from lading.project.model import Project, Task
from lading.run import contract
from lading.run.abilities import GivesGpus
from lading.run.inputs import Input, checkpoint_key, materialize_inputs, resolve_inputs
from lading.run.ledger import Ledger
from lading.run.seal import Seal, make_seal
from lading.store import Store
from lading.store.atomic import store_errors

_HOST_FOLDER_MODE = 0o777
"""Of folders a container writes: its uid may be any. They lie in a folder only the caller can enter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRun:
    """Everything about a run that is known before it starts."""

    project: Project
    task: Task
    image: Image
    seal: Seal
    reusable: bool
    command: tuple[str, ...]
    params: Mapping[str, str | int | float | bool]
    inputs: tuple[Input, ...]
    checkpoints: Path
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    dev: bool = False

    @property
    def limits(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self.task.limits).items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFolders:
    """Where one run's files lie on the host: `runs/ID/`."""

    root: Path
    outputs: Path
    log: Path
    work: Path
    """Inputs written out, params, scratch; removed when the run has ended."""


def prepare_run(
    project: Project,
    task: Task,
    image: Image,
    *,
    store: Store,
    ledger: Ledger,
    environment: Mapping[str, str],
    params: Mapping[str, Any] | None = None,
    command: tuple[str, ...] | None = None,
    dev: bool = False,
) -> PreparedRun:
    """Resolve everything `task` names and seal it. `params` are laid over the declared ones; `command`
    replaces the task's own; `dev` mounts the working tree over the code.

    Raises ProjectError for an unknown input, parameter or a missing secret.
    """
    place = f"{project.config_path or project.root}: {task.name}"
    merged, words = settle_params(project, task, params or {})
    words = command or words
    inputs = resolve_inputs(project, task, store, ledger)
    return PreparedRun(
        project=project,
        task=task,
        image=image,
        seal=_seal(task, image, words, merged, inputs, dev=dev),
        reusable=not task.network and not dev,
        command=words,
        params=merged,
        inputs=inputs,
        checkpoints=store.root / "checkpoints" / checkpoint_key(project, task),
        secrets=_secrets(task, environment, place),
        dev=dev,
    )


def settle_params(
    project: Project, task: Task, given: Mapping[str, Any]
) -> tuple[dict[str, str | int | float | bool], tuple[str, ...]]:
    """All parameters of a run of `task`, and the words of its command.

    Needs no image: right to ask before one is built. Raises ProjectError.
    """
    place = f"{project.config_path or project.root}: {task.name}"
    table = task.name
    if project.config_path is not None and project.config_path.name == "pyproject.toml":
        table = f"tool.lading.{table}"
    merged = contract.merge_params(task.params, given, place=place, table=table)
    if any(isinstance(value, float) and not math.isfinite(value) for value in merged.values()):
        raise ProjectError("a parameter is NaN or infinite", place=place)
    return merged, contract.render_command(task.run, merged, place=f"{place}.run")


def check_gpus(project: Project, task: Task, engine: Engine) -> None:
    """Raises EngineError for GPUs that this host cannot give: right to ask before an image is built."""
    if task.gpus is None:
        return
    place = f"{project.config_path or project.root}: {task.name}.gpus"
    if not isinstance(engine, GivesGpus):
        raise EngineError(
            f"task {task.name!r} asks for {task.gpus.count} GPU(s); the engine {engine.name} gives none",
            place=place,
            hints=("remove `gpus` from the task to run it on the CPU",),
        )
    engine.check_gpus(task.gpus, place=place)


def _seal(
    task: Task,
    image: Image,
    command: tuple[str, ...],
    params: Mapping[str, str | int | float | bool],
    inputs: tuple[Input, ...],
    *,
    dev: bool,
) -> Seal:
    return make_seal(
        image_config=image.manifest.config.digest,
        command=command,
        params=params,
        environment=task.env,
        secrets=task.secrets,
        inputs={item.name: item.digest for item in inputs},
        mounts=_sealed_mounts(inputs, task.outputs, dev=dev),
        user=image.config.user,
        network=task.network,
        gpus=_sealed_gpus(task),
    )


def _sealed_gpus(task: Task) -> dict[str, int] | None:
    """What was asked for, not which were free."""
    if task.gpus is None:
        return None
    memory = {} if task.gpus.memory_bytes is None else {"memory_bytes": task.gpus.memory_bytes}
    return {"count": task.gpus.count, **memory}


def lay_out(run: PreparedRun, run_id: str, store: Store) -> tuple[RunSpec, RunFolders]:
    """Make the run's folders and write what it reads. Raises StoreError."""
    root = store.root / "runs" / run_id
    folders = RunFolders(root=root, outputs=root / "outputs", log=root / "log", work=root / "work")
    scratch = folders.work / "scratch"
    with store_errors("making the folders of a run", root):
        root.mkdir(parents=True, mode=0o700)
        run.checkpoints.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in (folders.outputs, run.checkpoints, scratch):
            _writable_folder(folder)
        for name in contract.SCRATCH_FOLDERS:
            _writable_folder(scratch / name)
        (folders.work / "params.json").write_bytes(contract.params_document(run.params))
    places = materialize_inputs(run.inputs, store, folders.work / "inputs")
    mounts = [
        *(
            Mount(source=path, target=f"{contract.INPUTS}/{name}", read_only=True)
            for name, path in places.items()
        ),
        Mount(source=folders.outputs, target=contract.OUTPUTS),
        Mount(source=run.checkpoints, target=contract.CHECKPOINTS),
        Mount(source=folders.work / "params.json", target=contract.PARAMS, read_only=True),
        Mount(source=scratch, target=contract.SCRATCH),
    ]
    if run.dev:
        # Read-only: a run leaves what it makes in its outputs, not in somebody's working tree.
        mounts.append(Mount(source=run.project.root, target=contract.CODE, read_only=True))
    if not run.dev or _is_there(Path(run.project.root, run.task.outputs)):
        # Scripts that write to `out/` beside themselves are right too: it is the same folder.
        mounts.append(Mount(source=folders.outputs, target=f"{contract.CODE}/{run.task.outputs}"))
    return _spec(run, run_id, tuple(mounts)), folders


def _is_there(folder: Path) -> bool:
    """A folder to mount on, made in the working tree where it is missing: a read-only one cannot grow it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False  # nobody may write there: the outputs stay in the store
    return True


def remove_work(folders: RunFolders) -> None:
    """Remove what only the running container needed; its log stays."""
    remove_tree(folders.work)
    remove_tree(folders.outputs)


def remove_tree(path: Path) -> None:
    """Remove a folder that a container wrote in. Best effort: what cannot be removed is only space."""
    shutil.rmtree(path, ignore_errors=True)


def image_layers(image: Image) -> tuple[ImageLayer, ...]:
    """The image's layers in the engine's words, oldest first."""
    return tuple(
        ImageLayer(digest=layer.digest, diff_id=layer.diff_id, size_bytes=layer.size_bytes)
        for layer in image.layers
    )


def _spec(run: PreparedRun, run_id: str, mounts: tuple[Mount, ...]) -> RunSpec:
    task, image = run.task, run.image
    environment = dict(image.config.env) | contract.contract_environment(
        params=run.params,
        inputs=tuple(item.name for item in run.inputs),
        threads=thread_count(task.limits.cpus),
    )
    if run.dev:
        environment["PYTHONPATH"] = dev_path(run.project, environment.get("PYTHONPATH"))
    return RunSpec(
        run_id=run_id,
        layers=image_layers(image),
        command=run.command,  # all of it is written: the image's entrypoint is for containers told nothing
        env=environment | dict(task.env),
        secrets=run.secrets,
        working_dir=contract.CODE,
        user=image.config.user,
        mounts=mounts,
        network=task.network,
        limits=task.limits,
        gpus=task.gpus,
    )


def thread_count(cpus: float | None) -> int:
    """Threads for the numeric libraries: the CPU limit rounded up, never more than this process may use."""
    usable = len(os.sched_getaffinity(0))
    return usable if cpus is None else max(1, min(usable, math.ceil(cpus)))


def _secrets(task: Task, environment: Mapping[str, str], place: str) -> dict[str, str]:
    missing = [name for name in task.secrets if name not in environment]
    if missing:
        raise ProjectError(
            f"the task {task.name!r} needs {', '.join(missing)} in the environment",
            place=f"{place}.secrets",
            hints=tuple(f"export {name}=…" for name in missing),
        )
    return {name: environment[name] for name in task.secrets}


def _sealed_mounts(inputs: tuple[Input, ...], outputs: str, *, dev: bool) -> dict[str, str]:
    mounts = {f"{contract.INPUTS}/{item.name}": "ro" for item in inputs}
    mounts |= {contract.OUTPUTS: "rw", contract.CHECKPOINTS: "rw", f"{contract.CODE}/{outputs}": "rw"}
    return mounts | ({contract.CODE: "ro"} if dev else {})


def dev_path(project: Project, inherited: str | None) -> str:
    """Import roots inside the mounted tree, before whatever the image installed of the project."""
    roots = {Path(contract.CODE, source).parent.as_posix() for source in project.code.packages}
    return ":".join([*sorted(roots), contract.CODE, *([inherited] if inherited else [])])


def _writable_folder(path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(_HOST_FOLDER_MODE)


def seal_lock_name(seal: Digest) -> str:
    """The store lock that keeps two processes from running one seal at once."""
    return f"seal-{seal.hex[:32]}"


def watch_lock(store: Store, run_id: str) -> Path:
    """Held by whoever started a container until it has ended or the ledger knows it: not to be swept away."""
    return store.root / "locks" / f"run-{run_id}"
