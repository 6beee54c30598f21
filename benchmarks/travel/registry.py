"""Debian's registry on loopback, with what it was sent and asked for counted from its own books.

Nothing stands between a client and the registry, so counting costs the measured commands nothing: what was
sent is what lies in its storage, what was fetched is what its access log says it answered.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.process import daemon, require, service_folder
from services.registry import answers, free_port

_ANSWER = re.compile(r'"GET /v2/[^ "]+/(?:blobs|manifests)/[^ "]+ [^"]*" 200 (?P<bytes>\d+)')


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedRegistry:
    """A registry that can go back to how it was, on the same address."""

    address: str
    folder: Path

    def stored_bytes(self) -> int:
        """The size of all blobs it holds, manifests among them."""
        blobs = self.folder / "data/docker/registry/v2/blobs"
        return sum(path.stat().st_size for path in blobs.rglob("data"))

    def answered_bytes(self) -> int:
        """The bytes of all blobs and manifests that it was asked for so far."""
        log = (self.folder / "log").read_text(errors="replace")
        return sum(int(match["bytes"]) for match in _ANSWER.finditer(log))

    def keep(self) -> None:
        """What it holds now is what `go_back` goes back to."""
        shutil.rmtree(self.folder / "kept", ignore_errors=True)
        shutil.copytree(self.folder / "data", self.folder / "kept")

    def go_back(self) -> None:
        """Its storage is a folder that it reads for each request, so it need not be told."""
        shutil.rmtree(self.folder / "data")
        shutil.copytree(self.folder / "kept", self.folder / "data")


@contextmanager
def counted_registry() -> Iterator[CountedRegistry]:
    """An empty registry that writes its access log."""
    program = require("docker-registry", "docker-registry")
    with service_folder("registry") as folder:
        address = f"127.0.0.1:{free_port()}"
        config = {
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": False}},
            "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
            "http": {"addr": address},
        }
        (folder / "data").mkdir()
        (folder / "config.yml").write_text(json.dumps(config))  # JSON is YAML
        command = [program, "serve", str(folder / "config.yml")]
        with daemon(command, log=folder / "log", ready=lambda: answers(address)):
            yield CountedRegistry(address=address, folder=folder)
