"""Watches one recorded run from outside and says what was seen: samples, counters, the kernel's words.

Reads /proc, control groups and the file systems of the run; changes nothing and never raises. Must not know
what it all means: that is the doctor's.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lading.engine.circumstances import Circumstances, EndedBy, Sample
from lading.engine.embedded.cgroups import (
    CHARGED_AHEAD_BYTES,
    ControlGroup,
    Hierarchy,
    parse_hierarchies,
)
from lading.engine.embedded.child import Container
from lading.engine.embedded.kernel_log import kernel_lines
from lading.engine.model import Level

if TYPE_CHECKING:
    from lading.engine.embedded.nvml import Nvml

MOST_SAMPLES = 120
_TICKS = os.sysconf("SC_CLK_TCK")


class Recorder:
    """Made before a run is started, told when it has, asked to look now and then, finished after its end and
    before its control group is removed.
    """

    def __init__(self, level: Level, *, group: ControlGroup | None, disk: Path) -> None:
        self._level = level
        self._group = group
        self._disk = disk
        self._around = Surroundings()
        self._started = time.monotonic()
        self._init = 0
        self._shm: int | None = None
        self._samples = SampleSeries()
        self._pids: set[int] = set()
        self._pressure = {name: _pressure_microseconds(name) for name in ("io", "memory")}
        self._least_memory: int | None = None
        self._least_disk = _free_bytes(disk)
        self._shm_bytes: int | None = None
        self._peak_shm: int | None = None
        self._nvml: Nvml | None = None

    def begin(self, container: Container, gpus: tuple[str, ...] = ()) -> None:
        """At once after the start: many a run is over soon. `gpus`: the host's device files it was given."""
        self._shm = _open_shm(container.init, self._level)
        self._shm_bytes, self._peak_shm = _size_and_used(self._shm)
        self._started, self._init = container.started, container.init
        self._pids.add(container.init)
        if gpus:
            from lading.engine.embedded.nvml import open_nvml  # most runs have none, and start sooner

            self._nvml = open_nvml(gpus)

    def look(self, seconds: float, pids: list[int], memory_bytes: int) -> None:
        """One sample, `seconds` after the start. `pids` are the run's processes now."""
        self._pids.update(pids)
        ticks, waiting = _work(pids)
        if self._shm is None and pids:
            self._shm = _open_folder(
                f"/proc/{pids[0]}/root/dev/shm"
            )  # the first process is hidden from users
        size, used = _size_and_used(self._shm)
        self._shm_bytes = size if size is not None else self._shm_bytes
        self._peak_shm = _largest(self._peak_shm, used)
        self._least_memory = _least(self._least_memory, available_memory_bytes())
        self._least_disk = _least(self._least_disk, _free_bytes(self._disk))
        busy = self._nvml.look() if self._nvml is not None else None
        self._samples.add(seconds, memory_bytes, ticks / _TICKS, waiting, busy)

    def finish(self, ended_by: str | None, *, failed: bool) -> Circumstances:
        _, used = _size_and_used(self._shm)  # what the run left there is still held by our descriptor
        life = max(0.001, time.monotonic() - self._started)
        seen = Circumstances(
            ended_by=EndedBy(ended_by) if ended_by is not None else None,
            least_free_memory_bytes=self._least_memory,
            io_pressure_share=self._pressure_share("io", life),
            memory_pressure_share=self._pressure_share("memory", life),
            shm_bytes=self._shm_bytes,
            peak_shm_bytes=_largest(self._peak_shm, used),
            least_free_disk_bytes=_least(self._least_disk, _free_bytes(self._disk)),
            samples=self._samples.samples(),
            gpus=self._nvml.uses() if self._nvml is not None else (),
        )
        seen = self._around.counted(seen, self._group)
        if failed:
            lines = kernel_lines(self._started, self._pids, self._init)
            seen = replace(seen, kernel=lines)
        if self._shm is not None:
            os.close(self._shm)
        return seen

    def _pressure_share(self, name: str, life_seconds: float) -> float | None:
        before, now = self._pressure[name], _pressure_microseconds(name)
        if before is None or now is None:
            return None
        return round(min(1.0, (now - before) / 1e6 / life_seconds), 3)


class SampleSeries:
    """A whole life in at most MOST_SAMPLES looks: when they are too many, every second one goes."""

    def __init__(self) -> None:
        self._samples: list[Sample] = []
        self._every = 1
        self._seen = 0
        self._last = (0.0, 0.0)

    def add(
        self, seconds: float, memory_bytes: int, cpu_seconds: float, waiting: int, gpu_percent: float | None
    ) -> None:
        """`cpu_seconds` are all that the living processes have used so far."""
        self._seen += 1
        if self._seen % self._every:
            return
        before, used = self._last
        cpus = max(0.0, cpu_seconds - used) / max(0.001, seconds - before)
        self._last = (seconds, cpu_seconds)
        self._samples.append(
            Sample(
                seconds=round(seconds, 2),
                memory_bytes=memory_bytes,
                cpus=round(cpus, 2),
                waiting=waiting,
                gpu_percent=gpu_percent,
            )
        )
        if len(self._samples) > MOST_SAMPLES:
            self._samples = self._samples[1::2]
            self._every *= 2

    def samples(self) -> tuple[Sample, ...]:
        return tuple(self._samples)


