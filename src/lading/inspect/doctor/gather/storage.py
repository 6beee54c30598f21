"""Folders and the file systems they are on."""

from __future__ import annotations

import os
import re
from pathlib import Path

from lading.inspect.doctor.host import Mount, Place
from lading.inspect.doctor.machine import Machine, is_folder


def parse_mounts(mountinfo: str) -> tuple[Mount, ...]:
    """From /proc/self/mountinfo, in its order. Pure."""
    found = []
    for line in mountinfo.splitlines():
        left, dash, right = line.partition(" - ")
        fields, tail = left.split(" "), right.split(" ")
        if not dash or len(fields) < 6 or len(tail) < 3:
            continue
        options = frozenset(fields[5].split(",")) | frozenset(tail[2].split(","))
        found.append(Mount(target=_plain(fields[4]), kind=tail[0], options=options, source=_plain(tail[1])))
    return tuple(found)


def _plain(text: str) -> str:
    """The kernel writes blanks and the like as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def mount_of(path: str, mounts: tuple[Mount, ...]) -> Mount | None:
    """The mount that holds `path`: the longest, of equal ones the last. Pure."""
    best: Mount | None = None
    for mount in mounts:
        inside = mount.target == "/" or path == mount.target or path.startswith(mount.target + "/")
        if inside and (best is None or len(mount.target) >= len(best.target)):
            best = mount
    return best


def gather_place(machine: Machine, path: Path, mounts: tuple[Mount, ...]) -> Place:
    nearest = path
    while not os.path.lexists(nearest) and nearest != nearest.parent:
        nearest = nearest.parent
    try:
        owner = nearest.stat().st_uid
    except OSError:
        owner = -1
    return Place(
        path=str(path),
        nearest=str(nearest),
        owner=owner,
        writable=is_folder(nearest) and machine.access(nearest, os.W_OK | os.X_OK),
        space=machine.space(nearest),
        mount=mount_of(os.path.realpath(nearest), mounts),
    )
