"""Secrets are found wherever they are, and nothing else is."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import tarfile
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from lading.inspect.scan.model import Check
from lading.inspect.scan.search import TextSearch, search_text
from lading.project.tokens import FORMATS
from scanned import innocent, planted
from scanned.images import SITE, put, read, scan, store_in, wheel


@pytest.mark.catalogue("Z02")
@pytest.mark.parametrize("kind", planted.TOKENS)
def test_a_secret_of_each_kind_is_found_though_a_later_layer_deletes_it(tmp_path: Path, kind: str) -> None:
    secret = planted.TOKENS[kind]
    lines = f"# settings\n\nvalue: '{secret}'\n".encode()
    report = scan(store_in(tmp_path), {"app/settings.yaml": lines}, {"app/.wh.settings.yaml": b""})
    assert [(found.path, found.layer, found.line) for found in report.findings][:1] == [
        ("app/settings.yaml", 1, 3)
    ]
    assert "deleted by layer 2" in report.findings[0].message
    for part in secret.split():
        assert len(part) < 20 or part not in repr(report.findings), "it is never shown"


def test_at_least_fifty_kinds_are_planted_and_every_format_is_among_them() -> None:
    texts = [text.encode() for text in planted.TOKENS.values()]
    found = {words for text in texts for words, _ in search_text(text)}
    assert len(planted.TOKENS) >= 50
    assert all(any(one.title in words for words in found) for one in FORMATS)


@pytest.mark.parametrize("path", [*planted.FILES, *planted.PLACES])
def test_a_secret_is_found_wherever_it_is(tmp_path: Path, path: str) -> None:
    """Z01, Z03, Z05, Z06, Z07: by name, in archives, in bytecode, in what Git keeps, in notebooks."""
    content = {**planted.FILES, **planted.PLACES}[path]
    report = scan(store_in(tmp_path), {path: content})
    assert {found.path for found in report.findings} == {path}


def test_a_secret_in_a_database_is_found(tmp_path: Path) -> None:
    content = planted.database(tmp_path, planted.GITHUB)
    assert [found.path for found in scan(store_in(tmp_path), {"app/mlflow.db": content}).findings] == [
        "app/mlflow.db"
    ]


def test_the_member_of_an_archive_is_named(tmp_path: Path) -> None:
    report = scan(store_in(tmp_path), {"opt/app.jar": planted.PLACES["opt/lib/app.jar"]})
    assert report.findings[0].details["inside"] == "BOOT-INF/lib/inner.jar!application.properties"


@pytest.mark.catalogue("Z04")
def test_secrets_in_variables_labels_commands_and_history_are_found(tmp_path: Path) -> None:
    report = scan(store_in(tmp_path), {"a": b"x"}, config=planted.CONFIG)
    assert [found.path for found in report.findings] == sorted(found.path for found in report.findings)
    assert len(report.findings) == planted.CONFIG_COUNT
    assert planted.WANDB not in repr(report.findings)


@pytest.mark.catalogue("Z09")
def test_hashes_locks_ids_certificates_and_samples_are_none(tmp_path: Path) -> None:
    report = scan(store_in(tmp_path), innocent.FILES, config=innocent.CONFIG)
    assert [(found.path, found.message) for found in report.findings] == []
    assert report.sample_count == 9


def test_what_a_package_does_not_list_is_no_sample_of_it(tmp_path: Path) -> None:
    files = wheel("demo", "1.0", {"demo/__init__.py": b""})
    planted_file = f"{SITE}/demo/tests/server.key"
    report = scan(store_in(tmp_path), files, {planted_file: planted.pem("RSA ").encode()})
    assert [found.path for found in report.findings] == [planted_file]


def test_a_sample_that_is_not_what_the_package_brought_is_none(tmp_path: Path) -> None:
    path = f"{SITE}/demo/tests/server.key"
    files = wheel("demo", "1.0", {"demo/tests/server.key": planted.pem("").encode()})
    assert scan(store_in(tmp_path), files).findings == ()
    changed = scan(store_in(tmp_path), files, {path: planted.pem("").encode()})
    assert {(found.path, found.layer) for found in changed.findings} == {(path, 1), (path, 2)}


def test_what_is_not_searched_is_counted(tmp_path: Path) -> None:
    report = scan(store_in(tmp_path), {"a": b"\x7fELF" + bytes(100), "m.safetensors": innocent.safetensors()})
    assert report.unsearched["machine code"] == (1, 104)
    assert report.unsearched["weights and arrays"][0] == 1


BROKEN = {
    "a.zip": b"PK\x03\x04" + bytes(200),
    "a.tar": planted.tarred({"a": b"b" * 2000})[:900],
    "a.gz": b"\x1f\x8b\x08" + bytes(50),
    "a.xz": b"\xfd7zXZ\0" + bytes(50),
    "a.bz2": b"BZh9" + bytes(50),
    "x/.git/objects/pack/a.pack": b"PACK\0\0\0\2\0\0\0\x09" + bytes(40),
    "x/.git/objects/ab/" + "c" * 38: b"x\x9c" + bytes(40),
    "a.zst": b"\x28\xb5\x2f\xfd" + b"\xff" * 50,
}


@pytest.mark.parametrize("path", BROKEN)
def test_a_broken_archive_is_counted_and_ends_nothing(tmp_path: Path, path: str) -> None:
    report = scan(store_in(tmp_path), {path: BROKEN[path], "after": planted.LINE})
    assert [found.path for found in report.findings] == ["after"]
    assert list(report.unsearched) == ["archives, in part or whole"]


def test_an_archive_that_grows_without_end_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lading.inspect.scan.nested._MOST_UNPACKED_BYTES", 1 << 20)
    bomb = planted.zipped({f"{n}.txt": bytes([65 + n]) * (1 << 20) for n in range(4)})
    report = scan(store_in(tmp_path), {"bomb.zip": bomb})
    assert report.unsearched["archives, in part or whole"] == (1, len(bomb))


def test_a_layer_is_read_once(tmp_path: Path) -> None:
    """What was seen is kept by the layer's digest: whatever became of the blob, it is said again."""
    store = store_in(tmp_path)
    digest = put(store, [{"app/settings": planted.LINE, "opt/\udcff": b"PK"}])
    first = read(store, digest)
    layer = first[0].image.layers[0].digest
    blob = store.blobs.path(layer)
    blob.unlink()
    blob.write_bytes(b"damaged")
    assert read(store, digest)[1] == first[1]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 55_000), max_size=4, unique=True), st.integers(1, 20_000))
