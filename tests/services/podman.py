"""Podman, buildah and skopeo with storage of their own. They have no daemon."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.process import Tool, require, service_folder

RUN_LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")
"""For `podman run`: its own defaults exceed what a container host may allow."""


@contextmanager
def container_storage() -> Iterator[Path]:
    """A folder for images and containers; whatever is left mounted in it is unmounted through podman."""
    podman = require("podman", "podman")
    with service_folder("podman") as folder:
        yield folder
        tool = Tool(prefix=(podman, *_storage(folder)))
        tool("rm", "--all", "--force", check=False)
        tool("rmi", "--all", "--force", check=False)


def podman_in(folder: Path) -> Tool:
    """`podman` on the storage in `folder`; runc and cgroupfs, because crun refuses hybrid cgroups."""
    prefix = (require("podman", "podman"), *_storage(folder), "--tmpdir", f"{folder}/tmp")
    return Tool(
        prefix=(*prefix, "--cgroup-manager", "cgroupfs", "--runtime", "runc", "--events-backend", "none")
    )


def buildah_in(folder: Path) -> Tool:
    """`buildah` on the same storage."""
    return Tool(prefix=(require("buildah", "buildah"), *_storage(folder)))


def _storage(folder: Path) -> tuple[str, ...]:
    return ("--root", f"{folder}/root", "--runroot", f"{folder}/run", "--storage-driver", "overlay")
