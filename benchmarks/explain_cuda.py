"""`lading explain` on a CUDA torch image: does it account for every byte, how soon, are its savings true?

    PYTHONPATH=tests python -m benchmarks.explain_cuda [--json FILE]

Needs about 12 GB of disk. The bytes that are accounted for are counted a second time by Python's gzip and
tarfile; the three largest savings are applied by cutting their members out of each layer's tar (a duplicate
leaves the header of its link), and what that saves is held against what was said; as stored, by the gzip
members that hold them.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.places import BENCH, PYTHON_VERSION, SUITE, user_environment
from benchmarks.report import Row, render_table
from benchmarks.wheels61 import fetch_cuda_closure

_FOLDER = BENCH / "explain"
_PROJECT = f"""\
[image]
python      = "{PYTHON_VERSION}"
base        = "debian:{SUITE}"
accelerator = "cuda"
platform    = "linux/amd64"
add_packages = false
"""
_CHUNK_BYTES = 4 << 20


def lading(*words: str) -> str:
    clean = {name: value for name, value in user_environment().items() if not name.endswith("FIND_LINKS")}
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lading"), *words],
        cwd=_FOLDER / "app",
        env={**clean, "LADING_HOME": str(_FOLDER / "store"), "UV_FIND_LINKS": str(BENCH / "cuda-closure")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def build() -> str:
    """The image's digest, in a store of its own."""
    fetch_cuda_closure(BENCH / "cuda-closure")
    app = _FOLDER / "app"
    app.mkdir(parents=True, exist_ok=True)
    (app / "main.py").write_text("import torch\n\nprint(torch.__version__)\n")
    (app / "requirements.txt").write_text("torch===2.13.0\n")
    (app / "lading.toml").write_text(_PROJECT)
    return lading("build").strip().rpartition("@")[2]


def explained(digest: str) -> tuple[float, dict[str, Any]]:
    """Seconds, and the document."""
    began = time.perf_counter()
    text = lading("explain", digest, "--json")
    return time.perf_counter() - began, json.loads(text)


def unpacked(digest: str, to: Path) -> int:
    """The layer's tar at `to`; its length."""
    blob = _FOLDER / "store/blobs/sha256" / digest.removeprefix("sha256:")
    with gzip.open(blob) as source, to.open("wb") as target:
        shutil.copyfileobj(source, target, _CHUNK_BYTES)
    return to.stat().st_size


def cuts(tar: Path, dropped: Mapping[str, str]) -> Iterator[tuple[int, int]]:
    """Start and end of what goes for each of `dropped`: path → kind of saving."""
    with tarfile.open(tar, "r:") as archive:
        members = archive.getmembers()
        ends = [member.offset for member in members[1:]] + [archive.offset]
        for member, end in zip(members, ends, strict=True):
            kind = dropped.get(member.name)
            if kind is not None:
                yield (member.offset_data if kind == "duplicate" else member.offset), end


def stored_bytes(digest: str, holes: list[tuple[int, int]]) -> float:
    """What of the stored blob goes with `holes`: the gzip members that lie in them, others by their share."""
    blob = _FOLDER / "store/blobs/sha256" / digest.removeprefix("sha256:")
    saved, position, left, at = 0.0, 0, b"", 0
    with blob.open("rb") as file:
        while left or (left := file.read(_CHUNK_BYTES)):
            member, packed, size = zlib.decompressobj(31), 0, 0
            while not member.eof:
                left = left or file.read(_CHUNK_BYTES)
                size += len(member.decompress(left))
                packed += len(left) - len(member.unused_data)
                left = member.unused_data
            end = position + size
            while at < len(holes) and holes[at][1] <= position:
                at += 1
            overlap = 0
            for hole in holes[at:]:
                if hole[0] >= end:
                    break
                overlap += min(hole[1], end) - max(hole[0], position)
            saved += packed * overlap / size if size else 0
            position = end
    return saved


def apply(document: Mapping[str, Any], scratch: Path) -> tuple[int, int, int]:
    """Bytes of all layers by gzip; what the three largest savings really save unpacked, and as stored."""
    dropped: dict[int, dict[str, str]] = defaultdict(dict)
    for saving in document["savings"][:3]:
        for file in saving["files"]:
            dropped[file["layer"]][file["path"]] = saving["kind"]
    total, saved, packed = 0, 0, 0.0
    tar = scratch / "layer.tar"
    for layer in document["layers"]:
        total += unpacked(layer["digest"], tar)
        if layer["number"] in dropped:
            holes = list(cuts(tar, dropped[layer["number"]]))
            assert len(holes) == len(dropped[layer["number"]]), "each file that was named is there"
            saved += sum(end - start for start, end in holes)
            packed += stored_bytes(layer["digest"], holes)
    return total, saved, round(packed)


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.explain_cuda", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="every measurement")
    options = parser.parse_args()
    _FOLDER.mkdir(parents=True, exist_ok=True)
    digest = build()
    cold, document = explained(digest)
    warm = [explained(digest)[0] for _ in range(5)]
    with tempfile.TemporaryDirectory(dir=_FOLDER) as scratch:
        total, saved, packed = apply(document, Path(scratch))
    lines = document["lines"]
    first = document["savings"][:3]
    said = sum(saving["size_bytes"] for saving in first)
    rows = [
        _row("bytes of all layers accounted for", "MB", sum(x["size_bytes"] for x in lines), total, "gzip"),
        _row("the three largest savings, unpacked", "MB", said, saved, "applied"),
        _row(
            "the three largest savings, as stored",
            "MB",
            sum(saving["packed_bytes"] for saving in first),
            packed,
            "cut out of the gzip members",
        ),
        Row(name="explained the first time", unit="s", lading=(cold,), other=(), other_name="", wanted=""),
        Row(
            name="explained again", unit="s", lading=tuple(warm), other=(), other_name="", wanted="at most 5"
        ),
    ]
    for saving in first:
        print(f"{saving['title']}: {saving['size_bytes'] / 1e6:.1f} MB in {len(saving['files'])} files")
    print(f"not accounted for: {total - sum(line['size_bytes'] for line in lines)} bytes")
    print(render_table(rows))
    if options.json is not None:
        options.json.write_text(json.dumps([row.as_json() for row in rows], indent=2) + "\n")


def _row(name: str, unit: str, ours: int, other: int, other_name: str) -> Row:
    return Row(
        name=name,
        unit=unit,
        lading=(ours / 1e6,),
        other=(other / 1e6,),
        other_name=other_name,
        wanted="1, within 0.05",
    )


if __name__ == "__main__":
    main()
