"""`lading engines`: where containers can run on this host, at which level, and why not better."""

from __future__ import annotations

import argparse

from lading.cli.containers import open_engine
from lading.cli.parser import Parser
from lading.cli.session import Session

ABOUT = """Say where containers can run here: the engine, the level it reaches, and what would make it better.

  namespaces   own mounts, users, processes and network
  chroot       own files only
  process      the image's files and loader on this host: no isolation"""
EXAMPLES = """Examples:
  lading engines
  lading engines --json | jq .level
  LADING_EMBEDDED_LEVEL=process lading engines"""


def add_arguments(parser: Parser) -> None:
    """None of its own."""


def execute(options: argparse.Namespace, session: Session) -> int:
    from lading.engine.nvidia import find_gpus, nvidia_root

    probe = open_engine(session).probe()
    host = find_gpus(nvidia_root(session.environment))
    if session.as_json:
        session.document(
            {
                "type": "engine",
                "engine": probe.engine,
                "usable": probe.usable,
                "level": probe.level.value if probe.level else None,
                "reason": probe.reason,
                "remedy": probe.remedy,
                "driver": host.driver,
                "gpus": [
                    {
                        "index": gpu.index,
                        "name": gpu.name,
                        "memory_bytes": gpu.memory_bytes,
                        "capability": gpu.capability,
                    }
                    for gpu in host.gpus
                ],
            }
        )
        return 0
    state = f"usable  level {probe.level.value}" if probe.usable and probe.level else "not usable"
    session.line(f"{probe.engine}  {state}")
    if probe.reason:
        session.line(f"  because {probe.reason}")
    if probe.remedy:
        session.line(f"  remedy  {probe.remedy}")
    if host.driver is not None:
        names = ", ".join(gpu.name or "unnamed" for gpu in host.gpus) or "none"
        session.line(f"  gpus    {len(host.gpus)}: {names}; NVIDIA's driver {host.driver}")
    return 0
