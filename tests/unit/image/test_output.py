"""The laws of outputs: deterministic, whole or absent, and no damaged byte ever leaves the store."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from lading.errors import DigestMismatch, OutsideError, StoreError, UsageError
from lading.image.model import Image
from lading.image.output.archive import archive_chunks, archive_size_bytes
from lading.image.output.layout import Output, named_manifest, write_blob, write_layout, write_output
from lading.store import Store
from small_image import put_image


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open({"LADING_HOME": str(tmp_path / "home")})


@pytest.fixture
def image(store: Store) -> Image:
    return put_image(store)


def archive(store: Store, *images: Image) -> bytes:
    return b"".join(archive_chunks(store, [named_manifest(image) for image in images]))


def write(store: Store, image: Image, text: str) -> int:
    return write_output(store, [named_manifest(image)], Output.parse(text), standard_output=io.BytesIO())


def flip(store: Store, image: Image, *, layer: int = 0) -> Path:
    path = store.blobs.path(image.layers[layer].digest)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    return path


def test_an_archive_is_the_same_bytes_from_another_store_at_another_time(
    store: Store, image: Image, tmp_path: Path
) -> None:
    other = Store.open({"LADING_HOME": str(tmp_path / "other")})
    second = put_image(other)
    for digest in other.blobs:
        os.utime(other.blobs.path(digest), (0, 0))

    assert archive(store, image) == archive(other, second)
    golden = "d6e71be8"  # of the dual archive's first format; a change here is a new format
    assert golden == hashlib.sha256(archive(store, image)).hexdigest()[:8]


def test_an_archive_is_a_docker_archive_and_an_oci_layout_at_once(store: Store, image: Image) -> None:
    with tarfile.open(fileobj=io.BytesIO(archive(store, image))) as members:
        files = {m.name: members.extractfile(m).read() for m in members if m.isfile()}  # type: ignore[union-attr]
        names = members.getnames()
        owners = {(m.uid, m.gid, m.uname, m.mtime) for m in members}

    assert owners == {(0, 0, "", 315_619_200)}
    assert names == sorted(names)
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    (entry,) = json.loads(files["index.json"])["manifests"]
    assert entry["digest"] == image.digest
    assert entry["annotations"] == {
        "io.containerd.image.name": "docker.io/library/small:1.0-cpu",
        "org.opencontainers.image.ref.name": "1.0-cpu",
    }
    (docker,) = json.loads(files["manifest.json"])
    assert docker["RepoTags"] == ["small:1.0-cpu"]
    assert files[docker["Config"]] == image.config.to_bytes()
    diff_ids = json.loads(files[docker["Config"]])["rootfs"]["diff_ids"]
    assert len(docker["Layers"]) == len(diff_ids)
    for name, content in files.items():
        if name.startswith("blobs/sha256/"):
            assert name == f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"


def test_the_size_is_known_before_the_first_byte(store: Store, image: Image) -> None:
    manifests = [named_manifest(image)]

    assert archive_size_bytes(store, manifests) == len(archive(store, image))


def test_two_images_share_their_blobs_in_one_archive(store: Store, image: Image) -> None:
    other = put_image(store, tag="other:2", program=b"#!/bin/other\n")

    with tarfile.open(fileobj=io.BytesIO(archive(store, image, other))) as members:
        names = [name for name in members.getnames() if name.startswith("blobs/sha256/")]

    assert len(names) == len(set(names)) == 7  # two manifests, two configs, three layers


def test_both_archive_kinds_are_the_same_file(store: Store, image: Image, tmp_path: Path) -> None:
    write(store, image, f"docker-archive:{tmp_path}/a.tar")
    size_bytes = write(store, image, f"oci-archive:{tmp_path}/b.tar")

    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    assert size_bytes == (tmp_path / "b.tar").stat().st_size


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("kind", ["oci", "oci-archive"])
def test_a_flipped_byte_is_found_before_it_leaves(
    store: Store, image: Image, tmp_path: Path, kind: str, layer: int
) -> None:
    """S21: nothing is left at the destination, not even a part."""
    flip(store, image, layer=layer)
    target = tmp_path / "out"

    with pytest.raises(DigestMismatch, match="corrupt"):
        write(store, image, f"{kind}:{target}")

    left = [path for path in target.rglob("*") if path.name in ("index.json", image.layers[layer].digest.hex)]
    assert left == []
    assert kind == "oci" or not target.exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_truncated_or_missing_blob_is_named_with_a_next_step(
    store: Store, image: Image, tmp_path: Path
) -> None:
    """S22 and S23, before a byte is written."""
    path = store.blobs.path(image.layers[0].digest)
    path.chmod(0o644)
    os.truncate(path, 5)
    with pytest.raises(StoreError, match="5 bytes long instead of") as caught:
        write(store, image, f"oci:{tmp_path}/out")
    path.unlink()
    with pytest.raises(StoreError, match="missing"):
        write(store, image, f"docker-archive:{tmp_path}/out.tar")

    assert "lading build" in caught.value.hints
    assert not (tmp_path / "out").exists() and not (tmp_path / "out.tar").exists()


def test_a_failed_archive_leaves_the_old_one(store: Store, image: Image, tmp_path: Path) -> None:
    target = tmp_path / "image.tar"
    target.write_bytes(b"old")
    flip(store, image)

    with pytest.raises(DigestMismatch):
        write(store, image, f"oci-archive:{target}")

    assert target.read_bytes() == b"old"
    assert list(tmp_path.glob(".*")) == []


def test_a_layout_holds_the_image_as_links_and_merges_others(
    store: Store, image: Image, tmp_path: Path
) -> None:
    layout = tmp_path / "out"
    write_layout(store, [named_manifest(image)], layout)
    other = put_image(store, tag="small:2.0-cpu", program=b"other")
    write_layout(store, [named_manifest(other)], layout)
    write_layout(store, [named_manifest(other)], layout)  # again: nothing changes

    index = json.loads((layout / "index.json").read_bytes())
    assert [entry["digest"] for entry in index["manifests"]] == [image.digest, other.digest]
    blob = layout / "blobs/sha256" / image.layers[0].digest.hex
    assert blob.samefile(store.blobs.path(image.layers[0].digest))
    assert sorted(os.listdir(layout)) == ["blobs", "index.json", "oci-layout"]


def test_a_rebuilt_image_takes_over_its_name(store: Store, image: Image, tmp_path: Path) -> None:
    write_layout(store, [named_manifest(image)], tmp_path / "out")
    again = put_image(store, program=b"changed")
    write_layout(store, [named_manifest(again)], tmp_path / "out")

    index = json.loads((tmp_path / "out/index.json").read_bytes())
    assert [entry["digest"] for entry in index["manifests"]] == [again.digest]


def test_two_repositories_with_one_tag_do_not_shadow_each_other(
    store: Store, image: Image, tmp_path: Path
) -> None:
    write_layout(store, [named_manifest(image)], tmp_path / "out")
    other = put_image(store, tag="other:1.0-cpu", program=b"other")

    with pytest.raises(UsageError, match=r"already has docker\.io/library/small:1\.0-cpu"):
        write_layout(store, [named_manifest(other)], tmp_path / "out")


def test_what_others_put_into_an_index_stays(store: Store, image: Image, tmp_path: Path) -> None:
    write_layout(store, [named_manifest(image)], tmp_path / "out")
    path = tmp_path / "out/index.json"
    document = json.loads(path.read_bytes())
    foreign = {"mediaType": "application/x", "digest": "sha256:" + "0" * 64, "size": 1, "x": [1]}
    document |= {"manifests": [foreign], "annotations": {"a": "b"}}
    path.write_text(json.dumps(document))

    write_layout(store, [named_manifest(image)], tmp_path / "out")

    merged = json.loads(path.read_bytes())
    assert merged["manifests"][0] == foreign
    assert merged["annotations"] == {"a": "b"}


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"manifests": 3}', b'{"manifests": [3]}', b'{"x": []}', b"\xff"]
)
def test_a_damaged_index_is_refused_and_left_alone(
    store: Store, image: Image, tmp_path: Path, content: bytes
) -> None:
    """S25."""
    write_layout(store, [named_manifest(image)], tmp_path / "out")
    path = tmp_path / "out/index.json"
    path.write_bytes(content)

    with pytest.raises(UsageError, match="is no OCI index"):
        write_layout(store, [named_manifest(image)], tmp_path / "out")

    assert path.read_bytes() == content


def test_a_folder_of_the_users_is_not_littered(store: Store, image: Image, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").write_text("")

    with pytest.raises(UsageError, match="is there and is no OCI layout"):
        write_layout(store, [named_manifest(image)], tmp_path / "mine")

    assert os.listdir(tmp_path / "mine") == ["thesis.tex"]


WRITE = """
import sys
from pathlib import Path
from small_image import put_image
from lading.image.output.layout import named_manifest, write_layout
from lading.store import Store
store = Store.open({"LADING_HOME": sys.argv[1]})
for number in range(5):
    image = put_image(store, tag=f"small:{sys.argv[3]}-{number}", program=f"{sys.argv[3]}-{number}".encode())
    write_layout(store, [named_manifest(image)], Path(sys.argv[2]))
