"""A containerd of our own, for `ctr`."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from services.process import Tool, daemon, require, service_folder

_CONFIG = """\
version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{folder}/containerd.sock"
[ttrpc]
  address = "{folder}/containerd.sock.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/opt"
"""


@contextmanager
def containerd_engine() -> Iterator[Tool]:
    """`ctr` talking to a fresh containerd. Needs root."""
    program, client = require("containerd", "containerd"), require("ctr", "containerd")
    with service_folder("containerd") as folder:
        (folder / "config.toml").write_text(_CONFIG.format(folder=folder))
        ctr = Tool(prefix=(client, "--address", f"{folder}/containerd.sock", "--namespace", "lading"))
        command = [program, "--config", f"{folder}/config.toml"]
        with daemon(command, log=folder / "log", ready=lambda: _answers(ctr)):
            yield ctr


def _answers(ctr: Tool) -> bool:
    return (
        subprocess.run([*ctr.prefix, "version"], capture_output=True, check=False, timeout=30).returncode == 0
    )
