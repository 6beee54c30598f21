"""One command, an image a platform, one index; and nothing is emulated for the platform that is not ours."""

from __future__ import annotations

import io
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lading.cli.main import run_command_line
from lading.image.kinds import bytecode
from lading.image.python.toolchain import Toolchain, prepare_toolchain
from services.process import Tool, require

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.engines]

BOTH = "linux/amd64,linux/arm64"
ARM_PROCESSOR = """\
processor\t: 0
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: 0xd0c
CPU revision\t: 1
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("platforms") / "twofold"
    folder.mkdir()
    (folder / "lading.toml").write_text(
        '[image]\nbase = "debian:bookworm"\nplatform = ["linux/amd64", "linux/arm64"]\n'
    )
    (folder / "requirements.txt").write_text("numpy\nscikit-learn\nonnxruntime\n")
    (folder / "train.py").write_text("import numpy, sklearn, onnxruntime\nprint(numpy.__version__)\n")
    return folder


@pytest.fixture(scope="module")
def built(project: Path, lading: Tool) -> Mapping[str, Any]:
    """Both images, as a layout and an archive beside the project; what `--json` said."""
    outputs = [f"oci:{project.parent}/layout", f"oci-archive:{project.parent}/both.tar"]
    words = [word for output in outputs for word in ("--output", output)]
    said: Mapping[str, Any] = json.loads(
        lading("build", "--json", "--platform", BOTH, *words, project).stdout
    )
    return said


def image_of(built: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return next(image for image in built["images"] if image["platform"] == name)


def test_the_index_names_an_image_for_each_platform(built: Mapping[str, Any], project: Path) -> None:
    index = json.loads(
        (project.parent / "layout/blobs/sha256" / built["digest"].removeprefix("sha256:")).read_bytes()
    )
    named = {entry["platform"]["architecture"]: entry["digest"] for entry in index["manifests"]}
    assert named == {"amd64": built["images"][0]["digest"], "arm64": built["images"][1]["digest"]}


@pytest.mark.parametrize("transport", ["oci:{}/layout", "oci-archive:{}/both.tar"])
@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_skopeo_finds_each_platform(
    built: Mapping[str, Any], project: Path, skopeo: Tool, transport: str, architecture: str
) -> None:
    place = transport.format(project.parent)
    said = json.loads(skopeo("inspect", "--override-arch", architecture, place).stdout)
    assert (said["Digest"], said["Architecture"]) == (built["digest"], architecture)


@pytest.mark.root
def test_podman_loads_its_own_platform_of_the_archive(
    built: Mapping[str, Any], project: Path, podman: Tool
) -> None:
    podman("load", "--input", project.parent / "both.tar")
    tag = image_of(built, "linux/amd64")["tag"]
    said = podman("image", "inspect", "--format", "{{.Architecture}} {{len .RootFS.Layers}}", tag).stdout
    assert said.split() == ["amd64", str(len(image_of(built, "linux/amd64")["layers"]))]


@pytest.mark.root
def test_containerd_imports_both(built: Mapping[str, Any], project: Path, ctr: Tool) -> None:
    ctr("images", "import", "--all-platforms", project.parent / "both.tar")
    listed = next(line for line in ctr("images", "ls").stdout.splitlines() if "twofold" in line)
    assert "linux/amd64" in listed and "linux/arm64" in listed and built["digest"] in listed


@pytest.mark.registry
def test_a_push_brings_both_images_and_their_index(
    built: Mapping[str, Any], project: Path, lading: Tool, registry: str, skopeo: Tool
) -> None:
    place = f"{registry}/team/twofold:1"
    said = json.loads(lading("push", "--json", "--platform", BOTH, place, project).stdout)
    assert said["digest"] == built["digest"]
    raw = json.loads(skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{place}").stdout)
    assert [entry["digest"] for entry in raw["manifests"]] == [i["digest"] for i in built["images"]]
    again = json.loads(lading("push", "--json", "--platform", BOTH, place, project).stdout)
    assert again["pushed"]["uploaded_bytes"] == 0
    lading("pull", "--platform", "linux/arm64", place)


def test_docker_archive_holds_the_platform_of_this_host_and_says_so(
    built: Mapping[str, Any], project: Path, lading: Tool, skopeo: Tool
) -> None:
    place = f"docker-archive:{project.parent}/one.tar"
    done = lading("build", "--platform", BOTH, "--output", place, project)
    assert "docker-archive knows no platforms" in done.stderr
    assert json.loads(skopeo("inspect", place).stdout)["Architecture"] == "amd64"


def test_the_arm64_image_imports_its_wheels(
    built: Mapping[str, Any], project: Path, skopeo: Tool, umoci: Tool, tmp_path: Path
) -> None:
    """Unpacked by umoci, run by an emulator: numpy, scikit-learn and ONNX Runtime work."""
    single = f"oci:{tmp_path}/arm64:one"
    skopeo("copy", "--override-arch", "arm64", f"oci:{project.parent}/layout", single)
    rootless = () if os.geteuid() == 0 else ("--rootless",)
    umoci("unpack", *rootless, "--image", f"{tmp_path}/arm64:one", tmp_path / "bundle")
    root = tmp_path / "bundle/rootfs"
    # The emulator would show the processor of this host, in which ONNX Runtime finds no Arm.
    for path, content in (("proc/cpuinfo", ARM_PROCESSOR), ("sys/devices/system/cpu/possible", "0\n")):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    (root / "sys/devices/system/cpu/present").write_text("0\n")
    python = Tool(
        prefix=(
            require("qemu-aarch64-static", "qemu-user-static"),
            "-L",
            str(root),
            f"{root}/usr/bin/python3.11",
        ),
        env={
            "PYTHONHOME": f"{root}/usr",
            "PYTHONPATH": f"{root}/opt/venv/lib/python3.11/site-packages",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
    )
    program = (
        "import platform, numpy, sklearn.linear_model, onnxruntime\n"
        "model = sklearn.linear_model.LinearRegression().fit([[0.0], [1.0]], [1.0, 3.0])\n"
        "print(platform.machine(), round(float(model.predict([[2.0]])[0])), numpy.__cached__)\n"
    )
    machine, answer, cached = python("-c", program).stdout.split()
    assert (machine, answer) == ("aarch64", "5")
    assert (root / cached[1:] if cached.startswith("/opt") else Path(cached)).is_file()


def test_the_bytecode_is_what_arm64_itself_compiles(
    built: Mapping[str, Any], project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for a second host: the same build, compiled by arm64's own Python under an emulator."""
    emulator = require("qemu-aarch64-static", "qemu-user-static")

    def emulated(*arguments: Any, **options: Any) -> Toolchain:
        toolchain = prepare_toolchain(*arguments, **options)
        assert options["platform"].architecture == "arm64"
        return replace(toolchain, command=(emulator, *toolchain.command))

    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(bytecode, "prepare_toolchain", emulated)
    stdout, stderr = io.StringIO(), io.StringIO()
    environment = {**os.environ, "LADING_HOME": str(tmp_path / "home")}
    words = ("build", "--json", "--locked", "--platform", "linux/arm64", str(project))
    assert run_command_line(words, environment, stdout, stderr) == 0, stderr.getvalue()
    said = json.loads(stdout.getvalue())
    ours = image_of(built, "linux/arm64")
    assert [layer["digest"] for layer in said["layers"]] == [layer["digest"] for layer in ours["layers"]]
    assert said["digest"] == ours["digest"]


def test_a_lock_without_this_hosts_platform_says_what_to_write(
    project: Path, lading: Tool, tmp_path: Path
) -> None:
    folder = tmp_path / "foreign"
    folder.mkdir()
    (folder / "lading.toml").write_text('[image]\nbase = "debian:bookworm"\nplatform = "linux/arm64"\n')
    (folder / "train.py").write_text("print(1)\n")
    done = lading("build", folder, check=False, env={"LADING_HOME": str(tmp_path / "home")})
    assert done.returncode == 1
    assert 'platform = ["linux/amd64", "linux/arm64"] under [image]' in done.stderr
