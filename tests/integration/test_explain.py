"""`lading explain` and `diff` on images that real Docker and buildah made."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from services.process import Tool

pytestmark = [pytest.mark.slow, pytest.mark.root]

DOCKERFILE = """\
FROM scratch
COPY big.bin /app/big.bin
COPY first.txt /app/notes.txt
COPY dist /usr/lib/python3.12/site-packages/
COPY second.txt /app/notes.txt
ENV GREETING=hello
CMD ["/app/run"]
"""


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("context")
    info = folder / "dist/six-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "dist/six.py").write_text("x = 1\n" * 1000)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: six\nVersion: 1.0\n")
    (info / "RECORD").write_text("six.py,,\nsix-1.0.dist-info/METADATA,,\nsix-1.0.dist-info/RECORD,,\n")
    (folder / "big.bin").write_bytes(bytes(range(256)) * 2000)
    (folder / "first.txt").write_text("first\n" * 40_000)
    (folder / "second.txt").write_text("second\n")
    (folder / "Dockerfile").write_text(DOCKERFILE)
    return folder


@pytest.fixture(scope="module")
def saved(docker: Tool, context: Path) -> Path:
    docker("build", "--quiet", "--tag", "explained:1", context)
    archive = context.parent / "explained.tar"
    docker("save", "--output", archive, "explained:1")
    return archive


def _explained(lading: Tool, image: str) -> dict[str, object]:
    document: dict[str, object] = json.loads(lading("explain", image, "--json").stdout)
    return document


def _layer_bytes(archive: Path) -> int:
    """By Python's tarfile: the true size of all layers."""
    with tarfile.open(archive) as outer:
        entry = json.load(outer.extractfile("manifest.json") or io.BytesIO())[0]
        return sum(outer.getmember(layer).size for layer in entry["Layers"])


@pytest.mark.docker
def test_what_docker_saved_is_accounted_for_to_the_byte(saved: Path, lading: Tool) -> None:
    document = _explained(lading, f"docker-archive:{saved}")
    lines = {line["name"]: line for line in document["lines"]}  # type: ignore[attr-defined]
    assert sum(line["size_bytes"] for line in lines.values()) == _layer_bytes(saved)
    assert lines["hidden by later layers"]["size_bytes"] == 240_000
    assert [package["name"] for package in document["packages"]] == ["six"]  # type: ignore[attr-defined]


@pytest.mark.docker
@pytest.mark.engines
def test_the_forms_of_one_image_are_explained_alike(
    saved: Path, lading: Tool, skopeo: Tool, tmp_path: Path
) -> None:
    """Docker's archive, a layout in gzip, an archive in zstd: the same bytes unpacked, no difference."""
    gz, zst = f"oci:{tmp_path}/gz", f"oci-archive:{tmp_path}/zst.tar"
    skopeo("copy", "--quiet", f"docker-archive:{saved}", f"{gz}:1")
    flags = ("--dest-compress", "--dest-compress-format", "zstd")
    skopeo("copy", "--quiet", *flags, f"docker-archive:{saved}", f"{zst}:1")
    documents = [_explained(lading, image) for image in (f"docker-archive:{saved}", gz, zst)]
    assert len({document["unpacked_bytes"] for document in documents}) == 1
    assert {layer["compression"] for layer in documents[2]["layers"]} == {"zstd"}  # type: ignore[attr-defined]
    same = lading("diff", f"docker-archive:{saved}", gz, "--exit-code")
    assert "nothing else differs" in same.stdout


@pytest.mark.docker
def test_limits_and_pages(saved: Path, lading: Tool, tmp_path: Path) -> None:
    image = f"docker-archive:{saved}"
    failed = lading("explain", image, "--max-size", "100kB", check=False)
    assert failed.returncode == 1
    assert "is allowed" in failed.stderr
    lading("explain", image, "--html", tmp_path / "page.html", "--sbom", tmp_path / "bom.json")
    page = (tmp_path / "page.html").read_text()
    assert "http" not in page.replace("application/json", "")
    assert json.loads((tmp_path / "bom.json").read_bytes())["specVersion"] == "1.6"
    packed = tmp_path / "saved.tar.gz"
    packed.write_bytes(gzip.compress(saved.read_bytes(), 1))
    assert _explained(lading, f"docker-archive:{packed}")["unpacked_bytes"] == _layer_bytes(saved)


