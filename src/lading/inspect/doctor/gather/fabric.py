"""What lies between GPUs: network cards for NCCL, shared memory, NUMA nodes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lading.inspect.doctor.gather.storage import gather_place
from lading.inspect.doctor.host import Fabric, Mount, Port
from lading.inspect.doctor.machine import Machine, is_folder

_INFINIBAND = "/sys/class/infiniband"
_NODES = "/sys/devices/system/node"


def gather_fabric(machine: Machine, mounts: tuple[Mount, ...]) -> Fabric:
    status = machine.text("/proc/self/status")
    allowed = re.search(r"^Cpus_allowed_list:\s*(\S+)", status, re.MULTILINE)
    shared = machine.path("/dev/shm")
    return Fabric(
        ports=tuple(_ports(machine)),
        verbs=any(name.startswith("uverbs") for name in machine.names("/dev/infiniband")),
        peer_memory=machine.exists("/sys/module/nvidia_peermem") or machine.exists("/sys/module/nv_peer_mem"),
        locked_memory_bytes=_locked_memory(machine.text("/proc/self/limits")),
        interfaces=machine.names("/sys/class/net"),
        nodes={
            int(name.removeprefix("node")): parse_processors(machine.text(f"{_NODES}/{name}/cpulist"))
            for name in machine.names(_NODES)
            if re.fullmatch(r"node\d+", name)
        },
        processors=parse_processors(allowed[1]) if allowed else frozenset(),
        shared_memory=gather_place(machine, shared, mounts) if is_folder(shared) else None,
    )


def _ports(machine: Machine) -> Iterator[Port]:
    for device in machine.names(_INFINIBAND):
        for number in machine.names(f"{_INFINIBAND}/{device}/ports"):
            place = f"{_INFINIBAND}/{device}/ports/{number}"
            yield Port(
                device=device,
                number=number,
                state=machine.text(f"{place}/state").partition(":")[2].strip(),
                layer=machine.text(f"{place}/link_layer").strip(),
            )


def _locked_memory(limits: str) -> int | None:
    match = re.search(r"^Max locked memory\s+(\S+)", limits, re.MULTILINE)
    return int(match[1]) if match and match[1].isdecimal() else None


def parse_processors(text: str) -> frozenset[int]:
    """`0-3,8` as the kernel writes it. Pure."""
    found: set[int] = set()
    for part in text.strip().split(","):
        first, dash, last = part.partition("-")
        if first.isdecimal() and (last.isdecimal() or not dash):
            found |= set(range(int(first), int(last if dash else first) + 1))
    return frozenset(found)
