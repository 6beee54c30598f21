"""Images travel through Debian's registry: others pull and run what is pushed, and nothing goes twice."""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lading.oci.manifest import MEDIA_CONFIG, MEDIA_LAYER_GZIP, Descriptor, Manifest
from lading.store import Store
from services.podman import RUN_LIMITS
from services.process import CommandFailed, Tool, require
from services.registry import PASSWORD, USER, image_registry
from small_image import put_image

pytestmark = [
    pytest.mark.slow,
    pytest.mark.engines,
    pytest.mark.registry,
    pytest.mark.root,
    pytest.mark.network,
]

SAYS = "loaded and run"
KILLS = 200
_AT_ONCE = 2
_DRIVER = """
import json, os, signal, sys
from pathlib import Path
from lading.fetch.http import Fetcher
from lading.oci.digest import Digest
from lading.oci.manifest import Manifest
from lading.registry.client import Registry
from lading.registry.push import Push
from lading.registry.upload import Upload
from lading.store import Store

name, repository, digest, chunk_bytes, notes = sys.argv[1:]
store = Store.open(os.environ)
manifest = Manifest.from_json(json.loads(store.blobs.read(Digest(digest))))
if int(notes):
    kept, count = Upload._note, 0
    def note(self, session):
        global count
        kept(self, session)
        count += self.size_bytes > 1 << 26
        if count == int(notes):
            os.kill(os.getpid(), signal.SIGKILL)
    Upload._note = note
registry = Registry(name=name, fetcher=Fetcher(staging=store.staging, environment={}), environment={})
push = Push(registry=registry, repository=repository, store=store, chunk_bytes=int(chunk_bytes))
print(push.image(manifest, "1").moved.uploaded_bytes)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A project and what it was built as."""

    path: Path
    digest: str