@pytest.mark.engines
def test_buildahs_archive_with_deleted_files(
    buildah: Tool, context: Path, lading: Tool, tmp_path: Path
) -> None:
    container = buildah("from", "scratch").stdout.strip()
    buildah("add", container, context / "big.bin", "/app/big.bin")
    buildah("commit", "--quiet", container, "deleted:1")
    archive = f"oci-archive:{tmp_path}/image.tar"
    buildah("push", "--quiet", "deleted:1", archive)
    document = _explained(lading, archive)
    lines = document["lines"]
    assert sum(line["size_bytes"] for line in lines) == document["unpacked_bytes"]  # type: ignore[attr-defined]
    assert sum(line["packed_bytes"] for line in lines) == document["packed_bytes"]  # type: ignore[attr-defined]


@pytest.mark.docker
@pytest.mark.registry
@pytest.mark.engines
def test_engines_and_registries_are_asked(
    saved: Path, docker: Tool, registry: str, lading: Tool, skopeo: Tool
) -> None:
    """`docker:NAME` and HOST/REPOSITORY:TAG are the image that the archive is."""
    place = f"{registry}/explained/one:1"
    skopeo("copy", "--quiet", "--dest-tls-verify=false", f"docker-archive:{saved}", f"docker://{place}")
    env = {"DOCKER_HOST": docker.prefix[2]}
    assert "nothing else differs" in lading("diff", "docker:explained:1", place, env=env).stdout
    failed = lading("explain", "docker:nothing:1", env=env, check=False)
    assert failed.returncode == 3
    assert "hint: docker images" in failed.stderr


SPEC = """\
Name: {name}
Version: {version}
Release: 1
Summary: words
License: MIT
BuildArch: noarch
{more}
%description
words
%install
mkdir -p %{{buildroot}}/opt/{name}
head -c {size} /dev/zero > %{{buildroot}}/opt/{name}/data
%files
/opt/{name}
"""


@pytest.mark.engines
def test_files_of_rpm_packages_have_owners(lading: Tool, tmp_path: Path) -> None:
    """In a database that RPM itself wrote, as UBI 9 and Fedora have it."""
    quiet = Tool(prefix=("sh", "-c"))
    for name, version, size, more in (
        ("liba", "1.2", 300_000, "Provides: virtual-a"),
        ("toolb", "2.0", 200_000, "Requires: virtual-a"),
    ):
        (tmp_path / f"{name}.spec").write_text(SPEC.format(name=name, version=version, size=size, more=more))
        quiet(f"cd {tmp_path} && rpmbuild -bb --define '_topdir {tmp_path}/top' {name}.spec")
    root = tmp_path / "root"
    root.mkdir()
    quiet(f"rpm --root {root} --dbpath /var/lib/rpm -i {tmp_path}/top/RPMS/noarch/*.rpm")
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        archive.add(root, arcname=".")
    config = {
        "os": "linux",
        "architecture": "amd64",
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer.getvalue()).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": ["rpm:1"], "Layers": ["layer.tar"]}]
    with tarfile.open(tmp_path / "image.tar", "w") as archive:
        for name, content in (
            ("config.json", json.dumps(config).encode()),
            ("layer.tar", layer.getvalue()),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    image = f"docker-archive:{tmp_path}/image.tar"
    document = _explained(lading, image)
    (group,) = [line for line in document["lines"] if line["name"] == "RPM packages"]  # type: ignore[attr-defined]
    sizes = {line["name"]: line["size_bytes"] for line in group["lines"]}
    assert sizes == {"liba 1.2-1": 300_000, "toolb 2.0-1": 200_000}
    chain = json.loads(lading("explain", image, "--why", "liba", "--json").stdout)["chains"]
    assert chain == [["toolb 2.0-1", "liba 1.2-1"]]
    lading("explain", image, "--sbom", tmp_path / "sbom.json")
    purls = {part["purl"] for part in json.loads((tmp_path / "sbom.json").read_text())["components"]}
    assert "pkg:rpm/redhat/toolb@2.0-1?arch=noarch" in purls
