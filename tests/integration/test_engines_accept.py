"""Other tools take the archive that `lading build --output docker-archive:FILE` writes, and run it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.podman import RUN_LIMITS
from services.process import Tool, require

pytestmark = [pytest.mark.slow, pytest.mark.engines, pytest.mark.root, pytest.mark.network]

IMPORT = "import torch, sklearn, pandas, onnxruntime; print(float(torch.ones(3).sum()))"
REQUIREMENTS = "torch==2.13.0+cpu\nscikit-learn\npandas\nonnxruntime\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """One image as an archive, and what lading says it is."""

    path: Path
    digest: str
    config: str
    tag: str
    diff_ids: tuple[str, ...]


@pytest.fixture(scope="module")
def archive(lading: Tool, tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """An image with torch, scikit-learn, pandas and onnxruntime on Debian 12's Python."""
    folder = tmp_path_factory.mktemp("accept")
    (folder / "requirements.txt").write_text(REQUIREMENTS)
    (folder / "lading.toml").write_text('image.python = "3.11"\n')
    (folder / "main.py").write_text(IMPORT + "\n")
    path = folder.parent / "accept.tar"
    said = lading("build", "--json", "--output", f"docker-archive:{path}", folder).stdout
    document = json.loads(said)
    manifest = _json_in(path, f"blobs/sha256/{document['digest'].removeprefix('sha256:')}")
    config = str(manifest["config"]["digest"])
    rootfs = _json_in(path, f"blobs/sha256/{config.removeprefix('sha256:')}")["rootfs"]
    return Archive(
        path=path,
        digest=document["digest"],
        config=config,
        tag=document["tag"],
        diff_ids=tuple(rootfs["diff_ids"]),
    )


def _json_in(archive: Path, member: str) -> Mapping[str, Any]:
    out = subprocess.run(["tar", "-xOf", str(archive), member], check=True, capture_output=True).stdout
    document: Mapping[str, Any] = json.loads(out)
    return document


@pytest.mark.docker
def test_docker(docker: Tool, archive: Archive) -> None:
    """Docker 20.10 loads it under its tag, with our diff IDs, and runs it."""
    docker("load", "--input", archive.path)
    inspected = json.loads(docker("image", "inspect", archive.tag).stdout)[0]
    assert tuple(inspected["RootFS"]["Layers"]) == archive.diff_ids
    assert inspected["Id"] == archive.config
    assert docker("run", "--rm", archive.tag, "python", "-c", IMPORT).stdout == "3.0\n"


def test_podman(podman: Tool, archive: Archive) -> None:
    """Podman 4.3 loads and runs it."""
    loaded = podman("load", "--input", archive.path).stdout
    name = re.search(r"^Loaded image: *(\S+)$", loaded, re.MULTILINE)
    assert name is not None, loaded
    done = podman("run", "--rm", "--network", "none", *RUN_LIMITS, name[1], "python", "-c", IMPORT)
    assert done.stdout == "3.0\n"


def test_containerd(ctr: Tool, archive: Archive) -> None:
    """containerd 1.6 imports, unpacks and runs it; its digest is ours."""
    ctr("images", "import", "--base-name", "docker.io/library/accept", archive.path)
    listed = [line.split() for line in ctr("images", "list").stdout.splitlines()[1:]]
    name = next(words[0] for words in listed if words[2] == archive.digest)
    done = ctr("run", "--rm", name, "accept-1", "/opt/venv/bin/python", "-c", IMPORT)
    assert done.stdout == "3.0\n"


def test_skopeo(skopeo: Tool, archive: Archive, tmp_path: Path) -> None:
    """skopeo copies it, read as an OCI archive, without changing the manifest."""
    skopeo("copy", "--insecure-policy", f"oci-archive:{archive.path}", f"oci:{tmp_path / 'oci'}:copy")
    assert skopeo("inspect", "--format", "{{.Digest}}", f"oci:{tmp_path / 'oci'}:copy").stdout.strip() == (
        archive.digest
    )


@pytest.fixture(scope="module")
def layout(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive unpacked: an OCI image layout."""
    folder = tmp_path_factory.mktemp("layout")
    subprocess.run(["tar", "-C", str(folder), "-xf", str(archive.path)], check=True)
    return folder


def test_umoci(umoci: Tool, layout: Path, tmp_path: Path) -> None:
    """umoci unpacks it into a bundle, which runc runs."""
    bundle = tmp_path / "bundle"
    umoci("unpack", "--image", f"{layout}:{_reference(layout)}", bundle)
    config = json.loads((bundle / "config.json").read_text())
    config["process"].update(terminal=False, args=["/opt/venv/bin/python", "-c", IMPORT])
    (bundle / "config.json").write_text(json.dumps(config))
    runc = Tool(prefix=(require("runc", "runc"), "--root", str(tmp_path / "runc")))
    assert runc("run", "--bundle", bundle, "lading-umoci").stdout == "3.0\n"


def test_buildah(buildah: Tool, archive: Archive) -> None:
    """buildah takes it as a base and runs it in its chroot isolation."""
    container = buildah("from", "--pull-never", f"oci-archive:{archive.path}").stdout.split()[-1]
    done = buildah("run", "--isolation", "chroot", container, "--", "/opt/venv/bin/python", "-c", IMPORT)
    buildah("rm", container)
    assert done.stdout == "3.0\n"


def test_oci_image_tool(oci_image_tool: Tool, layout: Path) -> None:
    """The reference validator has nothing to say."""
    oci_image_tool("validate", "--type", "image", "--ref", f"name={_reference(layout)}", layout)


def _reference(layout: Path) -> str:
    """The name that the layout's only image has in its index."""
    (manifest,) = json.loads((layout / "index.json").read_text())["manifests"]
    return str(manifest["annotations"]["org.opencontainers.image.ref.name"])
