"""Everything before the fork: trees, account, scratch folders, control group, plan. Reads host files."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lading.engine.embedded.account import Account, account_of, needs_files
from lading.engine.embedded.cgroups import ControlGroup, make_group
from lading.engine.embedded.container_folder import ContainerFolder
from lading.engine.embedded.plan import (
    ContainerPlan,
    Payload,
    choose_cpus,
    distinct_layers,
    environment_of,
    etc_files,
    places_of,
    shm_bytes_of,
)
from lading.engine.embedded.probe import HostLevel
from lading.engine.embedded.process_tree import host_memory_bytes
from lading.engine.embedded.rootpath import read_file_inside
from lading.engine.embedded.trees import Leases, ensure_tree
from lading.engine.model import Level, RunSpec
from lading.errors import EngineError
from lading.store.atomic import store_errors
from lading.store.store import Store

CHANGES = "scratch/upper"
"""In a run's scratch folder: what it wrote to its root, in overlayfs' own form."""
_ACCOUNT_FILE_BYTES = 1 << 20
_PER_NAMESPACE_LIMITS = (5, 14)
"""Since this kernel RLIMIT_NPROC counts the processes of one user namespace, not all of a user's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    plan: ContainerPlan
    leases: Leases
    group: ControlGroup | None
    enforced_by: Mapping[str, str]
    tree_folders: tuple[Path, ...]


def prepare(store: Store, spec: RunSpec, host: HostLevel, caller: Mapping[str, str]) -> Prepared:
    """Raises EngineError, StoreError, DigestMismatch. The sweep removes what a killed caller leaves."""
    for mount in spec.mounts:
        if not mount.source.exists():
            raise EngineError(
                f"the mount source {mount.source} does not exist", hints=(f"mkdir -p {mount.source}",)
            )
    leases = Leases()
    try:
        trees = _ensure_trees(store, spec, leases)
        account = find_account(spec.user, trees)
        folder = ContainerFolder(store, spec.run_id).scratch
        if host.level is Level.NAMESPACES:
            root = _lay_out(folder, trees)
        else:
            from lading.engine.embedded.merged import lay_out_merged

            root = lay_out_merged(store, folder, trees, leases)
        group = make_group(spec.run_id, spec.limits)
        enforced_by = _enforcers(spec, host, group)
        plan = _plan(spec, host, account, enforced_by, caller, (folder, root, len(trees)))
        plan = _fitted(plan, store, spec, caller, leases)
    except BaseException:
        leases.close()
        raise
    return Prepared(
        plan=plan,
        leases=leases,
        group=group,
        enforced_by=enforced_by,
        tree_folders=tuple(tree.parent for tree in trees),
    )


def _ensure_trees(store: Store, spec: RunSpec, leases: Leases) -> tuple[Path, ...]:
    """Uppermost first, each once."""
    with store.using():
        by_diff_id = {str(layer.diff_id): ensure_tree(store, layer, leases) for layer in spec.layers}
    names = distinct_layers(tuple(str(layer.diff_id) for layer in spec.layers))
    return tuple(by_diff_id[name] for name in names)


def _plan(
    spec: RunSpec,
    host: HostLevel,
    account: Account,
    enforced_by: Mapping[str, str],
    caller: Mapping[str, str],
    layout: tuple[Path, Path, int],
) -> ContainerPlan:
    folder, root, lower_count = layout
    return ContainerPlan(
        run_id=spec.run_id,
        level=host.level,
        user_namespace=host.user_namespace,
        folder=str(folder),
        root=str(root),
        lower_count=lower_count,
        disk_scratch=host.disk_scratch,
        payload=Payload(
            command=spec.command,
            environment=environment_of(spec, caller),
            processes_limit=_process_limit(spec, enforced_by),
            cpu_set=_cpu_set(spec, enforced_by),
        ),
        working_dir=spec.working_dir,
        account=account,
        host_uid=os.geteuid(),
        host_gid=os.getegid(),
        places=places_of(spec),
        shm_bytes=shm_bytes_of(spec, host_memory_bytes()),
        network=spec.network,
        read_only_root=spec.read_only_root,
        hostname=spec.hostname,
        terminal=spec.terminal,
        folders=spec.folders,
        etc_files=etc_files(spec, _host_network_files() if spec.network else {}),
    )