def test_a_text_in_pieces_is_searched_as_one(places: list[int], piece: int) -> None:
    """Wherever blocks end: the same tokens on the same lines."""
    text = bytearray(b"some words of a log\n" * 3000)
    token = b"\n" + planted.GITHUB.encode() + b"\n"
    for place in places:
        text[place : place + len(token)] = token
    search = TextSearch(block_bytes=8192)
    for start in range(0, len(text), piece):
        search.feed(bytes(text[start : start + piece]))
    assert {line for _, line in search.finish()} == _lines(bytes(text))


def _lines(text: bytes) -> set[int]:
    found, at = set(), text.find(planted.GITHUB.encode())
    while at >= 0:
        before, after = text[at - 1 : at], text[at + len(planted.GITHUB) : at + len(planted.GITHUB) + 1]
        if not before.isalnum() and not after.isalnum():
            found.add(text.count(b"\n", 0, at) + 1)
        at = text.find(planted.GITHUB.encode(), at + 1)
    return found


def test_only_the_checks_that_are_asked_for_are_metrics(tmp_path: Path) -> None:
    report = scan(store_in(tmp_path), {"a": b"x"}, checks=(Check.SECRETS,))
    assert json.dumps(dict(report.metrics)) == '{"secrets": 0.0}'


def _pax_of(size_bytes: int) -> bytes:
    """A tar whose extended header says that it is this long, and is not."""
    tar = bytearray(planted.tarred({"x" * 150: b"y"}, "w"))
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, size_bytes
    return info.tobuf(tarfile.USTAR_FORMAT) + bytes(tar)


