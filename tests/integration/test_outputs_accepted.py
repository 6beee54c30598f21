"""The outputs are accepted by the real engines and tools, with the digests that lading gave them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from lading.image.model import Image
from lading.image.output.layout import Output, named_manifest, write_output
from lading.store import Store
from services.process import Tool
from small_image import put_image

pytestmark = [pytest.mark.slow]

PROGRAM = Path("/usr/bin/qemu-x86_64-static")
"""A static program: an image of it alone can run."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store.open({"LADING_HOME": str(tmp_path_factory.mktemp("home"))})


@pytest.fixture(scope="module")
def image(store: Store) -> Image:
    return put_image(store, program=PROGRAM.read_bytes())


@pytest.fixture(scope="module")
def outputs(store: Store, image: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`image.tar` and the layout `layout`."""
    folder = tmp_path_factory.mktemp("outputs")
    for text in (f"oci:{folder}/layout", f"docker-archive:{folder}/image.tar"):
        write_output(store, [named_manifest(image)], Output.parse(text), standard_output=io.BytesIO())
    return folder


@pytest.mark.docker
@pytest.mark.root
def test_docker_loads_and_runs_the_archive(docker: Tool, outputs: Path, image: Image) -> None:
    said = docker("load", "-i", outputs / "image.tar").stdout
    assert "Loaded image: small:1.0-cpu" in said
    inspected = json.loads(docker("image", "inspect", "small:1.0-cpu").stdout)[0]
    assert inspected["Id"] == image.manifest.config.digest
    assert inspected["RootFS"]["Layers"] == list(image.config.diff_ids)
    assert "qemu" in docker("run", "--rm", "small:1.0-cpu", "/bin/program", "--version").stdout


@pytest.mark.engines
@pytest.mark.root
def test_podman_loads_the_archive_under_its_name(podman: Tool, outputs: Path, image: Image) -> None:
    assert "docker.io/library/small:1.0-cpu" in podman("load", "-i", outputs / "image.tar").stdout
    inspected = json.loads(podman("image", "inspect", "small:1.0-cpu").stdout)[0]
    assert inspected["Digest"] == image.digest
    assert inspected["RootFS"]["Layers"] == list(image.config.diff_ids)


@pytest.mark.engines
@pytest.mark.root
def test_containerd_imports_the_archive_under_its_name(ctr: Tool, outputs: Path, image: Image) -> None:
    ctr("images", "import", outputs / "image.tar")
    listed = ctr("images", "list").stdout
    assert "docker.io/library/small:1.0-cpu" in listed
    assert image.digest in listed


@pytest.mark.engines
@pytest.mark.parametrize("form", ["oci:layout:1.0-cpu", "oci-archive:image.tar"])
def test_skopeo_copies_with_the_digest_kept(
    skopeo: Tool, outputs: Path, image: Image, form: str, tmp_path: Path
) -> None:
    skopeo("copy", "--preserve-digests", form, f"dir:{tmp_path}/copy", cwd=outputs)
    assert (tmp_path / "copy/manifest.json").read_bytes() == image.manifest.to_bytes()


@pytest.mark.engines
def test_skopeo_reads_the_same_file_as_a_docker_archive(skopeo: Tool, outputs: Path, image: Image) -> None:
    inspected = json.loads(skopeo("inspect", "--config", "docker-archive:image.tar", cwd=outputs).stdout)
    assert inspected["rootfs"]["diff_ids"] == list(image.config.diff_ids)


@pytest.mark.engines
@pytest.mark.root
def test_umoci_unpacks_the_layout(umoci: Tool, outputs: Path, tmp_path: Path) -> None:
    umoci("unpack", "--image", "layout:1.0-cpu", tmp_path / "bundle", cwd=outputs)
    assert (tmp_path / "bundle/rootfs/bin/program").read_bytes() == PROGRAM.read_bytes()


@pytest.mark.engines
@pytest.mark.root
def test_buildah_pulls_the_layout(buildah: Tool, outputs: Path, image: Image) -> None:
    said = buildah("pull", "oci:layout:1.0-cpu", cwd=outputs).stdout
    assert image.manifest.config.digest.hex in said


@pytest.mark.engines
def test_oci_image_tool_finds_layout_and_manifest_valid(
    oci_image_tool: Tool, outputs: Path, image: Image
) -> None:
    oci_image_tool("validate", "--type", "image", "--ref", "name=1.0-cpu", "layout", cwd=outputs)
