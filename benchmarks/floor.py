"""The floor: what must happen to every byte of a wheel that becomes a layer, and nothing else.

Each member is inflated (isal), its inflated and its compressed form go through sha256, its compressed form is
written to disk. No parsing, no RECORD, no tar; big blocks; as many threads as asked, each with whole members,
the largest first. Nothing that hashes both forms and writes one can be faster with these libraries.
"""

from __future__ import annotations

import argparse
import hashlib
import mmap
import os
import struct
import tempfile
import time
import zipfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from isal import isal_zlib

from benchmarks.wheels61 import fetch_wheels

_BLOCK_BYTES = 1 << 20
_LOCAL_HEADER_BYTES = 30
_DEFLATED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One stream in a mapped wheel."""

    wheel: mmap.mmap
    start: int
    compressed_bytes: int
    deflated: bool


def measure_floor(wheels: Iterable[Path], threads: int) -> float:
    """Seconds for all of `wheels`."""
    with ExitStack() as stack, tempfile.TemporaryDirectory(dir=_scratch()) as scratch:
        members = [member for wheel in wheels for member in _members(wheel, stack)]
        members.sort(key=lambda member: member.compressed_bytes, reverse=True)
        began = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            shares = [members[number :: threads * 64] for number in range(threads * 64)]
            list(pool.map(_handle, shares, [Path(scratch) / str(n) for n in range(len(shares))]))
        return time.perf_counter() - began


def _handle(members: Sequence[Member], path: Path) -> None:
    compressed_hash, inflated_hash = hashlib.sha256(), hashlib.sha256()
    output = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        for member in members:
            inflate = isal_zlib.decompressobj(-15) if member.deflated else None
            view = memoryview(member.wheel)
            end = member.start + member.compressed_bytes
            for start in range(member.start, end, _BLOCK_BYTES):
                block = view[start : min(end, start + _BLOCK_BYTES)]
                compressed_hash.update(block)
                inflated_hash.update(inflate.decompress(block) if inflate else block)
                os.write(output, block)
    finally:
        os.close(output)


def _members(wheel: Path, stack: ExitStack) -> list[Member]:
    with wheel.open("rb") as file:
        mapped = stack.enter_context(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))
        entries = zipfile.ZipFile(file).infolist()
    return [
        Member(
            wheel=mapped,
            start=_data_start(mapped, entry.header_offset),
            compressed_bytes=entry.compress_size,
            deflated=entry.compress_type == _DEFLATED,
        )
        for entry in entries
    ]


def _data_start(mapped: mmap.mmap, header: int) -> int:
    name_bytes, extra_bytes = struct.unpack_from("<HH", mapped, header + 26)
    return header + _LOCAL_HEADER_BYTES + int(name_bytes) + int(extra_bytes)


def _scratch() -> str:
    """The disk the wheels are on; a tmpfs would flatter the floor."""
    from benchmarks.places import BENCH

    BENCH.mkdir(parents=True, exist_ok=True)
    return str(BENCH)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    wheels = fetch_wheels()
    seconds = sorted(measure_floor(wheels, options.threads) for _ in range(options.rounds))
    print(f"floor: {seconds[len(seconds) // 2]:.2f} s median of {options.rounds}, {options.threads} threads")


if __name__ == "__main__":
    main()
