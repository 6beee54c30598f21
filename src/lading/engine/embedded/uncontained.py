"""The levels without namespaces. chroot: the image's root, another user's rights, no mounts. process: the
image's programs through its own loader, as the caller, with no isolation at all.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import NoReturn

from lading.engine.embedded import linux
from lading.engine.embedded.init import become_payload, give_up_privileges, run_init
from lading.engine.embedded.plan import ContainerPlan
from lading.engine.embedded.process_tree import kill_descendants
from lading.engine.embedded.report import Report
from lading.engine.embedded.rootpath import open_folder_inside
from lading.engine.model import Level

_NOBODY = 65534
"""Root in a chroot without namespaces could leave it, and could write the shared files: it becomes nobody."""


def run_uncontained(
    plan: ContainerPlan, report: Report, lifeline: int, send_terminal: Callable[[int], None]
) -> int:
    """In the freshly forked child: attend to the payload, then kill whatever it left. Answers its status."""
    linux.adopt_orphans()
    terminal = None
    if plan.terminal:
        report.stage = "terminal"
        master, terminal = os.openpty()
        send_terminal(master)
        os.close(master)

    def start() -> NoReturn:
        try:
            if plan.level is Level.CHROOT:
                report.stage = "chroot"
                change_root(plan.root, plan.working_dir, plan.account.uid, plan.account.gid)
            else:
                report.stage = f"working folder {plan.working_dir}"
                os.chdir(plan.working_dir)
                give_up_privileges(bounding=os.geteuid() == 0)
            linux.die_with_parent(signal.SIGKILL)
            report.stage = "start"
            become_payload(plan.payload, terminal)
        except OSError as error:
            report.fail(error)
            os._exit(1)

    def started() -> None:
        report.close()
        if terminal is not None:
            os.close(terminal)

    try:
        return run_init(start, lifeline, started)
    finally:
        kill_descendants(os.getpid())
        _reap_all()


def change_root(path: str, working_dir: str, uid: int, gid: int) -> None:
    """Change root, give every right away. The working folder is looked for inside the new root."""
    root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        working = open_folder_inside(root, working_dir)
    except FileNotFoundError:
        working = open_folder_inside(root, "/tmp")
    os.fchdir(root)
    os.chroot(".")
    os.fchdir(working)
    os.close(root)
    os.close(working)
    linux.drop_bounding_capabilities()
    os.setgroups([])
    gid, uid = gid or _NOBODY, uid or _NOBODY
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    give_up_privileges(bounding=False)


def _reap_all() -> None:
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return
