"""The GPUs of a host, as its NVIDIA driver shows them: version, devices, libraries. Reads; changes nothing.

No toolkit is asked: /proc/driver/nvidia, the device files, the linker's cache and nvidia-smi tell all. `root`
stands for `/`: a driver that is installed elsewhere (LADING_NVIDIA_ROOT) is looked for below that folder.
Knows nothing of images and containers.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

VARIABLE = "LADING_NVIDIA_ROOT"
_VERSION = re.compile(r"\b(\d{3,4}\.\d+(?:\.\d+)?)\b")
_DEVICE = re.compile(r"nvidia(\d+)")
_SHARED_DEVICES = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset")
_LIBRARIES = (
    "libcuda.so.1",
    "libcudadebugger.so.1",
    "libnvidia-ml.so.1",
    "libnvidia-ptxjitcompiler.so.1",
    "libnvidia-nvvm.so.4",
    "libnvidia-gpucomp.so",
    "libnvidia-opencl.so.1",
    "libnvidia-cfg.so.1",
)
"""What CUDA programs open of the driver, by the names they open it under; most hosts have not all of them."""
_PROGRAMS = ("nvidia-smi", "nvidia-debugdump", "nvidia-cuda-mps-control", "nvidia-cuda-mps-server")
_FOLDERS = (
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/aarch64-linux-gnu",
    "usr/lib64",
    "usr/lib",
    "usr/lib/wsl/lib",
    "usr/local/nvidia/lib64",
    "lib64",
)
_PROGRAM_FOLDERS = ("usr/bin", "usr/local/nvidia/bin", "usr/lib/wsl/lib", "bin")
_ASKED = "index,uuid,memory.total,memory.used,compute_cap,name"
_PATIENCE_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU; what only nvidia-smi knows is None without it."""

    index: int
    """The number of its device file."""
    device: str
    """The device file on the host."""
    uuid: str | None = None
    memory_bytes: int | None = None
    used_bytes: int | None = None
    capability: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostGpus:
    """What the host has. `driver` None: no NVIDIA driver is loaded."""

    driver: str | None = None
    gpus: tuple[Gpu, ...] = ()
    devices: Mapping[str, str] | None = None
    """Shared device files: path below `/dev` → the file on the host."""
    libraries: Mapping[str, str] | None = None
    """Name a program opens → the file on the host."""
    programs: Mapping[str, str] | None = None


def nvidia_root(environment: Mapping[str, str]) -> Path:
    return Path(environment.get(VARIABLE) or "/")


def driver_version(root: Path) -> str | None:
    """The version of the loaded driver; None without one. Two small reads at most."""
    for name in ("proc/driver/nvidia/version", "sys/module/nvidia/version"):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            text = (root / name).read_text()
            line = next((line for line in text.splitlines() if "NVRM" in line), text)
            if match := _VERSION.search(line):
                return match[1]
    return None


def find_gpus(root: Path, *, ask: bool = True) -> HostGpus:
    """Everything about the host's GPUs. Runs nvidia-smi where it is, but for `ask`; never raises."""
    driver = driver_version(root)
    if driver is None:
        return HostGpus()
    libraries = driver_libraries(root)
    programs = driver_programs(root)
    told = _ask(programs.get("nvidia-smi"), libraries) if ask else {}
    written = _information(root)
    return HostGpus(
        driver=driver,
        gpus=tuple(_gpu(index, device, told, written) for index, device in _gpu_devices(root)),
        devices=_shared_devices(root),
        libraries=libraries,
        programs=programs,
    )


def _gpu(index: int, device: str, told: Mapping[str, Gpu], written: Mapping[int, Mapping[str, str]]) -> Gpu:
    """nvidia-smi numbers by bus, device files by age: the UUID says which is which."""
    facts = written.get(index, {})
    uuid = facts.get("GPU UUID")
    known = told.get(uuid or "") or told.get(str(index))
    if known is not None:
        return replace(known, index=index, device=device)
    return Gpu(index=index, device=device, uuid=uuid, name=facts.get("Model"))


def _information(root: Path) -> dict[int, dict[str, str]]:
    """What the driver writes about each GPU, by the number of its device file."""
    found = {}
    for path in sorted(root.glob("proc/driver/nvidia/gpus/*/information")):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            pairs = (line.partition(":") for line in path.read_text().splitlines())
            facts = {name.strip(): value.strip() for name, _, value in pairs}
            if "?" in facts.get("GPU UUID", "?"):  # not every user is told
                facts.pop("GPU UUID", None)
            if (minor := facts.get("Device Minor", "")).isdigit():
                found[int(minor)] = facts
    return found


