"""A layer is written while its wheel downloads: the end of the archive first, then one stream from the front.

`lading build` takes the wheel from a loopback index that writes down what it sends.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from benchmarks.memory import peak_anonymous_bytes
from wheel_server import WheelServer, wheel_server, write_wheel

from lading.oci.digest import Digest
from lading.store import Store
from lading.store.verify import verify
from services.process import CommandFailed, Tool

pytestmark = [pytest.mark.slow, pytest.mark.network]

TAIL_BYTES = 256 << 10
"""What a build reads of the end first: the directory, and with most wheels the metadata too."""
MEMBER_BYTES = 4 << 20


def several_members(archive: zipfile.ZipFile) -> list[tuple[str, str, int]]:
    """Four members of 4 MiB that do not compress, stored and deflated."""
    rows = []
    for number in range(4):
        content = random.Random(number).randbytes(MEMBER_BYTES)
        member = zipfile.ZipInfo(f"streamed/part{number}.bin", (2020, 1, 1, 0, 0, 0))
        member.compress_type = zipfile.ZIP_DEFLATED if number % 2 else zipfile.ZIP_STORED
        archive.writestr(member, content)
        rows.append((member.filename, hashlib.sha256(content).hexdigest(), len(content)))
    return rows


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wheel(tmp_path_factory.mktemp("wheel"), "streamed", several_members)


@pytest.fixture(scope="module")
def running(wheel: Path) -> Iterator[WheelServer]:
    with wheel_server(wheel) as server:
        yield server


@pytest.fixture
def server(running: WheelServer) -> WheelServer:
    """The server, which does all right and has sent nothing yet."""
    running.reset()
    return running


@pytest.fixture(scope="module")
def bare_store(lading: Tool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that holds base and interpreter, so that a build writes the wheel's layer and the code."""
    folder = tmp_path_factory.mktemp("bare")
    write_project(folder, "")
    lading("build", folder)
    return Path(lading.env["LADING_HOME"])


def write_project(folder: Path, requirements: str) -> None:
    (folder / "requirements.txt").write_text(requirements)
    (folder / "lading.toml").write_text(
        '[image]\npython = "3.11"\nbase = "debian:bookworm"\nbytecode = false\n'
    )
    (folder / "main.py").write_text("import streamed\n")


@dataclass(frozen=True, kw_only=True)
class Site:
    """A locked project, and a store of its own without the wheel's layer."""

    folder: Path
    home: Path
    env: dict[str, str]

    @property
    def store(self) -> Store:
        return Store.open({"LADING_HOME": str(self.home)})

    def tool(self) -> Tool:
        return Tool(prefix=(str(Path(sys.executable).parent / "lading"),), env=self.env)

    def build(self) -> tuple[str, str]:
        """Digests of the wheel's layer and of the image."""
        document: dict[str, Any] = json.loads(
            self.tool()("build", "--json", "--locked", cwd=self.folder).stdout
        )
        (layer,) = [layer for layer in document["layers"] if layer["kind"] == "wheel"]
        return layer["digest"], document["digest"]


