"""Laws of explaining: files have owners, savings save what they say, GPU code is counted by architecture."""

from __future__ import annotations

import io
import json
import random
import struct
import tarfile
from pathlib import Path

import pytest

from inspected.test_image import explained, tar_of
from lading.inspect.diff.compare import compare_images
from lading.inspect.explain.explanation import Explanation, as_json, why_here
from lading.inspect.explain.sbom import image_sbom
from lading.inspect.image.fatbin import FatbinScanner
from lading.inspect.image.model import Where
from lading.store import Store

SITE = "usr/lib/python3.12/site-packages"


def _dist(
    name: str, version: str, requires: str = "", files: tuple[str, ...] = ()
) -> list[tuple[str, bytes]]:
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + (
        f"Requires-Dist: {requires}\n" if requires else ""
    )
    record = "".join(f"{path},,\n" for path in (*files, f"{info}/METADATA", f"{info}/RECORD"))
    return [(f"{SITE}/{info}/METADATA", metadata.encode()), (f"{SITE}/{info}/RECORD", record.encode())]


STATUS = """Package: libx
Status: install ok installed
Architecture: amd64
Version: 1.0-1

Package: toolx
Status: install ok installed
Architecture: amd64
Version: 2.0-1
Depends: libx (>= 1.0) | other
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open({"LADING_HOME": str(tmp_path / "store")})


def _noise(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


def _layers() -> tuple[bytes, bytes]:
    base = tar_of(
        ("lib", (tarfile.SYMTYPE, "usr/lib")),
        ("usr/lib/libx.so", b"\x7fELF" + _noise(5000, 1)),
        ("var/lib/dpkg/status", STATUS.encode()),
        ("var/lib/dpkg/info/libx:amd64.list", b"/.\n/lib\n/lib/libx.so\n"),
        ("etc/os-release", b"ID=debian\nVERSION_CODENAME=trixie\n"),
        ("root/.cache/pip/http/aa", _noise(400_000, 2)),
        ("app/old.bin", _noise(600_000, 3)),
    )
    top = tar_of(
        (f"{SITE}/big/__init__.py", b"x = 1\n"),
        (f"{SITE}/big/__pycache__/__init__.cpython-312.pyc", _noise(900, 4)),
        (f"{SITE}/big/tests/test_big.py", _noise(300_000, 5)),
        (f"{SITE}/big/data.bin", _noise(200_000, 6)),
        ("app/data.bin", _noise(200_000, 6)),
        ("app/.wh.old.bin", b""),
        *_dist(
            "Big",
            "1.0",
            "small>=1; python_version > '3'",
            ("big/__init__.py", "big/tests/test_big.py", "big/data.bin"),
        ),
        *_dist("small", "2.0", "", ("small.py",)),
        (f"{SITE}/small.py", b"y = 2\n"),
    )
    return base, top


def test_files_belong_to_the_packages_that_list_them(store: Store) -> None:
    """dpkg's lists through /lib → usr/lib, wheels by RECORD, bytecode by its source."""
    explanation = explained(store, *_layers())
    owner = explanation.packages.owner
    said = {
        path: found.label if (found := owner(path)) else None
        for path in ("usr/lib/libx.so", f"{SITE}/big/__pycache__/__init__.cpython-312.pyc", "app/data.bin")
    }
    assert list(said.values()) == ["libx 1.0-1", "big 1.0", None]
    assert why_here(explanation.packages, "small") == (("big 1.0", "small 2.0"),)
    assert why_here(explanation.packages, "libx") == (("toolx 2.0-1", "libx 1.0-1"),)


def test_conda_apk_and_distroless_records_are_read(store: Store) -> None:
    conda = {"name": "numpy", "version": "2.0", "depends": ["libblas >=3"], "files": ["lib/np.so"]}
    blas = {"name": "libblas", "version": "3.9", "depends": [], "files": ["lib/blas.so"]}
    apk = "P:musl\nV:1.2\np:so:libc.musl.so=1\nF:lib\nR:ld.so\n\n"
    apk += "P:zlib\nV:1.3\nD:so:libc.musl.so\nF:lib\nR:z.so\n"
    explanation = explained(
        store,
        tar_of(
            ("opt/conda/conda-meta/numpy-2.0-0.json", json.dumps(conda).encode()),
            ("opt/conda/conda-meta/libblas-3.9-0.json", json.dumps(blas).encode()),
            ("opt/conda/lib/np.so", b"n"),
            ("lib/apk/db/installed", apk.encode()),
            ("lib/z.so", b"z"),
            ("var/lib/dpkg/status.d/tzdata", b"Package: tzdata\nVersion: 1\n"),
            ("var/lib/dpkg/status.d/tzdata.md5sums", b"0123  usr/share/zoneinfo/UTC\n"),
            ("usr/share/zoneinfo/UTC", b"u"),
        ),
    )
    owner = explanation.packages.owner
    found = [owner(path) for path in ("opt/conda/lib/np.so", "lib/z.so", "usr/share/zoneinfo/UTC")]
    assert [package and package.label for package in found] == ["numpy 2.0", "zlib 1.3", "tzdata 1"]
    assert why_here(explanation.packages, "libblas") == (("numpy 2.0", "libblas 3.9"),)
    assert why_here(explanation.packages, "musl") == (("zlib 1.3", "musl 1.2"),)


