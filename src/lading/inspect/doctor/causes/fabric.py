"""What slows many GPUs down or keeps them apart: NCCL, InfiniBand, shared memory, NUMA, topology. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lading.inspect.doctor.cause import Area, cause
from lading.inspect.doctor.host import Host, Port
from lading.inspect.doctor.model import Severity, Sign

_SMALL_SHARED_BYTES = 512 << 20
_LOW_LOCKED_BYTES = 1 << 30


def _active(host: Host) -> tuple[Port, ...]:
    return tuple(port for port in host.fabric.ports if port.state == "ACTIVE")


def _has_gpus(host: Host) -> bool:
    return bool(host.gpus.driver.gpus)


def _named(value: str) -> list[str]:
    """Names in NCCL's lists: `=eth0`, `^lo`, `eth0:1`; those after `^` are excluded ones."""
    if value.startswith("^"):
        return []
    return [word.partition(":")[0] for word in value.removeprefix("=").split(",") if word]


@cause(
    "shared-memory-missing", "There is no /dev/shm", Area.FABRIC, Severity.ERROR, "shm_open(3)",
)  # fmt: skip
def shared_memory_missing(host: Host) -> Iterator[Sign]:
    """multiprocessing, data loaders with workers and NCCL share memory through it."""
    if host.fabric.shared_memory is None:
        yield Sign(
            proof=("/dev/shm is not there",),
            remedy="sudo mkdir -p /dev/shm && sudo mount -t tmpfs -o size=8g tmpfs /dev/shm",
        )


@cause(
    "shared-memory-small", "/dev/shm is small", Area.FABRIC, Severity.WARNING,
    "Docker's default of 64 MB; docker run --shm-size",
)  # fmt: skip
def shared_memory_small(host: Host) -> Iterator[Sign]:
    """Data loaders with workers die of a bus error (exit status 135), and NCCL fails with `unhandled system
    error`, when `/dev/shm` is full. Docker gives 64 MB unless told (`--shm-size 8g`, compose `shm_size`);
    Kubernetes the same, unless an `emptyDir` with `medium: Memory` is mounted there. lading's own
    containers, at level namespaces, have one of their own: `shm` of a task.
    """
    place = host.fabric.shared_memory
    inside = bool(host.container) or host.kernel.obstacle is not None
    if inside and place is not None and place.space is not None:
        size = place.space.total_bytes
        if 0 < size < _SMALL_SHARED_BYTES:
            yield Sign(proof=(f"/dev/shm: {size / 1e6:.0f} MB",), remedy="docker run --shm-size 8g")


@cause(
    "infiniband-hidden", "InfiniBand is there, and its device files are not", Area.FABRIC, Severity.WARNING,
    "/sys/class/infiniband is the host's in every container; /dev/infiniband is what was granted",
)  # fmt: skip
def infiniband_hidden(host: Host) -> Iterator[Sign]:
    """NCCL finds no usable adapter and goes over TCP: a tenth of the speed, with no error. A container needs
    `/dev/infiniband`; a host needs the module ib_uverbs.
    """
    ports = _active(host)
    if ports and not host.fabric.verbs and _has_gpus(host):
        names = sorted({port.device for port in ports})
        yield Sign(
            proof=(f"/sys/class/infiniband: {', '.join(names)}, ACTIVE", "no /dev/infiniband/uverbs*"),
            remedy="docker run --device /dev/infiniband --ulimit memlock=-1"
            if host.container
            else "sudo modprobe ib_uverbs",
        )


@cause(
    "infiniband-down", "InfiniBand adapters are there, and no port is up", Area.FABRIC, Severity.WARNING,
    "/sys/class/infiniband/*/ports/*/state",
)  # fmt: skip
def infiniband_down(host: Host) -> Iterator[Sign]:
    """No port is ACTIVE: no cable, a switch without subnet manager (state INIT), or a port that was switched
    off (DOWN). NCCL goes over TCP.
    """
    ports = host.fabric.ports
    if ports and not _active(host) and _has_gpus(host):
        yield Sign(
            proof=tuple(
                f"{port.device} port {port.number}: {port.state or 'unknown'} ({port.layer})"
                for port in ports
            ),
            remedy="ibstat",
        )


