"""What is known of a host: frozen values, gathered by `gather`, judged by `causes`. Pure.

No secret is in here: of credentials only whether they are there, of proxies no user name and no password.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lading.engine.embedded.probe import Evidence, Obstacle
from lading.engine.nvidia import HostGpus
from lading.inspect.doctor.machine import Space
from lading.inspect.doctor.smi import SmiGpu
from lading.lock.model import LockedCuda


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    target: str
    kind: str
    options: frozenset[str]
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A folder, and the file system it is or would be on."""

    path: str
    nearest: str
    """The folder itself, or the nearest above it that is there."""
    owner: int
    writable: bool
    space: Space | None
    mount: Mount | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    evidence: Evidence
    obstacle: Obstacle | None = None
    """What keeps containers from namespaces of their own."""
    failed: str = ""
    """The step that was refused, in words."""
    disk_scratch: bool = True
    """Whether what a container writes can go to the store's file system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cgroups:
    mounted: bool = True
    read_only: bool = False
    own: str = ""
    """The group of this process, as a folder."""
    controllers: frozenset[str] = frozenset()
    """Those that some hierarchy has."""
    writable: bool = True
    """Whether groups can be made for runs."""
    memory_limit_bytes: int | None = None
    command_line: str = ""
    """Words of the kernel's command line about control groups."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A file with certificates that a variable names."""

    variable: str
    path: str
    there: bool
    readable: bool = True
    certificates: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    variable: str
    shown: str
    """Without user name and password."""
    scheme: str = ""
    host: str = ""
    port: int = 0
    fault: str = ""
    """Why it is no address of a proxy."""
    refused: str = ""
    """Why nothing answers there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    proxies: tuple[Proxy, ...] = ()
    bypasses: tuple[str, ...] = ()
    """What NO_PROXY names."""
    bundles: tuple[Bundle, ...] = ()
    has_socks: bool = True
    """Whether Python here can talk to a SOCKS proxy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where Debian packages and wheels would come from."""

    mirror: str = ""
    """Empty: none is known."""
    verifier: str = ""
    """What checks signatures; empty for nothing."""
    uv_certificates: bool = True
    """Whether uv, as lading calls it, is told of the bundle of certificates."""
    missing_folders: tuple[str, ...] = ()
    """Folders of wheels that are named and not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of asking an index, a mirror or a registry."""

    what: str
    """`package index`, `Debian mirror`, `registry`."""
    address: str
    """Without user name and password."""
    fault: str = ""
    """The cause; empty where the answer was good."""
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogIns:
    """A file with registry credentials; of the secrets only whether they are there."""

    path: str
    fault: str = ""
    mode: int = 0o600
    holds_secrets: bool = False
    missing_helpers: tuple[tuple[str, str], ...] = ()
    """Helper → what it is for, where its program is not in PATH."""
    headless_helpers: tuple[str, ...] = ()
    """Helpers that need a desktop session, where there is none."""
    empty: tuple[str, ...] = ()
    """Registries with an entry that holds nothing."""
    garbled: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    """Registries that have an entry or a helper of their own."""
    expired: tuple[tuple[str, datetime], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Docker:
    """The docker command and what its daemon says."""

    program: str
    info: Mapping[str, Any] | None = None
    words: str = ""
    """What it said instead of an answer."""
    late: bool = False
    address: str = ""
    """DOCKER_HOST."""
    local: bool = True
    """Whether its daemon is on this host, and not in a virtual machine."""
    socket: str = ""
    """The socket it would use; empty for other ways."""
    socket_there: bool = False
    configuration: Mapping[str, Any] | None = None
    """/etc/docker/daemon.json."""
    configuration_fault: str = ""
    nvidia_path: str = ""
    """Of the runtime nvidia, as the daemon has it."""
    nvidia_there: bool = True
    """Whether there is such a program."""
    data: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Podman:
    program: str
    user: str
    has_subids: bool = True
    has_mapper: bool = True
    """Whether newuidmap is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A GPU of NVIDIA's on the PCI bus, driver or not."""

    address: str
    driver: str
    """The kernel module that has it; empty for none."""
    numa_node: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFile:
    name: str
    mode: int
    owner: str
    """`uid:gid`."""
    usable: bool
    """Whether this process may read and write it, by its mode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CdiFile:
    """One specification of the Container Device Interface."""

    path: str
    fault: str = ""
    kind: str = ""
    devices: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    """Host files it names that are not there."""
    versions: tuple[str, ...] = ()
    """Of the driver's libraries it names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolkit:
    """NVIDIA's container toolkit."""

    control: str | None = None
    """nvidia-ctk."""
    runtime: str | None = None
    """nvidia-container-runtime."""
    hook: str | None = None
    """nvidia-container-runtime-hook: what `--gpus` of Docker runs."""
    no_cgroups: bool = False
    specifications: tuple[CdiFile, ...] = ()
    has_device_links: bool = True
    """Whether /dev/char names the GPUs' device files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mps:
    """The Multi-Process Service's folder of pipes."""

    pipes: str
    asked: bool
    """Whether the environment names the folder."""
    there: bool = False
    usable: bool = True
    daemon: bool = False
    """Whether its control daemon lives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpus:
    driver: HostGpus = field(default_factory=HostGpus)
    cards: tuple[Card, ...] = ()
    installed_libraries: Mapping[str, str] = field(default_factory=dict)
    installed_programs: Mapping[str, str] = field(default_factory=dict)
    integrated: bool = False
    """A Tegra: its GPU is on no bus, and its driver has other files."""
    open_module: bool = False
    """Whether the loaded module is of NVIDIA's open flavour."""
    module_built: bool | None = None
    """Whether nvidia.ko is there for the running kernel; None where that cannot be seen."""
    secure_boot: bool = False
    library_version: str | None = None
    library_mounted: bool = False
    """Whether libcuda is a file of the host's, mounted into this container."""
    devices: tuple[DeviceFile, ...] = ()
    smi: tuple[SmiGpu, ...] = ()
    smi_words: str = ""
    """What nvidia-smi said when it failed."""
    smi_late: bool = False
    cuda_status: int | None = None
    """What `cuInit` returned; None where it was not called."""
    links: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Two GPUs → how they are connected, by nvidia-smi's topology."""
    mps: Mps | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    device: str
    number: str
    state: str
    layer: str
    """`InfiniBand` or `Ethernet`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fabric:
    ports: tuple[Port, ...] = ()
    verbs: bool = True
    """Whether /dev/infiniband/uverbs* are there."""
    peer_memory: bool = True
    """Whether the network card can read a GPU's memory: nvidia_peermem, or dma-buf."""
    locked_memory_bytes: int | None = None
    """None: no limit."""
    interfaces: tuple[str, ...] = ()
    nodes: Mapping[int, frozenset[int]] = field(default_factory=dict)
    """NUMA node → its processors."""
    processors: frozenset[int] = frozenset()
    """Those this process may use."""
    shared_memory: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one target in a lock asks of its host."""

    target: str
    accelerator: str
    cuda: LockedCuda


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    now: datetime
    euid: int
    container: str
    """What this process runs in: `docker`, `podman`, `kubernetes` …; empty for a host of its own."""
    environment: Mapping[str, str] = field(repr=False)
    kernel: Kernel
    cgroups: Cgroups
    store: Place | None
    network: Network
    sources: Sources
    log_ins: tuple[LogIns, ...]
    docker: Docker | None
    podman: Podman | None
    gpus: Gpus
    toolkit: Toolkit
    fabric: Fabric
    answers: tuple[Answer, ...] = ()
    """Empty where nobody was asked."""
    needs: tuple[Need, ...] = ()
    """Of the lock in the folder the doctor was called in."""
