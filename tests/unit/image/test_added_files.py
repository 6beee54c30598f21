"""`[[image.files]]`: which layers they come in, and the bytes of those."""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.errors import CredentialFound, ProjectError
from lading.image.kinds.added import layers_of, plan_files, stream_file, write_added
from lading.image.layer.recipe import CHUNK_BYTES
from lading.image.layer.writer import LayerWriter, WrittenLayer
from lading.image.spec import FilesLayer, PlannedFile
from lading.project.load import load_project
from lading.project.model import ImageFile
from lading.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open({"LADING_HOME": str(tmp_path / "store")})


def random_bytes(size_bytes: int) -> bytes:
    return b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(size_bytes // 32 + 1))[:size_bytes]


def never(url: str, sha256: str) -> Path:
    raise AssertionError(f"{url} was fetched")


def layer(store: Store, spec: FilesLayer) -> WrittenLayer:
    with store.blobs.writer() as blob:
        writer = LayerWriter(blob)
        write_added(spec, writer, never)
        return writer.finish()


def read(store: Store, written: WrittenLayer) -> dict[str, tuple[int, bytes | str]]:
    found: dict[str, tuple[int, bytes | str]] = {}
    with gzip.open(store.blobs.path(written.digest)) as blob, tarfile.open(fileobj=blob) as archive:
        for member in archive:
            opened = archive.extractfile(member) if member.isreg() else None
            if not member.isdir():
                found[member.name] = (member.mode, opened.read() if opened else member.linkname)
    return found


def test_a_folder_goes_to_its_destination_with_modes_and_links(tmp_path: Path, store: Store) -> None:
    (tmp_path / "w/deep").mkdir(parents=True)
    (tmp_path / "w/deep/a.txt").write_text("a")
    (tmp_path / "w/run").write_text("#!/bin/sh\n")
    (tmp_path / "w/run").chmod(0o700)
    (tmp_path / "w/link").symlink_to("deep/a.txt")
    (spec,) = plan_files(tmp_path, [ImageFile(source="w", destination="/opt/w")])
    assert read(store, layer(store, spec)) == {
        "opt/w/deep/a.txt": (0o644, b"a"),
        "opt/w/link": (0o777, "deep/a.txt"),
        "opt/w/run": (0o755, b"#!/bin/sh\n"),
    }
    (spec,) = plan_files(tmp_path, [ImageFile(source="w/run", destination="/usr/bin/go", mode=0o555)])
    assert read(store, layer(store, spec)) == {"usr/bin/go": (0o555, b"#!/bin/sh\n")}


def test_the_bytes_depend_on_content_and_destination_alone(tmp_path: Path, store: Store) -> None:
    """D: another folder, other times, another umask, another order of making: one key and one digest."""
    made = []
    for number, (times, umask) in enumerate((((0, 0), 0o022), ((9, 9), 0o077))):
        root = tmp_path / f"{number}"
        root.mkdir()
        before = os.umask(umask)
        names = ("b", "a") if number else ("a", "b")
        for name in names:
            (root / name).write_text(name * 10)
            os.utime(root / name, times)
        os.umask(before)
        entries = [ImageFile(source=name, destination=f"/opt/{name}") for name in names]
        (spec,) = plan_files(root, entries)
        made.append((spec.key, layer(store, spec).digest))
    assert made[0] == made[1]


def test_weights_and_large_files_have_a_layer_each_in_one_order() -> None:
    def file(path: str, size_bytes: int, source: str = "here") -> PlannedFile:
        return PlannedFile(path=path, mode=0o644, size_bytes=size_bytes, sha256="0" * 64, source=source)

    files = [
        file("a/small.onnx", 1000),
        file("a/model.onnx", 2 << 20),
        file("a/large.csv", 70 << 20),
        file("a/some.csv", 10 << 20),
        file("a/far", 0, "https://example.org/far"),
    ]
    titles = [spec.title for spec in layers_of(files, kind="files")]
    assert titles == ["/a/large.csv", "/a/model.onnx", "/a/far", "/a/small.onnx and 1 more"]
    assert [s.key for s in layers_of(files, kind="files")] == [
        s.key for s in layers_of(files[::-1], kind="files")
    ]
    many = [file(f"m/{n}.onnx", 2 << 20) for n in range(40)]
    assert len(layers_of(many, kind="files")) == 17


@given(size=st.integers(0, 300), compress=st.booleans())
def test_a_streamed_file_reads_back(
    size: int, compress: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = Store.open({"LADING_HOME": str(tmp_path_factory.mktemp("s"))})
    content = random_bytes(size)
    with store.blobs.writer() as blob:
        writer = LayerWriter(blob)
        pieces = [content] if content else []
        digest = writer.stream("x", pieces, mode=0o644, size_bytes=size, compress=compress)
        written = writer.finish()
    assert digest == hashlib.sha256(content).hexdigest()
    assert read(store, written) == {"x": (0o644, content)}


def test_a_compressed_stream_has_the_bytes_of_a_file(store: Store) -> None:
    content = random_bytes(1000) * 9000
    digests = set()
    for stream in (True, False):
        with store.blobs.writer() as blob:
            writer = LayerWriter(blob)
            if stream:
                cuts = range(0, len(content), CHUNK_BYTES)
                chunks = (content[cut : cut + CHUNK_BYTES] for cut in cuts)
                writer.stream("x", chunks, mode=0o644, size_bytes=len(content))
            else:
                writer.file("x", content, mode=0o644)
            digests.add(writer.finish().digest)
    assert len(digests) == 1


@pytest.mark.parametrize(("content", "smaller"), [(random_bytes(3 << 20), False), (b"abc\n" * 800_000, True)])
def test_what_would_not_compress_is_stored(
    tmp_path: Path, store: Store, content: bytes, smaller: bool
) -> None:
    path = tmp_path / "w.bin"
    path.write_bytes(content)
    with store.blobs.writer() as blob:
        writer = LayerWriter(blob)
        stream_file(writer, "w.bin", path, mode=0o644)
        written = writer.finish()
    assert (written.size_bytes < len(content)) is smaller
    assert smaller or written.size_bytes < len(content) * 1.001
    assert read(store, written) == {"w.bin": (0o644, content)}


def test_a_file_that_changed_after_the_plan_is_refused(tmp_path: Path, store: Store) -> None:
    (tmp_path / "a").write_text("one")
    (spec,) = plan_files(tmp_path, [ImageFile(source="a", destination="/opt/a")])
    (tmp_path / "a").write_text("two")
    with pytest.raises(ProjectError, match="changed while"):
        layer(store, spec)


def test_a_link_out_of_the_project_and_another_sha256_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "p"
    (root / "w").mkdir(parents=True)
    (root / "w/link").symlink_to("../../secret")
    with pytest.raises(ProjectError, match="leads out"):
        plan_files(root, [ImageFile(source="w", destination="/opt/w")])
    (root / "a").write_text("a")
    with pytest.raises(ProjectError, match="has sha256"):
        plan_files(root, [ImageFile(source="a", destination="/opt/a", sha256="0" * 64)])
    two = [ImageFile(source="a", destination="/o/a"), ImageFile(source="a", destination="/o/a")]
    with pytest.raises(ProjectError, match="two of"):
        plan_files(root, two)


def test_a_file_that_looks_like_a_credential_does_not_enter(tmp_path: Path) -> None:
    """Z: what is added by name is looked at as code is, and so is what a step sees."""
    (tmp_path / "train.py").write_text("print(1)\n")
    (tmp_path / ".ladingignore").write_text("keys\n")
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/id_rsa").write_text("x")
    files = '[[image.files]]\nsource = "keys"\ndestination = "/opt/keys"\n'
    for text in (files, '[[image.step]]\nrun = "true"\ninputs = ["keys"]\n'):
        (tmp_path / "lading.toml").write_text(text)
        with pytest.raises(CredentialFound, match="keys/id_rsa"):
            load_project(tmp_path, environment={})


def test_what_is_added_elsewhere_is_not_in_the_code_too(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("print(1)\n")
    (tmp_path / "w").mkdir()
    (tmp_path / "w/a.bin").write_text("a")
    text = '[[image.serve.files]]\nsource = "w"\ndestination = "/opt/w"\nmode = "0444"\n'
    (tmp_path / "lading.toml").write_text(text)
    project = load_project(tmp_path, environment={})
    assert [file.path for file in project.code.files] == ["train.py"]
    assert project.targets["train"].files == ()
    (entry,) = project.targets["serve"].files
    assert (entry.mode, entry.place) == (0o444, "lading.toml:1")
