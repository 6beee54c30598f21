"""Laws of reading images: every byte on one line, whatever the tar; what is hostile is refused by name."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from foreign_images import put_image, put_tar
from lading.errors import DigestMismatch, ImageRefused
from lading.inspect.explain.account import HIDDEN
from lading.inspect.explain.explanation import Explanation, explain_image, shown
from lading.inspect.image.archives import Archive, Folder, docker_image, manifest_image
from lading.inspect.image.kept import find_layer, keep_layer
from lading.inspect.image.layer import read_layer
from lading.inspect.image.merge import merge_layers
from lading.inspect.image.model import LayerEvidence, MemberKind, Packing, Where
from lading.inspect.image.source import read_image
from lading.oci.digest import DiffId
from lading.store import Store


def layer_of(blob: bytes, diff_id: DiffId | None = None) -> LayerEvidence:
    return read_layer(lambda: io.BytesIO(blob), "layer", digest=None, diff_id=diff_id)


def tar_of(*members: tuple[str, Any], form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form, errors="surrogateescape") as archive:
        for path, content in members:
            info = tarfile.TarInfo(path)
            if content is None:
                info.type = tarfile.DIRTYPE
                archive.addfile(info)
            elif isinstance(content, tuple):
                info.type, info.linkname = content
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def explained(store: Store, *tars: bytes) -> Explanation:
    digest = store.blobs.put(put_image(store, [put_tar(store, tar) for tar in tars]).to_bytes())
    return explain_image(read_image(manifest_image(Folder(store.root), "image", digest), store))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open({"LADING_HOME": str(tmp_path / "store")})


names = st.one_of(
    st.sampled_from(["a", "b", "a/b", "d/.wh.a", "d/.wh..wh..opq", ".wh.b", "d/x", "x" * 180, "é/ü"]),
    st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=4).map(
        lambda parts: "/".join(
            part.replace(b"/", b"_")
            .replace(b"\0", b"_")
            .replace(b"..", b"__")
            .decode("utf-8", "surrogateescape")
            for part in parts
        )
    ),
)
contents = st.one_of(
    st.none(),
    st.binary(max_size=3000),
    st.sampled_from(
        [(tarfile.SYMTYPE, "a"), (tarfile.LNKTYPE, "a"), (tarfile.FIFOTYPE, ""), (tarfile.CHRTYPE, "")]
    ),
)
tars = st.builds(
    lambda members, form: tar_of(*members, form=form),
    st.lists(st.tuples(names, contents), max_size=12),
    st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
)
packers = st.sampled_from(
    [
        lambda tar: tar,
        lambda tar: gzip.compress(tar, mtime=0),
        lambda tar: b"".join(gzip.compress(tar[n : n + 700]) for n in range(0, len(tar), 700)),
        lambda tar: zstandard.ZstdCompressor().compress(tar),
    ]
)


@settings(max_examples=150, deadline=None)
@given(tars, packers)
def test_members_and_ends_are_every_byte_unpacked_and_stored(tar: bytes, pack: Any) -> None:
    blob = pack(tar)
    layer = layer_of(blob)
    assert sum(member.total_bytes for member in layer.members) + layer.end_bytes == len(tar)
    assert sum(m.packed_total_bytes for m in layer.members) + layer.packed_end_bytes == len(blob)
    assert layer.diff_id.hex == hashlib.sha256(tar).hexdigest()


@settings(max_examples=60, deadline=None)
@given(st.lists(tars, min_size=1, max_size=4))
def test_the_lines_of_an_account_add_up(layers: list[bytes]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        explanation = explained(Store.open({"LADING_HOME": folder}), *layers)
        leaves: list[Any] = []
        waiting = [explanation.account]
        while waiting:
            line = waiting.pop()
            waiting.extend(line.children.values())
            if not line.children:
                leaves.append(line)
        assert sum(line.size_bytes for line in leaves) == sum(map(len, layers))
        assert explanation.account.packed_bytes == explanation.image.packed_bytes


def test_a_sparse_file_weighs_what_the_archive_holds(tmp_path: Path) -> None:
    """Written by GNU tar itself, in its old form and as pax."""
    import subprocess

    with (tmp_path / "hole").open("wb") as file:
        file.seek(10 << 20)
        file.write(b"end" * 1000)
        file.seek(40 << 20)
        file.write(b"x")
    for form in ("gnu", "posix"):
        command = ["tar", f"--format={form}", "--sparse", "-C", str(tmp_path), "-cf", "-", "hole"]
        tar = subprocess.run(command, capture_output=True, check=True).stdout
        layer = layer_of(tar)
        assert [member.path for member in layer.members] == ["hole"]
        assert sum(member.total_bytes for member in layer.members) + layer.end_bytes == len(tar)


def test_later_layers_hide_and_hard_links_keep(store: Store) -> None:
    below = tar_of(
        ("d", None),
        ("d/a", b"A" * 900),
        ("d/link", (tarfile.LNKTYPE, "d/a")),
        ("e/x", b"X" * 700),
        ("r", b"1" * 600),
    )
    above = tar_of(("d/.wh.a", b""), ("e/.wh..wh..opq", b""), ("e/y", b"Y" * 10), ("r", b"2" * 50))
    explanation = explained(store, below, above)
    merged = merge_layers(explanation.image.layers)
    assert set(merged.seen) == {"d", "d/link", "e/y", "r"}
    gone = {explanation.image.member(where).path: fate[0].value for where, fate in merged.gone.items()}
    assert gone == {"e/x": "deleted", "r": "rewritten"}  # d/a lives on under d/link
    assert explanation.account.children[HIDDEN].size_bytes == 1300


def test_what_is_kept_of_a_layer_is_what_was_read(store: Store) -> None:
    odd = b"odd-\xff\xfe".decode("utf-8", "surrogateescape")
    dist = b"Metadata-Version: 2.1\nName: Six\nVersion: 1.0\n"
    layer = layer_of(tar_of((odd, b"x"), ("lib/six-1.0.dist-info/METADATA", dist), form=tarfile.GNU_FORMAT))
    keep_layer(store, layer)
    assert find_layer(store, layer.digest) == layer
    assert shown(layer.members[0].path) == r"odd-\xff\xfe"


def test_shares_say_how_well_they_are_known() -> None:
    tar = tar_of(("a", b"a" * 5000), ("b", b"b" * 5000))
    assert layer_of(tar).packing is Packing.PLAIN
    assert layer_of(gzip.compress(tar)).packing is Packing.STREAM
    split = b"".join(gzip.compress(tar[n : n + 512]) for n in range(0, len(tar), 512))
    assert layer_of(split).packing is Packing.MEMBERS


def _flipped(tar: bytes) -> bytes:
    return tar[:10] + bytes([tar[10] ^ 1]) + tar[11:]


@pytest.mark.parametrize(
    ("blob", "rule"),
    [
        (tar_of(("a/../../etc/passwd", b"x")), "tar-path"),
        (_flipped(tar_of(("a", b"x"))), "tar-checksum"),
        (tar_of(("a", b"x" * 2000))[:1000], "tar-truncated"),
        (tar_of(("a", b"x")) + b"more" * 128, "tar-end"),
        (gzip.compress(tar_of(("a", b"x")))[:-5], "layer-damaged"),
        (b"\x1f\x8b" + b"no gzip at all" * 9, "layer-damaged"),
        (zstandard.ZstdCompressor().compress(tar_of(("a", b"x")))[:-3], "layer-damaged"),
        (b"this is not a tar archive" * 100, "tar-"),
    ],
)
def test_hostile_layers_are_refused_by_rule(blob: bytes, rule: str) -> None:
    with pytest.raises(ImageRefused) as caught:
        layer_of(blob)
    assert caught.value.rule.startswith(rule)


def test_a_bomb_is_given_up() -> None:
    bomb = zstandard.ZstdCompressor().compress(tar_of(("zeros", bytes(200 << 20))))
    with pytest.raises(ImageRefused, match="layer-bomb"):
        layer_of(bomb)


def test_a_layer_that_is_not_what_its_image_promises_is_refused() -> None:
    with pytest.raises(DigestMismatch):
        layer_of(tar_of(("a", b"x")), DiffId.of(b"something else"))


@pytest.mark.parametrize(
    "document", [b"[]", b"no json", b"[{}]", b'[{"Config":"../x","Layers":[]}]', b"[" * 100_000]
)
def test_broken_docker_archives_are_refused(tmp_path: Path, store: Store, document: bytes) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(tar_of(("manifest.json", document)))
    with pytest.raises(ImageRefused):
        docker_image(Archive(path, store.staging), "image", "linux/amd64")


def test_a_docker_archive_in_gzip_with_links_is_read(tmp_path: Path, store: Store) -> None:
    layer = tar_of(("app/main.py", b"print()"))
    config = {
        "os": "linux",
        "architecture": "amd64",
        "rootfs": {"diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"] * 2},
    }
    entry = [{"Config": "c.json", "Layers": ["one/layer.tar", "two/layer.tar"]}]
    archive = tar_of(
        ("manifest.json", json.dumps(entry).encode()),
        ("c.json", json.dumps(config).encode()),
        ("one/layer.tar", layer),
        ("two/layer.tar", (tarfile.SYMTYPE, "../one/layer.tar")),
    )
    (tmp_path / "image.tar.gz").write_bytes(gzip.compress(archive))
    source = docker_image(Archive(tmp_path / "image.tar.gz", store.staging), "image", "linux/amd64")
    image = read_image(source, store)
    assert image.unpacked_bytes == 2 * len(layer)
    assert image.member(Where(0, 0)).kind is MemberKind.FILE
