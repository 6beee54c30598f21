"""A locked wheel is opened wherever it still is, and only if it is the one."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from fetch.loopback import Loopback, ranges

from lading.errors import FetchFailed
from lading.fetch.http import Fetcher
from lading.fetch.source import ByteSource, LocalFile
from lading.lock.model import LockedWheel
from lading.lock.sources import open_wheel
from lading.store import Store
from lock.index import Index

Open = Callable[..., ByteSource]


@pytest.fixture
def opened(store: Store, fetcher: Fetcher, environment: dict[str, str], tmp_path: Path) -> Open:
    def run(wheel: LockedWheel, *, offline: bool = False, **more: str) -> ByteSource:
        chosen = Fetcher(staging=store.staging, environment={}, offline=True) if offline else fetcher
        return open_wheel(
            wheel, store=store, fetcher=chosen, environment={**environment, **more}, folder=tmp_path
        )

    return run


def locked(index: Index, *, tag: str = "py3-none-any") -> tuple[LockedWheel, bytes]:
    filename = index.add("alpha", "1.0", padding=500, tag=tag)
    content = index.server.files[f"/files/{filename}"]
    wheel = LockedWheel(
        name="alpha",
        version="1.0",
        filename=filename,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        url=index.server.url(f"/files/{filename}"),
    )
    return wheel, content


def read(source: ByteSource) -> bytes:
    content = bytes(source.read(0, source.size_bytes))
    source.close()
    return content


def test_the_store_is_asked_first(index: Index, store: Store, opened: Open) -> None:
    wheel, content = locked(index)
    store.blobs.put(content)
    source = opened(wheel, offline=True)
    assert isinstance(source, LocalFile)
    assert read(source) == content
    assert index.server.log == []


@pytest.mark.catalogue("R40")
def test_a_wheel_that_was_spoilt_in_the_store_comes_again(index: Index, store: Store, opened: Open) -> None:
    """As long as before, with other bytes; offline it counts as absent."""
    wheel, content = locked(index)
    path = store.blobs.path(store.blobs.put(content))
    path.chmod(0o644)
    path.write_bytes(content[::-1])
    with pytest.raises(FetchFailed, match="is not in the store"):
        opened(wheel, offline=True)
    assert read(opened(wheel)) == content
    assert not path.exists()


def test_then_a_wheel_folder_that_holds_this_very_file(index: Index, tmp_path: Path, opened: Open) -> None:
    wheel, content = locked(index)
    folder = tmp_path / "wheels"
    folder.mkdir()
    (folder / wheel.filename).write_bytes(content)
    assert read(opened(wheel, offline=True, UV_FIND_LINKS=str(folder))) == content
    (folder / wheel.filename).write_bytes(content[::-1])
    source = opened(wheel, UV_FIND_LINKS=str(folder))
    assert not isinstance(source, LocalFile)
    assert read(source) == content


def test_then_the_url_hint(index: Index, opened: Open) -> None:
    wheel, content = locked(index)
    assert read(opened(wheel)) == content


@pytest.mark.parametrize("hint", [None, "/files/gone.whl"])
@pytest.mark.parametrize(
    "tag",
    ["py3-none-any", "cp311-cp311-manylinux_2_28_aarch64", "cp38-abi3-manylinux2014_x86_64"],
)
def test_without_a_good_hint_uv_finds_it_again(
    index: Index, opened: Open, hint: str | None, tag: str
) -> None:
    wheel, content = locked(index, tag=tag)
    moved = dataclasses.replace(wheel, url=index.server.url(hint) if hint else None)
    assert read(opened(moved)) == content


@pytest.mark.catalogue("R37")
def test_a_page_of_links_is_searched(index: Index, opened: Open) -> None:
    wheel, content = locked(index)
    with Loopback() as server:
        server.files["/links/"] = b'<a href="../w/alpha-1.0-py3-none-any.whl#sha256=x">w</a>'
        server.files["/w/alpha-1.0-py3-none-any.whl"] = content
        server.answers["/links/"] = [ranges]
        unknown = dataclasses.replace(wheel, url=None)
        source = opened(unknown, UV_FIND_LINKS=server.url("/links/"), UV_NO_INDEX="1")
        assert read(source) == content


@pytest.mark.catalogue("R37")
def test_other_bytes_of_the_same_name_are_not_taken(index: Index, opened: Open) -> None:
    """A rebuilt wheel of the same version: neither length nor digest is the locked one."""
    wheel, _ = locked(index)
    other = dataclasses.replace(wheel, sha256="0" * 64, size_bytes=wheel.size_bytes + 1)
    with pytest.raises(FetchFailed, match=r"is nowhere to be had: .*bytes long, the lock says") as caught:
        opened(other)
    assert "lading lock --upgrade alpha" in caught.value.hints


def test_offline_and_nowhere_says_which_wheel(index: Index, opened: Open) -> None:
    wheel, _ = locked(index)
    with pytest.raises(FetchFailed, match=r"alpha-1\.0-py3-none-any\.whl is not in the store"):
        opened(wheel, offline=True)
    assert index.server.log == []
