"""Hosts made of a folder and a few commands: what the doctor would find of a real one.

A plain host is one on which everything works. A case takes it, or one with GPUs, and breaks one thing, as it
was seen broken somewhere; whoever runs the tests, the host's user is `ada`, uid 1234.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lading.engine.embedded.probe import Trial
from lading.engine.embedded.report import Failure
from lading.inspect.doctor.cause import HOST_AREAS, diagnose
from lading.inspect.doctor.gather.whole import gather_host
from lading.inspect.doctor.host import Host
from lading.inspect.doctor.machine import Machine, Space
from lading.inspect.doctor.model import Finding
from nvidia_host import make_host, uuid

DRIVER = "580.65.06"
NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
ROOMY = Space(free_bytes=200 << 30, total_bytes=500 << 30, free_inodes=10_000_000, total_inodes=30_000_000)
GOOD = Trial(failure=None, user_namespace=True, disk_scratch=True)
_GROUP = "/user.slice/app.scope"
_STATUS = {"Uid": "1234\t1234\t1234\t1234", "CapEff": "0", "Seccomp": "0", "Cpus_allowed_list": "0-7"}


class FakeHost:
    """A folder in place of `/`, commands in `bin`, and answers to what no file tells."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "home/ada"
        self.environment: dict[str, str] = {"HOME": str(self.home), "PATH": str(root / "bin")}
        self.status = dict(_STATUS)
        self.mounts: list[str] = ["25 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw"]
        self.cgroup_options = "rw,nosuid"
        self.trial: Trial | None = GOOD
        self.space: dict[str, Space] = {}
        self.refused: dict[tuple[str, int], str] = {}
        self.closed: set[Path] = set()
        """What may not be written or read, and all below it."""
        self.cuda: int | None = 0
        self.now = NOW
        self.patience = 1.0
        self.modules = {"socks"}
        self.home.mkdir(parents=True)
        (root / "bin").mkdir()
        (root / "dev/shm").mkdir(parents=True)
        self.write("proc/sys/kernel/osrelease", "6.8.0-41-generic\n")
        self.write("proc/filesystems", "nodev\tproc\n\text4\nnodev\toverlay\n")
        self.write("proc/self/cgroup", f"0::{_GROUP}\n")
        self.write("proc/self/attr/current", "unconfined\n")
        self.write(
            "proc/self/limits", "Max locked memory         unlimited            unlimited            bytes\n"
        )
        self.write("etc/passwd", "root:x:0:0::/root:/bin/sh\nada:x:1234:1234::/home/ada:/bin/sh\n")
        self.write(f"sys/fs/cgroup{_GROUP}/cgroup.controllers", "cpu memory pids\n")
        self.write(f"sys/fs/cgroup{_GROUP}/cgroup.subtree_control", "cpu memory pids\n")
        self.write("sys/devices/system/node/node0/cpulist", "0-7\n")
        self.write("etc/apt/sources.list", "deb https://mirror.example/debian trixie main\n")
        self.command("gpgv")
        for name in ("lo", "eth0"):
            (root / f"sys/class/net/{name}").mkdir(parents=True)

    def write(self, path: str, text: str, mode: int = 0o644) -> Path:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(mode)
        return place

    def command(self, name: str, script: str = "exit 0", *, folder: str = "bin") -> None:
        self.write(f"{folder}/{name}", f"#!/bin/sh\n{script}\n", 0o755)

    def prints(self, name: str, text: str) -> None:
        """A command that prints `text`."""
        self.command(name, f"/bin/cat {self.write(f'answers/{name}', text)}")

    @property
    def store(self) -> Path:
        return self.home / ".local/share/lading"

    def mount(self, target: str | Path, kind: str, options: str = "rw", source: str = "none") -> None:
        self.mounts.append(f"90 25 0:9 / {target} {options} - {kind} {source} {options}")

    def docker(self, **changes: Any) -> None:
        """Docker, whose daemon answers."""
        info = {
            "ServerVersion": "27.1",
            "Driver": "overlay2",
            "DockerRootDir": "/var/lib/docker",
            "CgroupDriver": "cgroupfs",
            "Runtimes": {"runc": {"path": "runc"}},
            "SecurityOptions": ["name=seccomp,profile=builtin"],
        }
        self.prints("docker", json.dumps(info | changes))

    def no_docker(self, words: str) -> None:
        """Docker, whose daemon does not answer."""
        self.command("docker", f'echo "{words}" >&2; exit 1')

    def auths(self, document: object, mode: int = 0o600) -> None:
        text = document if isinstance(document, str) else json.dumps(document)
        self.write("home/ada/.docker/config.json", text, mode)

    def refuse(self, stage: str, number: int) -> None:
        self.trial = Trial(
            failure=Failure(stage, number, "refused"), user_namespace=False, disk_scratch=False
        )

    def machine(self) -> Machine:
        self.write("proc/self/status", "".join(f"{name}:\t{value}\n" for name, value in self.status.items()))
        mounts = [*self.mounts]
        if self.cgroup_options:
            mounts.append(f"30 25 0:26 / /sys/fs/cgroup {self.cgroup_options} - cgroup2 cgroup2 rw")
        self.write("proc/self/mountinfo", "\n".join(mounts) + "\n")
        return Machine(
            root=self.root,
            environment=self.environment,
            folder=self.home,
            now=self.now,
            space=lambda path: next(
                (space for name, space in self.space.items() if str(path).startswith(name)), ROOMY
            ),
            trial=lambda folder: self.trial,
            connect=lambda host, port: self.refused.get((host, port)),
            access=lambda path, mode: not any(path.is_relative_to(closed) for closed in self.closed),
            patience=self.patience,
            has_module=lambda name: name in self.modules,
            cuda=lambda library, environment: self.cuda,
        )

    def gather(self) -> Host:
        return gather_host(self.machine())

    def findings(self) -> tuple[Finding, ...]:
        return diagnose(HOST_AREAS, self.gather())

    def causes(self) -> list[str]:
        return sorted(finding.cause for finding in self.findings())