HOSTILE = {
    "pax.tar": _pax_of(3 << 30),
    "pax.tar.gz": gzip.compress(_pax_of(3 << 30)),
    "xz": b"\xfd7zXZ\0\0\4\xe6\xd6\xb4F\2\0!\1\x28" + bytes(60),
    "directory.zip": planted.zipped({"a": b"a"})[:-10] + (1 << 30).to_bytes(4, "little") + bytes(6),
    "directory64.zip": planted.zipped({"a": b"a"})[:-22]
    + b"PK\x06\x06"
    + bytes(36)
    + (1 << 40).to_bytes(8, "little")
    + bytes(8)
    + b"PK\x06\x07"
    + bytes(16)
    + planted.zipped({"a": b"a"})[-22:],
    "deep.gz": gzip.compress(gzip.compress(gzip.compress(gzip.compress(gzip.compress(planted.LINE))))),
}


@pytest.mark.parametrize("path", HOSTILE)
def test_what_a_header_claims_is_not_taken_on_trust(tmp_path: Path, path: str) -> None:
    report = scan(store_in(tmp_path), {path: HOSTILE[path], "after": planted.LINE})
    assert [found.path for found in report.findings] == ["after"]
    assert report.unsearched == {"archives, in part or whole": (1, len(HOSTILE[path]))}


CHAINED = {
    "a.xz": lzma.compress(b"x\n") + bytes(8) + lzma.compress(planted.LINE),
    "a.bz2": bz2.compress(b"x\n") + bz2.compress(planted.LINE),
    "a.gz": gzip.compress(b"x\n") + gzip.compress(planted.LINE),
    "a.zst": zstandard.compress(b"x\n") + zstandard.compress(planted.LINE),
    "a.tar.bz2": planted.tarred({"a/b": b"x" * 70_000, "a/c": planted.LINE}, "w:bz2"),
    "a.tar.zst": zstandard.compress(planted.tarred({"a/b": b"\0" * 70_000, "a/c": planted.LINE})),
    "a.conda": planted.zipped(
        {"pkg.tar.zst": zstandard.compress(planted.tarred({"lib/c.py": planted.LINE}))}
    ),
}


@pytest.mark.parametrize("path", CHAINED)
def test_streams_one_after_another_and_in_each_other_are_read(tmp_path: Path, path: str) -> None:
    assert [found.path for found in scan(store_in(tmp_path), {path: CHAINED[path]}).findings] == [path]


def test_z09_all_that_is_planted_is_found_among_all_that_is_innocent_and_nothing_else(tmp_path: Path) -> None:
    """One image: every kind, every place, half of it deleted by a later layer, and the look-alikes around."""
    kinds = {f"srv/{kind}.txt": f"value: '{text}'\n".encode() for kind, text in planted.TOKENS.items()}
    secrets = {
        **kinds,
        **{f"srv/{path}": content for path, content in (planted.FILES | planted.PLACES).items()},
    }
    deleted = [path for number, path in enumerate(secrets) if number % 2]
    whiteouts = {f"{path.rpartition('/')[0]}/.wh.{path.rpartition('/')[2]}": b"" for path in deleted}
    report = scan(store_in(tmp_path), innocent.FILES, secrets, whiteouts, config=planted.CONFIG)
    in_files = {found.path for found in report.findings if not found.path.startswith("config:")}
    assert in_files == set(secrets)
    assert (
        len(report.findings) - sum(found.layer is not None for found in report.findings)
        == planted.CONFIG_COUNT
    )
    assert len(secrets) + planted.CONFIG_COUNT >= 85
    hidden = {found.path for found in report.findings if found.details["hidden"] == "deleted"}
    assert hidden == set(deleted)