class Surroundings:
    """Counters of the group that lading runs in, and of the host, as they were when this was made."""

    def __init__(self) -> None:
        self._folder, self._unified = _memory_folder()
        self._kills, self._reached = self._read()
        self._host_kills = _host_oom_kills()

    def counted(self, seen: Circumstances, group: ControlGroup | None) -> Circumstances:
        """`seen` with what was counted since."""
        kills, reached = self._read()
        met = reached > self._reached if self._unified else bool(reached)  # version 1 only knows the peak
        own = group is not None and "memory" in group.folders
        own_kills = group.oom_kills() if group is not None and own else kills - self._kills
        own_reached = group is not None and own and own_kills > 0 and group.limit_reached()
        return replace(
            seen,
            oom_kills=max(0, own_kills),
            own_limit_reached=own_reached,
            around_limit_reached=own_kills > 0 and not own_reached and met,
            around_limit_bytes=self._limit_bytes(),
            host_oom_kills=max(0, _host_oom_kills() - self._host_kills),
            processes_refused=group.processes_refused() if group is not None else 0,
            throttled_share=group.throttled_share() if group is not None else None,
        )

    def _read(self) -> tuple[int, int]:
        """Killed processes, and how often the limit was met. Version 2 counts groups below as well."""
        if self._folder is None:
            return 0, 0
        if self._unified:
            events = _keyed(self._folder / "memory.events")
            return events.get("oom_kill", 0), events.get("oom", 0)
        kills = _keyed(self._folder / "memory.oom_control").get("oom_kill", 0)
        limit = self._limit_bytes()
        peak = _number(self._folder / "memory.max_usage_in_bytes") or 0
        return kills, int(limit is not None and peak >= limit - CHARGED_AHEAD_BYTES)

    def _limit_bytes(self) -> int | None:
        if self._folder is None:
            return None
        limit = _number(self._folder / ("memory.max" if self._unified else "memory.limit_in_bytes"))
        return limit if limit is not None and limit < 1 << 60 else None  # version 1 says "none" as a number


def _memory_folder() -> tuple[Path | None, bool]:
    try:
        mountinfo = Path("/proc/self/mountinfo").read_text()
        membership = Path("/proc/self/cgroup").read_text()
    except OSError:
        return None, False
    return memory_hierarchy(parse_hierarchies(mountinfo, membership))


def memory_hierarchy(hierarchies: Iterable[Hierarchy]) -> tuple[Path | None, bool]:
    """Where this process's memory is counted, and whether that is version 2."""
    for hierarchy in hierarchies:
        if "memory" in hierarchy.controllers:
            return Path(hierarchy.own), False
    for hierarchy in hierarchies:
        if not hierarchy.controllers and (Path(hierarchy.own) / "memory.events").exists():
            return Path(hierarchy.own), True
    return None, False


def _host_oom_kills() -> int:
    return _keyed(Path("/proc/vmstat")).get("oom_kill", 0)


def _keyed(path: Path) -> Mapping[str, int]:
    try:
        pairs = [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return {}
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _pressure_microseconds(name: str) -> int | None:
    """How long so far somebody on this host has waited for `name`."""
    try:
        first = Path("/proc/pressure", name).read_text().splitlines()[0]
    except (OSError, IndexError):
        return None
    total = first.rpartition("total=")[2]
    return int(total) if total.isdigit() else None


def available_memory_bytes() -> int | None:
    """What the host could give without swapping."""
    try:
        content = Path("/proc/meminfo").read_bytes()
    except OSError:
        return None
    start = content.find(b"MemAvailable:")
    return int(content[start + 13 :].split(None, 1)[0]) << 10 if start >= 0 else None


def _work(pids: Iterable[int]) -> tuple[int, int]:
    """Clock ticks that these processes and their ended children used, and how many wait for a disk."""
    ticks = waiting = 0
    for pid in pids:
        with contextlib.suppress(OSError, IndexError, ValueError):
            with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
                content = file.read(1024)
            fields = content[content.rfind(b")") + 2 :].split()
            ticks += sum(map(int, fields[11:15]))
            waiting += fields[0] == b"D"
    return ticks, waiting


def _open_shm(init: int, level: Level) -> int | None:
    if level is Level.NAMESPACES:
        return _open_folder(f"/proc/{init}/root/dev/shm")
    return _open_folder("/dev/shm")


def _open_folder(path: str) -> int | None:
    """Held open, its file system outlives the container: what the run left in it can still be counted."""
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None


def _size_and_used(descriptor: int | None) -> tuple[int | None, int | None]:
    if descriptor is None:
        return None, None
    try:
        facts = os.fstatvfs(descriptor)
    except OSError:
        return None, None
    return facts.f_blocks * facts.f_frsize, (facts.f_blocks - facts.f_bfree) * facts.f_frsize


def _free_bytes(path: Path) -> int | None:
    try:
        facts = os.statvfs(path)
    except OSError:
        return None
    return facts.f_bavail * facts.f_frsize


def _least(one: int | None, other: int | None) -> int | None:
    return min((value for value in (one, other) if value is not None), default=None)


def _largest(one: int | None, other: int | None) -> int | None:
    return max((value for value in (one, other) if value is not None), default=None)
