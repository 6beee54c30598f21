"""The best level: user, mount, PID, IPC, UTS (and network) namespaces around an overlay of the trees.

Needs no privilege and no helper program: one user is mapped, the image's onto the caller, so that what the
container writes belongs to the caller. It all happens between fork and exec; a failure is told by its stage.
Sources: user_namespaces(7), mount_namespaces(7), overlayfs.rst of the kernel.
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from lading.engine.embedded import linux
from lading.engine.embedded.init import become_payload, exit_status, give_up_privileges, run_init
from lading.engine.embedded.plan import ContainerPlan, Place
from lading.engine.embedded.report import Report
from lading.engine.embedded.rootpath import (
    open_file_inside,
    open_folder_inside,
    replace_file_inside,
)

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_DEVICE_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
_READ_ONLY_PROC = ("bus", "fs", "irq", "sys", "sysrq-trigger")
_HIDDEN_PROC = ("acpi", "asound", "kcore", "keys", "latency_stats", "scsi", "sched_debug", "timer_list")
"""A container of the host's root is that root to the files of /proc, capabilities or not."""

_CONTAINED = linux.MS_NOSUID | linux.MS_NODEV
_OVERLAY = "userxattr"


def run_contained(
    plan: ContainerPlan, report: Report, lifeline: int, send_terminal: Callable[[int], None]
) -> int:
    """In the freshly forked child: make the namespaces, then PID 1 in them. Answers the exit status."""
    report.stage = "unshare"
    if os.geteuid() == 0:
        os.setgroups([])
    flags = linux.CLONE_NEWNS | linux.CLONE_NEWPID | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS
    if plan.user_namespace:
        flags |= linux.CLONE_NEWUSER
    if not plan.network:
        flags |= linux.CLONE_NEWNET
    linux.unshare(flags)
    if plan.user_namespace:
        report.stage = "map"
        map_caller(plan.account.uid, plan.account.gid, plan.host_uid, plan.host_gid)
    linux.die_with_parent(signal.SIGKILL)
    pid = os.fork()
    if pid:
        os.close(lifeline)
        report.process(pid)
        report.close()
        return exit_status(os.waitpid(pid, 0)[1])
    linux.die_with_parent(signal.SIGKILL)
    linux.hide_memory()
    terminal = _furnish(plan, report, send_terminal)
    give_up_privileges(bounding=True)
    report.stage = "start"

    def start() -> NoReturn:
        try:
            become_payload(plan.payload, terminal)
        except OSError as error:
            report.fail(error)
            os._exit(1)

    return run_init(start, lifeline, report.close)


def _fill_root(root: int, plan: ContainerPlan, report: Report) -> None:
    report.stage = "proc"
    _mount_proc(root)
    report.stage = "sys"
    _mount_sys(root, plan.network)
    report.stage = "dev"
    _mount_dev(root, plan.shm_bytes)
    _bind_devices(root, plan)
    report.stage = "tmp"
    _make_tmp(root)
    for path, content in plan.etc_files.items():
        report.stage = f"/{path}"
        replace_file_inside(root, path, content)
    for place in plan.places:
        report.stage = f"mount {place.target}"
        _mount_place(root, place)
    for folder in plan.folders:
        report.stage = f"folder {folder}"
        os.close(open_folder_inside(root, folder, create=True))


