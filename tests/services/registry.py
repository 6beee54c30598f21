"""Debian's registry on a free loopback port."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from services.process import daemon, require, service_folder


@contextmanager
def image_registry() -> Iterator[str]:
    """`127.0.0.1:PORT` of an empty registry that asks for no password and allows deletes."""
    program = require("docker-registry", "docker-registry")
    with service_folder("registry") as folder:
        address = f"127.0.0.1:{_free_port()}"
        config = {
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
            "http": {"addr": address},
        }
        # JSON is YAML.
        (folder / "config.yml").write_text(json.dumps(config))
        command = [program, "serve", str(folder / "config.yml")]
        with daemon(command, log=folder / "log", ready=lambda: _answers(address)):
            yield address


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _answers(address: str) -> bool:
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", "/v2/")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
