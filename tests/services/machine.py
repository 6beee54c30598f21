"""A freshly installed Debian: a root of its own that commands are run in, as any user.

Not a container: the root is made the real root (pivot_root), so the kernel allows what a machine's does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.people import USER_ID, passed_environment
from services.process import Tool, require, service_folder

PACKAGES = ("python3", "python3-venv", "make", "git", "ca-certificates")
"""All that the fresh machine has beyond what every Debian has."""
HOME = "/home/someone"

_ENTER = """\
set -e
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount --rbind /dev dev
mount --rbind /sys sys
mount -t tmpfs -o mode=1777 tmpfs tmp
mkdir -p .old
pivot_root . .old
umount -l /.old
cd "$2"
shift 2
exec "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A Debian root on this disk, with one ordinary user called someone."""

    root: Path

    def tool(self, *, user_id: int = 0, folder: str = "/", env: Mapping[str, str] | None = None) -> Tool:
        """Runs commands in the machine, in an environment of its own. Needs root outside."""
        home = HOME if user_id else "/root"
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        settings = {**passed_environment(wheel_folders=False), "HOME": home, "PATH": path, **(env or {})}
        switch = (f"--reuid={user_id}", f"--regid={user_id}", "--clear-groups") if user_id else ()
        command = [require("unshare", "util-linux"), "--mount", "--pid", "--fork", "--kill-child"]
        command += ["/bin/sh", "-c", _ENTER, "enter", str(self.root), folder, "/usr/bin/setpriv", *switch]
        command += ["/usr/bin/env", "--ignore-environment", *(f"{k}={v}" for k, v in settings.items())]
        return Tool(prefix=tuple(command), timeout_seconds=900)

    def path(self, inside: str) -> Path:
        """Where a path of the machine is on this disk."""
        return self.root / inside.lstrip("/")


def make_root_archive(target: Path, suite: str, packages: tuple[str, ...] = PACKAGES) -> None:
    """A minimal Debian of `suite` plus `packages`, as a tar file, from the mirror mmdebstrap knows."""
    mmdebstrap = Tool(prefix=(require("mmdebstrap", "mmdebstrap"), "--quiet", "--variant=minbase"))
    mmdebstrap(f"--include={','.join(packages)}", suite, target)


@contextmanager
def machine(archive: Path) -> Iterator[Machine]:
    """A machine made from `archive`, with this host's resolver and trusted authorities, gone afterwards."""
    with service_folder("machine") as folder:
        root = folder / "root"
        root.mkdir()
        folder.chmod(0o755)
        subprocess.run(["tar", "-C", str(root), "-xpf", str(archive)], check=True)
        connect(root)
        yield Machine(root=root)


def connect(root: Path) -> None:
    """Give `root` what an administrator gives a new machine: name servers, authorities, a user."""
    for name in ("etc/resolv.conf", "etc/hosts"):
        (root / name).unlink(missing_ok=True)
        shutil.copy(f"/{name}", root / name)
    # A host behind an intercepting proxy trusts one authority more than Debian does.
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", root / "etc/ssl/certs/ca-certificates.crt")
    with (root / "etc/passwd").open("a") as users:
        users.write(f"someone:x:{USER_ID}:{USER_ID}::{HOME}:/bin/sh\n")
    with (root / "etc/group").open("a") as groups:
        groups.write(f"someone:x:{USER_ID}:\n")
    home = root / HOME.lstrip("/")
    home.mkdir()
    os.chown(home, USER_ID, USER_ID)


def copy_sources(repository: Path, target: Path, *, owner: int) -> None:
    """What a fresh clone holds: the files Git tracks or would track, as they are now; no .git."""
    listed = subprocess.run(
        ["git", "-C", str(repository), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
        text=True,
    )
    for name in sorted(set(listed.stdout.split("\0")) - {""}):
        source = repository / name
        if not source.is_file():
            continue  # deleted, not yet committed
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target / name)
    for found in (target, *target.rglob("*")):
        os.chown(found, owner, owner, follow_symlinks=False)