def plain_host(root: Path) -> FakeHost:
    return FakeHost(root)


def gpu_host(root: Path, count: int = 1, driver: str = DRIVER, **gpu: str) -> FakeHost:
    """`count` GPUs of NVIDIA's with their driver; `gpu` changes what nvidia-smi says of the first."""
    make_host(root, driver, memory_mib=(81559,) * count)
    host = FakeHost(root)
    for place in (root / "dev").glob("nvidia*"):
        place.chmod(0o666 if place.is_file() else 0o755)
    for index in range(count):
        card(host, "nvidia", index)
    answer_smi(host, report(*([gpu] + [{}] * (count - 1))), count=count)
    return host


def card(host: FakeHost, driver: str = "", index: int = 0, *, node: str = "0") -> None:
    """A GPU on the PCI bus, held by `driver`."""
    place = f"sys/bus/pci/devices/0000:0{index}:00.0"
    for name, text in {"vendor": "0x10de", "class": "0x030200", "numa_node": node}.items():
        host.write(f"{place}/{name}", text + "\n")
    if driver:
        (host.root / place / "driver").symlink_to(f"../../../../bus/pci/drivers/{driver}")


def answer_smi(
    host: FakeHost,
    xml: str,
    *,
    topology: str = "",
    count: int = 1,
    capability: str = "9.0",
    name: str = "NVIDIA H100",
) -> None:
    rows = [f"{index}, {uuid(index)}, 81559, 4, {capability}, {name}" for index in range(count)]
    for file, text in {"xml": xml, "topology": topology, "rows": "\n".join(rows) + "\n"}.items():
        host.write(f"answers/smi-{file}", text)
    folder = host.root / "answers"
    host.command(
        "nvidia-smi",
        f'case "$1" in -q) name=xml;; topo) name=topology;; *) name=rows;; esac; cat {folder}/smi-$name',
        folder="usr/bin",
    )


def fail_smi(host: FakeHost, words: str) -> None:
    host.command("nvidia-smi", f'echo "{words}"; exit 255', folder="usr/bin")