def _gpu_devices(root: Path) -> list[tuple[int, str]]:
    found = []
    with contextlib.suppress(OSError):
        for name in os.listdir(root / "dev"):
            if match := _DEVICE.fullmatch(name):
                found.append((int(match[1]), str(root / "dev" / name)))
    return sorted(found)


def _shared_devices(root: Path) -> dict[str, str]:
    names = [name for name in _SHARED_DEVICES if (root / "dev" / name).exists()]
    with contextlib.suppress(OSError):
        names += [f"nvidia-caps/{name}" for name in sorted(os.listdir(root / "dev/nvidia-caps"))]
    return {name: str(root / "dev" / name) for name in names}


def driver_libraries(root: Path) -> dict[str, str]:
    """The driver's libraries that are installed, loaded or not: name → file."""
    cached = linker_cache(root)
    found = {}
    for name in _LIBRARIES:
        places = [*cached.get(name, ()), *(f"/{folder}/{name}" for folder in _FOLDERS)]
        for place in places:
            path = root / place.lstrip("/")
            if _is_native(path):
                found[name] = str(path.resolve())
                break
    return found


def _is_native(path: Path) -> bool:
    """A 64-bit ELF file: hosts with multiarch have 32-bit drivers under the same names."""
    try:
        with path.open("rb") as file:
            return file.read(5) == b"\x7fELF\x02"
    except OSError:
        return False


def linker_cache(root: Path) -> dict[str, tuple[str, ...]]:
    """Library name → paths, from the host's /etc/ld.so.cache (format glibc-ld.so.cache1.1)."""
    try:
        content = (root / "etc/ld.so.cache").read_bytes()
    except OSError:
        return {}
    return parse_linker_cache(content)


def parse_linker_cache(content: bytes) -> dict[str, tuple[str, ...]]:
    """Pure. Damaged entries are left out: the standard folders are looked through as well."""
    start = content.find(b"glibc-ld.so.cache1.1")
    if start < 0 or len(content) < start + 48:
        return {}
    count = int.from_bytes(content[start + 20 : start + 24], "little")
    found: dict[str, list[str]] = {}
    for number in range(min(count, len(content) // 24)):
        entry = content[start + 48 + 24 * number :][:24]
        if len(entry) < 24:
            break
        key, value = int.from_bytes(entry[4:8], "little"), int.from_bytes(entry[8:12], "little")
        name, path = (_text_at(content, start + place) for place in (key, value))
        if name and path.startswith("/"):
            found.setdefault(name, []).append(path)
    return {name: tuple(paths) for name, paths in found.items()}


def _text_at(content: bytes, place: int) -> str:
    end = content.find(b"\0", place)
    return content[place:end].decode("utf-8", "replace") if 0 <= place < end else ""


def driver_programs(root: Path) -> dict[str, str]:
    """The driver's programs that are installed: name → file."""
    found = {}
    for name in _PROGRAMS:
        for folder in _PROGRAM_FOLDERS:
            path = root / folder / name
            if path.is_file() and os.access(path, os.X_OK):
                found[name] = str(path.resolve())
                break
    return found


def program_environment(libraries: Mapping[str, str]) -> dict[str, str]:
    """In which the driver's programs find its libraries."""
    folders = ":".join(dict.fromkeys(str(Path(path).parent) for path in libraries.values()))
    return {"PATH": "/usr/bin:/bin", "LD_LIBRARY_PATH": folders, "LC_ALL": "C"}


def _ask(program: str | None, libraries: Mapping[str, str]) -> dict[str, Gpu]:
    """What nvidia-smi says of each GPU, by UUID and by index; nothing where it does not answer."""
    if program is None:
        return {}
    try:
        done = subprocess.run(
            [program, f"--query-gpu={_ASKED}", "--format=csv,noheader,nounits"],
            env=program_environment(libraries),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    return parse_answer(done.stdout.decode("utf-8", "replace")) if done.returncode == 0 else {}


def parse_answer(text: str) -> dict[str, Gpu]:
    """nvidia-smi's rows (`0, GPU-…, 81559, 4, 9.0, NVIDIA H100`) by UUID and by index. Pure."""
    rows: dict[str, Gpu] = {}
    for line in text.splitlines():
        words = [word.strip() for word in line.split(",", 5)]
        if len(words) != 6 or not words[0].isdigit():
            continue
        index, uuid, memory, used, capability, name = words
        gpu = Gpu(
            index=int(index),
            device="",
            uuid=uuid or None,
            memory_bytes=int(memory) << 20 if memory.isdigit() else None,
            used_bytes=int(used) << 20 if used.isdigit() else None,
            capability=capability if re.fullmatch(r"\d+\.\d", capability) else None,
            name=name or None,
        )
        rows |= {index: gpu, uuid: gpu}
    return rows
