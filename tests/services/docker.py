"""A Docker engine of our own: data, sockets and processes apart from any other on this machine."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from services.process import Tool, daemon, require, service_folder


@contextmanager
def docker_engine(*, bridge: bool = False) -> Iterator[Tool]:
    """`docker` talking to a fresh dockerd. Needs root.

    Without `bridge` containers have `--network host` or none, and no firewall rule here is touched.
    Debian's client is used even where a newer one comes first in PATH: it has BuildKit built in.
    """
    dockerd, client = require("dockerd", "docker.io"), require("docker", "docker.io")
    with service_folder("docker") as folder:
        socket = f"unix://{folder}/docker.sock"
        command = [
            dockerd,
            "--host",
            socket,
            "--data-root",
            f"{folder}/data",
            "--exec-root",
            f"{folder}/exec",
        ]
        command += ["--pidfile", f"{folder}/pid", "--config-file", f"{folder}/daemon.json"]
        if not bridge:
            command += ["--bridge", "none", "--iptables=false", "--ip6tables=false"]
        (folder / "daemon.json").write_text("{}")
        (folder / "client").mkdir()
        env = {"DOCKER_CONFIG": f"{folder}/client", "DOCKER_BUILDKIT": "1"}
        docker = Tool(prefix=(client, "--host", socket), env=env)
        with daemon(command, log=folder / "log", ready=lambda: _answers(docker)):
            yield docker
            _remove_containers(docker)


def _answers(docker: Tool) -> bool:
    done = subprocess.run([*docker.prefix, "version"], capture_output=True, check=False, timeout=30)
    return done.returncode == 0


def _remove_containers(docker: Tool) -> None:
    if names := docker("ps", "--all", "--quiet").stdout.split():
        docker("rm", "--force", *names)