_ELEMENTS = {
    "mig": ("mig_mode", "current_mig"),
    "mig_pending": ("mig_mode", "pending_mig"),
    "required": ("gpu_reset_status", "reset_required"),
    "remap_pending": ("remapped_rows", "remapped_row_pending"),
    "remap_failed": ("remapped_rows", "remapped_row_failure"),
    "fabric": ("fabric", "state"),
    "temperature": ("temperature", "gpu_temp"),
}


def report(*gpus: Mapping[str, str]) -> str:
    """What `nvidia-smi -q -x` prints, in the elements that driver 580 has."""
    parts = [
        '<?xml version="1.0" ?>\n<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">\n<nvidia_smi_log>\n'
        f"<driver_version>{DRIVER}</driver_version><cuda_version>13.0</cuda_version>"
    ]
    usual = {
        "mig": "Disabled",
        "mig_pending": "Disabled",
        "required": "Requested functionality has been deprecated",
        "recovery": "None",
        "fabric": "N/A",
        "temperature": "45 C",
    }
    for index, changes in enumerate(gpus):
        gpu = {**usual, "remap_pending": "No", "remap_failed": "No", **changes}
        parts.append(f'<gpu id="00000000:0{index}:00.0"><product_name>NVIDIA H100 80GB HBM3</product_name>')
        for name, (group, element) in _ELEMENTS.items():
            parts.append(f"<{group}><{element}>{gpu[name]}</{element}></{group}>" if name in gpu else "")
        reasons = "".join(
            f"<clocks_event_reason_{name}>{'Active' if name in gpu.get('slow', '').split() else 'Not Active'}"
            f"</clocks_event_reason_{name}>"
            for name in (
                "gpu_idle",
                "sw_power_cap",
                "hw_slowdown",
                "hw_thermal_slowdown",
                "hw_power_brake_slowdown",
            )
        )
        processes = "<process_info><type>C</type></process_info>" * int(gpu.get("processes", "0"))
        devices = "<mig_device/>" * int(gpu.get("instances", "0")) or "None"
        parts += [
            f"<mig_devices>{devices}</mig_devices><compute_mode>{gpu.get('mode', 'Default')}</compute_mode>",
            f"<clocks_event_reasons>{reasons}</clocks_event_reasons><processes>{processes}</processes>",
            f"<gpu_recovery_action>{gpu['recovery']}</gpu_recovery_action>",
            "<ecc_errors><volatile><sram_uncorrectable_parity>0</sram_uncorrectable_parity>",
            f"<dram_uncorrectable>{gpu.get('errors', '0')}</dram_uncorrectable></volatile>",
            f"<aggregate><sram_threshold_exceeded>{gpu.get('worn', 'No')}</sram_threshold_exceeded>",
            "</aggregate></ecc_errors><pci><pci_gpu_link_info><link_widths><max_link_width>16x</max_link_width>",
            f"<current_link_width>{gpu.get('lanes', '16')}x</current_link_width></link_widths>",
            "</pci_gpu_link_info></pci></gpu>",
        ]
    return "\n".join([*parts, "</nvidia_smi_log>\n"])


def topology(first: str = "NV4") -> str:
    """What `nvidia-smi topo -m` prints of two GPUs."""
    return (
        "\t\x1b[4mGPU0\tGPU1\tCPU Affinity\tNUMA Affinity\x1b[0m\n"
        f"GPU0\t X \t{first}\t0-7\t0\n"
        f"GPU1\t{first}\t X \t0-7\t0\n"
        "\nLegend:\n  SYS  = Connection traversing PCIe\n"
    )


def adapter(host: FakeHost, state: str = "4: ACTIVE", *, verbs: bool = True) -> None:
    """An InfiniBand adapter with one port."""
    place = "sys/class/infiniband/mlx5_0/ports/1"
    host.write(f"{place}/state", state + "\n")
    host.write(f"{place}/link_layer", "InfiniBand\n")
    (host.root / "sys/module/nvidia_peermem").mkdir(parents=True)
    if verbs:
        host.write("dev/infiniband/uverbs0", "")


Break = Callable[[FakeHost], None]
