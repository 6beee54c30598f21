"""Debian's registry on a free loopback port."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from services.process import daemon, require, service_folder

USER, PASSWORD = "tests", "lading-tests"
_HASHED = "$2b$05$abcdefghijklmnopqrstuuhZjj3.BTs18uEhasR4D.1YEoU2oYEre"
"""bcrypt of PASSWORD, which a guarded registry lets in."""


@contextmanager
def image_registry(*, guarded: bool = False) -> Iterator[str]:
    """`127.0.0.1:PORT` of an empty registry that allows deletes; `guarded` it knows USER alone."""
    program = require("docker-registry", "docker-registry")
    with service_folder("registry") as folder:
        address = f"127.0.0.1:{free_port()}"
        config: dict[str, object] = {
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
            "http": {"addr": address},
        }
        if guarded:
            (folder / "htpasswd").write_text(f"{USER}:{_HASHED}\n")
            config["auth"] = {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}
        # JSON is YAML.
        (folder / "config.yml").write_text(json.dumps(config))
        command = [program, "serve", str(folder / "config.yml")]
        with daemon(command, log=folder / "log", ready=lambda: answers(address)):
            yield address


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def answers(address: str) -> bool:
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", "/v2/")
        return connection.getresponse().status in (200, 401)
    except OSError:
        return False
    finally:
        connection.close()