@pytest.fixture(scope="module")
def locked(running: WheelServer, bare_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return make_site(running, bare_store, tmp_path_factory.mktemp("locked"))


@pytest.fixture
def site(locked: Site, tmp_path: Path) -> Site:
    """The locked project, with a store of its own."""
    folder, home = tmp_path / "project", tmp_path / "store"
    shutil.copytree(locked.folder, folder)
    copy_store(locked.home, home)
    return Site(folder=folder, home=home, env={**locked.env, "LADING_HOME": str(home)})


def make_site(server: WheelServer, bare_store: Path, parent: Path) -> Site:
    folder, home = parent / "project", parent / "store"
    folder.mkdir()
    write_project(folder, f"{server.wheel.name.partition('-')[0]}==1.0\n")
    copy_store(bare_store, home)
    env = {**index_settings(server.url, parent), "LADING_HOME": str(home)}
    made = Site(folder=folder, home=home, env=env)
    made.tool()("lock", cwd=folder)
    return made


def index_settings(url: str, parent: Path) -> dict[str, str]:
    """The index beside those that are there anyway, and no folder of wheels."""
    return {
        "UV_INDEX": url,
        "UV_FIND_LINKS": "",
        "PIP_FIND_LINKS": "",
        "UV_CACHE_DIR": str(parent / "uv"),
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


def copy_store(source: Path, target: Path) -> None:
    """Blobs as hard links: nobody changes one in place, or a later test would fail."""
    unwanted = shutil.ignore_patterns("trees", "containers", "ledger*", "sha256")
    shutil.copytree(source, target, symlinks=True, ignore=unwanted)
    shutil.copytree(source / "blobs/sha256", target / "blobs/sha256", copy_function=os.link)


@pytest.fixture(scope="module")
def local(running: WheelServer, locked: Site, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """What the same project comes out as when the wheel is a local file."""
    home = tmp_path_factory.mktemp("local") / "store"
    copy_store(locked.home, home)
    env = {**locked.env, "LADING_HOME": str(home), "UV_FIND_LINKS": str(running.wheel.parent)}
    running.reset()
    digests = Site(folder=locked.folder, home=home, env=env).build()
    assert running.sent == []
    return digests


def test_end_first_then_one_stream_and_no_byte_twice(
    server: WheelServer, site: Site, local: tuple[str, str]
) -> None:
    """The directory by range, then everything once from the front; the layer is the local file's."""
    size_bytes = server.wheel.stat().st_size
    assert site.build() == local
    (tail, tail_end), (stream, stream_end) = server.streamed()
    assert (tail, tail_end) == (size_bytes - TAIL_BYTES, size_bytes)
    assert stream == 0
    assert stream_end <= size_bytes
    assert server.sent_bytes <= size_bytes + TAIL_BYTES


def test_the_layer_grows_while_the_wheel_is_on_its_way(
    server: WheelServer, site: Site, local: tuple[str, str]
) -> None:
    """The server stops after three quarters; half of the layer is on disk before it goes on."""
    size_bytes = server.wheel.stat().st_size
    server.gate_offset = size_bytes * 3 // 4
    command = [*site.tool().prefix, "build", "--locked", str(site.folder)]
    process = subprocess.Popen(command, env={**os.environ, **site.env}, stdout=subprocess.PIPE, text=True)
    try:
        assert server.at_gate.wait(60)
        deadline = time.monotonic() + 60
        while largest_file(site.store.staging) < size_bytes // 2:
            assert process.poll() is None
            assert time.monotonic() < deadline, "the layer did not grow"
            time.sleep(0.01)
        assert server.sent_bytes <= server.gate_offset + TAIL_BYTES
    finally:
        server.gate.set()
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert said.strip().endswith(local[1])


def largest_file(folder: Path) -> int:
    sizes = [0]
    for entry in os.scandir(folder):
        try:
            sizes.append(entry.stat().st_size)
        except FileNotFoundError:
            continue  # finished in between
    return max(sizes)


def test_a_server_without_ranges_is_heard_once(
    server: WheelServer, site: Site, local: tuple[str, str]
) -> None:
    server.knows_ranges = False
    assert site.build() == local
    assert server.streamed() == [(0, server.wheel.stat().st_size)]


@pytest.mark.parametrize("cuts", [(5_000_000,), (1, 5_000_000, 5_000_001, 12_345_678)], ids=["one", "four"])
def test_a_broken_connection_is_gone_on_with_where_it_broke(
    server: WheelServer, site: Site, local: tuple[str, str], cuts: tuple[int, ...]
) -> None:
    server.cuts = list(cuts)
    assert site.build() == local
    assert server.cuts == []
    _, *streams = server.streamed()
    assert [first for first, _ in streams] == [0, *cuts]
    assert [end for _, end in streams[:-1]] == list(cuts)


@pytest.mark.parametrize(
    "offset",
    [30, MEMBER_BYTES // 2, MEMBER_BYTES * 3 // 2, -3000],
    ids=["name", "stored", "deflated", "record"],
)
def test_a_byte_changed_on_the_way_is_refused_and_leaves_nothing(
    server: WheelServer, site: Site, local: tuple[str, str], offset: int
) -> None:
    """In a header, in stored or deflated content, in the metadata; the next build knows nothing of it."""
    server.flipped_byte = offset % server.wheel.stat().st_size
    with pytest.raises(CommandFailed) as refused:
        site.build()
    assert "Traceback" not in str(refused.value)
    assert server.wheel.name in str(refused.value)
    assert not site.store.blobs.has(Digest(local[0]))
    assert list(site.store.staging.iterdir()) == []
    assert verify(site.store).damages == ()
    server.flipped_byte = None
    assert site.build() == local


@pytest.mark.catalogue("Z06")
def test_the_indexs_password_reaches_the_index_and_nothing_else(
    server: WheelServer, bare_store: Path, local: tuple[str, str], tmp_path: Path
) -> None:
    """Not the lock, what was said, the documents beside the image, the image, nor any file of the store."""
    server.password = "pass-phrase-0815"
    folder = tmp_path / "project"
    folder.mkdir()
    write_project(folder, "streamed==1.0\n")
    copy_store(bare_store, tmp_path / "store")
    url = server.url.replace("http://", f"http://reader:{server.password}@")
    env = {**index_settings(url, tmp_path), "LADING_HOME": str(tmp_path / "store")}
    site = Site(folder=folder, home=tmp_path / "store", env=env)
    documents = ("--sbom", str(tmp_path / "sbom.json"), "--provenance", str(tmp_path / "provenance.json"))
    archive = tmp_path / "image.tar"
    done = site.tool()("build", "-vv", *documents, "--output", f"oci-archive:{archive}", cwd=folder)
    assert server.sent_bytes > 0
    assert server.password not in done.stdout + done.stderr
    for path in (p for p in tmp_path.rglob("*") if p.is_file() and not p.is_relative_to(tmp_path / "uv")):
        content = path.read_bytes()
        assert server.password.encode() not in content, path
        if content.startswith(b"\x1f\x8b"):
            with gzip.open(path) as layer:  # a stream: gzip.decompress copies the rest for every member
                assert server.password.encode() not in layer.read(), path
    server.password = "another"
    with pytest.raises(CommandFailed) as refused:
        site.tool()("lock", "--upgrade", "-vv", cwd=folder)
    assert "pass-phrase-0815" not in str(refused.value)


HUGE_BYTES = 450 << 20


def two_huge_members(archive: zipfile.ZipFile) -> list[tuple[str, str, int]]:
    """900 MiB: one member is stored, the other a deflate stream of blocks that compress nothing."""
    rows = []
    block = random.Random(1).randbytes(1 << 20)
    for name, method, level in (("a", zipfile.ZIP_STORED, None), ("b", zipfile.ZIP_DEFLATED, 0)):
        member = zipfile.ZipInfo(f"huge/{name}.bin", (2020, 1, 1, 0, 0, 0))
        member.compress_type, member._compresslevel = method, level  # type: ignore[attr-defined]
        member.file_size = HUGE_BYTES
        state = hashlib.sha256()
        with archive.open(member, "w") as file:
            for _ in range(HUGE_BYTES >> 20):
                file.write(block)
                state.update(block)
        rows.append((member.filename, state.hexdigest(), HUGE_BYTES))
    return rows


def test_memory_does_not_grow_with_the_wheel(bare_store: Path, tmp_path: Path) -> None:
    """Under 300 MB of anonymous memory, all processes together, for a wheel of 900 MB that is downloaded."""
    wheel = write_wheel(tmp_path, "huge", two_huge_members)
    assert wheel.stat().st_size > 900_000_000
    with wheel_server(wheel) as server:
        site = make_site(server, bare_store, tmp_path)
        server.reset()
        command = [*site.tool().prefix, "build", "--locked"]
        peak = peak_anonymous_bytes(command, cwd=site.folder, env={**os.environ, **site.env})
        assert server.sent_bytes <= wheel.stat().st_size + TAIL_BYTES
    shutil.rmtree(tmp_path)
    assert peak < 300_000_000
