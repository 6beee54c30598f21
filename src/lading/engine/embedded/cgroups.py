"""Limits the kernel enforces: a control group for one run, where this host lets us make one.

Version 2 in a delegated folder or as root, version 1 and hybrid as root. What cannot be had is simply not in
`enforced`; the watchdog takes it over. Sources: cgroup-v2.rst and cgroup-v1/ of the kernel.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from lading.project.limits import Limits

_PERIOD_MICROSECONDS = 100_000
CHARGED_AHEAD_BYTES = 4 << 20
"""The kernel charges by batches a processor: a group is at its limit where one more batch would be beyond.
Version 1 counts no failures on later kernels."""
CONTROLLERS = {"memory": "memory", "cpus": "cpu", "pids": "pids"}


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """One mounted hierarchy and where in it this process is. `controllers` is empty for version 2."""

    mount: str
    own: str
    controllers: frozenset[str]


def parse_hierarchies(mountinfo: str, membership: str) -> tuple[Hierarchy, ...]:
    """From /proc/self/mountinfo and /proc/self/cgroup. Pure."""
    places: dict[frozenset[str], str] = {}
    for line in membership.splitlines():
        _, joined, path = line.split(":", 2)
        places[frozenset(filter(None, joined.split(",")))] = path
    found = []
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        fields, kind = left.split(" "), right.split(" ")
        if kind[0] not in ("cgroup", "cgroup2"):
            continue
        mount_root, mount = fields[3], fields[4]
        options = set(kind[2].split(","))
        for names, path in places.items():
            if (kind[0] == "cgroup2") != (not names) or not names <= options:
                continue
            inside = path.removeprefix(mount_root) if mount_root != "/" else path
            found.append(Hierarchy(mount, f"{mount}/{inside.strip('/')}".rstrip("/"), names))
            break
    return tuple(found)


@dataclass(slots=True)
class ControlGroup:
    """What was made for one run. Paths are folders by controller; in version 2 all are one."""

    folders: dict[str, Path] = field(default_factory=dict)
    enforced: frozenset[str] = frozenset()
    version: int = 2

    def join_files(self) -> tuple[str, ...]:
        """A process that writes `0` to each is in the group."""
        return tuple(sorted({f"{folder}/cgroup.procs" for folder in self.folders.values()}))

    def out_of_memory(self) -> bool:
        """Killed at its own limit. The kernel counts a victim in its own group, whoever's limit was met."""
        return self.oom_kills() > 0 and self.limit_reached()

    def oom_kills(self) -> int:
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        return self._keyed("memory", name).get("oom_kill", 0)

    def limit_reached(self) -> bool:
        """Whether its own memory limit was met, as a limit above or the host's end of memory is not."""
        if self.version == 1:
            limit = self._number("memory", "memory.limit_in_bytes")
            return limit is None or (self.peak_memory_bytes() or limit) >= limit - CHARGED_AHEAD_BYTES
        events = self._keyed("memory", "memory.events.local")
        return not events or events.get("oom", 0) > 0

    def processes_refused(self) -> int:
        """How often it could not start one more."""
        return self._keyed("pids", "pids.events").get("max", 0)

    def throttled_share(self) -> float | None:
        """Of the scheduler's periods, those in which it used up its share of processors."""
        stat = self._keyed("cpus", "cpu.stat")
        periods = stat.get("nr_periods", 0)
        return min(1.0, stat.get("nr_throttled", 0) / periods) if periods else None

    def peak_memory_bytes(self) -> int | None:
        return self._number("memory", "memory.peak" if self.version == 2 else "memory.max_usage_in_bytes")

    def cpu_seconds(self) -> float | None:
        if self.version == 2:
            usage = self._keyed("cpus", "cpu.stat").get("usage_usec")
            return usage / 1e6 if usage is not None else None
        return None

    def _read(self, limit: str, name: str) -> str:
        folder = self.folders.get(limit)
        if folder is None:
            return ""
        try:
            return (folder / name).read_text()
        except OSError:
            return ""

    def _number(self, limit: str, name: str) -> int | None:
        text = self._read(limit, name).strip()
        return int(text) if text.isdigit() else None

    def _keyed(self, limit: str, name: str) -> dict[str, int]:
        pairs = [line.split() for line in self._read(limit, name).splitlines()]
        return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}

    def remove(self) -> None:
        """Gone once its last process is; one still busy after a second stays, empty and harmless."""
        for folder in set(self.folders.values()):
            for _ in range(50):
                try:
                    folder.rmdir()
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.02)
                else:
                    break


