"""Debian trixie's Docker on a machine of another release: in a root of its own, with the host's kernel.

dockerd runs in a mount namespace whose root is that Debian, so what it mounts goes with it. What dockerd
writes lies apart from the root, and is removed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from services.process import Tool, daemon, require, service_folder

CONTAINERD_STORE = {"features": {"containerd-snapshotter": True}}
_PACKAGES = "docker.io,docker-cli,docker-buildx,ca-certificates"
_CONTEXT = "/mnt"
_ENTER = """\
set -e
root=$1 state=$2 context=$3; shift 3
mount --bind "$root" "$root"
for place in proc sys dev; do mount --rbind "/$place" "$root/$place"; done
mount --bind "$state" "$root/srv"
mount --bind "$context" "$root/mnt"
mount -t tmpfs tmpfs "$root/run"
cd "$root"
mkdir -p .old
pivot_root . .old
umount -l .old
exec "$@"
"""
"""A plain chroot would not do: runc pivots into a container's root, which takes a root that is a mount."""


@contextmanager
def trixie_docker(root: Path, context: Path, settings: Mapping[str, object]) -> Iterator[Tool]:
    """`docker` of the trixie in `root` with a fresh dockerd, which sees `context` as `/mnt`. Needs root."""
    with service_folder("docker26") as folder:
        (folder / "daemon.json").write_text(json.dumps(settings))
        socket = "unix:///srv/docker.sock"
        dockerd = ["/usr/sbin/dockerd", "--host", socket, "--config-file", "/srv/daemon.json"]
        dockerd += ["--data-root", "/srv/data", "--exec-root", "/srv/exec", "--pidfile", "/srv/pid"]
        dockerd += ["--bridge", "none", "--iptables=false", "--ip6tables=false"]
        enter = [require("unshare", "util-linux"), "--mount", "--propagation", "private"]
        enter += ["sh", "-c", _ENTER, "sh", str(root), str(folder), str(context)]
        nsenter = require("nsenter", "util-linux")

        def client(pid: int) -> Tool:
            prefix = (nsenter, "--mount", "--target", str(pid), "docker", "--host", socket)
            return Tool(prefix=prefix, env={"DOCKER_CONFIG": "/srv/client"}, timeout_seconds=900)

        with daemon(
            [*enter, *dockerd], log=folder / "log", ready=lambda: (folder / "docker.sock").exists()
        ) as pid:
            docker = client(pid)
            docker("version")
            yield docker


def context_path(*parts: str) -> str:
    """A path below `context` as the client sees it."""
    return "/".join((_CONTEXT, *parts))


def make_trixie_root(root: Path) -> Path:
    """Debian trixie with its Docker, unless it is there already."""
    if not root.exists():
        part = root.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        command = [require("mmdebstrap", "mmdebstrap"), "--quiet", "--variant=minbase", "--format=directory"]
        command += [f"--include={_PACKAGES}", "trixie", str(part)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        part.rename(root)
    return root