def _without(explanation: Explanation, tars: tuple[bytes, ...]) -> list[bytes]:
    """The same layers, made again without what the three largest savings name."""
    dropped = {w for s in explanation.suggested if s.kind != "duplicate" for w in s.members}
    linked = {w for s in explanation.suggested if s.kind == "duplicate" for w in s.members}
    made = []
    for number, tar in enumerate(tars):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=io.BytesIO(tar)) as old, tarfile.open(fileobj=buffer, mode="w") as new:
            for index, member in enumerate(old):
                where = Where(number, index)
                if where in dropped:
                    continue
                if where in linked:
                    member.type, member.linkname, member.size = tarfile.LNKTYPE, "elsewhere", 0
                new.addfile(member, old.extractfile(member) if member.isreg() else None)
        made.append(buffer.getvalue())
    return made


def test_the_three_largest_savings_save_what_they_say_when_applied(store: Store) -> None:
    """Within 5 % unpacked and as stored; layers made again by Python's tarfile and gzip."""
    tars = _layers()
    explanation = explained(store, *tars)
    kinds = [saving.kind for saving in explanation.suggested]
    assert kinds == ["hidden", "cache", "ballast"]
    after = explained(store, *_without(explanation, tars))
    for said, true in (
        (
            sum(saving.size_bytes for saving in explanation.suggested),
            explanation.image.unpacked_bytes - after.image.unpacked_bytes,
        ),
        (
            sum(saving.packed_bytes for saving in explanation.suggested),
            explanation.image.packed_bytes - after.image.packed_bytes,
        ),
    ):
        assert abs(said - true) <= 0.05 * true


def test_no_member_is_saved_twice(store: Store) -> None:
    savings = explained(store, *_layers()).savings
    members = [where for saving in savings for where in saving.members]
    assert len(members) == len(set(members))


def test_the_document_is_json_and_adds_up(store: Store) -> None:
    document = json.loads(json.dumps(as_json(explained(store, *_layers()))))
    assert sum(line["size_bytes"] for line in document["lines"]) == document["unpacked_bytes"]
    assert sum(line["packed_bytes"] for line in document["lines"]) == document["packed_bytes"]


def test_the_bill_of_materials_names_every_package_once(store: Store) -> None:
    document = json.loads(image_sbom(explained(store, *_layers())))
    assert [component["purl"] for component in document["components"]] == [
        "pkg:deb/debian/libx@1.0-1?arch=amd64&distro=trixie",
        "pkg:deb/debian/toolx@2.0-1?arch=amd64&distro=trixie",
        "pkg:pypi/big@1.0",
        "pkg:pypi/small@2.0",
    ]
    edges = {line["ref"]: line.get("dependsOn", []) for line in document["dependencies"]}
    assert edges["pkg:pypi/big@1.0"] == ["pkg:pypi/small@2.0"]


def test_a_difference_is_empty_with_itself_and_names_what_changed(store: Store) -> None:
    base, top = _layers()
    first = explained(store, base, top)
    assert compare_images(first, first).is_empty
    info = f"{SITE}/small-2.0.dist-info"
    more = tar_of(
        *_dist("small", "3.0", "", ("small.py",)),
        (f"{SITE}/small.py", b"y = 3\n"),
        (f"{info}/.wh.METADATA", b""),
        (f"{info}/.wh.RECORD", b""),
    )
    difference = compare_images(first, explained(store, base, top, more))
    assert [(c.name, c.before, c.after) for c in difference.packages] == [("small", "2.0", "3.0")]
    assert difference.shared_prefix == 2
    assert f"{SITE}/small.py" in difference.changed


def _fatbin(*entries: tuple[int, int, int]) -> bytes:
    body = b""
    for kind, arch, size in entries:
        body += struct.pack("<HHIQIIHHI", kind, 0x101, 64, size, 0, 0, 0, 0, arch).ljust(64, b"\0") + bytes(
            size
        )
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(body)) + body


@pytest.mark.parametrize("step", [1, 7, 64, 1000, 1 << 20])
def test_gpu_code_is_found_however_the_bytes_arrive(step: int) -> None:
    """Two containers between noise; a magic that is no container and one that is cut short do not count."""
    magic = b"\x50\xed\x55\xba"
    file = b"\x7fELF" + b"x" * 90 + magic + b"y" * 50 + _fatbin((2, 80, 800), (1, 90, 96)) + b"z" * 24
    file += _fatbin((2, 86, 160)) + _fatbin((2, 75, 4096))[:-100]
    scanner = FatbinScanner()
    for start in range(0, len(file), step):
        scanner.feed(file[start : start + step])
    assert [(e.kind, e.arch, e.end - e.start) for e in scanner.entries] == [
        ("sass", 80, 864),
        ("ptx", 90, 160),
        ("sass", 86, 224),
    ]


def test_two_cudas_and_code_for_other_gpus_are_said(store: Store) -> None:
    """Machine code runs on GPUs of its own major version and the same or a later minor one."""
    library = b"\x7fELF".ljust(4096, b"\0") + _fatbin((2, 80, 800), (2, 90, 1600), (1, 90, 96))
    explanation = explained(
        store,
        tar_of(
            (f"{SITE}/nvidia/cublas/lib/libcublas.so.12", library),
            ("usr/local/cuda-13.0/lib64/libcublas.so.13", library + b"more"),
            *_dist("nvidia_cublas_cu12", "12.8.4.1", "", ("nvidia/cublas/lib/libcublas.so.12",)),
            *_dist("nvidia_cublas_cu13", "13.0.0"),
        ),
    )
    gpu = explanation.gpu
    assert [line.partition(" (")[0] for line in gpu.majors] == ["CUDA 12", "CUDA 13"]
    assert len(gpu.copies) == 1
    assert [(code.name, code.size_bytes) for code in gpu.useless_for(86)] == [("sm_90", 2 * 1664)]
    assert gpu.useless_for(90) == tuple(code for code in gpu.code if code.name == "sm_80")
