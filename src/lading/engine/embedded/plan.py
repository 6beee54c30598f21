"""From a RunSpec and what the host allows to a ContainerPlan: decisions, before a process exists. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lading.engine.embedded.account import Account
from lading.engine.gpus import gpu_environment
from lading.engine.model import Level, RunSpec
from lading.errors import EngineError

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_HOSTNAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?")
_KERNEL_FOLDERS = ("/proc", "/sys", "/dev")
_MIN_SHM_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One mount of the container: a bind when `source` is set, else a tmpfs of `size_bytes`."""

    target: str
    source: str | None = None
    read_only: bool = False
    size_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """What the last process of a start becomes."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    processes_limit: int | None = None
    """RLIMIT_NPROC, where that is what holds the pids limit."""
    cpu_set: frozenset[int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerPlan:
    """Everything the starting child needs; it decides nothing itself."""

    run_id: str
    level: Level
    user_namespace: bool
    folder: str
    """Host folder of this run: `lower/N` links to the trees, `upper` and `work`, `root`."""
    root: str
    """Where the container's root stands (or is mounted) on the host."""
    lower_count: int
    disk_scratch: bool
    payload: Payload
    working_dir: str
    account: Account
    host_uid: int
    host_gid: int
    places: tuple[Place, ...]
    shm_bytes: int
    network: bool
    read_only_root: bool
    hostname: str
    terminal: bool
    etc_files: Mapping[str, bytes]
    devices: Mapping[str, str] = field(default_factory=dict)
    """Path below the container's /dev → the device file on the host."""
    folders: tuple[str, ...] = ()


def check_spec(spec: RunSpec) -> None:
    """Raises EngineError for a spec that no container can be made of, or that tries to leave one."""
    if not _RUN_ID.fullmatch(spec.run_id):
        raise EngineError(f"the run id {spec.run_id!r} is not letters, digits, `_`, `.` and `-`")
    if not spec.layers:
        raise EngineError("the image to run has no layers")
    if not spec.command or not spec.command[0]:
        raise EngineError("no command to run")
    if not _HOSTNAME.fullmatch(spec.hostname):
        raise EngineError(f"{spec.hostname!r} is no host name")
    for name, value in (*spec.env.items(), *spec.secrets.items()):
        if not name or "=" in name or "\0" in name or "\0" in value:
            raise EngineError(f"the environment variable {name!r} cannot be set")
    if any("\0" in word for word in spec.command):
        raise EngineError("a word of the command has a NUL")
    _check_inside("working folder", spec.working_dir)
    targets = [mount.target for mount in spec.mounts] + list(spec.tmpfs)
    for target in targets:
        _check_inside("mount target", target)
        if posixpath.normpath(target) == "/":
            raise EngineError("a mount over the container's root is not possible")
    for folder in spec.folders:
        _check_inside("folder", folder)
    normal = [posixpath.normpath(target) for target in targets]
    if twice := {target for target in normal if normal.count(target) > 1}:
        raise EngineError(f"two mounts have the target {min(twice)}")
    if bad := [target for target, size in spec.tmpfs.items() if size <= 0]:
        raise EngineError(f"the tmpfs {bad[0]} needs a size in bytes")


def _check_inside(what: str, path: str) -> None:
    if not path.startswith("/") or "\0" in path or ".." in path.split("/"):
        raise EngineError(f"the {what} {path!r} is not an absolute path without `..`")
    top = "/" + path.strip("/").split("/")[0]
    if top in _KERNEL_FOLDERS:
        raise EngineError(f"the {what} {path!r} lies in {top}, which belongs to the kernel")


def places_of(spec: RunSpec) -> tuple[Place, ...]:
    """Mounts in the order they are made: a parent before what lies in it."""
    places = [
        Place(target=posixpath.normpath(m.target), source=str(m.source), read_only=m.read_only)
        for m in spec.mounts
    ]
    places += [Place(target=posixpath.normpath(t), size_bytes=s) for t, s in spec.tmpfs.items()]
    if spec.read_only_root and not any(place.target in ("/tmp", "/") for place in places):
        # Nearly every program needs one writable place.
        places.append(Place(target="/tmp", size_bytes=_MIN_SHM_BYTES))
    return tuple(sorted(places, key=lambda place: (place.target.count("/"), place.target)))


def shm_bytes_of(spec: RunSpec, host_memory_bytes: int) -> int:
    """What was asked; else a quarter of the host's memory, or half the run's memory limit where less.

    Data loaders pass batches through /dev/shm: the 64 MiB other engines give is the classic bus error.
    """
    if spec.limits.shm_bytes is not None:
        return spec.limits.shm_bytes
    size = max(host_memory_bytes // 4, _MIN_SHM_BYTES)
    if spec.limits.memory_bytes is not None:
        size = min(size, max(spec.limits.memory_bytes // 2, 1 << 20))
    return size


def environment_of(spec: RunSpec, caller: Mapping[str, str]) -> dict[str, str]:
    """Exactly the spec's variables and secrets; with a terminal, the caller's TERM as well.

    An image that asks for GPUs by a variable is told that it has none: they are given to a request alone.
    """
    environment = {**spec.env, **spec.secrets}
    if spec.gpus is None and "NVIDIA_VISIBLE_DEVICES" in environment:
        environment |= gpu_environment(())
    if spec.terminal and "TERM" not in environment:
        environment["TERM"] = caller.get("TERM") or "xterm"
    return environment


def etc_files(spec: RunSpec, host_files: Mapping[str, bytes]) -> dict[str, bytes]:
    """hosts and resolv.conf: the host's with its network, a loopback of its own without."""
    if spec.network:
        return {f"etc/{name}": content for name, content in host_files.items()}
    hosts = f"127.0.0.1 localhost {spec.hostname}\n::1 localhost ip6-localhost\n"
    return {"etc/hosts": hosts.encode()}


def distinct_layers(diff_ids: tuple[str, ...]) -> tuple[str, ...]:
    """Top first, each once: of a layer that comes twice only the upper one can be seen."""
    return tuple(dict.fromkeys(reversed(diff_ids)))


def choose_cpus(cpus: float, allowed: frozenset[int], seed: int) -> frozenset[int]:
    """ceil(cpus) of the allowed ones, spread by `seed` so that two runs do not sit on the same."""
    ordered = sorted(allowed)
    count = min(len(ordered), max(1, -int(-cpus // 1)))
    first = seed % len(ordered)
    return frozenset((ordered + ordered)[first : first + count])
