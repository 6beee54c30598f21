"""Docker and Podman: whether they are there, and what they say."""

from __future__ import annotations

import json
import os
from typing import Any

from lading.inspect.doctor.gather.storage import gather_place
from lading.inspect.doctor.host import Docker, Mount, Podman
from lading.inspect.doctor.machine import Answer, Machine

_PATIENCE_SECONDS = 3.0
_SOCKET = "/var/run/docker.sock"
_LOCAL_CONTEXTS = ("", "default", "rootless")


def gather_docker(machine: Machine, mounts: tuple[Mount, ...]) -> Docker | None:
    program = machine.which("docker")
    if program is None:
        return None
    answer = machine.ask(program, "info", "--format", "{{json .}}", seconds=_PATIENCE_SECONDS)
    info, words = _read_info(answer)
    if info is not None and {"host", "store"} <= info.keys():
        return None  # Podman, called by Docker's name
    configuration, fault = _configuration(machine)
    address = machine.environment.get("DOCKER_HOST", "")
    by_socket = not address or address.startswith("unix://")
    socket = (address.removeprefix("unix://") or str(machine.path(_SOCKET))) if by_socket else ""
    client = (info or {}).get("ClientInfo")
    context = str(client.get("Context") or "") if isinstance(client, dict) else ""
    local = by_socket and context in _LOCAL_CONTEXTS
    root = info.get("DockerRootDir") if info else None
    nvidia = _nvidia_path(info or {})
    return Docker(
        program=program,
        info=info,
        words=words,
        late=answer.late,
        address=address,
        local=local,
        socket=socket,
        socket_there=bool(socket) and os.path.lexists(socket),
        configuration=configuration,
        configuration_fault=fault,
        nvidia_path=nvidia,
        nvidia_there=machine.exists(nvidia)
        if nvidia.startswith("/")
        else machine.which(nvidia or "sh") is not None,
        data=gather_place(machine, machine.path(root), mounts)
        if isinstance(root, str) and local and root
        else None,
    )


def _nvidia_path(info: dict[str, Any]) -> str:
    runtimes = info.get("Runtimes")
    entry = runtimes.get("nvidia") if isinstance(runtimes, dict) else None
    return str(entry.get("path") or "") if isinstance(entry, dict) else ""


def _read_info(answer: Answer) -> tuple[dict[str, Any] | None, str]:
    """What the daemon says; without one, what the command says. Some releases end with 0 all the same."""
    words = " ".join(answer.complained.split())
    try:
        info = json.loads(answer.said)
    except ValueError:
        return None, words or " ".join(answer.said.split())
    if not isinstance(info, dict):
        return None, words
    if errors := info.get("ServerErrors"):
        return None, " ".join(str(error) for error in errors)
    known = info.get("ServerVersion") or {"host", "store"} <= info.keys()
    return (info, "") if known else (None, words)


def _configuration(machine: Machine) -> tuple[dict[str, Any] | None, str]:
    if not (text := machine.text("/etc/docker/daemon.json")).strip():
        return None, ""
    try:
        document = json.loads(text)
    except ValueError as error:
        return None, f"it is no JSON: {error}"
    return (document, "") if isinstance(document, dict) else (None, "it holds no JSON object")


def gather_podman(machine: Machine, euid: int) -> Podman | None:
    program = machine.which("podman")
    if program is None:
        return None
    user = user_name(machine, euid)
    lines = machine.text("/etc/subuid").splitlines()
    return Podman(
        program=program,
        user=user,
        has_subids=any(line.partition(":")[0] in (user, str(euid)) for line in lines),
        has_mapper=machine.which("newuidmap") is not None,
    )


def user_name(machine: Machine, uid: int) -> str:
    """As the passwd file says; the number where it does not."""
    for line in machine.text("/etc/passwd").splitlines():
        fields = line.split(":")
        if len(fields) > 2 and fields[2] == str(uid):
            return fields[0]
    return str(uid)
