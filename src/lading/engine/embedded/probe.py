"""What this host allows, found by trying it in a throw-away child, and said with reason and remedy.

`try_namespaces` does every risky step of a real start; `find_obstacle` tells from the step that failed, and
the evidence around it, what stands in the way. Pure but for the functions that say so.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lading.engine.embedded import linux
from lading.engine.embedded.child import close_others, fork_quietly
from lading.engine.embedded.namespaces import map_caller
from lading.engine.embedded.remove import remove_tree
from lading.engine.embedded.report import Failure, Report, read_report
from lading.engine.model import Level
from lading.store.atomic import temporary_name

_CAPABILITY_BITS = {"chown": 0, "setgid": 6, "setuid": 7, "sys_chroot": 18, "mknod": 27}
_CHROOT_NEEDS = ("chown", "setgid", "setuid", "sys_chroot", "mknod")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the host says about itself. Empty strings where it says nothing."""

    euid: int
    seccomp: str = ""
    """`0` none, `2` a filter (/proc/self/status)."""
    capabilities: int = 0
    kernel: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    overlay_known: bool = True
    in_container: bool = False
    profile: str = ""
    """What a security module calls this process: AppArmor's profile, or SELinux's label."""
    selinux: bool = False
    """Whether SELinux enforces its rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """Why containers cannot have namespaces of their own."""

    cause: str
    """A word for programs: a key of `REMEDIES`."""
    reason: str

    @property
    def remedy(self) -> str | None:
        return REMEDIES[self.cause]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostLevel:
    """The level to use and why not a better one."""

    level: Level
    user_namespace: bool = True
    disk_scratch: bool = True
    reason: str | None = None
    remedy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    failure: Failure | None
    user_namespace: bool
    disk_scratch: bool


_OPTIONS = " ".join(f"--security-opt {name}=unconfined" for name in ("seccomp", "apparmor", "systempaths"))
REMEDIES: Mapping[str, str | None] = {
    "kernel-too-old": "a newer kernel",
    "scratch": "export LADING_HOME=/a/folder/you/can/write",
    "userns-off": "sudo sysctl user.max_user_namespaces=15000",
    "userns-limit": "sudo sysctl user.max_user_namespaces=15000",
    "userns-root-only": "sudo sysctl kernel.unprivileged_userns_clone=1",
    "seccomp": f"docker run {_OPTIONS}",
    "apparmor-userns": "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0",
    "apparmor-profile": "docker run --security-opt apparmor=unconfined --security-opt systempaths=unconfined",
    "selinux": "podman run --security-opt label=disable",
    "proc-masked": f"docker run {_OPTIONS}",
    "overlay-missing": "sudo modprobe overlay",
    "overlay-refused": "a kernel of 5.12 or later",
    "refused": None,
}
"""What helps against each obstacle."""

_SETTINGS = {
    "userns_clone": "proc/sys/kernel/unprivileged_userns_clone",
    "apparmor": "proc/sys/kernel/apparmor_restrict_unprivileged_userns",
    "max_user_namespaces": "proc/sys/user/max_user_namespaces",
    "max_mnt_namespaces": "proc/sys/user/max_mnt_namespaces",
}


def gather_evidence(root: Path = Path("/")) -> Evidence:
    """Read the host, whose files are below `root`. Never raises."""
    status = dict(line.split(":", 1) for line in _text(root / "proc/self/status").splitlines() if ":" in line)
    file_systems = _text(root / "proc/filesystems")
    return Evidence(
        euid=effective_user(status.get("Uid", "")),
        seccomp=status.get("Seccomp", "").strip(),
        capabilities=int(status.get("CapEff", "0").strip() or "0", 16),
        kernel=_text(root / "proc/sys/kernel/osrelease").strip() or os.uname().release,
        settings={name: _text(root / path).strip() for name, path in _SETTINGS.items()},
        overlay_known="overlay" in file_systems if file_systems else True,
        in_container=(root / ".dockerenv").exists() or (root / "run/.containerenv").exists(),
        profile=_text(root / "proc/self/attr/current").strip("\0\n "),
        selinux=_text(root / "sys/fs/selinux/enforce").strip() == "1",
    )


def effective_user(line: str) -> int:
    """The second of the four numbers in `Uid:` of /proc/self/status; else asked of the kernel."""
    words = line.split()
    return int(words[1]) if len(words) == 4 and words[1].isdigit() else os.geteuid()


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""


def find_level(folder: Path, best_allowed: Level) -> HostLevel:
    """The best level this host allows, no better than `best_allowed`. Never raises; about 10 ms.

    `folder` is a writable one in the store: its file system is what the overlay will stand on.
    """
    reason, remedy = f"LADING_EMBEDDED_LEVEL={best_allowed}", None
    evidence = gather_evidence()
    if best_allowed is Level.NAMESPACES:
        trial = try_namespaces(folder)
        if trial.failure is None:
            return HostLevel(
                level=Level.NAMESPACES,
                user_namespace=trial.user_namespace,
                disk_scratch=trial.disk_scratch,
            )
        reason, remedy = explain(trial.failure, evidence)
    if best_allowed is not Level.PROCESS and may_chroot(evidence):
        return HostLevel(level=Level.CHROOT, reason=reason, remedy=remedy)
    return HostLevel(level=Level.PROCESS, reason=reason, remedy=remedy)


def may_chroot(evidence: Evidence) -> bool:
    bits = [_CAPABILITY_BITS[name] for name in _CHROOT_NEEDS]
    return evidence.euid == 0 and all(evidence.capabilities >> bit & 1 for bit in bits)


def try_namespaces(folder: Path) -> Trial:
    """Do what a start does, in children that end at once; root also tries without a user namespace."""
    failure: Failure | None = None
    for user_namespace in (True, False):
        if not user_namespace and os.geteuid() != 0:
            break
        for disk in (True, False):
            tried = _try_once(folder, user_namespace=user_namespace, disk=disk)
            if tried is None:
                return Trial(failure=None, user_namespace=user_namespace, disk_scratch=disk)
            failure = failure or tried
            if tried.stage != "overlay":
                break
    return Trial(failure=failure, user_namespace=False, disk_scratch=False)


def _try_once(folder: Path, *, user_namespace: bool, disk: bool) -> Failure | None:
    place = folder / f"probe-{temporary_name()}"
    try:
        for name in ("lower", "root", "scratch/upper", "scratch/work"):
            (place / name).mkdir(parents=True)
        read, write = os.pipe()
        child = fork_quietly()
        if child == 0:
            _trial(place, Report(write), user_namespace=user_namespace, disk=disk)
        os.close(write)
        try:
            outcome = read_report(read)
        finally:
            os.close(read)
        _, status = os.waitpid(child, 0)
        if outcome.failure is None and status != 0:
            return Failure("unshare", None, f"the trial ended with status {status}")
        return outcome.failure
    except OSError as error:
        return Failure("scratch", error.errno, error.strerror or str(error))
    finally:
        with contextlib.suppress(OSError):
            remove_tree(place)


def _trial(place: Path, report: Report, *, user_namespace: bool, disk: bool) -> None:
    status = 1
    try:
        linux.die_with_parent(signal.SIGKILL)
        close_others({report.descriptor or -1})
        uid, gid = os.geteuid(), os.getegid()
        report.stage = "unshare"
        flags = linux.CLONE_NEWNS | linux.CLONE_NEWPID | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS
        linux.unshare(flags | linux.CLONE_NEWNET | (linux.CLONE_NEWUSER if user_namespace else 0))
        if user_namespace:
            report.stage = "map"
            map_caller(uid, gid, uid, gid)
        pid = os.fork()
        if pid:
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        else:
            _trial_mounts(place, report, disk=disk)
            status = 0
    except BaseException as error:  # noqa: BLE001 - told to the parent
        report.fail(error)
    finally:
        os._exit(status & 0x7F)


def _trial_mounts(place: Path, report: Report, *, disk: bool) -> None:
    report.stage = "loopback"
    linux.bring_loopback_up()
    report.stage = "private mounts"
    linux.mount("none", "/", "", linux.MS_REC | linux.MS_PRIVATE)
    report.stage = "overlay"
    os.chdir(place)
    if not disk:
        linux.mount("tmpfs", "scratch", "tmpfs")
        Path("scratch/upper").mkdir()
        Path("scratch/work").mkdir()
    # volatile: without it, taking the overlay down flushes the whole file system below it.
    options = "lowerdir=lower,upperdir=scratch/upper,workdir=scratch/work,userxattr,volatile"
    linux.mount("overlay", "root", "overlay", 0, options)
    Path("root/proc").mkdir()
    report.stage = "proc"
    linux.mount("proc", "root/proc", "proc")
    report.stage = "bind"
    Path("root/null").touch()
    tree = linux.clone_mount("/dev/null")
    linux.restrict_mount(tree, linux.MOUNT_ATTR_NOSUID)
    target = os.open("root/null", os.O_PATH)
    linux.attach_mount(tree, target)
    if not stat.S_ISCHR(os.stat("root/null").st_mode):
        raise OSError(errno.ENODEV, "a bound device is not there")


def explain(failure: Failure, evidence: Evidence) -> tuple[str, str | None]:
    """Reason and remedy for the namespaces level not being available. Pure."""
    obstacle = find_obstacle(failure, evidence)
    return obstacle.reason, obstacle.remedy


def find_obstacle(failure: Failure, evidence: Evidence) -> Obstacle:
    """What stands in the way, told apart by the step that failed and what the host says of itself. Pure."""
    if failure.errno == errno.ENOSYS and evidence.seccomp == "2" and _is_new(evidence.kernel):
        return _filtered("a call that this kernel has")
    if failure.errno == errno.ENOSYS or (failure.stage == "bind" and failure.errno == errno.EINVAL):
        reason = f"the kernel, {evidence.kernel}, is older than 5.12"
        return Obstacle(cause="kernel-too-old", reason=reason)
    if failure.stage == "scratch":
        return Obstacle(cause="scratch", reason=f"the store cannot be written ({failure.error})")
    known = (
        (_namespaces_refused(failure, evidence) if failure.stage == "unshare" else None)
        or _module_refuses(failure, evidence)
        or _mount_refused(failure, evidence)
    )
    reason = f"{failure.stage} is refused ({failure.error})"
    return known or Obstacle(cause="refused", reason=reason)


def _namespaces_refused(failure: Failure, evidence: Evidence) -> Obstacle | None:
    settings = evidence.settings
    denied = failure.errno in (errno.EPERM, errno.EACCES)
    if settings.get("max_user_namespaces") == "0":
        return Obstacle(cause="userns-off", reason="user namespaces are switched off")
    if failure.errno == errno.ENOSPC:
        return Obstacle(cause="userns-limit", reason="the limit of namespaces is reached")
    if denied and evidence.euid != 0 and settings.get("userns_clone") == "0":
        return Obstacle(cause="userns-root-only", reason="user namespaces are kept for root")
    if denied and evidence.seccomp == "2":
        return _filtered("new namespaces, as Docker's and Kubernetes' default profiles do")
    return None


def _filtered(what: str) -> Obstacle:
    return Obstacle(cause="seccomp", reason=f"a seccomp filter forbids {what}")


def _is_new(kernel: str) -> bool:
    numbers = [int(word) for word in kernel.partition("-")[0].split(".")[:2] if word.isdigit()]
    return numbers >= [5, 12]


def _module_refuses(failure: Failure, evidence: Evidence) -> Obstacle | None:
    """AppArmor or SELinux; they answer EACCES where the kernel itself would say EPERM, or say both."""
    if failure.errno not in (errno.EPERM, errno.EACCES) or failure.stage == "proc":
        return None
    label, enforced = evidence.profile, failure.errno == errno.EACCES
    if enforced and evidence.selinux and ":" in label:
        return Obstacle(cause="selinux", reason=f"SELinux forbids it to processes labelled {label}")
    if enforced and label.endswith("(enforce)") and not label.startswith("unprivileged_userns"):
        return Obstacle(
            cause="apparmor-profile", reason=f"the AppArmor profile {label.partition(' ')[0]} forbids mounts"
        )
    if evidence.euid != 0 and evidence.settings.get("apparmor") == "1":
        return Obstacle(cause="apparmor-userns", reason="AppArmor forbids unprivileged user namespaces")
    return None


def _mount_refused(failure: Failure, evidence: Evidence) -> Obstacle | None:
    if failure.stage == "proc" and failure.errno in (errno.EPERM, errno.EACCES):
        return Obstacle(
            cause="proc-masked",
            reason="the surrounding container hides parts of /proc, so the kernel grants no fresh one",
        )
    if failure.stage != "overlay":
        return None
    if not evidence.overlay_known or failure.errno == errno.ENODEV:
        return Obstacle(cause="overlay-missing", reason="the kernel has no overlay file system")
    return Obstacle(cause="overlay-refused", reason=f"an overlay mount is refused ({failure.error})")
