"""What a failed build advises: the key or the base that usually helps, by what its tools said."""

from __future__ import annotations

from pathlib import Path

import pytest

from lading.lock.builder import BuildBackend, BuildJob, BuildRoom
from lading.lock.model import LockedBase, LockedInterpreter
from lading.oci.digest import Digest
from lading.project.model import SourceBuild
from lading.sandbox.builder import _hints

BASE = LockedBase(
    reference="registry.example/jammy:1",
    digest=Digest.of(b"base"),
    layers=(),
    env={},
    distribution="ubuntu jammy",
    glibc_minor=35,
    held={},
)
NO_COMPILER = (
    "error: command 'gcc' failed: No such file or directory",
    "error: [Errno 2] No such file or directory: 'gcc'",
    "error: [Errno 2] No such file or directory: '/usr/bin/x86_64-linux-gnu-gcc'",
    "ERROR: Unknown compiler(s): [['gcc']]",
    "  No CMAKE_CXX_COMPILER could be found.",
)


def job(base: LockedBase | None) -> BuildJob:
    room = BuildRoom(
        base="registry.example/jammy:1" if base is not None else "debian:bookworm",
        python="3.11",
        platform="linux/amd64",
        interpreter=LockedInterpreter(provider="base", version="3.11", build="3.11.2", executable="/x"),
        packages=(),
        wheels=(),
        image=base,
    )
    return BuildJob(
        name="fast",
        source_digest="0" * 64,
        path=Path("/nowhere"),
        backend=BuildBackend(requires=(), name="backend"),
        room=room,
        settings=SourceBuild(),
        folder=Path("/nowhere"),
    )


@pytest.mark.parametrize("said", NO_COMPILER)
def test_a_base_without_a_compiler_is_named_with_the_remedy(said: str) -> None:
    first, second = _hints(job(BASE), f"running build_ext\n{said}\n")
    assert first.startswith("registry.example/jammy:1 has no compiler")
    assert "UV_FIND_LINKS" in second


def test_headers_of_the_bases_python_are_no_debian_package() -> None:
    said = "extension.c:1:10: fatal error: Python.h: No such file or directory"
    assert "lacks the headers of its Python" in _hints(job(BASE), said)[0]
    assert "apt" in _hints(job(None), said)[0]


def test_another_missing_file_is_no_missing_compiler() -> None:
    said = "FileNotFoundError: [Errno 2] No such file or directory: 'version.txt'"
    assert _hints(job(BASE), said) == ("[image.build.fast] takes needs, apt, env, memory and timeout",)
