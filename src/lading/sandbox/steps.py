"""`[[image.step]]` in the embedded engine: root of its own namespaces, a writable overlay, no network.

Secrets are handed over in memory and looked for in what the command left: a step that wrote one down fails.
"""

from __future__ import annotations

import os
import platform as host
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from lading.engine.model import ImageLayer, Level, Mount, RunSpec, RunStatus
from lading.errors import EngineError, OutsideError, ProjectError
from lading.image.kinds.step import NOT_KEPT, Take
from lading.image.layer.recipe import MTIME_SECONDS
from lading.image.model import LayerRecord
from lading.image.spec import CODE, StepLayer
from lading.oci.platform import host_platform
from lading.store import Store
from lading.store.atomic import store_errors, temporary_name

_TAIL_BYTES = 4000
_TAIL_LINES = 20
_CHUNK_BYTES = 1 << 20
_SHORTEST_SECRET = 4
"""A shorter value is found everywhere by chance."""
_INTERRUPTED = (130, 143)
_NO_NETWORK = ("resolve", "name resolution", "unreachable", "connection refused")
"""What programs say when there is no network."""


class EmbeddedSteps:
    """lading.image.kinds.step.StepRunner with nothing but Linux."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """`environment` is the caller's; of it a step gets the secrets it names, and nothing else."""
        self._environment = environment

    def check(self, steps: Sequence[StepLayer], store: Store) -> None:
        """Raises ProjectError for a secret that is not set, OutsideError where steps cannot run."""
        for step in steps:
            self._secrets(step)
        try:
            ours = str(host_platform(host.machine()))
        except ValueError as error:
            raise OutsideError(str(error)) from error
        foreign = next((step for step in steps if step.platform != ours), None)
        if foreign is not None:
            raise OutsideError(
                f"{foreign.title!r} runs programs of {foreign.platform}, this host is {ours}",
                place=foreign.place,
                hints=("build that platform on a host of its kind, and push it from there",),
            )
        from lading.engine.embedded import EmbeddedEngine

        probe = EmbeddedEngine(store, self._environment).probe()
        if probe.level is not Level.NAMESPACES:
            raise EngineError(
                f"{steps[0].title!r} needs the level namespaces; this host has {probe.level}: {probe.reason}",
                place=steps[0].place,
                hints=(*((probe.remedy,) if probe.remedy else ()), "lading engines"),
            )

    def run(self, step: StepLayer, below: tuple[LayerRecord, ...], store: Store, take: Take) -> None:
        """Raises ProjectError with the last lines of a command that failed, EngineError where none starts."""
        from lading.engine.embedded import EmbeddedEngine

        secrets = self._secrets(step)

        def finish(status: RunStatus, changes: Path) -> None:
            if status.exit_status == 0:
                _refuse_secrets(step, changes, secrets)
                take(changes)

        with _input_folder(step, store) as inputs, tempfile.TemporaryFile() as log:
            spec = _run_spec(step, below, inputs, secrets)
            with open(os.devnull, "rb") as nothing:
                status = EmbeddedEngine(store, self._environment).run_attached(
                    spec,
                    stdin=nothing.fileno(),
                    stdout=log.fileno(),
                    stderr=log.fileno(),
                    take_changes=finish,
                )
            if status.exit_status in _INTERRUPTED:
                raise KeyboardInterrupt
            if status.exit_status != 0:
                raise _failure(step, status, log, secrets)

    def _secrets(self, step: StepLayer) -> dict[str, str]:
        missing = [name for name in step.secrets if name not in self._environment]
        if missing:
            raise ProjectError(
                f"{step.title!r} needs {', '.join(missing)} in the environment",
                place=step.place,
                hints=tuple(f"export {name}=…" for name in missing),
            )
        return {name: self._environment[name] for name in step.secrets}


def _run_spec(
    step: StepLayer, below: tuple[LayerRecord, ...], inputs: Path, secrets: Mapping[str, str]
) -> RunSpec:
    layers = tuple(
        ImageLayer(digest=record.digest, diff_id=record.diff_id, size_bytes=record.size_bytes)
        for record in below
    )
    fixed = {
        "HOME": "/tmp",
        "PYTHONDONTWRITEBYTECODE": "1",  # it would hold the source's time, which becomes another
        "SOURCE_DATE_EPOCH": str(MTIME_SECONDS),
        "DEBIAN_FRONTEND": "noninteractive",
    }
    return RunSpec(
        run_id=f"step-{temporary_name()}"[:64],
        layers=layers,
        command=("/bin/sh", "-e", "-c", step.run),
        env={**fixed, **dict(step.env)},
        secrets=secrets,
        working_dir=f"/{CODE}",
        user="0:0",
        mounts=(Mount(source=inputs, target=f"/{CODE}", read_only=True),),
        network=step.network,
    )


@contextmanager
def _input_folder(step: StepLayer, store: Store) -> Iterator[Path]:
    """Copies of the step's inputs: it cannot reach the project itself."""
    folder = store.staging / f"{temporary_name()}-step"
    try:
        with store_errors("copying the inputs of a step", folder):
            folder.mkdir(mode=0o755)
            for file in step.inputs:
                target = folder / file.path.removeprefix(f"{CODE}/")
                target.parent.mkdir(parents=True, exist_ok=True)
                if file.link_target is not None:
                    target.symlink_to(file.link_target)
                else:
                    shutil.copyfile(file.source, target)
                    target.chmod(file.mode)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _refuse_secrets(step: StepLayer, changes: Path, secrets: Mapping[str, str]) -> None:
    """Raises ProjectError naming a secret and the file or link that it was written to, never its value."""
    needles = {name: os.fsencode(value) for name, value in secrets.items() if len(value) >= _SHORTEST_SECRET}
    if not needles:
        return
    for parent, folders, names in os.walk(changes):
        for entry in (*folders, *names):
            path = Path(parent, entry)
            inside = path.relative_to(changes).as_posix()
            if inside in NOT_KEPT or inside.startswith(tuple(f"{kept}/" for kept in NOT_KEPT)):
                continue
            for name, needle in needles.items():
                if _holds(path, needle):
                    shown = "/" + inside.replace(secrets[name], f"[{name}]")
                    raise ProjectError(
                        f"{step.title!r} left the secret {name} in {shown}",
                        place=step.place,
                        hints=(f"remove {shown} at the end of the command, or write it under /tmp",),
                    )


def _holds(path: Path, needle: bytes) -> bool:
    if needle in os.fsencode(path.name):
        return True
    if path.is_symlink():
        return needle in os.fsencode(path.readlink())
    if not path.is_file():
        return False
    kept = b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            if needle in kept + chunk:
                return True
            kept = chunk[-len(needle) :]
    return False


def _failure(step: StepLayer, status: RunStatus, log: IO[bytes], secrets: Mapping[str, str]) -> ProjectError:
    log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
    tail = log.read().decode(errors="replace")
    for name, value in secrets.items():
        tail = tail.replace(value, f"[{name}]") if value else tail
    lines = "".join(f"\n  {line}" for line in tail.strip().splitlines()[-_TAIL_LINES:])
    hints = ["lading run -- sh  # look around in the image without it"]
    if not step.network and any(word in tail.lower() for word in _NO_NETWORK):
        hints.insert(0, "network = true in the step, if it must fetch something")
    return ProjectError(
        f"{step.title!r} ended with exit code {status.exit_status}:{lines or ' it said nothing'}",
        place=step.place,
        hints=tuple(hints),
    )
