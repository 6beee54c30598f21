"""`[[image.step]]`: planned from what is written, and what a command changed written as a layer.

The command itself runs elsewhere: `StepRunner` is the seam. Of what it changed, owner and times are made
canonical (law 6); modes stay, since they are all that lets another user write. Removed paths become whiteouts
(OCI image-spec, layer.md).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from lading.errors import ProjectError
from lading.image.job import LayerJob
from lading.image.kinds.added import planned_file, stream_file
from lading.image.layer.contents import layer_index
from lading.image.layer.tree import EntryKind, TreeEntry
from lading.image.layer.writer import LayerWriter
from lading.image.model import LayerRecord
from lading.image.spec import CODE, OPEN_STEP, STEP, PlannedFile, StepLayer
from lading.project.model import ImageStep
from lading.project.presence import files_at
from lading.store import Store

NOT_KEPT = (
    *("proc", "sys", "dev", "run", "tmp", "var/tmp", "etc/hosts", "etc/resolv.conf"),
    CODE,
    "var/cache/ldconfig",
)
"""What a container has of its own, what is there for the step alone, and a cache of inode numbers."""
_OPAQUE_ATTRIBUTE = "user.overlay.opaque"
_WHITEOUT = ".wh."
_TITLE_LENGTH = 60

Take = Callable[[Path], None]
"""Given the folder of changes in overlayfs' form, while it is there."""


class StepRunner(Protocol):
    """Runs a step's command in the image of the layers below it."""

    def check(self, steps: Sequence[StepLayer], store: Store) -> None:
        """Raises before anything is fetched when this host or environment cannot run `steps`."""
        ...

    def run(self, step: StepLayer, below: tuple[LayerRecord, ...], store: Store, take: Take) -> None:
        """Run `step` and hand its changes to `take`. Raises ProjectError when the command fails."""
        ...


def plan_inputs(root: Path, step: ImageStep) -> tuple[PlannedFile, ...]:
    """The files that `step` sees, under /app, hashed. Raises ProjectError."""
    found = {file.path: file for source in step.inputs for file in files_at(root, source)}
    return tuple(planned_file(root, file, f"{CODE}/{path}") for path, file in sorted(found.items()))


def step_layer(
    number: int,
    step: ImageStep,
    inputs: tuple[PlannedFile, ...],
    *,
    below: tuple[str, ...],
    env: Mapping[str, str],
    platform: str,
) -> StepLayer:
    """The spec of one step. Pure."""
    words = " ".join(step.run.split())
    shown = words if len(words) <= _TITLE_LENGTH else f"{words[: _TITLE_LENGTH - 1]}…"
    return StepLayer(
        kind=OPEN_STEP if step.network else STEP,
        title=f"step {number}: {shown}",
        number=number,
        below=below,
        run=step.run,
        env=tuple(sorted({**env, **step.env}.items())),
        inputs=inputs,
        secrets=step.secrets,
        platform=platform,
        place=step.place,
    )


def write_step(job: LayerJob, spec: StepLayer, writer: LayerWriter) -> tuple[str, ...]:
    """What the step's command changed in the layers below it; returns warnings. Raises ProjectError."""
    assert job.sources.steps is not None, "steps were checked before anything was written"
    modes: dict[str, int] = {}
    for key in spec.below:
        entries = layer_index(job.store, key) or ()
        modes |= {entry.path: entry.mode for entry in entries if entry.kind is EntryKind.DIRECTORY}
    warnings: list[str] = []

    def take(changes: Path) -> None:
        warnings.extend(write_changes(changes, writer, modes))

    below = tuple(job.known[key] for key in spec.below)
    job.sources.steps.run(spec, below, job.store, take)
    return tuple(f"step {spec.number}: {warning}" for warning in warnings)


def write_changes(changes: Path, writer: LayerWriter, modes_below: Mapping[str, int]) -> tuple[str, ...]:
    """What overlayfs kept in `changes`, as entries; warnings for what no layer can hold.

    `modes_below` are the folders of the layers below: one that was only passed through is no change.
    """
    walk = _Changes(writer, modes_below)
    walk.folder(changes, "")
    return tuple(walk.warnings)


class _Changes:
    def __init__(self, writer: LayerWriter, modes_below: Mapping[str, int]) -> None:
        self.warnings: list[str] = []
        self._writer = writer
        self._below = modes_below
        self._modes: dict[str, int] = {}
        self._first: dict[tuple[int, int], str] = {}
        """Device and inode of a file with several names → the name it was written under."""

    def folder(self, folder: Path, path: str) -> None:
        entries = sorted(os.scandir(folder), key=lambda entry: os.fsencode(entry.name))
        removed = [entry.name for entry in entries if _is_whiteout(entry)]
        for name in removed:
            if (target := _join(path, name)) not in NOT_KEPT:
                self._open(path)
                self._writer.file(_join(path, f"{_WHITEOUT}{name}"), b"", mode=0o644)
        for entry in entries:
            target = _join(path, entry.name)
            if entry.name in removed or target in NOT_KEPT:
                continue
            if entry.name.startswith(_WHITEOUT):
                raise ProjectError(f"/{target} cannot be in a layer: names with .wh. mean removed files")
            self._entry(entry, target)

    def _entry(self, entry: os.DirEntry[str], path: str) -> None:
        status = entry.stat(follow_symlinks=False)
        mode = stat.S_IMODE(status.st_mode)
        if stat.S_ISDIR(status.st_mode):
            opaque = _is_opaque(entry.path)
            self._modes[path] = mode
            if opaque or self._below.get(path) != mode:
                self._open(path)
            if opaque:
                self._writer.file(f"{path}/{_WHITEOUT}{_WHITEOUT}.opq", b"", mode=0o644)
            self.folder(Path(entry.path), path)
        elif stat.S_ISLNK(status.st_mode):
            self._open(path.rpartition("/")[0])
            target = str(Path(entry.path).readlink())
            self._writer.entry(TreeEntry(path=path, kind=EntryKind.SYMLINK, mode=0o777, link_target=target))
        elif stat.S_ISREG(status.st_mode):
            self._open(path.rpartition("/")[0])
            self._file(entry.path, path, mode, status)
        else:
            self.warnings.append(f"/{path} is left out: it is no file, folder or link")

    def _open(self, path: str) -> None:
        """Write the folder `path` and those above it, with the modes they have."""
        if path:
            self._open(path.rpartition("/")[0])
            self._writer.directory(path, mode=self._modes[path])

    def _file(self, source: str, path: str, mode: int, status: os.stat_result) -> None:
        inode = (status.st_dev, status.st_ino)
        if status.st_nlink > 1 and inode in self._first:
            first = self._first[inode]
            self._writer.entry(TreeEntry(path=path, kind=EntryKind.HARDLINK, mode=mode, link_target=first))
            return
        self._first[inode] = path
        stream_file(self._writer, path, Path(source), mode=mode)


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _is_whiteout(entry: os.DirEntry[str]) -> bool:
    status = entry.stat(follow_symlinks=False)
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def _is_opaque(path: str) -> bool:
    try:
        return os.getxattr(path, _OPAQUE_ATTRIBUTE, follow_symlinks=False) == b"y"
    except OSError:
        return False
