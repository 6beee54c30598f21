"""`--image`: images of strangers, in Docker's own format, from a registry, at the embedded engine."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
from pathlib import Path

import pytest

from services.process import Tool

pytestmark = [pytest.mark.slow, pytest.mark.root, pytest.mark.registry, pytest.mark.engines]


@pytest.fixture(scope="module")
def rootfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tar of a root with three programs of this host, their libraries, and a device as many have."""
    root = tmp_path_factory.mktemp("rootfs")
    for program in ("/bin/sh", "/bin/cat", "/usr/bin/id"):
        ldd = Tool(prefix=("ldd",))(program).stdout
        for source in (program, *re.findall(r"(/\S+) \(0x", ldd)):
            target = root / source.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    (root / "dev").mkdir()
    os.mknod(root / "dev/console", stat.S_IFCHR | 0o600, os.makedev(5, 1))
    archive = root.with_suffix(".tar")
    Tool(prefix=("tar",))("-C", root, "-cf", archive, ".")
    return archive


@pytest.fixture(scope="module")
def stranger(
    rootfs: Path, buildah: Tool, registry: str, skopeo: Tool, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """One image made by buildah, pushed as Docker's schema 2 and with zstd layers; by form, its place."""
    folder = tmp_path_factory.mktemp("stranger")
    container = buildah("from", "scratch").stdout.strip()
    buildah("add", container, rootfs, "/")
    (folder / "said").write_text("a stranger's file\n")
    buildah("add", "--chmod", "0644", container, folder / "said", "/srv/said")
    config = ("--env", "GREETING=hello", "--user", "1000:1000", "--workingdir", "/srv", "--cmd", "cat said")
    buildah("config", *config, container)
    buildah("commit", "--quiet", container, "stranger:1")
    root, run = buildah.prefix[2], buildah.prefix[4]
    place = f"[overlay@{root}+{run}]"
    image = f"containers-storage:{place}localhost/stranger:1"
    places = {"docker": f"{registry}/strangers/one:1", "zstd": f"{registry}/strangers/two:1"}
    flags = ("--quiet", "--dest-tls-verify=false")
    skopeo("copy", *flags, "--format", "v2s2", image, f"docker://{places['docker']}")
    # By way of a folder: at the registry skopeo would find the gzip layers again and take those.
    zstd = ("--format", "oci", "--dest-compress", "--dest-compress-format", "zstd")
    skopeo("copy", "--quiet", *zstd, image, f"oci:{folder}/zstd:1")
    skopeo("copy", *flags, "--preserve-digests", f"oci:{folder}/zstd:1", f"docker://{places['zstd']}")
    return places


@pytest.mark.parametrize("form", ["docker", "zstd"])
def test_an_image_of_strangers_runs_as_it_says(
    stranger: dict[str, str], form: str, lading: Tool, skopeo: Tool
) -> None:
    """Its command, variables, user and folder are its own, whatever its media types and compression."""
    place = stranger[form]
    raw = json.loads(skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{place}").stdout)
    kinds = {layer["mediaType"] for layer in raw["layers"]}
    assert all(form in kind for kind in kinds)
    assert lading("run", "--image", place).stdout == "a stranger's file\n"
    said = lading("run", "--image", place, "--", "sh", "-c", "echo $GREETING $(id -u) $PWD").stdout
    assert said.split() == ["hello", "1000", "/srv"]


def test_what_was_pulled_is_not_asked_for_again(stranger: dict[str, str], lading: Tool) -> None:
    done = lading("run", "--image", stranger["docker"])
    assert "pulling" not in done.stderr
    digest = lading("pull", stranger["docker"]).stdout.strip().partition("@")[2]
    assert lading("run", "--image", digest).stdout == "a stranger's file\n"


def test_an_image_that_is_nowhere_is_said(lading: Tool, registry: str) -> None:
    done = lading("run", "--image", f"{registry}/strangers/none:1", check=False)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    done = lading("run", "--image", "sha256:" + "0" * 64, check=False)
    assert (done.returncode, "not in the store" in done.stderr) == (2, True)
    done = lading("run", "--image", f"{registry}/strangers/none", check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
