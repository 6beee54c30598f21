"""Docker and Podman beside lading: whether they can be used. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lading.engine.local.client import is_stopped, refuses_user
from lading.inspect.doctor.cause import Area, cause
from lading.inspect.doctor.host import Docker, Host
from lading.inspect.doctor.model import Severity, Sign

_LITTLE_BYTES = 2 << 30


def unusable(docker: Docker | None) -> str:
    """Why Docker's daemon does not answer, as one cause; empty where it does, and without Docker."""
    if docker is None or docker.info is not None:
        return ""
    words = docker.words.lower()
    if docker.late:
        return "docker-hangs"
    if refuses_user(words):
        return "docker-permission"
    if "error response from daemon" in words:
        return "docker-versions" if "api version" in words else "docker-fails"
    if docker.address:
        return "docker-host-wrong"
    if docker.configuration_fault:
        return "docker-configuration"
    return "docker-stopped" if is_stopped(words) or not docker.socket_there else "docker-fails"


def _unusable(host: Host, name: str, *facts: str, remedy: str) -> Iterator[Sign]:
    if host.docker is not None and unusable(host.docker) == name:
        said = (f"docker info: {host.docker.words}",) if host.docker.words else ()
        yield Sign(proof=(*facts, *said), remedy=remedy)


@cause(
    "docker-stopped", "Docker is installed, and its daemon does not run", Area.ENGINE, Severity.INFO,
    "docker info",
)  # fmt: skip
def docker_stopped(host: Host) -> Iterator[Sign]:
    """lading needs no Docker. For `lading build --load docker` and for images that are to run in it, start
    it. Without systemd: `sudo dockerd`.
    """
    if host.docker is not None:
        there = "is there, and nobody listens" if host.docker.socket_there else "is not there"
        yield from _unusable(
            host, "docker-stopped", f"{host.docker.socket} {there}", remedy="sudo systemctl start docker"
        )


@cause(
    "docker-permission", "This user may not use Docker", Area.ENGINE, Severity.WARNING,
    "Docker: post-installation steps for Linux",
)  # fmt: skip
def docker_permission(host: Host) -> Iterator[Sign]:
    """The daemon runs, and its socket is for root and the group `docker`. Who is in that group is root on
    this host in all but name. A shell that was open before has the group only after `newgrp docker`.
    """
    yield from _unusable(
        host, "docker-permission", f"uid {host.euid}", remedy="sudo usermod --append --groups docker $USER"
    )


@cause(
    "docker-hangs", "Docker's daemon does not answer", Area.ENGINE, Severity.WARNING,
    "docker info, within 3 s",
)  # fmt: skip
def docker_hangs(host: Host) -> Iterator[Sign]:
    """The socket takes connections and gives no answer: a daemon that waits for a disk, a network file
    system or a plugin. Its log says for what.
    """
    yield from _unusable(
        host, "docker-hangs", "no answer in 3 s", remedy="sudo journalctl --unit docker --lines 50"
    )


@cause(
    "docker-versions", "Docker's command and its daemon are too far apart", Area.ENGINE, Severity.WARNING,
    "Docker Engine API: oldest and newest version",
)  # fmt: skip
def docker_versions(host: Host) -> Iterator[Sign]:
    """The command speaks an older API than the daemon still takes, or a newer one: Docker 29 wants 1.44,
    which is Docker 25. Mostly a command of the distribution beside a daemon of Docker's own packages, or an
    image with an old command that is given the socket.
    """
    yield from _unusable(host, "docker-versions", remedy="docker version")


@cause(
    "docker-fails", "Docker's daemon answers with an error", Area.ENGINE, Severity.WARNING, "docker info",
)  # fmt: skip
def docker_fails(host: Host) -> Iterator[Sign]:
    """It runs, this user may ask it, and it cannot say how it is. Its log has the reason: a full or failing
    disk below its data, a plugin, a storage driver that does not fit the kernel.
    """
    yield from _unusable(host, "docker-fails", remedy="sudo journalctl --unit docker --lines 50")


@cause(
    "docker-host-wrong", "DOCKER_HOST leads nowhere", Area.ENGINE, Severity.WARNING, "DOCKER_HOST",
)  # fmt: skip
def docker_host_wrong(host: Host) -> Iterator[Sign]:
    """The variable names a daemon that does not answer, whatever the one on this host does: left over from
    Minikube, from rootless Docker, or from another shell.
    """
    if host.docker is not None:
        yield from _unusable(
            host, "docker-host-wrong", f"DOCKER_HOST={host.docker.address}", remedy="unset DOCKER_HOST"
        )


