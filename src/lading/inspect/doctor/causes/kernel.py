"""Why containers get no namespaces of their own here. One question, one answer: the obstacle. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lading.engine.embedded.probe import may_chroot
from lading.inspect.doctor.cause import Area, cause
from lading.inspect.doctor.host import Host
from lading.inspect.doctor.model import Severity, Sign


def _blocked(host: Host, name: str, *facts: str, remedy: str | None = None) -> Iterator[Sign]:
    obstacle = host.kernel.obstacle
    if obstacle is None or obstacle.cause != name:
        return
    level = "chroot" if may_chroot(host.kernel.evidence) else "process"
    yield Sign(
        proof=(
            f"starting a container fails at: {host.kernel.failed}",
            *facts,
            f"so runs get level {level} here (`lading engines`)",
        ),
        remedy=(obstacle.remedy or "") if remedy is None else remedy,
    )


@cause(
    "kernel-too-old", "The kernel is too old for containers of an ordinary user", Area.KERNEL,
    Severity.WARNING, "open_tree, move_mount and mount_setattr: Linux 5.2 and 5.12",
)  # fmt: skip
def kernel_too_old(host: Host) -> Iterator[Sign]:
    """Mounts are cloned and restricted by calls that Linux has since 5.12. On an older kernel runs fall back
    to a lower level; building images needs none of it.

    The way out is a newer kernel: RHEL 9, Debian 12 and Ubuntu 22.04 have one. A container does not help: it
    has its host's kernel.
    """
    yield from _blocked(host, "kernel-too-old", f"kernel {host.kernel.evidence.kernel}", remedy="")


@cause(
    "userns-off", "User namespaces are switched off", Area.KERNEL, Severity.WARNING,
    "user_namespaces(7), /proc/sys/user/max_user_namespaces",
)  # fmt: skip
def userns_off(host: Host) -> Iterator[Sign]:
    """`user.max_user_namespaces` is 0: nobody, root included, can make one. Hardening guides for RHEL set it.

    To keep it over a restart, write the line `user.max_user_namespaces=15000` to a file in `/etc/sysctl.d`.
    """
    yield from _blocked(host, "userns-off", "/proc/sys/user/max_user_namespaces: 0")


@cause(
    "userns-limit", "No more namespaces are allowed", Area.KERNEL, Severity.WARNING,
    "user_namespaces(7): ENOSPC when a limit in /proc/sys/user is exceeded",
)  # fmt: skip
def userns_limit(host: Host) -> Iterator[Sign]:
    """The kernel counts namespaces per user, and the limit in `/proc/sys/user` is reached, or namespaces are
    nested 32 deep. Containers that were left behind hold some: `lsns --type user` lists them.
    """
    limit = host.kernel.evidence.settings.get("max_user_namespaces", "")
    yield from _blocked(host, "userns-limit", f"/proc/sys/user/max_user_namespaces: {limit}")


@cause(
    "userns-root-only", "User namespaces are kept for root", Area.KERNEL, Severity.WARNING,
    "Debian's patch kernel.unprivileged_userns_clone",
)  # fmt: skip
def userns_root_only(host: Host) -> Iterator[Sign]:
    """Debian before 11, and hardened kernels, have `kernel.unprivileged_userns_clone`; at 0 only root may
    make user namespaces. Another thing than `user.max_user_namespaces`, which also binds root.
    """
    yield from _blocked(host, "userns-root-only", "/proc/sys/kernel/unprivileged_userns_clone: 0")


@cause(
    "seccomp", "A seccomp filter forbids namespaces", Area.KERNEL, Severity.WARNING,
    "Docker's default seccomp profile; /proc/PID/status: Seccomp",
)  # fmt: skip
def seccomp(host: Host) -> Iterator[Sign]:
    """This process is in a container whose seccomp profile refuses `unshare` and `mount` to those without
    CAP_SYS_ADMIN, as the default profiles of Docker and of Kubernetes (`RuntimeDefault`) do. The mark is
    `Seccomp: 2` in `/proc/self/status`, together with a refusal. AppArmor gives the same refusal without
    that line: see `apparmor-userns` and `apparmor-profile`.

    In Kubernetes: `securityContext: {seccompProfile: {type: Unconfined}}`. A profile of one's own that adds
    `unshare`, `mount`, `pivot_root` and `mount_setattr` to Docker's is narrower.
    """
    yield from _blocked(host, "seccomp", "/proc/self/status: Seccomp: 2, a filter")


@cause(
    "apparmor-userns", "AppArmor forbids user namespaces to ordinary users", Area.KERNEL, Severity.WARNING,
    "Ubuntu 23.10 release notes: restricted unprivileged user namespaces",
)  # fmt: skip
def apparmor_userns(host: Host) -> Iterator[Sign]:
    """Ubuntu since 23.10 takes all rights from a user namespace whose program has no AppArmor profile that
    says `userns`. The mark is the setting, and that no seccomp filter is there.

    Instead of the setting for all programs, a profile for one:

        # /etc/apparmor.d/lading
        abi <abi/4.0>,
        profile lading /path/to/.venv/bin/python3* flags=(unconfined) { userns, }

    and `sudo apparmor_parser --replace /etc/apparmor.d/lading`.
    """
    yield from _blocked(host, "apparmor-userns", "/proc/sys/kernel/apparmor_restrict_unprivileged_userns: 1")


@cause(
    "apparmor-profile", "The surrounding container's AppArmor profile forbids mounts", Area.KERNEL,
    Severity.WARNING, "Docker's docker-default profile: deny mount; /proc/PID/attr/current",
)  # fmt: skip
def apparmor_profile(host: Host) -> Iterator[Sign]:
    """Namespaces are allowed here, mounts in them are not: the profile of the container around says `deny
    mount`. The kernel then answers EACCES, where a seccomp filter answers EPERM.

    In Kubernetes: `securityContext: {appArmorProfile: {type: Unconfined}}`.
    """
    yield from _blocked(host, "apparmor-profile", f"/proc/self/attr/current: {host.kernel.evidence.profile}")


@cause(
    "selinux", "SELinux forbids containers inside this one", Area.KERNEL, Severity.WARNING,
    "container-selinux: container_t may not mount",
)  # fmt: skip
def selinux(host: Host) -> Iterator[Sign]:
    """This process carries a label, such as `container_t`, to which SELinux refuses mounts or user
    namespaces. What it refused is in the audit log of the host: `ausearch -m avc -ts recent`.

    Narrower than no label at all: `--security-opt label=type:container_engine_t`.
    """
    yield from _blocked(
        host,
        "selinux",
        f"/proc/self/attr/current: {host.kernel.evidence.profile}",
        "/sys/fs/selinux/enforce: 1",
    )


@cause(
    "proc-masked", "The surrounding container hides parts of /proc", Area.KERNEL, Severity.WARNING,
    "mount_too_revealing() of the kernel: a fresh proc may not show what the old one hides",
)  # fmt: skip
def proc_masked(host: Host) -> Iterator[Sign]:
    """Engines lay files and read-only mounts over parts of `/proc`. The kernel then grants no fresh `/proc`
    to a container inside, since it would show them again.

    In Kubernetes: `securityContext: {procMount: Unmasked}`, with `hostUsers: false`.
    """
    yield from _blocked(host, "proc-masked")


@cause(
    "overlay-missing", "The kernel has no overlay file system", Area.KERNEL, Severity.WARNING,
    "/proc/filesystems",
)  # fmt: skip
def overlay_missing(host: Host) -> Iterator[Sign]:
    """Layers are laid over each other by the kernel's overlay file system; here it is neither built in nor
    loaded. As an ordinary user it is not loaded on demand.
    """
    yield from _blocked(host, "overlay-missing", "/proc/filesystems does not name overlay")


@cause(
    "overlay-refused", "The kernel refuses an overlay mount", Area.KERNEL, Severity.WARNING,
    "overlayfs.rst of the kernel: userxattr, since 5.11",
)  # fmt: skip
def overlay_refused(host: Host) -> Iterator[Sign]:
    """The kernel knows overlay, and refuses to mount one in a user namespace, on the store's file system and
    in memory alike. Before 5.11 that is the rule; later, a security module or a patched kernel. `dmesg |
    tail` names the option that was refused.
    """
    yield from _blocked(host, "overlay-refused", f"kernel {host.kernel.evidence.kernel}", remedy="")


@cause(
    "namespaces-refused", "Containers get no namespaces, for a reason nobody states", Area.KERNEL,
    Severity.WARNING, "the step of a start that failed",
)  # fmt: skip
def namespaces_refused(host: Host) -> Iterator[Sign]:
    """A step of a container's start was refused, and nothing that the host shows says by whom: no seccomp
    filter, no setting, no profile that is known to do it. The kernel's log often does: `sudo dmesg |
    tail`.
    """
    evidence = host.kernel.evidence
    yield from _blocked(
        host,
        "refused",
        f"kernel {evidence.kernel}, Seccomp: {evidence.seccomp or '?'}, label {evidence.profile or '?'}",
    )
