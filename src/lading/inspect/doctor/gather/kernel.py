"""Kernel, namespaces, control groups: read, and a container's start tried once."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from lading.engine.embedded.cgroups import CONTROLLERS, Hierarchy, parse_hierarchies
from lading.engine.embedded.probe import find_obstacle, gather_evidence
from lading.inspect.doctor.host import Cgroups, Kernel, Place
from lading.inspect.doctor.machine import Machine, read_text

_UNLIMITED = 1 << 60


def gather_kernel(machine: Machine, store: Place | None) -> Kernel:
    evidence = gather_evidence(machine.root)
    trial = machine.trial(Path(store.nearest)) if store is not None and store.writable else None
    if trial is None:
        return Kernel(evidence=evidence)
    if trial.failure is None:
        return Kernel(evidence=evidence, disk_scratch=trial.disk_scratch)
    return Kernel(
        evidence=evidence,
        obstacle=find_obstacle(trial.failure, evidence),
        failed=f"{trial.failure.stage}: {trial.failure.error}",
    )


def gather_cgroups(machine: Machine) -> Cgroups:
    mountinfo = machine.text("/proc/self/mountinfo")
    hierarchies = parse_hierarchies(mountinfo, machine.text("/proc/self/cgroup"))
    if not hierarchies:
        return Cgroups(mounted=" - cgroup" in mountinfo or not mountinfo, writable=False)
    held: dict[str, Path] = {}
    for hierarchy in hierarchies:
        own = machine.path(hierarchy.own)
        names = hierarchy.controllers or frozenset(read_text(own / "cgroup.controllers").split())
        held |= {name: own for name in names if name in CONTROLLERS.values()}
    memory = next((one for one in hierarchies if "memory" in one.controllers), hierarchies[0])
    places = [place for one in hierarchies for place in _places(machine, one)]
    return Cgroups(
        read_only=_read_only(mountinfo, [one.mount for one in hierarchies]),
        own=memory.own,
        controllers=frozenset(held),
        writable=any(machine.access(place, os.W_OK) for place in places),
        memory_limit_bytes=_memory_limit(held.get("memory")),
        command_line=" ".join(word for word in machine.text("/proc/cmdline").split() if "cgroup" in word),
    )


def _places(machine: Machine, hierarchy: Hierarchy) -> list[Path]:
    """Folders in which a run's group would be made, as engine/embedded/cgroups.py does."""
    own = machine.path(hierarchy.own)
    if hierarchy.controllers:
        return [own] if hierarchy.controllers & set(CONTROLLERS.values()) else []
    mount = machine.path(hierarchy.mount)
    parents = [place for place in dict.fromkeys((own, own.parent, mount)) if place.is_relative_to(mount)]
    wanted = set(CONTROLLERS.values())
    return [place for place in parents if wanted & set(read_text(place / "cgroup.subtree_control").split())]


def _read_only(mountinfo: str, mounts: Iterable[str]) -> bool:
    wanted = frozenset(mounts)
    found = [line.split(" ") for line in mountinfo.splitlines()]
    options = [fields[5].split(",") for fields in found if len(fields) > 5 and fields[4] in wanted]
    return bool(options) and all("ro" in words for words in options)


def _memory_limit(folder: Path | None) -> int | None:
    if folder is None:
        return None
    for name in ("memory.max", "memory.limit_in_bytes"):
        text = read_text(folder / name).strip()
        if text.isdecimal() and int(text) < _UNLIMITED:
            return int(text)
    return None