@cause(
    "docker-configuration", "Docker cannot start: its daemon.json is broken", Area.ENGINE, Severity.WARNING,
    "dockerd: unable to configure the Docker daemon with file /etc/docker/daemon.json",
)  # fmt: skip
def docker_configuration(host: Host) -> Iterator[Sign]:
    """The daemon refuses to start with a configuration that is no JSON. An edit by hand for GPUs is the
    usual reason; `nvidia-ctk runtime configure` edits it without harm.
    """
    if host.docker is not None:
        yield from _unusable(
            host,
            "docker-configuration",
            f"/etc/docker/daemon.json: {host.docker.configuration_fault}",
            remedy="python3 -m json.tool /etc/docker/daemon.json",
        )


@cause(
    "docker-vfs", "Docker copies every layer in full", Area.ENGINE, Severity.WARNING,
    "docker info: Driver; storage driver vfs",
)  # fmt: skip
def docker_vfs(host: Host) -> Iterator[Sign]:
    """The storage driver `vfs` has no layers: an image of ten layers takes ten times its size, and each
    container a copy. Docker falls back to it where overlay is refused: inside a container without a
    volume for `/var/lib/docker`, or on a file system without d_type.
    """
    info = host.docker.info if host.docker is not None else None
    if info is not None and info.get("Driver") == "vfs":
        yield Sign(proof=("docker info: Storage Driver: vfs", f"in {info.get('DockerRootDir', '?')}"))


@cause(
    "docker-disk-full", "Less than 2 GB is free where Docker keeps images", Area.ENGINE, Severity.WARNING,
    "docker info: DockerRootDir; statvfs(3)",
)  # fmt: skip
def docker_disk_full(host: Host) -> Iterator[Sign]:
    """Loading and pulling images fails, and containers cannot write. `docker system df` says what takes the
    room.
    """
    data = host.docker.data if host.docker is not None else None
    same = host.store is not None and data is not None and data.mount == host.store.mount
    if data is not None and not same and data.space is not None and data.space.free_bytes < _LITTLE_BYTES:
        yield Sign(
            proof=(f"{data.path}: {data.space.free_bytes / 1e9:.1f} GB free",), remedy="docker system df"
        )


@cause(
    "docker-without-proxy", "This shell has a proxy, and Docker's daemon has none", Area.ENGINE,
    Severity.WARNING, "docker info: HttpsProxy; Docker: configure the daemon to use a proxy",
)  # fmt: skip
def docker_without_proxy(host: Host) -> Iterator[Sign]:
    """Images are pulled by the daemon, not by this shell, and it was started without the proxy: pulls time
    out while `curl` works. Write `{"proxies": {"https-proxy": "http://…"}}` into
    `/etc/docker/daemon.json` (Docker 23 and later) or a systemd drop-in, and restart it.
    """
    info = host.docker.info if host.docker is not None else None
    named = [one for one in host.network.proxies if one.variable.upper() != "HTTP_PROXY" and not one.fault]
    local = host.docker is not None and host.docker.local
    if info is not None and local and named and not info.get("HttpsProxy") and not info.get("HTTPSProxy"):
        yield Sign(
            proof=(f"{named[0].variable}={named[0].shown}", "docker info: no HTTPS Proxy"),
            remedy="docker info --format '{{.HTTPSProxy}}'",
        )


@cause(
    "podman-subids", "Podman has no range of user ids for this user", Area.ENGINE, Severity.WARNING,
    "subuid(5); rootless Podman",
)  # fmt: skip
def podman_subids(host: Host) -> Iterator[Sign]:
    """Rootless Podman maps many users of an image to a range that `/etc/subuid` gives. Without one, pulling
    ends with `potentially insufficient UIDs or GIDs available`. lading maps one user and needs none.
    """
    podman = host.podman
    if podman is not None and host.euid != 0 and not podman.has_subids:
        yield Sign(
            proof=(f"/etc/subuid has no line for {podman.user}",),
            remedy=f"sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {podman.user}",
        )


@cause(
    "podman-newuidmap", "Podman lacks newuidmap", Area.ENGINE, Severity.WARNING,
    "newuidmap(1), package uidmap",
)  # fmt: skip
def podman_newuidmap(host: Host) -> Iterator[Sign]:
    """The range in `/etc/subuid` is there, and the program that may map it is not: `exec: "newuidmap":
    executable file not found`.
    """
    podman = host.podman
    if podman is not None and host.euid != 0 and podman.has_subids and not podman.has_mapper:
        yield Sign(
            proof=(f"/etc/subuid has a range for {podman.user}", "there is no newuidmap in PATH"),
            remedy="sudo apt-get install uidmap",
        )