@cause(
    "locked-memory-low", "Too little memory may be locked for InfiniBand", Area.FABRIC, Severity.WARNING,
    "ulimit -l; ibv_reg_mr: Cannot allocate memory",
)  # fmt: skip
def locked_memory_low(host: Host) -> Iterator[Sign]:
    """An adapter reads memory that is locked; with the usual limit NCCL fails as `Call to ibv_reg_mr failed`
    or `ibv_create_qp failed`. Docker: `--ulimit memlock=-1`. Hosts: `/etc/security/limits.d`. Slurm:
    `LimitMEMLOCK=infinity` for slurmd.
    """
    limit = host.fabric.locked_memory_bytes
    if (
        _active(host)
        and host.fabric.verbs
        and _has_gpus(host)
        and limit is not None
        and limit < _LOW_LOCKED_BYTES
    ):
        yield Sign(
            proof=(f"/proc/self/limits: Max locked memory {limit >> 10} KiB",), remedy="ulimit -l unlimited"
        )


@cause(
    "peer-memory-missing", "InfiniBand cannot read the GPUs' memory", Area.FABRIC, Severity.INFO,
    "GPUDirect RDMA: nvidia_peermem; dma-buf with the open kernel module",
)  # fmt: skip
def peer_memory_missing(host: Host) -> Iterator[Sign]:
    """Data goes through the host's memory on its way to the adapter. The module nvidia_peermem gives the
    direct way; NVIDIA's open kernel modules have another, dma-buf, and need none.
    """
    works = host.fabric.peer_memory or host.gpus.open_module
    if _active(host) and host.fabric.verbs and _has_gpus(host) and not works:
        yield Sign(proof=("the module nvidia_peermem is not loaded",), remedy="sudo modprobe nvidia_peermem")


@cause(
    "nccl-interface-missing", "NCCL_SOCKET_IFNAME names no interface of this host", Area.FABRIC,
    Severity.ERROR, "NCCL: environment variables",
)  # fmt: skip
def nccl_interface_missing(host: Host) -> Iterator[Sign]:
    """`Bootstrap : no socket interface found`: the name is another on this machine, or in this container,
    than where the variable was written down. A prefix is enough (`eth`).
    """
    value = host.environment.get("NCCL_SOCKET_IFNAME", "")
    names, exact = _named(value), value.startswith("=")
    there = host.fabric.interfaces
    known = [
        name for name in names if name in there or (not exact and any(one.startswith(name) for one in there))
    ]
    if names and there and not known:
        yield Sign(
            proof=(f"NCCL_SOCKET_IFNAME={value}", f"/sys/class/net: {', '.join(there)}"),
            remedy="unset NCCL_SOCKET_IFNAME",
        )


@cause(
    "nccl-interface-loopback", "NCCL_SOCKET_IFNAME is the loopback interface", Area.FABRIC,
    Severity.WARNING, "NCCL: environment variables",
)  # fmt: skip
def nccl_interface_loopback(host: Host) -> Iterator[Sign]:
    """Right on one machine; with a second one, each waits for the other at its own address, until the
    time-out.
    """
    value = host.environment.get("NCCL_SOCKET_IFNAME", "")
    if _named(value) == ["lo"]:
        yield Sign(proof=(f"NCCL_SOCKET_IFNAME={value}",), remedy="unset NCCL_SOCKET_IFNAME")


@cause(
    "nccl-adapter-missing", "NCCL_IB_HCA names no adapter of this host", Area.FABRIC, Severity.ERROR,
    "NCCL: environment variables",
)  # fmt: skip
def nccl_adapter_missing(host: Host) -> Iterator[Sign]:
    """NCCL then uses no InfiniBand at all, and goes over TCP. A prefix is enough (`mlx5`); `ibstat -l` lists
    the names.
    """
    value = host.environment.get("NCCL_IB_HCA", "")
    names, there = _named(value), sorted({port.device for port in host.fabric.ports})
    known = any(one.startswith(name) for name in names for one in there)
    if names and there and not known:
        yield Sign(
            proof=(f"NCCL_IB_HCA={value}", f"/sys/class/infiniband: {', '.join(there)}"),
            remedy="unset NCCL_IB_HCA",
        )