def map_caller(uid: int, gid: int, host_uid: int, host_gid: int) -> None:
    """One mapping each; without a privileged helper the kernel allows no more."""
    for name, text in (
        ("setgroups", "deny"),
        ("gid_map", f"{gid} {host_gid} 1"),
        ("uid_map", f"{uid} {host_uid} 1"),
    ):
        descriptor = os.open(f"/proc/self/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)


def _furnish(plan: ContainerPlan, report: Report, send_terminal: Callable[[int], None]) -> int | None:
    report.stage = "private mounts"
    linux.mount("none", "/", "", linux.MS_REC | linux.MS_PRIVATE)
    report.stage = "host name"
    linux.set_hostname(plan.hostname)
    if not plan.network:
        report.stage = "loopback"
        linux.bring_loopback_up()
    report.stage = "overlay"
    mount_overlay(plan)
    root = os.open(plan.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    _fill_root(root, plan, report)
    report.stage = f"working folder {plan.working_dir}"
    working = open_folder_inside(root, plan.working_dir, create=True)
    report.stage = "pivot_root"
    os.fchdir(root)
    linux.pivot_root_here()
    if plan.read_only_root:
        report.stage = "read-only root"
        linux.restrict_mount(root, linux.MOUNT_ATTR_RDONLY, recursive=False)
    report.stage = f"working folder {plan.working_dir}"
    os.fchdir(working)
    os.close(working)
    os.close(root)
    if not plan.terminal:
        return None
    report.stage = "terminal"
    master, slave = os.openpty()
    send_terminal(master)
    os.close(master)
    return slave


def mount_overlay(plan: ContainerPlan) -> None:
    """The trees below, a scratch folder above. Names are short and relative: options must fit in one page."""
    os.chdir(plan.folder)
    if not plan.disk_scratch:
        linux.mount("tmpfs", "scratch", "tmpfs", _CONTAINED, "mode=700")
        Path("scratch/upper").mkdir(mode=0o755)
        Path("scratch/work").mkdir()
    lower = ":".join(f"lower/{number}" for number in range(plan.lower_count))
    options = f"lowerdir={lower},upperdir=scratch/upper,workdir=scratch/work,{_OVERLAY}"
    # volatile: what a container leaves in its root is thrown away; nothing of it needs to reach the disk.
    linux.mount("overlay", "root", "overlay", _CONTAINED, f"{options},volatile")


def _kernel_folder(root: int, name: str) -> str:
    """A path to the real folder `/NAME`; refused where the image has a link or a file there (X02)."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o755, dir_fd=root)
    if not stat.S_ISDIR(os.stat(name, dir_fd=root, follow_symlinks=False).st_mode):
        raise NotADirectoryError(20, f"the image has no folder at /{name} but a link or file")
    return f"/proc/self/fd/{root}/{name}"


def _mount_proc(root: int) -> None:
    path = _kernel_folder(root, "proc")
    linux.mount("proc", path, "proc", _CONTAINED | linux.MS_NOEXEC)
    for name in _READ_ONLY_PROC:
        with contextlib.suppress(FileNotFoundError), _cloned(f"{path}/{name}") as (tree, target):
            linux.restrict_mount(tree, linux.MOUNT_ATTR_RDONLY)
            linux.attach_mount(tree, target)
    for name in _HIDDEN_PROC:
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISDIR(os.stat(f"{path}/{name}").st_mode):
                linux.mount("tmpfs", f"{path}/{name}", "tmpfs", linux.MS_RDONLY | _CONTAINED, "size=0")
            else:
                _bind("/dev/null", f"{path}/{name}")


def _mount_sys(root: int, network: bool) -> None:
    path = _kernel_folder(root, "sys")
    flags = linux.MS_RDONLY | linux.MS_NOEXEC | _CONTAINED
    if not network:
        try:
            linux.mount("sysfs", path, "sysfs", flags)
        except OSError:
            pass  # only the owner of a network namespace that hides nothing may; the host's view then
        else:
            return
    tree = linux.clone_mount("/sys")
    try:
        linux.restrict_mount(tree, linux.MOUNT_ATTR_RDONLY)
        target = os.open(path, os.O_PATH | os.O_CLOEXEC)
        linux.attach_mount(tree, target)
        os.close(target)
    finally:
        os.close(tree)


def _mount_dev(root: int, shm_bytes: int) -> None:
    path = _kernel_folder(root, "dev")
    linux.mount("tmpfs", path, "tmpfs", linux.MS_NOSUID | linux.MS_NOEXEC, "mode=755,size=64k")
    for name in _DEVICES:
        os.close(os.open(f"{path}/{name}", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o666))
        _bind(f"/dev/{name}", f"{path}/{name}")
    for name, target in _DEVICE_LINKS.items():
        Path(path, name).symlink_to(target)
    Path(path, "pts").mkdir()
    flags = linux.MS_NOSUID | linux.MS_NOEXEC
    linux.mount("devpts", f"{path}/pts", "devpts", flags, "newinstance,ptmxmode=0666,mode=620")
    Path(path, "shm").mkdir()
    linux.mount(
        "tmpfs", f"{path}/shm", "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, f"mode=1777,size={shm_bytes}"
    )


def _bind_devices(root: int, plan: ContainerPlan) -> None:
    """Over empty files: the container's /dev is a tmpfs of its own, so no image's link lies in the way."""
    for name, source in plan.devices.items():
        path = Path(f"/proc/self/fd/{root}/dev", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o666))
        _bind(source, str(path))


def _bind(source: str, target: str) -> None:
    tree = linux.clone_mount(source)
    try:
        descriptor = os.open(target, os.O_PATH | os.O_CLOEXEC)
        linux.attach_mount(tree, descriptor)
        os.close(descriptor)
    finally:
        os.close(tree)


@contextlib.contextmanager
def _cloned(path: str) -> Iterator[tuple[int, int]]:
    target = os.open(path, os.O_PATH | os.O_CLOEXEC)
    tree = linux.clone_mount(target)
    try:
        yield tree, target
    finally:
        os.close(tree)
        os.close(target)


def _make_tmp(root: int) -> None:
    for name in ("tmp", "var/tmp"):
        folder = open_folder_inside(root, name, create=True)
        Path(f"/proc/self/fd/{folder}").chmod(0o1777)
        os.close(folder)


def _mount_place(root: int, place: Place) -> None:
    if place.source is None:
        target = open_folder_inside(root, place.target, create=True)
        options = f"mode=1777,size={place.size_bytes}"
        linux.mount("tmpfs", f"/proc/self/fd/{target}", "tmpfs", _CONTAINED, options)
        os.close(target)
        return
    tree = linux.clone_mount(place.source)
    try:
        is_folder = stat.S_ISDIR(os.fstat(tree).st_mode)
        attributes = linux.MOUNT_ATTR_NOSUID | linux.MOUNT_ATTR_NODEV
        if place.read_only:
            attributes |= linux.MOUNT_ATTR_RDONLY
        linux.restrict_mount(tree, attributes)
        target = (
            open_folder_inside(root, place.target, create=True)
            if is_folder
            else open_file_inside(root, place.target)
        )
        linux.attach_mount(tree, target)
        os.close(target)
    finally:
        os.close(tree)