"""


def test_processes_that_write_one_layout_lose_nothing(store: Store, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent)}
    layout = tmp_path / "out"
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITE, str(store.root), str(layout), name], env=environment)
        for name in ("a", "b", "c")
    ]
    assert [process.wait() for process in processes] == [0, 0, 0]

    entries = json.loads((layout / "index.json").read_bytes())["manifests"]
    names = {entry["annotations"]["org.opencontainers.image.ref.name"] for entry in entries}
    assert names == {f"{letter}-{number}" for letter in "abc" for number in range(5)}


def test_a_device_is_written_to_and_never_replaced(store: Store, image: Image, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("/dev/null")

    for path in ("/dev/null", str(link)):
        write(store, image, f"oci-archive:{path}")

    assert Path("/dev/null").is_char_device()
    assert link.is_symlink()


def test_a_symlink_to_a_file_stays_a_symlink(store: Store, image: Image, tmp_path: Path) -> None:
    (tmp_path / "real.tar").write_bytes(b"old")
    (tmp_path / "link.tar").symlink_to("real.tar")

    write(store, image, f"oci-archive:{tmp_path}/link.tar")

    assert (tmp_path / "link.tar").is_symlink()
    assert (tmp_path / "real.tar").read_bytes() == archive(store, image)


def test_standard_output_gets_the_bytes_and_a_full_device_is_an_error(store: Store, image: Image) -> None:
    stream = io.BytesIO()
    write_output(store, [named_manifest(image)], Output.parse("oci-archive:-"), standard_output=stream)
    assert stream.getvalue() == archive(store, image)

    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OutsideError, match="No space left"):
        write_output(store, [named_manifest(image)], Output.parse("oci-archive:-"), standard_output=full)
    with pytest.raises(OutsideError, match="No space left"):
        write(store, image, "docker-archive:/dev/full")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("out.tar", "is no output"),
        ("oci:", "is no output"),
        ("tar:out.tar", "is no output"),
        ("oci:-", "cannot go to standard output"),
        (":x", "is no output"),
        ("", "is no output"),
    ],
)
def test_an_output_that_is_none_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Output.parse(text)


def test_an_archive_into_a_folder_or_into_nowhere_is_refused(
    store: Store, image: Image, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        write(store, image, f"oci-archive:{tmp_path}")
    with pytest.raises(UsageError, match="there is no folder"):
        write(store, image, f"oci-archive:{tmp_path}/none/a.tar")


def test_a_blob_beside_the_image_is_written_whole(store: Store, tmp_path: Path) -> None:
    digest = store.blobs.put(b'{"bom": 1}')

    write_blob(store, digest, tmp_path / "sbom.json")

    assert (tmp_path / "sbom.json").read_bytes() == b'{"bom": 1}'
