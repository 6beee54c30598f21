"""The image a command runs in, remembered: when no file of the project has changed, nothing need be loaded.

Loading a project, checking its lock and planning an image cost more than starting a container. So the answer
is kept with the size, times and inode of every file below the project's folder (as git's index does), and
taken only while all are the same. Knows files and JSON; imports little, because that is its purpose.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lading.oci.json import canonical_json
from lading.store.records import Records

if TYPE_CHECKING:
    from lading.image.model import Image
    from lading.project.model import Project
    from lading.store import Store

_FORMAT = 3
_MAX_FILES = 10_000
_VARIABLES = ("SOURCE_DATE_EPOCH",)


class Ready(NamedTuple):
    """All that starting a container takes. Plain JSON values."""

    root: str
    """Project folder, absolute."""
    layers: list[list[Any]]
    """[digest, diff ID, size in bytes], oldest first."""
    env: dict[str, str]
    command: list[str]
    user: str
    working_dir: str
    dev_path: str
    """PYTHONPATH when the working tree stands in for the image's code."""
    task_env: dict[str, str]
    secrets: list[str]
    network: bool
    limits: dict[str, Any]
    gpus: dict[str, Any] | None
    """The task's request: count, memory_bytes."""
    folders: list[str]
    """Folders beside the code that tasks write their outputs to: a script finds them in a command, too."""


def ready_from(project: Project, image: Image, task_name: str | None) -> Ready:
    """What `image` and the task, if one was named, say about a container."""
    from dataclasses import asdict

    from lading.run.contract import CODE
    from lading.run.task import dev_path

    task = project.tasks.get(task_name) if task_name is not None else None
    writers = [task] if task is not None else list(project.tasks.values())
    env = dict(image.config.env)
    return Ready(
        root=str(project.root),
        layers=[[layer.digest, layer.diff_id, layer.size_bytes] for layer in image.layers],
        env=env,
        command=[*image.config.entrypoint, *image.config.cmd],
        user=image.config.user,
        working_dir=image.config.working_dir,
        dev_path=dev_path(project, env.get("PYTHONPATH")),
        task_env=dict(task.env) if task is not None else {},
        secrets=list(task.secrets) if task is not None else [],
        network=task.network if task is not None else False,
        limits={k: v for k, v in asdict(task.limits).items() if v is not None} if task is not None else {},
        gpus=asdict(task.gpus) if task is not None and task.gpus is not None else None,
        folders=sorted({f"{CODE}/{writer.outputs}" for writer in writers}),
    )


def question(words: list[str], choices: Mapping[str, Any], environment: Mapping[str, str]) -> str:
    """A key for what was asked: where, which target, with which build options."""
    from lading import __version__

    asked = {
        "format": _FORMAT,
        "version": __version__,
        "folder": str(Path.cwd()),
        "words": words,
        "choices": dict(choices),
        "variables": {name: environment.get(name) for name in _VARIABLES},
    }
    return hashlib.sha256(canonical_json(asked)).hexdigest()


def remember(store: Store, key: str, ready: Ready, project: Project) -> None:
    """Keep the answer, unless it depends on more than the files below the project's folder."""
    if _looks_outside(project):
        return
    signature = _signature(project.root)
    if signature is not None:
        _records(store).put(key, {"signature": signature, "ready": ready._asdict()})


def recall(store: Store, key: str) -> Ready | None:
    """The kept answer, if the folder is as it was and every layer is still there."""
    record = _records(store).get(key)
    if record is None:
        return None
    ready = Ready(**record["ready"])
    if _signature(Path(ready.root)) != record["signature"]:
        return None
    present = all(_size(store, digest) == size for digest, _, size in ready.layers)
    return ready if present else None


def _records(store: Store) -> Records:
    return Records(store.root, "ready")


def _size(store: Store, digest: str) -> int | None:
    try:
        return (store.root / "blobs/sha256" / digest.removeprefix("sha256:")).stat().st_size
    except FileNotFoundError:
        return None


def _looks_outside(project: Project) -> bool:
    """Whether a requirements file lies elsewhere or names variables, secrets are allowed until a day, or the
    newest model of the store is baked in."""
    requirements = project.requirements
    files = [path for path in (requirements.path, *requirements.included) if path is not None]
    if project.serve is not None and project.serve.bake:
        return True
    if project.allowed_secrets or any(not path.is_relative_to(project.root) for path in files):
        return True
    return any("${" in path.read_text(encoding="utf-8", errors="replace") for path in files)


def _signature(root: Path) -> str | None:
    """Over path, size, times, mode and inode of every file; None for a folder too large to ask every time."""
    rows: list[str] = []
    waiting = [str(root)]
    try:
        while waiting:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.name == ".git":  # names the tag, not what is in the image
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                        continue
                    s = entry.stat(follow_symlinks=False)
                    rows.append(
                        f"{entry.path}\0{s.st_size}\0{s.st_mtime_ns}\0{s.st_ctime_ns}\0{s.st_mode}\0{s.st_ino}"
                    )
            if len(rows) > _MAX_FILES:
                return None
    except OSError:
        return None
    rows.sort()
    return hashlib.sha256("\n".join(rows).encode("utf-8", "surrogateescape")).hexdigest()