@pytest.fixture(scope="module")
def project(lading: Tool, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A project with one large wheel and some small ones, locked and built."""
    folder = tmp_path_factory.mktemp("registry") / "project"
    folder.mkdir()
    (folder / "requirements.txt").write_text("numpy\nsix\n")
    (folder / "lading.toml").write_text('image.python = "3.11"\n')
    (folder / "main.py").write_text(f"import numpy, six\nprint({SAYS!r})\n")
    return Folder(path=folder, digest=json.loads(lading("build", "--json", folder).stdout)["digest"])


def push(lading: Tool, place: str, folder: Path, *options: str, **env: str) -> Mapping[str, Any]:
    document: Mapping[str, Any] = json.loads(
        lading("push", "--json", *options, place, folder, env=env).stdout
    )
    return document


def ask(registry: str, method: str, path: str, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(registry, timeout=30)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def blobs_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "blobs/sha256").iterdir()}


def size_of(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def test_what_comes_back_is_what_was_pushed_to_the_byte(
    lading: Tool, registry: str, project: Folder, tmp_path: Path
) -> None:
    pushed = push(lading, f"{registry}/team/round:1", project.path)
    assert pushed["digest"] == project.digest
    lading("build", "--output", f"oci:{tmp_path}/here", project.path)
    other = {"LADING_HOME": str(tmp_path / "home")}
    lading("pull", f"{registry}/team/round:1", "--output", f"oci:{tmp_path}/there", env=other)
    here, there = blobs_in(tmp_path / "here"), blobs_in(tmp_path / "there")
    assert {name: here[name] for name in there} == there
    assert project.digest.removeprefix("sha256:") in there
    again = json.loads(lading("pull", "--json", f"{registry}/team/round:1", env=other).stdout)
    assert again["fetched_bytes"] == 0
    lading("store", "verify", env=other)


def test_others_pull_and_run_it(
    lading: Tool,
    registry: str,
    project: Folder,
    docker: Tool,
    podman: Tool,
    skopeo: Tool,
    tmp_path: Path,
) -> None:
    place = f"{registry}/team/others:1"
    push(lading, place, project.path)
    docker("pull", place)
    command = ("python", "main.py")
    assert docker("run", "--rm", "--network", "none", place, *command).stdout.strip() == SAYS
    podman("pull", "--tls-verify=false", place)
    run = podman("run", "--rm", "--network", "none", *RUN_LIMITS, place, *command)
    assert run.stdout.strip() == SAYS
    said = skopeo("inspect", "--tls-verify=false", "--format", "{{.Digest}}", f"docker://{place}").stdout
    assert said.strip() == project.digest


def test_a_second_project_sends_nothing_of_a_shared_wheel(
    lading: Tool, registry: str, project: Folder, tmp_path: Path
) -> None:
    push(lading, f"{registry}/team/first:1", project.path)
    second = shutil.copytree(project.path, tmp_path / "second")
    (second / "main.py").write_text("import numpy\nprint('second')\n")
    document = push(lading, f"{registry}/team/second:1", second)
    shared = sum(layer["size_bytes"] for layer in document["layers"] if layer["kind"] != "code")
    assert document["pushed"]["mounted_bytes"] >= shared
    assert document["pushed"]["uploaded_bytes"] < 1 << 20


def test_a_build_from_digests_alone(lading: Tool, registry: str, project: Folder, tmp_path: Path) -> None:
    """With an empty store only the code is made and sent; under 5 MB are fetched and kept."""
    push(lading, f"{registry}/team/digests:1", project.path)
    changed = shutil.copytree(project.path, tmp_path / "changed")
    (changed / "main.py").write_text("print('changed')\n")
    home = tmp_path / "home"
    document = push(lading, f"{registry}/team/digests:2", changed, "--locked", LADING_HOME=str(home))
    assert size_of(home) < 5_000_000
    code = sum(layer["size_bytes"] for layer in document["layers"] if layer["kind"] == "code")
    assert document["pushed"]["uploaded_bytes"] < code + 1_000_000
    whole = lading("build", "--json", "--locked", changed).stdout
    assert json.loads(whole)["digest"] == document["digest"]


def test_a_layer_that_is_gone_is_built_again(
    lading: Tool, registry: str, project: Folder, tmp_path: Path
) -> None:
    document = push(lading, f"{registry}/team/gone:1", project.path)
    layer = max(document["layers"], key=lambda layer: layer["size_bytes"])
    assert ask(registry, "DELETE", f"/v2/team/gone/blobs/{layer['digest']}")[0] == 202
    again = push(lading, f"{registry}/team/gone:2", project.path, "--locked")
    assert again["digest"] == document["digest"]
    moved = again["pushed"]
    assert moved["mounted_bytes"] + moved["uploaded_bytes"] >= layer["size_bytes"]


def test_a_forged_digest_in_the_lock_is_refused(
    lading: Tool, registry: str, project: Folder, tmp_path: Path
) -> None:
    forged = shutil.copytree(project.path, tmp_path / "forged")
    document = push(lading, f"{registry}/team/forged:1", project.path)
    wheel = next(layer for layer in document["layers"] if layer["kind"] == "wheel")
    lock = (forged / "lading.lock").read_text()
    assert wheel["digest"] in lock
    (forged / "lading.lock").write_text(lock.replace(wheel["digest"], f"sha256:{'0' * 64}"))
    home = {"LADING_HOME": str(tmp_path / "home")}
    done = lading("push", "--locked", f"{registry}/team/forged:2", forged, env=home, check=False)
    assert done.returncode in (1, 3, 4)
    assert "Traceback" not in done.stderr
    assert ask(registry, "GET", "/v2/team/forged/manifests/2")[0] == 404


def test_sbom_and_provenance_are_found_beside_the_image(lading: Tool, registry: str, project: Folder) -> None:
    push(lading, f"{registry}/team/beside:1", project.path)
    tag = project.digest.replace(":", "-")
    status, body = ask(
        registry, "GET", f"/v2/team/beside/manifests/{tag}", Accept="application/vnd.oci.image.index.v1+json"
    )
    assert status == 200
    kinds = {row["artifactType"] for row in json.loads(body)["manifests"]}
    assert len(kinds) == 2
    assert any("cyclonedx" in kind for kind in kinds)


def test_two_pushes_at_once_both_arrive(lading: Tool, registry: str, project: Folder) -> None:
    """And no large layer is sent twice, whether it is mounted or uploaded."""
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(
            lambda tag: push(lading, f"{registry}/team/twice:{tag}", project.path), ("1", "2")
        )
    assert one["digest"] == two["digest"] == project.digest
    sent_bytes = one["pushed"]["uploaded_bytes"] + two["pushed"]["uploaded_bytes"]
    sizes = [layer["size_bytes"] for layer in one["layers"]]
    # What is small is not worth a lock, so both may send it; the documents beside the image too.
    assert sent_bytes <= sum(size if size > 4 << 20 else 2 * size for size in sizes) + 1_000_000


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    with image_registry(guarded=True) as address:
        yield address


def test_a_guarded_registry_takes_what_docker_login_left(
    lading: Tool, guarded: str, project: Folder, tmp_path: Path
) -> None:
    place = f"{guarded}/team/guarded:1"
    nobody = {"HOME": str(tmp_path), "REGISTRY_AUTH_FILE": str(tmp_path / "auth.json")}
    refused = lading("push", place, project.path, env=nobody, check=False)
    assert refused.returncode == 3
    assert f"docker login {guarded}" in refused.stderr
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    (tmp_path / "auth.json").write_text(json.dumps({"auths": {guarded: {"auth": auth}}}))
    done = lading("push", "-v", place, project.path, env=nobody)
    assert PASSWORD not in done.stdout + done.stderr
    home = {**nobody, "LADING_HOME": str(tmp_path / "home")}
    assert project.digest in lading("pull", place, env=home).stdout


# -- killed --


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A store with one image in it."""

    store: Path
    digest: str
    blobs: Mapping[str, int]
    registry: str

    def push(
        self, repository: str, *, chunk_bytes: int, strace: tuple[str, ...] = (), notes: int = 0
    ) -> subprocess.CompletedProcess[str]:
        command = (*strace, sys.executable, "-c", _DRIVER, self.registry, repository, self.digest)
        tool = Tool(prefix=command, env={"LADING_HOME": str(self.store)})
        return tool(str(chunk_bytes), str(notes), check=False)

    def missing_bytes(self, repository: str) -> int:
        there = (ask(self.registry, "HEAD", f"/v2/{repository}/blobs/{digest}")[0] for digest in self.blobs)
        return sum(size for size, status in zip(self.blobs.values(), there, strict=True) if status != 200)


def scene(folder: Path, registry: str, program: bytes) -> Scene:
    store = Store.open({"LADING_HOME": str(folder)})
    manifest = put_image(store, program=program).manifest
    blobs = {blob.digest: blob.size_bytes for blob in (*manifest.layers, manifest.config)}
    digest = store.blobs.put(manifest.to_bytes())
    return Scene(store=folder, digest=digest, blobs=blobs, registry=registry)


def large_scene(folder: Path, registry: str, size_bytes: int) -> Scene:
    """One layer that is no archive: a registry does not mind."""
    store = Store.open({"LADING_HOME": str(folder)})
    with store.blobs.writer() as writer:
        for _ in range(size_bytes >> 20):
            writer.write(os.urandom(1 << 20))
        digest = writer.commit()
    config = store.blobs.put(b"{}")
    manifest = Manifest(
        config=Descriptor(media_type=MEDIA_CONFIG, digest=config, size_bytes=2),
        layers=(Descriptor(media_type=MEDIA_LAYER_GZIP, digest=digest, size_bytes=size_bytes),),
    )
    named = store.blobs.put(manifest.to_bytes())
    return Scene(store=folder, digest=named, blobs={digest: size_bytes, config: 2}, registry=registry)


def copied(of: Scene, folder: Path) -> Scene:
    shutil.copytree(of.store, folder, copy_function=os.link)
    return Scene(store=folder, digest=of.digest, blobs=of.blobs, registry=of.registry)


def test_a_push_killed_anywhere_sends_only_what_is_missing(registry: str, tmp_path: Path) -> None:
    """kill -9 at 200 system calls: no manifest names what is not there, and the next push sends the rest."""
    # Without --seccomp-bpf, with which strace 6.1 follows and never injects.
    strace = (require("strace", "strace"), "-f", "-qq")
    whole = scene(tmp_path / "store", registry, os.urandom(6 << 20))
    calls = {"sendto": 72, "recvfrom": 28, "rename": 25, "fsync": 48, "write": 25, "connect": 2}
    points = [(name, number + 1) for name, count in calls.items() for number in range(count)]
    assert len(points) == KILLS

    def check(numbered: tuple[int, tuple[str, int]]) -> bool:
        number, (name, when) = numbered
        repository = f"killed/at{number}"
        broken = copied(whole, tmp_path / str(number))
        inject = f"inject={name}:signal=KILL:when={when}"
        flags = (*strace, "-o", "/dev/null", "-e", f"trace={name}", "-e", inject)
        first = broken.push(repository, chunk_bytes=1 << 18, strace=flags)
        status, _ = ask(
            registry,
            "GET",
            f"/v2/{repository}/manifests/1",
            Accept="application/vnd.oci.image.manifest.v1+json",
        )
        missing = broken.missing_bytes(repository)
        assert status == 404 or missing == 0, (name, when)
        again = broken.push(repository, chunk_bytes=1 << 18)
        assert again.returncode == 0, (name, when, again.stderr)
        assert int(again.stdout) <= missing, (name, when)
        assert broken.missing_bytes(repository) == 0
        shutil.rmtree(broken.store)
        return first.returncode != 0

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        killed = sum(pool.map(check, enumerate(points)))
    assert killed >= KILLS * 3 // 4, killed


def test_a_gigabyte_goes_on_at_the_byte_that_was_acknowledged(registry: str, tmp_path: Path) -> None:
    """Killed after ten of sixteen chunks, a later process sends the other six."""
    chunk_bytes = 64 << 20
    large = large_scene(tmp_path / "store", registry, 1 << 30)
    size_bytes = max(large.blobs.values())
    assert large.push("killed/large", chunk_bytes=chunk_bytes, notes=11).returncode == -9
    again = large.push("killed/large", chunk_bytes=chunk_bytes)
    assert again.returncode == 0, again.stderr
    assert int(again.stdout) == size_bytes - 10 * chunk_bytes
    assert large.missing_bytes("killed/large") == 0


def test_a_failure_is_said_with_its_place(lading: Tool, registry: str) -> None:
    with pytest.raises(CommandFailed, match=f"{registry} has no 1 in team/nothing"):
        lading("pull", f"{registry}/team/nothing:1")
