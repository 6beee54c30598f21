"""The interpreter is named exactly: a Debian version, or a file with its sha256."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from urllib.parse import unquote

import pytest
from fetch.loopback import Loopback

from lading.errors import FetchFailed, ProjectError, ResolutionFailed
from lading.fetch.http import Fetcher
from lading.lock.base.probe import FoundPython
from lading.lock.indexes import uv_environment
from lading.lock.interpreter import (
    choose_base_provider,
    choose_provider,
    debian_interpreter,
    full_version,
    standalone_interpreter,
)
from lading.lock.model import LockedPackage
from lading.lock.uv import Uv
from lading.oci.platform import Platform
from lading.project.model import ImageSettings

AMD64 = Platform.parse("linux/amd64")
CONTENT = b"a python build"


@pytest.mark.parametrize(
    ("python", "base", "interpreter", "expected"),
    [
        ("3.11", "debian:bookworm", "auto", "debian"),
        ("3.12", "debian:bookworm", "auto", "standalone"),
        ("3.13", "debian:trixie", "auto", "debian"),
        ("3.11", "debian:bookworm", "standalone", "standalone"),
        ("3.11", "debian:bookworm", "debian", "debian"),
    ],
)
def test_the_suites_python_is_taken_where_it_is_the_right_one(
    python: str, base: str, interpreter: str, expected: str
) -> None:
    assert choose_provider(ImageSettings(python=python, base=base, interpreter=interpreter)) == expected


def test_a_python_that_cannot_be_had_is_refused_with_a_remedy() -> None:
    with pytest.raises(ProjectError) as caught:
        choose_provider(ImageSettings(python="3.12", base="debian:bookworm", interpreter="debian"))
    assert caught.value.hints


THERE = FoundPython(executable="/usr/local/bin/python3.12", version="3.12", exact="3.12.7")


@pytest.mark.parametrize(
    ("python", "interpreter", "found", "expected"),
    [
        ("", "auto", THERE, "base"),
        ("3.12", "auto", THERE, "base"),
        ("3.12", "base", THERE, "base"),
        ("3.11", "auto", THERE, "standalone"),
        ("3.12", "standalone", THERE, "standalone"),
        ("", "auto", None, "standalone"),
    ],
)
def test_the_base_images_python_is_taken_where_it_is_the_right_one(
    python: str, interpreter: str, found: FoundPython | None, expected: str
) -> None:
    settings = ImageSettings(python=python, base="host.example/x:1", interpreter=interpreter)
    assert choose_base_provider(settings, found) == expected


@pytest.mark.parametrize(("python", "found"), [("", None), ("3.11", THERE)])
def test_a_base_without_the_wanted_python_is_refused_with_a_remedy(
    python: str, found: FoundPython | None
) -> None:
    settings = ImageSettings(python=python, base="host.example/x:1", interpreter="base")
    with pytest.raises(ProjectError, match=r"no Python on its PATH|has Python 3\.12, and 3\.11"):
        choose_base_provider(settings, found)


def package(name: str, role: str) -> LockedPackage:
    return LockedPackage(
        name=name,
        version="3.11.2-6+deb12u6",
        architecture="amd64",
        filename=f"pool/{name}.deb",
        sha256="ab" * 32,
        size_bytes=1,
        suite="bookworm",
        role=role,
    )


def test_debians_python_is_named_by_its_package_version() -> None:
    held = (package("libc6", "base"), package("python3.11-minimal", "interpreter"))
    interpreter = debian_interpreter("3.11", held)
    assert interpreter.build == "3.11.2-6+deb12u6"
    assert interpreter.packages == ("python3.11-minimal",)
    assert full_version(interpreter) == "3.11.2"
    with pytest.raises(ResolutionFailed, match=r"python3\.13-minimal"):
        debian_interpreter("3.13", held)


@pytest.mark.parametrize("sums", [True, False])
def test_a_standalone_build_comes_from_uvs_catalogue_through_its_mirror(
    environment: dict[str, str], fetcher: Fetcher, tmp_path: Path, sums: bool
) -> None:
    with Loopback() as server:
        mirrored = {**environment, "UV_PYTHON_INSTALL_MIRROR": server.url("/pbs").rstrip("/")}
        uv = Uv(folder=tmp_path, environment=uv_environment(mirrored, "cpu"))
        request = ("python", "list", "cpython-3.12-linux-x86_64-gnu", "--only-downloads")
        listed = json.loads(uv.run((*request, "--output-format", "json"), doing="listing"))
        path = listed[0]["url"].removeprefix(server.url(""))
        filename = unquote(path.rpartition("/")[2])
        sha256 = hashlib.sha256(CONTENT).hexdigest()
        server.files[path] = CONTENT
        if sums:
            text = f"{'0' * 64}  another.tar.gz\n{sha256} *{filename}\n"
            server.files[f"{path.rpartition('/')[0]}/SHA256SUMS"] = text.encode()
        else:
            server.files[f"{path}.sha256"] = f"{sha256}\n".encode()
        interpreter = standalone_interpreter("3.12", AMD64, uv=uv, fetcher=fetcher)
        assert interpreter.url == listed[0]["url"]
        assert interpreter.sha256 == sha256
        assert interpreter.size_bytes == len(CONTENT)
        assert interpreter.build == filename.removesuffix(".tar.gz")
        assert full_version(interpreter) == listed[0]["version"]
        asked = len(server.log)
        assert standalone_interpreter("3.12", AMD64, uv=uv, fetcher=fetcher, kept=interpreter) is interpreter
        assert len(server.log) == asked


@pytest.mark.parametrize("sums", [b"", b"not-hex  NAME\n", b"\xff\xfe"])
def test_a_build_without_a_readable_checksum_is_refused(
    environment: dict[str, str], fetcher: Fetcher, tmp_path: Path, sums: bytes
) -> None:
    with Loopback() as server:
        mirrored = {**environment, "UV_PYTHON_INSTALL_MIRROR": server.url("/pbs")}
        uv = Uv(folder=tmp_path, environment=uv_environment(mirrored, "cpu"))
        with pytest.raises(FetchFailed, match="404"):
            standalone_interpreter("3.12", AMD64, uv=uv, fetcher=fetcher)
        asked = next(one.path for one in server.log if one.path.endswith("SHA256SUMS"))
        server.files[asked] = sums
        with pytest.raises(FetchFailed, match=r"SHA256SUMS does not name|no readable sha256"):
            standalone_interpreter("3.12", AMD64, uv=uv, fetcher=fetcher)


def test_a_python_without_standalone_build_is_named(
    environment: dict[str, str], fetcher: Fetcher, tmp_path: Path
) -> None:
    uv = Uv(folder=tmp_path, environment=uv_environment(environment, "cpu"))
    with pytest.raises(ResolutionFailed, match=r"no standalone build of Python 3\.2 "):
        standalone_interpreter("3.2", AMD64, uv=uv, fetcher=fetcher)
