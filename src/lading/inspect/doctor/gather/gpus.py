"""GPUs: cards on the bus, the driver's module, files and programs, and what nvidia-smi and CUDA say."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lading.engine.nvidia import (
    HostGpus,
    driver_libraries,
    driver_programs,
    driver_version,
    find_gpus,
    nvidia_root,
    program_environment,
)
from lading.inspect.doctor.host import Card, DeviceFile, Gpus, Mount, Mps
from lading.inspect.doctor.machine import Machine, is_folder
from lading.inspect.doctor.smi import SmiGpu, parse_report, parse_topology

_NVIDIA = "0x10de"
_DISPLAY = "0x03"
_PATIENCE_SECONDS = 10.0
_FILE_VERSION = re.compile(r"\.so\.(\d{3,4}\.\d+(?:\.\d+)?)$")
_DEFAULT_PIPES = "/tmp/nvidia-mps"


def gather_gpus(machine: Machine, mounts: tuple[Mount, ...], euid: int) -> Gpus:
    root = nvidia_root(machine.environment) if machine.root == Path("/") else machine.root
    libraries, programs = driver_libraries(root), driver_programs(root)
    cards = tuple(_cards(machine))
    if driver_version(root) is None:
        return Gpus(
            cards=cards,
            installed_libraries=libraries,
            installed_programs=programs,
            module_built=_module_built(machine) if cards else None,
            secure_boot=_secure_boot(machine) if cards else False,
        )
    library = libraries.get("libcuda.so.1", "")
    version = _FILE_VERSION.search(library)
    smi, words, late, topology = _ask_smi(machine, programs.get("nvidia-smi"), libraries)
    driver = find_gpus(root, ask=not late)
    devices = tuple(_devices(root, euid))
    return Gpus(
        driver=driver,
        cards=cards,
        installed_libraries=libraries,
        installed_programs=programs,
        integrated="tegra" in machine.text("/proc/device-tree/compatible"),
        open_module="Open Kernel Module" in machine.text("/proc/driver/nvidia/version"),
        library_version=version[1] if version else None,
        library_mounted=any(mount.target == library for mount in mounts),
        devices=devices,
        smi=smi,
        smi_words=words,
        smi_late=late,
        cuda_status=_cuda_status(machine, driver, devices, library, late=late),
        links=parse_topology(topology),
        mps=_mps(machine),
    )


def _cards(machine: Machine) -> Iterator[Card]:
    folder = "/sys/bus/pci/devices"
    for name in machine.names(folder):
        place = f"{folder}/{name}"
        if machine.text(f"{place}/vendor").strip() != _NVIDIA:
            continue
        if machine.text(f"{place}/class").strip().startswith(_DISPLAY):
            node = machine.text(f"{place}/numa_node").strip()
            driver = machine.path(f"{place}/driver")
            yield Card(
                address=name,
                driver=driver.readlink().name if driver.is_symlink() else "",
                numa_node=int(node) if node.isdecimal() else -1,
            )


def _module_built(machine: Machine) -> bool | None:
    """Whether there is a module for the running kernel; None without the folder of its modules."""
    kernel = machine.text("/proc/sys/kernel/osrelease").strip()
    folder = machine.path(f"/lib/modules/{kernel}")
    if not kernel or not is_folder(folder):
        return None
    return any(True for _ in folder.rglob("nvidia.ko*")) or any(
        True for _ in folder.rglob("nvidia-current.ko*")
    )


def _secure_boot(machine: Machine) -> bool:
    """The last byte of the firmware's variable."""
    folder = "/sys/firmware/efi/efivars"
    for name in machine.names(folder):
        if name.startswith("SecureBoot-"):
            try:
                return machine.path(f"{folder}/{name}").read_bytes()[-1:] == b"\x01"
            except OSError:
                return False
    return False


def _ask_smi(
    machine: Machine, program: str | None, libraries: dict[str, str]
) -> tuple[tuple[SmiGpu, ...], str, bool, str]:
    """Report, words of a failure, whether it was too slow, and the matrix of connections."""
    if program is None:
        return (), "", False, ""
    environment = program_environment(libraries)
    with ThreadPoolExecutor(max_workers=2) as pool:
        asked = [
            pool.submit(machine.ask, program, *words, seconds=_PATIENCE_SECONDS, environment=environment)
            for words in (("-q", "-x"), ("topo", "-m"))
        ]
        report, topology = (one.result() for one in asked)
    smi = parse_report(report.said) if report.status == 0 else ()
    words = "" if smi else " ".join(f"{report.said} {report.complained}".split())[:300]
    return smi, words, report.late, topology.said if topology.status == 0 else ""


def _devices(root: Path, euid: int) -> Iterator[DeviceFile]:
    names = [path.name for path in sorted((root / "dev").glob("nvidia*")) if not is_folder(path)]
    for name in names:
        if re.fullmatch(r"nvidia\d+|nvidiactl|nvidia-uvm", name):
            try:
                told = (root / "dev" / name).stat()
            except OSError:
                continue
            yield DeviceFile(
                name=name,
                mode=stat.S_IMODE(told.st_mode),
                owner=f"{told.st_uid}:{told.st_gid}",
                usable=_may_use(told, euid),
            )


def _may_use(told: os.stat_result, euid: int) -> bool:
    groups = {os.getegid(), *os.getgroups()}
    mode = told.st_mode
    bits = mode >> 6 if told.st_uid == euid else mode >> 3 if told.st_gid in groups else mode
    return euid == 0 or bits & 6 == 6


def _cuda_status(
    machine: Machine, driver: HostGpus, devices: tuple[DeviceFile, ...], library: str, *, late: bool
) -> int | None:
    """Only where every device file is there: else the driver would try to make them."""
    names = {device.name for device in devices if device.usable}
    if late or not library or not driver.gpus or not {"nvidiactl", "nvidia-uvm"} <= names:
        return None
    return machine.cuda(library, machine.environment)


def _mps(machine: Machine) -> Mps | None:
    named = machine.environment.get("CUDA_MPS_PIPE_DIRECTORY")
    pipes = Path(named) if named else machine.path(_DEFAULT_PIPES)
    there = is_folder(pipes)
    if not named and not there:
        return None
    usable = there and machine.access(pipes, os.R_OK | os.X_OK)
    names = os.listdir(pipes) if usable else []
    if not named and "control" not in names and "control_privileged" not in names and usable:
        return None
    return Mps(
        pipes=str(pipes),
        asked=bool(named),
        there=there,
        usable=usable or not there,
        daemon=_is_alive(machine, pipes),
    )


def _is_alive(machine: Machine, pipes: Path) -> bool:
    """By the file with its number, else by its name among all processes."""
    try:
        number = (pipes / "nvidia-cuda-mps-control.pid").read_text().strip()
    except OSError:
        number = ""
    if number.isdecimal():
        return machine.exists(f"/proc/{number}")
    names = (machine.text(f"/proc/{name}/comm") for name in machine.names("/proc") if name.isdecimal())
    return any(name.startswith("nvidia-cuda-mps") for name in names)
