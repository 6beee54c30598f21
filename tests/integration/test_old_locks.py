"""A lock outlives its sources: the oldest one still builds to the byte after its packages left the mirror."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from services.process import Tool

pytestmark = [pytest.mark.slow, pytest.mark.registry, pytest.mark.network]

GOLDEN = Path(__file__).parents[1] / "golden"
EXPECTED = json.loads((GOLDEN / "oldest-lock.json").read_text())
LOCK = tomllib.loads((GOLDEN / "oldest-lock/lading.lock").read_text())
SEEN = ("20260711T150000Z", "20261124T090000Z")
"""When the snapshot server looked: hours after the lock's indexes were signed."""

SNAPSHOT = {name: value for name, value in os.environ.items() if name == "LADING_DEBIAN_SNAPSHOT"}
"""Of whoever runs the tests: where the lock's packages are once the mirror has dropped them."""


@dataclass(kw_only=True)
class Archives:
    """A mirror that has dropped every package, and a server that shows what it was at certain times."""

    packages: dict[str, Path] = field(default_factory=dict)
    """What the snapshots hold, by file name in the archive."""
    asked: list[str] = field(default_factory=list)
    address: str = ""

    @property
    def mirror(self) -> dict[str, str]:
        return {
            "LADING_DEBIAN_MIRROR": f"http://{self.address}/debian",
            "LADING_DEBIAN_SECURITY_MIRROR": f"http://{self.address}/debian-security",
        }


class _Handler(BaseHTTPRequestHandler):
    archives: Archives

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.archives.asked.append(self.path)
        match = re.fullmatch(r"/archive/debian(?:-security)?/(\d{8}T\d{6}Z)/(.+)", self.path)
        earlier = [time for time in SEEN if match is not None and time <= match[1]]
        if match is None or not earlier:
            self.send_error(404)
        elif earlier[-1] != match[1]:
            self.send_response(302)
            self.send_header("Location", self.path.replace(match[1], earlier[-1]))
            self.end_headers()
        elif (package := self.archives.packages.get(match[2])) is None:
            self.send_error(404)
        else:
            content = package.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)


@pytest.fixture
def archives() -> Iterator[Archives]:
    found = Archives()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"archives": found}))
    found.address = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return shutil.copytree(GOLDEN / "oldest-lock", tmp_path / "oldest-lock")


@pytest.fixture(scope="module")
def full(lading: Tool, warm_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which the oldest lock was built from wherever its packages are today."""
    folder = shutil.copytree(GOLDEN / "oldest-lock", tmp_path_factory.mktemp("full") / "oldest-lock")
    said = lading("build", "--json", "--locked", folder, env=SNAPSHOT, check=False)
    if "nowhere to be had any more" in said.stderr:
        pytest.skip("this mirror has dropped packages of the oldest lock; set LADING_DEBIAN_SNAPSHOT")
    assert said.returncode == 0, said.stderr
    done = json.loads(said.stdout)
    assert (done["digest"], done["lock_digest"]) == (EXPECTED["digest"], EXPECTED["lock_digest"])
    return warm_home


def debs() -> dict[str, str]:
    """File name in the archive → sha256."""
    return {one["filename"]: one["sha256"] for one in LOCK["variant"][0]["package"]}


def blob(home: Path, sha256: str) -> Path:
    return home / "blobs/sha256" / sha256


def store_with(home: Path, full: Path, names: list[str]) -> dict[str, str]:
    """A store that holds nothing but these blobs of `full`."""
    (home / "blobs/sha256").mkdir(parents=True)
    for name in names:
        os.link(blob(full, name), blob(home, name))
    for folder in ("records", "trees", "staging", "locks"):
        (home / folder).mkdir()
    (home / "FORMAT").write_text("1\n")
    return {"LADING_HOME": str(home)}


def build(lading: Tool, folder: Path, *options: str, env: dict[str, str]) -> str:
    digest: str = json.loads(lading("build", "--json", "--locked", *options, folder, env=env).stdout)[
        "digest"
    ]
    return digest


def test_from_the_packages_in_the_store(
    lading: Tool, full: Path, archives: Archives, project: Path, tmp_path: Path
) -> None:
    held = [sha256 for sha256 in debs().values() if blob(full, sha256).exists()]
    env = store_with(tmp_path / "home", full, held) | archives.mirror
    assert build(lading, project, env=env) == EXPECTED["digest"]
    assert archives.asked == []


def test_from_the_layers_in_the_store_without_any_network(
    lading: Tool, full: Path, project: Path, tmp_path: Path
) -> None:
    """Nothing but blobs: records and indexes are made of them again."""
    layers = [layer["digest"].removeprefix("sha256:") for layer in LOCK["layer"]]
    env = store_with(tmp_path / "home", full, [name for name in layers if blob(full, name).exists()])
    assert build(lading, project, "--offline", env=env) == EXPECTED["digest"]


def test_from_layers_in_a_registry(
    lading: Tool, full: Path, registry: str, archives: Archives, project: Path, tmp_path: Path
) -> None:
    """On an empty machine, into a file; wheels are not asked for either."""
    place = f"{registry}/old/locks"
    lading("push", "--locked", f"{place}:1", project)
    env = {"LADING_HOME": str(tmp_path / "home"), "UV_INDEX_URL": f"http://{archives.address}/simple"}
    output = f"oci-archive:{tmp_path}/image.tar"
    digest = build(lading, project, "--layers-from", place, "--output", output, env=env | archives.mirror)
    assert digest == EXPECTED["digest"]
    assert archives.asked == []


def test_from_a_snapshot_server(
    lading: Tool, full: Path, archives: Archives, project: Path, tmp_path: Path
) -> None:
    archives.packages = {filename: blob(full, sha256) for filename, sha256 in debs().items()}
    env = {"LADING_HOME": str(tmp_path / "home"), "LADING_DEBIAN_SNAPSHOT": f"http://{archives.address}"}
    assert build(lading, project, env=env | archives.mirror) == EXPECTED["digest"]
    assert any(path.startswith("/debian/pool/") for path in archives.asked)
    assert any(path.startswith(f"/archive/debian/{SEEN[0]}/pool/") for path in archives.asked)


def test_what_is_nowhere_is_said_with_every_place_that_was_tried(
    lading: Tool, registry: str, archives: Archives, project: Path, tmp_path: Path
) -> None:
    env = {"LADING_HOME": str(tmp_path / "home"), "LADING_DEBIAN_SNAPSHOT": f"http://{archives.address}"}
    place = f"{registry}/old/nothing"
    done = lading(
        "build", "--locked", "--layers-from", place, project, env=env | archives.mirror, check=False
    )
    assert done.returncode == 3
    for words in ("not in the store", "/debian/pool/", "/archive/debian/2026", f"{place} lacks", "hint: "):
        assert words in done.stderr, done.stderr