def make_group(run_id: str, limits: Limits) -> ControlGroup | None:
    """A group with as many of `limits` as possible, or None where none is asked for or possible."""
    settings = wanted_settings(limits)
    if not settings:
        return None
    try:
        mountinfo = Path("/proc/self/mountinfo").read_text()
        membership = Path("/proc/self/cgroup").read_text()
    except OSError:
        return None
    hierarchies = parse_hierarchies(mountinfo, membership)
    for hierarchy in hierarchies:
        if not hierarchy.controllers:
            group = _make_unified(hierarchy, run_id, settings)
            if group is not None:
                return group
    return _make_split(hierarchies, run_id, settings)


def wanted_settings(limits: Limits) -> dict[str, dict[int, tuple[tuple[str, str], ...]]]:
    """limit → version → files and texts, the first of which is the limit itself. Pure."""
    settings: dict[str, dict[int, tuple[tuple[str, str], ...]]] = {}
    if limits.memory_bytes is not None:
        size = str(limits.memory_bytes)
        settings["memory"] = {
            2: (("memory.max", size), ("memory.swap.max", "0"), ("memory.oom.group", "1")),
            1: (("memory.limit_in_bytes", size), ("memory.memsw.limit_in_bytes", size)),
        }
    if limits.cpus is not None:
        quota = str(max(1000, round(limits.cpus * _PERIOD_MICROSECONDS)))
        settings["cpus"] = {
            2: (("cpu.max", f"{quota} {_PERIOD_MICROSECONDS}"),),
            1: (("cpu.cfs_quota_us", quota), ("cpu.cfs_period_us", str(_PERIOD_MICROSECONDS))),
        }
    if limits.pids is not None:
        # Two more: the container's PID 1 and the process that waits for it are ours.
        settings["pids"] = {v: (("pids.max", str(limits.pids + 2)),) for v in (1, 2)}
    return settings


def _make_unified(
    hierarchy: Hierarchy, run_id: str, settings: dict[str, dict[int, tuple[tuple[str, str], ...]]]
) -> ControlGroup | None:
    own = Path(hierarchy.own)
    needed = {CONTROLLERS[limit] for limit in settings}
    for parent in dict.fromkeys((own, own.parent, Path(hierarchy.mount))):
        if not parent.is_relative_to(hierarchy.mount):
            continue
        try:
            available = set((parent / "cgroup.subtree_control").read_text().split())
        except OSError:
            continue
        if not needed & available:
            continue
        folder = parent / f"lading-{run_id}"
        group = ControlGroup(version=2)
        if _make_folder(folder):
            _apply(group, dict.fromkeys(settings, folder), settings)
            if group.enforced and _may_join(folder):
                return group
            with contextlib.suppress(OSError):
                folder.rmdir()
    return None


def _make_split(
    hierarchies: tuple[Hierarchy, ...],
    run_id: str,
    settings: dict[str, dict[int, tuple[tuple[str, str], ...]]],
) -> ControlGroup | None:
    folders: dict[str, Path] = {}
    for limit in settings:
        for hierarchy in hierarchies:
            if CONTROLLERS[limit] in hierarchy.controllers:
                folder = Path(hierarchy.own) / f"lading-{run_id}"
                if _make_folder(folder):
                    folders[limit] = folder
    group = ControlGroup(version=1)
    _apply(group, folders, settings)
    if group.enforced:
        return group
    group.folders = folders
    group.remove()
    return None


def _make_folder(folder: Path) -> bool:
    try:
        folder.mkdir()
    except FileExistsError:
        return True
    except OSError:
        return False
    return True


def _apply(
    group: ControlGroup,
    folders: dict[str, Path],
    settings: dict[str, dict[int, tuple[tuple[str, str], ...]]],
) -> None:
    enforced = set()
    for limit, folder in folders.items():
        for position, (name, text) in enumerate(settings[limit][group.version]):
            try:
                (folder / name).write_text(text)
            except OSError:
                if position == 0:
                    break
            else:
                if position == 0:
                    enforced.add(limit)
                    group.folders[limit] = folder
    group.enforced = frozenset(enforced)


def _may_join(folder: Path) -> bool:
    """Moving a process also asks for write access to the common ancestor; root and delegates have it."""
    if os.geteuid() == 0:
        return True
    try:
        with (folder.parent / "cgroup.procs").open("r+"):
            return True
    except OSError:
        return False
