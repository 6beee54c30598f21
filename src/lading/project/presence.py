"""Files that `[[image.files]]` and `[[image.step]]` name: whether they are there, and which they are.

Reads the folder's names, never contents.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from lading.project.model import Code, CodeFile, ImageSettings, Project
from lading.project.report import Report


def check_targets(root: Path, targets: Mapping[str, ImageSettings], code: Code, report: Report) -> None:
    """Problems with what the targets add: absent files, a place that the code takes, no shell for a step."""
    in_code = {f"/app/{file.path}" for file in code.files}
    for name, target in targets.items():
        for entry in target.files:
            if entry.source and not entry.is_remote:
                _present(root, entry.source, entry.place, "source", report)
            if entry.destination in in_code:
                message = f"{entry.destination} is a file of the code already"
                report.add(entry.place, "destination", message, "choose another path, or ignore that file")
        for step in target.steps:
            for source in step.inputs:
                _present(root, source, step.place, "inputs", report)
        if target.steps and target.flavour == "minimal":
            message = f"the image {name} is minimal: it has no shell to run a step"
            hint = f'[image.{name}] step = [], or flavour = "standard"'
            report.add(target.steps[0].place, "step", message, hint)


def _present(root: Path, source: str, place: str, key: str, report: Report) -> None:
    path = root / source
    if not path.exists():
        report.add(place, key, f"{source!r} is not there", f"ls {source}")
    elif not path.resolve().is_relative_to(root.resolve()):
        report.add(place, key, f"{source!r} is a link that leads out of the project", "copy what it names")


def added_files(project: Project) -> tuple[CodeFile, ...]:
    """Every project file that `[[image.files]]` puts into an image, or that a step sees."""
    sources = {
        source
        for target in project.targets.values()
        for source in (
            *(entry.source for entry in target.files if not entry.is_remote),
            *(source for step in target.steps for source in step.inputs),
        )
    }
    found = {file.path: file for source in sorted(sources) for file in files_at(project.root, source)}
    return tuple(found.values())


def files_at(root: Path, source: str) -> Iterator[CodeFile]:
    """The file `source`, or all files and links below the folder, sorted; paths relative to `root`."""
    path = root / source
    if not path.is_dir():
        yield _file(root, path.resolve() if path.is_symlink() else path, source)
        return
    names = []
    for parent, folders, files in os.walk(path):
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        names += [(Path(parent) / name).relative_to(root).as_posix() for name in (*files, *links)]
    for name in sorted(names):
        yield _file(root, root / name, name)


def _file(root: Path, path: Path, name: str) -> CodeFile:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return CodeFile(path=name, size_bytes=0, executable=False, link_target=str(path.readlink()))
    return CodeFile(path=name, size_bytes=status.st_size, executable=bool(status.st_mode & 0o111))
