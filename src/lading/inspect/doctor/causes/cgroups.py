"""What keeps limits from being held by the kernel. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lading.inspect.doctor.cause import Area, cause
from lading.inspect.doctor.host import Host
from lading.inspect.doctor.model import Severity, Sign

_SMALL_BYTES = 1 << 30


@cause(
    "cgroups-missing", "No control groups are mounted", Area.CGROUPS, Severity.INFO,
    "/proc/self/mountinfo; cgroups(7)",
)  # fmt: skip
def cgroups_missing(host: Host) -> Iterator[Sign]:
    """Without control groups a run's memory and processes are measured ten times a second, and what is over
    its limit is killed; the record says `watchdog`. Docker and Podman do not start at all.
    """
    if not host.cgroups.mounted:
        yield Sign(
            proof=("/proc/self/mountinfo names no file system of type cgroup or cgroup2",),
            remedy="sudo mount -t cgroup2 none /sys/fs/cgroup",
        )


@cause(
    "cgroup-memory-off", "The kernel does not account for memory", Area.CGROUPS, Severity.WARNING,
    "cgroup_disable= in the kernel's parameters; cgroup.controllers",
)  # fmt: skip
def memory_off(host: Host) -> Iterator[Sign]:
    """Control groups are there, the memory controller is not: `cgroup_disable=memory` on the kernel's
    command line, as on a Raspberry Pi, or a parent that does not hand it down. Memory limits are then
    watched, and Docker ignores `--memory` with a warning.

    Put `cgroup_enable=memory` on the kernel's command line and restart.
    """
    held = host.cgroups
    if held.mounted and held.own and "memory" not in held.controllers:
        names = " ".join(sorted(held.controllers)) or "none of cpu, memory, pids"
        yield Sign(
            proof=(
                f"{held.own}/cgroup.controllers: {names}",
                *((f"/proc/cmdline: {held.command_line}",) if held.command_line else ()),
            )
        )


@cause(
    "cgroups-read-only", "Control groups are mounted read-only", Area.CGROUPS, Severity.INFO,
    "Docker mounts /sys/fs/cgroup read-only without --privileged",
)  # fmt: skip
def read_only(host: Host) -> Iterator[Sign]:
    """As containers have it. Limits of runs inside are watched instead of enforced; the limit of the
    container around holds for all of them together.

    Docker 28 and later can give a container a group of its own to write to: `--security-opt
    writable-cgroups=true`.
    """
    if host.cgroups.read_only:
        yield Sign(proof=(f"{host.cgroups.own} is on a mount with the option ro",))


@cause(
    "cgroups-not-delegated", "This user has no control group to make others in", Area.CGROUPS,
    Severity.INFO, "cgroup-v2.rst, Delegation; systemd: Delegate=",
)  # fmt: skip
def not_delegated(host: Host) -> Iterator[Sign]:
    """Limits are enforced by the kernel where a user was given a part of the tree of control groups;
    elsewhere they are watched, and the record of a run says so. A systemd scope with `Delegate=yes` is
    such a part.
    """
    held = host.cgroups
    if held.mounted and held.own and held.controllers and not held.writable and not held.read_only:
        yield Sign(
            proof=(f"{held.own} is not writable for uid {host.euid}",),
            remedy="systemd-run --user --scope --property=Delegate=yes lading run",
        )


@cause(
    "memory-limit-small", "Less than 1 GiB of memory is allowed here", Area.CGROUPS, Severity.WARNING,
    "memory.max, memory.limit_in_bytes",
)  # fmt: skip
def memory_limit_small(host: Host) -> Iterator[Sign]:
    """The control group around this process allows so little that importing a framework can be killed by the
    kernel, with exit status 137 and no message. The limit was set where the container was started:
    `--memory` of Docker, `resources.limits.memory` of Kubernetes, `--mem` of Slurm.
    """
    limit = host.cgroups.memory_limit_bytes
    if limit is not None and limit < _SMALL_BYTES:
        yield Sign(proof=(f"{host.cgroups.own}: {limit >> 20} MiB",))
