"""A stand-in for a host with NVIDIA's driver: the files by which one is known, in a folder in place of `/`.

Its devices are plain files (or, for root, character devices that answer as /dev/zero), its libraries are ELF
headers, its nvidia-smi a script that prints what the real one was seen to print.
"""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path

VERSION = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {version}  Release Build  (dvs-builder@U22)\n"
    "GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n"
)
LIBRARIES = ("libcuda.so.1", "libnvidia-ml.so.1", "libnvidia-ptxjitcompiler.so.1")
ELF64 = b"\x7fELF\x02\x01\x01" + b"\0" * 57


def make_host(
    root: Path,
    driver: str = "535.104.05",
    *,
    memory_mib: tuple[int, ...] = (81559,),
    used_mib: tuple[int, ...] = (),
    folder: str = "opt/driver/lib",
    cached: bool = True,
    smi: bool = True,
    character_devices: bool = False,
) -> Path:
    """A host with one GPU for each of `memory_mib`."""
    (root / "proc/driver/nvidia").mkdir(parents=True)
    (root / "proc/driver/nvidia/version").write_text(VERSION.format(version=driver))
    (root / "dev/nvidia-caps").mkdir(parents=True)
    shared = ("nvidiactl", "nvidia-uvm", "nvidia-caps/nvidia-cap1")
    for name in (*(f"nvidia{index}" for index in range(len(memory_mib))), *shared):
        if character_devices:
            os.mknod(root / "dev" / name, stat.S_IFCHR | 0o666, os.makedev(1, 5))
            (root / "dev" / name).chmod(0o666)
        else:
            (root / "dev" / name).write_bytes(name.encode())
    for index in range(len(memory_mib)):
        place = root / f"proc/driver/nvidia/gpus/0000:0{index}:00.0"
        place.mkdir(parents=True)
        (place / "information").write_text(
            f"Model: \t\t NVIDIA H100 80GB HBM3\nGPU UUID: \t {uuid(index)}\nDevice Minor: \t {index}\n"
        )
    (root / folder).mkdir(parents=True)
    for name in LIBRARIES:
        (root / folder / f"{name.partition('.so')[0]}.so.{driver}").write_bytes(ELF64)
        (root / folder / name).symlink_to(f"{name.partition('.so')[0]}.so.{driver}")
    if cached:
        (root / "etc").mkdir(exist_ok=True)
        (root / "etc/ld.so.cache").write_bytes(
            linker_cache({name: f"/{folder}/{name}" for name in LIBRARIES})
        )
    if smi:
        (root / "usr/bin").mkdir(parents=True)
        program = root / "usr/bin/nvidia-smi"
        used = [*used_mib, *([4] * len(memory_mib))]
        rows = [
            f"{index}, {uuid(index)}, {memory}, {used[index]}, 9.0, NVIDIA H100 80GB HBM3"
            for index, memory in enumerate(memory_mib)
        ]
        program.write_text("#!/bin/sh\ncat <<'END'\n" + "\n".join(rows) + "\nEND\n")
        program.chmod(0o755)
    return root


def uuid(index: int) -> str:
    return f"GPU-0000000{index}-1111-2222-3333-444444444444"


def linker_cache(entries: dict[str, str]) -> bytes:
    """`ld.so.cache` in glibc's new format, written by its documented layout."""
    start = 48 + 24 * len(entries)
    rows, texts = b"", b""
    for name, path in entries.items():
        key = start + len(texts)
        texts += name.encode() + b"\0"
        value = start + len(texts)
        texts += path.encode() + b"\0"
        rows += struct.pack("<iIIIQ", 0x0303, key, value, 0, 0)
    head = b"glibc-ld.so.cache1.1" + struct.pack("<II", len(entries), len(texts)) + b"\0" * 20
    return head + rows + texts
