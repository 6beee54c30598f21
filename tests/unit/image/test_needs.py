"""What shared objects need, as read from wheels: right on good files, bounded and silent on hostile ones."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import pytest
from elves import shared_object
from hypothesis import given
from hypothesis import strategies as st
from wheels import MemorySource, wheel

from lading.errors import DigestMismatch
from lading.image.elf import elf_needs
from lading.image.needs import read_needs, shared_objects
from lading.lock.model import LockedWheel
from lading.store import Store

NAMES = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=12)
WHOLE = shared_object(["libGL.so.1", "libc.so.6"], "libthing.so.2")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open({"LADING_HOME": str(tmp_path / "home")})


@given(st.lists(NAMES, max_size=8), st.none() | NAMES, st.integers(0, 5000))
def test_what_was_laid_out_is_read_back(needed: list[str], soname: str | None, padding: int) -> None:
    found = elf_needs(shared_object(needed, soname, padding=padding))
    assert found is not None
    assert (found.needed, found.soname, found.machine) == (tuple(needed), soname, "x86_64")


@given(st.integers(0, len(WHOLE)))
def test_a_file_cut_anywhere_is_no_crash(length: int) -> None:
    elf_needs(WHOLE[:length])


@given(st.lists(st.tuples(st.integers(6, len(WHOLE) - 9), st.integers(0, 2**64 - 1)), max_size=4))
def test_any_numbers_in_its_tables_are_no_crash(changes: list[tuple[int, int]]) -> None:
    """Offsets, counts and sizes up to 2⁶⁴: an answer or None, in bounded time and memory."""
    content = bytearray(WHOLE)
    for offset, value in changes:
        struct.pack_into("<Q", content, offset, value)
    elf_needs(bytes(content))


@given(st.binary(max_size=400))
def test_any_bytes_after_the_magic_are_no_crash(rest: bytes) -> None:
    elf_needs(b"\x7fELF\x02\x01" + rest)


def test_a_name_without_an_end_is_no_name() -> None:
    """A string table of one endless name, asked for four thousand times, is left after the first look."""
    content = shared_object(["a" * 5000] * 3)
    assert elf_needs(content) is None


def test_every_shared_object_of_a_wheel_is_read(store: Store) -> None:
    """By name: libraries with versions too, nothing that only begins so, nothing that is no ELF file."""
    files = {
        "demo/_core.abi3.so": shared_object(["libx.so.3"]),
        "demo.libs/libx-1234.so.3.0": shared_object(["libc.so.6"], "libx.so.3"),
        "demo/plain.so": b"INPUT(libx.so)",
        "demo/notes.sorted": shared_object(["libz.so.1"]),
    }
    found = shared_objects(MemorySource(wheel(files)), "demo-1.0-py3-none-any.whl", store)
    assert [(item.path, item.soname, item.needed) for item in found] == [
        ("demo.libs/libx-1234.so.3.0", "libx.so.3", ("libc.so.6",)),
        ("demo/_core.abi3.so", None, ("libx.so.3",)),
    ]


def test_a_damaged_wheel_is_left_to_the_build(store: Store) -> None:
    assert shared_objects(MemorySource(b"no archive"), "demo-1.0-py3-none-any.whl", store) == ()


def locked(raw: bytes) -> LockedWheel:
    return LockedWheel(
        name="demo",
        version="1.0",
        filename="demo-1.0-cp311-abi3-linux_x86_64.whl",
        sha256=hashlib.sha256(raw).hexdigest(),
        size_bytes=len(raw),
    )


def test_a_wheel_is_read_once_and_kept_for_the_build(store: Store) -> None:
    """The second time nothing is opened; the bytes are in the store, so that the build fetches nothing."""
    raw = wheel({"demo/_core.abi3.so": shared_object(["libGL.so.1"])})
    one = locked(raw)
    opened = []

    def open_wheel(wanted: LockedWheel) -> MemorySource:
        opened.append(wanted.filename)
        return MemorySource(raw)

    first = read_needs((one,), store=store, open_wheel=open_wheel)
    assert first[one.sha256][0].needed == ("libGL.so.1",)
    assert read_needs((one,), store=store, open_wheel=open_wheel) == first
    assert opened == [one.filename]
    assert [digest.hex for digest in store.blobs] == [one.sha256]


def test_other_bytes_than_the_locked_ones_decide_nothing(store: Store) -> None:
    raw = wheel({"demo/_core.abi3.so": shared_object(["libGL.so.1"])})
    other = wheel({"demo/_core.abi3.so": shared_object(["libXX.so.1"])})
    with pytest.raises(DigestMismatch):
        read_needs((locked(raw),), store=store, open_wheel=lambda _: MemorySource(other))
    assert list(store.blobs) == []
