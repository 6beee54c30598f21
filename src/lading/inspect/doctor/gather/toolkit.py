"""NVIDIA's container toolkit and the specifications of the Container Device Interface."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from lading.inspect.doctor.host import CdiFile, Toolkit
from lading.inspect.doctor.machine import Machine

_FOLDERS = ("/etc/cdi", "/var/run/cdi", "/run/cdi")
_VERSION = re.compile(r"lib(?:cuda|nvidia-ml)\.so\.(\d{3,4}\.\d+(?:\.\d+)?)$")
_FIRST_GPU = "/dev/char/195:0"
_MOST_MISSING = 3


def gather_toolkit(machine: Machine) -> Toolkit:
    configuration = machine.text("/etc/nvidia-container-runtime/config.toml")
    return Toolkit(
        control=machine.which("nvidia-ctk"),
        runtime=machine.which("nvidia-container-runtime"),
        hook=machine.which("nvidia-container-runtime-hook") or machine.which("nvidia-container-toolkit"),
        no_cgroups=re.search(r"^\s*no-cgroups\s*=\s*true", configuration, re.MULTILINE) is not None,
        specifications=tuple(_specifications(machine)),
        has_device_links=machine.exists(_FIRST_GPU),
    )


def _specifications(machine: Machine) -> Iterator[CdiFile]:
    seen = set()
    for folder in _FOLDERS:
        real = machine.path(folder).resolve()
        if real in seen:
            continue
        seen.add(real)
        for name in machine.names(folder):
            if name.endswith((".yaml", ".json")):
                yield _read(machine, f"{folder}/{name}")


def _read(machine: Machine, path: str) -> CdiFile:
    import yaml

    text = machine.text(path)
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        document = json.loads(text) if path.endswith(".json") else yaml.load(text, Loader=loader)
    except (ValueError, yaml.YAMLError) as error:
        return CdiFile(path=path, fault=f"it cannot be read: {' '.join(str(error).split())[:120]}")
    if not isinstance(document, dict) or not document.get("cdiVersion"):
        return CdiFile(path=path, fault="it has no cdiVersion")
    kind = str(document.get("kind", ""))
    if "/" not in kind or not isinstance(document.get("devices"), list):
        return CdiFile(path=path, fault="it has no kind or no devices")
    hosts = list(dict.fromkeys(_host_paths(document)))
    return CdiFile(
        path=path,
        kind=kind,
        devices=tuple(str(one.get("name")) for one in document["devices"] if isinstance(one, dict)),
        missing=tuple(place for place in hosts if not machine.exists(place))[:_MOST_MISSING],
        versions=tuple(sorted({match[1] for place in hosts if (match := _VERSION.search(place))})),
    )


def _host_paths(document: dict[str, Any]) -> Iterator[str]:
    """Devices and mounts that must be there on the host."""
    parts = [document, *(one for one in document["devices"] if isinstance(one, dict))]
    for part in parts:
        edits = part.get("containerEdits")
        if not isinstance(edits, dict):
            continue
        for node in edits.get("deviceNodes") or ():
            if isinstance(node, dict) and (place := node.get("hostPath") or node.get("path")):
                yield str(place)
        for mount in edits.get("mounts") or ():
            if isinstance(mount, dict) and (place := mount.get("hostPath")):
                yield str(place)
