"""`--load`: an image goes into a real engine, and only what the engine lacks is moved."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path

import pytest

from lading.engine.local.client import Client
from lading.engine.local.load import image_layers, load_image, open_engine
from lading.errors import EngineError
from lading.image.model import Image
from lading.image.output.layout import named_manifest
from lading.store import Store
from services.process import Tool
from small_image import put_image

pytestmark = [pytest.mark.slow, pytest.mark.root]

PROGRAM = Path("/usr/bin/qemu-x86_64-static")
"""Any program that needs no library: it says its version in a container without anything else."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open({"LADING_HOME": str(tmp_path / "home")})


def command(folder: Path, name: str, tool: Tool) -> Mapping[str, str]:
    """An environment in which `name` is the engine of this test."""
    (folder / "bin").mkdir(exist_ok=True)
    script = folder / "bin" / name
    words = " ".join(shlex.quote(word) for word in tool.prefix)
    script.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    script.chmod(0o755)
    return {"PATH": f"{folder}/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(folder), **tool.env}


def two_images(store: Store, name: str) -> tuple[Image, Image]:
    """Two images with one base layer and another layer each on top of it."""
    first = put_image(store, tag=f"{name}:1.0-cpu", program=PROGRAM.read_bytes())
    second = put_image(
        store, tag=f"{name}:2.0-cpu", program=PROGRAM.read_bytes(), note=b"something else in the upper layer"
    )
    assert first.layers[0].digest == second.layers[0].digest != second.layers[1].digest
    return first, second


@pytest.mark.docker
class TestDocker:
    def test_only_the_layers_above_the_shared_prefix_are_moved(
        self, docker: Tool, store: Store, tmp_path: Path
    ) -> None:
        client = open_engine("docker", command(tmp_path, "docker", docker))
        first, second = two_images(store, "prefix")
        moved = []
        loaded = load_image(client, store, named_manifest(first), progress=moved.append)
        base_bytes = first.layers[0].size_bytes
        assert loaded.moved_bytes == sum(moved) > base_bytes
        moved.clear()
        loaded = load_image(client, store, named_manifest(second), progress=moved.append)
        assert loaded.present_bytes == base_bytes
        assert loaded.moved_bytes == sum(moved) < 20_000 < base_bytes
        for image in (first, second):
            said = docker("run", "--rm", "--network", "none", image.tag, "/bin/program", "--version").stdout
            assert "qemu" in said

    def test_an_image_that_is_there_is_only_named(self, docker: Tool, store: Store, tmp_path: Path) -> None:
        client = open_engine("docker", command(tmp_path, "docker", docker))
        image = put_image(store, tag="named:1.0-cpu", program=PROGRAM.read_bytes())
        load_image(client, store, named_manifest(image))
        docker("rmi", "--no-prune", "named:1.0-cpu", check=False)
        load_image(client, store, named_manifest(image))
        again = put_image(store, tag="named:again", program=PROGRAM.read_bytes())
        assert load_image(client, store, named_manifest(again)).moved_bytes == 0
        assert docker("image", "inspect", "--format", "{{.Id}}", "named:again").stdout.strip() == str(
            image.manifest.config.digest
        )

    def test_a_wrong_guess_ends_in_a_full_load(
        self, docker: Tool, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The engine lost the layers between its answer and the load."""
        client = open_engine("docker", command(tmp_path, "docker", docker))
        image = put_image(store, tag="guess:1.0-cpu", program=PROGRAM.read_bytes() + b"unseen")
        promised = [str(layer.diff_id) for layer in image_layers(store, image.digest)]
        monkeypatch.setattr("lading.engine.local.load._chains", lambda client: [promised[:1]])
        loaded = load_image(client, store, named_manifest(image))
        assert (loaded.present_bytes, loaded.moved_bytes > image.layers[0].size_bytes) == (0, True)
        said = docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", image.tag).stdout
        assert json.loads(said) == promised


@pytest.mark.docker
@pytest.mark.network
class TestDockerWithContainerd:
    """containerd's image store keeps blobs by digest, and names images by their manifest."""

    def test_only_the_blobs_that_its_images_lack_are_moved(
        self, containerd_docker: Tool, store: Store, tmp_path: Path
    ) -> None:
        client = open_engine("docker", command(tmp_path, "docker", containerd_docker))
        first, second = two_images(store, "blobs")
        moved: list[int] = []
        assert load_image(client, store, named_manifest(first), progress=moved.append).present_bytes == 0
        base_bytes = first.layers[0].size_bytes
        assert sum(moved) > base_bytes
        moved.clear()
        loaded = load_image(client, store, named_manifest(second), progress=moved.append)
        assert loaded.present_bytes == base_bytes
        assert loaded.moved_bytes == sum(moved) < 20_000 < base_bytes
        containerd_docker("rmi", first.tag)  # what was not sent again stays for as long as an image needs it
        said = containerd_docker("run", "--rm", "--network", "none", second.tag, "/bin/program", "--version")
        assert "qemu" in said.stdout
        containerd_docker("save", "--output", "/srv/whole.tar", second.tag)

    def test_an_image_that_is_there_is_only_named(
        self, containerd_docker: Tool, store: Store, tmp_path: Path
    ) -> None:
        client = open_engine("docker", command(tmp_path, "docker", containerd_docker))
        image = put_image(store, tag="named:1.0-cpu", program=PROGRAM.read_bytes())
        load_image(client, store, named_manifest(image))
        again = put_image(store, tag="named:again", program=PROGRAM.read_bytes())
        assert load_image(client, store, named_manifest(again)).moved_bytes == 0
        said = containerd_docker("image", "inspect", "--format", "{{.Id}}", "named:again").stdout
        assert said.strip() == str(image.digest)

    def test_a_wrong_guess_ends_in_a_full_load(
        self, containerd_docker: Tool, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The engine lost the blob between its answer and the load."""
        client = open_engine("docker", command(tmp_path, "docker", containerd_docker))
        image = put_image(store, tag="guess:1.0-cpu", program=PROGRAM.read_bytes() + b"unseen")
        promised = frozenset({image.layers[0].digest})
        monkeypatch.setattr("lading.engine.local.load._held_blobs", lambda client, store: promised)
        loaded = load_image(client, store, named_manifest(image))
        assert (loaded.present_bytes, loaded.moved_bytes > image.layers[0].size_bytes) == (0, True)
        said = containerd_docker("run", "--rm", "--network", "none", image.tag, "/bin/program", "--version")
        assert "qemu" in said.stdout


@pytest.mark.engines
class TestPodman:
    def test_only_the_layers_it_lacks_are_moved(self, podman: Tool, store: Store, tmp_path: Path) -> None:
        client = open_engine("podman", command(tmp_path, "podman", podman))
        first, second = two_images(store, "prefix")
        assert load_image(client, store, named_manifest(first)).present_bytes == 0
        loaded = load_image(client, store, named_manifest(second))
        assert loaded.present_bytes == first.layers[0].size_bytes
        assert loaded.moved_bytes < 20_000
        said = podman(
            "run", "--rm", "--network", "none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024",
            second.tag, "/bin/program", "--version",
        ).stdout  # fmt: skip
        assert "qemu" in said

    def test_a_wrong_guess_ends_in_a_full_load(
        self, podman: Tool, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = open_engine("podman", command(tmp_path, "podman", podman))
        image = put_image(store, tag="guess:1.0-cpu", program=PROGRAM.read_bytes() + b"unseen")
        promised = [str(layer.diff_id) for layer in image_layers(store, image.digest)]
        monkeypatch.setattr("lading.engine.local.load._chains", lambda client: [promised[:1]])
        loaded = load_image(client, store, named_manifest(image))
        assert (loaded.present_bytes, loaded.moved_bytes > image.layers[0].size_bytes) == (0, True)
        assert list(store.staging.iterdir()) == []


def test_a_daemon_that_does_not_run_is_said_with_the_way_to_start_it(tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "DOCKER_HOST": f"unix://{tmp_path}/none"}
    with pytest.raises(EngineError, match="does not run") as caught:
        open_engine("docker", environment)
    assert "sudo systemctl start docker" in caught.value.hints


def test_a_command_that_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="no `podman` in PATH") as caught:
        Client.find("podman", {"PATH": str(tmp_path)})
    assert caught.value.exit_status == 3