@cause(
    "nccl-peers-off", "NCCL may not use the links between GPUs", Area.FABRIC, Severity.WARNING,
    "NCCL_P2P_DISABLE; nvidia-smi topo -m",
)  # fmt: skip
def nccl_peers_off(host: Host) -> Iterator[Sign]:
    """NCCL_P2P_DISABLE=1 sends everything through the host's memory, although NVLink is there. It is advised
    against hangs on machines without it, and then copied on.
    """
    links = {
        f"{first}–{second}: {kind}"
        for (first, second), kind in host.gpus.links.items()
        if kind.startswith("NV")
    }
    if host.environment.get("NCCL_P2P_DISABLE") == "1" and links:
        yield Sign(proof=("NCCL_P2P_DISABLE=1", *sorted(links)[:3]), remedy="unset NCCL_P2P_DISABLE")


@cause(
    "gpus-far-apart", "GPUs reach each other only through the processors", Area.FABRIC, Severity.INFO,
    "nvidia-smi topo -m: SYS",
)  # fmt: skip
def gpus_far_apart(host: Host) -> Iterator[Sign]:
    """`SYS` between two GPUs: their traffic crosses from one processor socket to the other. For a run on
    some of the GPUs, take those that are close (`PIX`, `PXB`, `NV…`).
    """
    far = sorted(pair for pair, kind in host.gpus.links.items() if kind == "SYS")
    if far:
        shown = ", ".join(f"{first}–{second}" for first, second in far[:4])
        yield Sign(proof=(f"nvidia-smi topo -m: SYS between {shown}",), remedy="nvidia-smi topo -m")


@cause(
    "processors-far-from-gpu", "This process may only use processors far from the GPUs", Area.FABRIC,
    Severity.WARNING, "Cpus_allowed_list; /sys/bus/pci/devices/*/numa_node",
)  # fmt: skip
def processors_far(host: Host) -> Iterator[Sign]:
    """All processors that this process may use belong to another NUMA node than any GPU: every copy to a GPU
    crosses sockets. A batch system or a cpuset bound it so.
    """
    fabric = host.fabric
    near: frozenset[int] = frozenset()
    nodes = sorted({card.numa_node for card in host.gpus.cards if card.numa_node >= 0})
    for node in nodes:
        near |= fabric.nodes.get(node, frozenset())
    if _has_gpus(host) and near and fabric.processors and not near & fabric.processors:
        yield Sign(
            proof=(
                f"GPUs are at NUMA node {', '.join(map(str, nodes))}",
                f"Cpus_allowed_list: {len(fabric.processors)} processors, none of them there",
            ),
            remedy=f"numactl --cpunodebind={nodes[0]} --membind={nodes[0]} lading run",
        )


@cause(
    "numa-unknown", "The firmware does not say which processors are near a GPU", Area.FABRIC, Severity.INFO,
    "/sys/bus/pci/devices/*/numa_node: -1",
)  # fmt: skip
def numa_unknown(host: Host) -> Iterator[Sign]:
    """The machine has several NUMA nodes, and a GPU is at none of them: virtual machines without a topology,
    or old firmware. Programs cannot place themselves near the GPU. On a virtual machine, its host
    decides.
    """
    unknown = [card.address for card in host.gpus.cards if card.numa_node < 0]
    if _has_gpus(host) and len(host.fabric.nodes) > 1 and unknown:
        yield Sign(
            proof=(
                f"{len(host.fabric.nodes)} NUMA nodes",
                *(f"{address}: numa_node -1" for address in unknown),
            ),
            remedy="nvidia-smi topo -m",
        )
