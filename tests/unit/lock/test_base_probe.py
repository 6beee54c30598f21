"""A foreign image is judged by its files: which C library, which Python, which packages."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from foreign_images import Layer, layer_tar, put_tar
from lading.errors import ProjectError, ResolutionFailed
from lading.lock.base.held import without_held, write_placeholders
from lading.lock.base.probe import Probe, is_probed, probe
from lading.lock.pylock import FoundWheel
from lading.registry.stack import read_stack
from lading.store import Store

LIBC = b"\x7fELF" + b"GNU C Library (Debian) stable release version 2.36.\n"
STATUS = b"""Package: libc6
Status: install ok installed
Version: 2.36-9+deb12u10

Package: python3.11-minimal
Status: install ok installed
Version: 3.11.2-6+deb12u6

Package: gone
Status: deinstall ok config-files
Version: 1
"""
DEBIAN: Layer = {
    "usr/lib/os-release": b'ID=debian\nVERSION_CODENAME="bookworm"\n',
    "etc/os-release": "../usr/lib/os-release",
    "var/lib/dpkg/status": STATUS,
}


def metadata(name: str, version: str) -> bytes:
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Dist: six\n\nwords\n".encode()


def probed(folder: Path, *layers: Layer, path: str = "") -> Probe:
    store = Store.open({"LADING_HOME": str(folder)})
    digests = [put_tar(store, layer_tar(layer)).digest for layer in layers]
    env = {"PATH": path} if path else {}
    return probe(read_stack(store, digests, is_probed), env, "some/base:1")


def test_debian_with_its_own_python(tmp_path: Path) -> None:
    python: Layer = {
        "usr/bin/python3.11": b"\x7fELF",
        "usr/bin/python3": "python3.11",
        "usr/lib/python3/dist-packages/six-1.16.0.dist-info/METADATA": metadata("six", "1.16.0"),
    }
    found = probed(tmp_path, DEBIAN, python)

    assert (found.distribution, found.glibc_minor) == ("debian bookworm", 36)
    assert found.packages == {"libc6": "2.36-9+deb12u10", "python3.11-minimal": "3.11.2-6+deb12u6"}
    assert found.python is not None
    assert (found.python.executable, found.python.exact) == ("/usr/bin/python3.11", "3.11.2")
    assert set(found.metadata) == {"six"}


def test_a_python_of_its_own_prefix_goes_before_the_systems(tmp_path: Path) -> None:
    slim: Layer = {
        "usr/bin/python3.11": b"\x7fELF",
        "usr/bin/python3": "python3.11",
        "usr/local/bin/python3.12": b"\x7fELF",
        "usr/local/bin/python3": "python3.12",
        "usr/local/include/python3.12/patchlevel.h": b'#define PY_VERSION             "3.12.7"\n',
    }
    found = probed(tmp_path, DEBIAN, slim).python

    assert found is not None
    assert (found.executable, found.version, found.exact) == ("/usr/local/bin/python3.12", "3.12", "3.12.7")
    assert not found.has_headers


def test_headers_are_those_of_the_python_that_was_found(tmp_path: Path) -> None:
    slim: Layer = {
        "usr/local/bin/python3.12": b"\x7fELF",
        "usr/local/bin/python3": "python3.12",
        "usr/local/include/python3.12/Python.h": b"/* */",
    }
    found = probed(tmp_path, DEBIAN, slim).python

    assert found is not None and found.has_headers


def test_conda_is_found_through_path(tmp_path: Path) -> None:
    conda: Layer = {
        "opt/conda/bin/python3.11": b"\x7fELF",
        "opt/conda/bin/python": "python3.11",
        "opt/conda/conda-meta/python-3.11.9-h955ad1f_0.json": b"{}",
        "opt/conda/lib/python3.11/site-packages/Torch-2.8.0a0+nv25.6.dist-info/METADATA": metadata(
            "Torch", "2.8.0a0+nv25.6"
        ),
    }
    found = probed(tmp_path, DEBIAN, conda, path="/opt/conda/bin:/usr/bin")

    assert found.python is not None
    assert (found.python.executable, found.python.exact) == ("/opt/conda/bin/python3.11", "3.11.9")
    assert set(found.metadata) == {"torch"}


def test_a_virtual_environment_is_seen_with_its_packages(tmp_path: Path) -> None:
    layer: Layer = {
        "usr/bin/python3.11": b"\x7fELF",
        "venv/bin/python3": "/usr/bin/python3.11",
        "venv/pyvenv.cfg": b"home = /usr/bin\n",
        "venv/lib/python3.11/site-packages/six-1.17.0.dist-info/METADATA": metadata("six", "1.17.0"),
        "usr/lib/python3/dist-packages/six-1.16.0.dist-info/METADATA": metadata("six", "1.16.0"),
    }
    found = probed(tmp_path, DEBIAN, layer, path="/venv/bin:/usr/bin")

    assert found.python is not None
    assert found.python.environment == "/venv"
    assert "Version: 1.17.0" in found.metadata["six"]


def test_a_base_without_python_is_no_mistake(tmp_path: Path) -> None:
    cuda: Layer = {
        "etc/os-release": b"ID=ubuntu\nVERSION_ID=22.04\nVERSION_CODENAME=jammy\n",
        "usr/lib/x86_64-linux-gnu/libc.so.6": LIBC.replace(b"2.36", b"2.35"),
        "usr/local/cuda/version.json": b"{}",
    }
    found = probed(tmp_path, cuda)

    assert (found.distribution, found.glibc_minor, found.python) == ("ubuntu jammy", 35, None)


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        ({"bin/server": b"\x7fELF"}, "it has no C library"),
        ({"lib/ld-musl-x86_64.so.1": b"\x7fELF", "etc/os-release": b"ID=alpine\n"}, "its C library is musl"),
    ],
)
def test_what_wheels_cannot_run_on_is_refused(tmp_path: Path, layer: Layer, reason: str) -> None:
    with pytest.raises(ProjectError, match=reason):
        probed(tmp_path, layer)


def test_a_removed_python_is_not_found(tmp_path: Path) -> None:
    python: Layer = {"usr/bin/python3.11": b"\x7fELF", "usr/bin/python3": "python3.11"}
    assert probed(tmp_path, DEBIAN, python, {"usr/bin/.wh.python3.11": b""}).python is None


def wheel(name: str, version: str) -> FoundWheel:
    return FoundWheel(
        name=name, version=version, filename=f"{name}.whl", sha256="0" * 64, size_bytes=1, url=None
    )


def test_what_the_base_holds_is_not_installed() -> None:
    wheels = (wheel("numpy", "2.2.6"), wheel("torch", "2.8.0"))
    assert without_held(wheels, {"torch": "2.8.0+cu128"}, "base") == wheels[:1]


def test_another_version_than_the_bases_is_refused() -> None:
    with pytest.raises(ResolutionFailed, match=r"holds torch 2\.8\.0\+cu128, and 2\.9\.0 is asked for"):
        without_held((wheel("torch", "2.9.0"),), {"torch": "2.8.0+cu128"}, "base")


def test_placeholders_say_the_same_and_hold_nothing(tmp_path: Path) -> None:
    said = metadata("My.Torch", "2.8.0a0+nv25.6").decode()
    write_placeholders({"my-torch": "2.8.0a0+nv25.6"}, {"my-torch": said}, tmp_path)

    with zipfile.ZipFile(tmp_path / "my_torch-2.8.0a0+nv25.6-py3-none-any.whl") as archive:
        assert archive.read("my_torch-2.8.0a0+nv25.6.dist-info/METADATA").decode() == said
        assert len(archive.namelist()) == 3
