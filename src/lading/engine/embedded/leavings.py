"""What a run wrote into its working folder and nobody keeps: named before its root is thrown away.

Knows where each level puts what is written to the root; must not know what a task or its outputs are. A root
in memory (level namespaces on a store that no overlay can be written to) is gone with the run, untold.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from lading.engine.embedded.plan import ContainerPlan
from lading.engine.embedded.prepare import CHANGES
from lading.engine.model import Level

MOST_NAMES = 100
_NOT_TOLD = ("__pycache__",)


def written_beside(plan: ContainerPlan, working_dir: str) -> tuple[str, ...]:
    """Files that the run made or changed in `working_dir` outside every mount; relative to it, sorted.

    At most MOST_NAMES; caches and hidden files are nobody's results. Never raises: to tell is a courtesy.
    """
    if working_dir.strip("/") == "":
        return ()  # a root's own folder is everybody's
    places = tuple(place.target for place in plan.places)
    if plan.level is Level.NAMESPACES:
        folder = Path(plan.folder, CHANGES, working_dir.strip("/"))
        found = _files(folder, places, working_dir.rstrip("/"))
    elif not _under(plan.working_dir, plan.folder):
        return ()
    else:
        folder = Path(plan.working_dir)
        image = Path(plan.root + working_dir)
        found = (name for name in _files(folder, (), "") if _differs(folder / name, image / name))
    names = []
    for name in found:
        names.append(os.fsencode(name).decode(errors="replace"))
        if len(names) == MOST_NAMES:
            break
    return tuple(sorted(names))


def _files(folder: Path, places: tuple[str, ...], target: str) -> Iterator[str]:
    """Regular files below `folder`; `target` is what the container calls it, so that mounts are known."""
    if folder.is_symlink():
        return
    for parent, folders, names in os.walk(folder):
        inside = Path(parent).relative_to(folder)
        folders[:] = sorted(name for name in folders if not _untold(name))
        for name in sorted(names):
            path = (inside / name).as_posix()
            if _untold(name) or any(_under(f"{target}/{path}", place) for place in places if target):
                continue
            if _is_file(Path(parent, name)):
                yield path


def _untold(name: str) -> bool:
    return name.startswith(".") or name in _NOT_TOLD


def _under(path: str, place: str) -> bool:
    return path == place or path.startswith(place + "/")


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _differs(path: Path, image: Path) -> bool:
    try:
        here, there = path.lstat(), image.lstat()
    except OSError:
        return True
    return (here.st_size, here.st_mtime_ns) != (there.st_size, there.st_mtime_ns)