def _fitted(
    plan: ContainerPlan, store: Store, spec: RunSpec, caller: Mapping[str, str], leases: Leases
) -> ContainerPlan:
    """With the host's driver, or with the image's paths as they are on this host; mostly as it is."""
    if spec.gpus is not None:
        from lading.engine.embedded.driver import with_gpus  # most runs have none, and start sooner
        from lading.engine.embedded.gpu_leases import lease_gpus
        from lading.engine.nvidia import find_gpus, nvidia_root

        found = find_gpus(nvidia_root(caller))
        return with_gpus(plan, lease_gpus(store, spec.gpus, found, caller, leases), found)
    if plan.level is not Level.PROCESS:
        return plan
    from lading.engine.embedded.relocate import relocated

    return relocated(plan)


def find_account(user: str, trees: tuple[Path, ...]) -> Account:
    """The image's account, from the uppermost passwd and group files."""
    passwd = group = ""
    if needs_files(user):
        passwd, group = (_uppermost(trees, f"etc/{name}") for name in ("passwd", "group"))
    return account_of(user, passwd, group)


def _uppermost(trees: tuple[Path, ...], path: str) -> str:
    for tree in trees:
        root = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            content = read_file_inside(root, path, limit_bytes=_ACCOUNT_FILE_BYTES)
        finally:
            os.close(root)
        if content is not None:
            return content.decode("utf-8", "surrogateescape")
    return ""


def _lay_out(folder: Path, trees: tuple[Path, ...]) -> Path:
    with store_errors("making a container's scratch folder", folder):
        folder.mkdir(parents=True, mode=0o700)
        for name in ("lower", "root", "scratch", "scratch/upper", "scratch/work"):
            (folder / name).mkdir()
        lower = folder / "lower"
        for number, tree in enumerate(trees):
            (lower / str(number)).symlink_to(tree)
    return folder / "root"


def _host_network_files() -> dict[str, bytes]:
    files = {}
    for name in ("hosts", "resolv.conf"):
        try:
            files[name] = Path("/etc", name).read_bytes()
        except OSError:
            continue
    return files


def _enforcers(spec: RunSpec, host: HostLevel, group: ControlGroup | None) -> dict[str, str]:
    limits = spec.limits
    by_group = group.enforced if group is not None else frozenset()
    enforced: dict[str, str] = {}
    if limits.memory_bytes is not None:
        enforced["memory"] = "cgroup" if "memory" in by_group else "watchdog"
    if limits.cpus is not None:
        enforced["cpus"] = "cgroup" if "cpus" in by_group else "affinity"
    if limits.pids is not None:
        counted = host.level is Level.NAMESPACES and host.user_namespace and os.geteuid() != 0
        fallback = "rlimit" if counted and _kernel() >= _PER_NAMESPACE_LIMITS else "watchdog"
        enforced["pids"] = "cgroup" if "pids" in by_group else fallback
    if limits.timeout_seconds is not None:
        enforced["timeout"] = "watchdog"
    if limits.shm_bytes is not None:
        enforced["shm"] = "mount" if host.level is Level.NAMESPACES else "none"
    if host.level is not Level.NAMESPACES and not spec.network:
        enforced["network"] = "none"
    if host.level is Level.PROCESS and any(mount.read_only for mount in spec.mounts):
        enforced["read-only mounts"] = "none"
    return enforced


def _kernel() -> tuple[int, int]:
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int("".join(c for c in minor if c.isdigit()) or "0")


def _process_limit(spec: RunSpec, enforced_by: Mapping[str, str]) -> int | None:
    if enforced_by.get("pids") != "rlimit" or spec.limits.pids is None:
        return None
    return spec.limits.pids + 2  # PID 1 and the process outside that waits for it count too


def _cpu_set(spec: RunSpec, enforced_by: Mapping[str, str]) -> frozenset[int] | None:
    if enforced_by.get("cpus") != "affinity" or spec.limits.cpus is None:
        return None
    allowed = frozenset(os.sched_getaffinity(0))
    return choose_cpus(spec.limits.cpus, allowed, zlib.crc32(spec.run_id.encode()))
