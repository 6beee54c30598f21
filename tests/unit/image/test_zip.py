"""The ZIP reader on its own: order of reads, memory, and agreement with `zipfile` on whatever it accepts."""

from __future__ import annotations

import hashlib
import io
import random
import tracemalloc
import zipfile
import zlib
from dataclasses import replace
from itertools import pairwise

import pytest
import wheels
from hypothesis import example, given
from hypothesis import strategies as st
from wheels import FILENAME, Entry, MemorySource, archive, members

from lading.errors import WheelRefused
from lading.image.wheel.install import Prefix, verify_wheel
from lading.image.wheel.zip import (
    CHUNK_BYTES,
    OUTPUT_BYTES,
    data_offset,
    inflate_member,
    read_directory,
    read_member,
)

PREFIX = Prefix(python_version="3.11")
WHEEL = wheels.wheel({"demo/__init__.py": b"answer = 42\n", "demo/data.bin": bytes(range(256)) * 9})


def content_of(raw: bytes) -> set[tuple[str, str]]:
    """(name, sha256) of every file, as this reader sees them."""
    source = MemorySource(raw)
    directory = read_directory(source, FILENAME)
    return {
        (member.name, hashlib.sha256(read_member(source, directory, index, limit_bytes=1 << 30)).hexdigest())
        for index, member in enumerate(directory.members)
        if not member.is_directory
    }


def content_by_zipfile(raw: bytes) -> set[tuple[str, str]]:
    with zipfile.ZipFile(io.BytesIO(raw)) as file:
        return {
            (entry.filename, hashlib.sha256(file.read(entry)).hexdigest())
            for entry in file.infolist()
            if not entry.is_dir()
        }


def _chunks(raw: bytes, index: int) -> list[tuple[bytes, bytes]]:
    source = MemorySource(raw)
    directory = read_directory(source, FILENAME)
    offset = data_offset(source, directory, index)
    pairs = inflate_member(source, directory, directory.members[index], offset)
    return [(bytes(compressed), bytes(content)) for compressed, content in pairs]


@pytest.mark.parametrize("method", [0, 8], ids=["stored", "deflated"])
@pytest.mark.parametrize("size_bytes", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, OUTPUT_BYTES, OUTPUT_BYTES + 1])
def test_the_halves_of_the_pairs_join_to_stream_and_content(method: int, size_bytes: int) -> None:
    entry = Entry(name="demo/x.bin", data=random.Random(size_bytes).randbytes(size_bytes), method=method)
    pairs = _chunks(archive([entry]), 0)
    assert b"".join(compressed for compressed, _ in pairs) == entry.stream
    assert b"".join(content for _, content in pairs) == entry.data


def test_output_is_bounded_however_much_a_chunk_inflates_to() -> None:
    entry = Entry(name="demo/zeros.bin", data=bytes(40 << 20))
    tracemalloc.start()
    try:
        source = MemorySource(archive([entry]))
        directory = read_directory(source, FILENAME)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        pairs = inflate_member(source, directory, directory.members[0], data_offset(source, directory, 0))
        longest = max(len(content) for _, content in pairs)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert longest <= OUTPUT_BYTES
    assert peak < 4 * OUTPUT_BYTES


def test_a_member_that_inflates_to_more_than_it_declares_is_stopped_at_once() -> None:
    entry = Entry(name="demo/zeros.bin", data=b"x", payload=wheels.deflate(bytes(64 << 20), 9))
    source = MemorySource(archive([entry]))
    directory = read_directory(source, FILENAME)
    offset = data_offset(source, directory, 0)
    tracemalloc.start()
    try:
        with pytest.raises(WheelRefused) as caught:
            for _ in inflate_member(source, directory, directory.members[0], offset):
                pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.rule == "zip-size"
    assert peak < 1 << 20


def test_the_directory_is_read_from_the_tail_alone() -> None:
    """Of a big archive with a small directory, only the last bytes are asked for: one request."""
    big = Entry(name="demo/big.bin", data=random.Random(3).randbytes(1 << 20), method=0)
    source = MemorySource(archive([big, *members()]))
    read_directory(source, FILENAME)
    assert source.reads == [(source.size_bytes - (256 << 10), 256 << 10)]


def test_a_directory_longer_than_the_tail_costs_one_more_read() -> None:
    entries = [Entry(name=f"demo/{number:0200}.py", method=0) for number in range(3000)]
    source = MemorySource(archive(entries))
    assert len(read_directory(source, FILENAME).members) == 3000
    assert len(source.reads) == 2


def test_members_in_order_are_read_front_to_back_without_gaps() -> None:
    """So a layer can be written while its wheel is still coming."""
    folder = Entry(name="demo/", mode=0o40755, method=0)
    padded = Entry(name="demo/y.py", data=b"y = 1\n", local_extra=wheels.extra_field(0x5455, b"\0" * 5))
    raw = archive([folder, *members(extra=[padded, Entry(name="demo/empty.py", method=0)])])
    source = MemorySource(raw)
    directory = read_directory(source, FILENAME)
    source.reads.clear()
    for index, member in enumerate(directory.members):
        for _ in inflate_member(source, directory, member, data_offset(source, directory, index)):
            pass
    assert source.reads[0][0] == 0
    assert all(offset + length == after for (offset, length), (after, _) in pairwise(source.reads))
    assert sum(source.reads[-1]) == directory.directory_offset


def test_members_are_in_the_order_of_their_bytes_whatever_the_directory_says() -> None:
    entries = members({"demo/a.py": b"a", "demo/b.py": b"b"})
    raw = bytearray(archive(entries))
    directory = read_directory(MemorySource(bytes(raw)), FILENAME)
    first, second = (46 + len(entry.raw_name) for entry in entries[:2])
    start = directory.directory_offset
    block = bytes(raw[start : start + first + second])
    raw[start : start + first + second] = block[first:] + block[:first]
    assert read_directory(MemorySource(bytes(raw)), FILENAME).members == directory.members


def test_reading_more_than_the_limit_is_refused_before_it_is_read() -> None:
    source = MemorySource(WHEEL)
    directory = read_directory(source, FILENAME)
    source.reads.clear()
    with pytest.raises(WheelRefused) as caught:
        read_member(source, directory, 1, limit_bytes=2000)
    assert caught.value.rule == "member-too-large"
    assert source.reads == []


names = st.lists(
    st.text(st.sampled_from("abcdefgh0123_é"), min_size=1, max_size=8), min_size=1, max_size=4
).map("/".join)
contents = st.one_of(st.binary(max_size=200), st.integers(0, 5000).map(lambda size: b"ab" * size))


@st.composite
def valid_archives(draw: st.DrawFn) -> bytes:
    """Members at random; names of equal length can neither collide by folder nor by case."""
    files = draw(st.dictionaries(names, contents, max_size=8))
    entries = [
        Entry(
            name=f"demo/{number}/{name}",
            data=data,
            method=draw(st.sampled_from((0, 8))),
            payload=None,
            mode=draw(st.sampled_from((0, 0o100644, 0o100755, 0o644))),
        )
        for number, (name, data) in enumerate(files.items())
    ]
    return archive(members(extra=entries), zip64=draw(st.sampled_from(("", "whole"))))


@given(valid_archives())
def test_what_is_accepted_is_what_zipfile_reads(raw: bytes) -> None:
    assert content_of(raw) == content_by_zipfile(raw)
    verify_wheel(MemorySource(raw), FILENAME, PREFIX)


@given(st.data())
def test_a_changed_byte_is_refused_or_changes_nothing(data: st.DataObject) -> None:
    """Of names and content: both are in RECORD. Times and attributes may differ."""
    position = data.draw(st.integers(0, len(WHEEL) - 1))
    value = data.draw(st.integers(0, 255))
    changed = WHEEL[:position] + bytes([value]) + WHEEL[position + 1 :]
    _refused_or_same(changed)


@pytest.mark.slow
def test_any_changed_bit_is_refused_or_changes_nothing() -> None:
    for position in range(len(WHEEL)):
        for bit in range(8):
            changed = bytearray(WHEEL)
            changed[position] ^= 1 << bit
            _refused_or_same(bytes(changed))


def _refused_or_same(changed: bytes) -> None:
    try:
        install = verify_wheel(MemorySource(changed), FILENAME, PREFIX)
    except WheelRefused:
        return
    original = verify_wheel(MemorySource(WHEEL), FILENAME, PREFIX)
    files = {(file.path, file.sha256) for file in install.files}
    assert files == {(file.path, file.sha256) for file in original.files}
    assert content_of(changed) == content_by_zipfile(changed) == content_of(WHEEL)


@given(st.binary(max_size=400))
@example(b"")
@example(b"PK\5\6" + bytes(18))
def test_noise_never_crashes_the_reader(raw: bytes) -> None:
    with pytest.raises(WheelRefused):
        verify_wheel(MemorySource(raw), FILENAME, PREFIX)


@given(st.data())
def test_noise_in_a_member_never_crashes_the_inflater(data: st.DataObject) -> None:
    payload = data.draw(st.binary(min_size=1, max_size=300))
    entry = Entry(name="demo/x.py", data=b"x" * 50, payload=payload)
    try:
        pairs = _chunks(archive([entry]), 0)
    except WheelRefused:
        return
    stream = zlib.decompressobj(-15)
    assert stream.decompress(payload) == b"".join(content for _, content in pairs) == entry.data
    assert stream.eof


def test_a_wheel_without_members_is_refused_as_a_wheel_not_as_an_archive() -> None:
    source = MemorySource(archive([]))
    assert read_directory(source, FILENAME).members == ()
    with pytest.raises(WheelRefused) as caught:
        verify_wheel(source, FILENAME, PREFIX)
    assert caught.value.rule == "dist-info-count"


def test_a_dos_made_archive_has_no_modes() -> None:
    entry = replace(members()[0], system=0, mode=0o100755)
    directory = read_directory(MemorySource(archive([entry])), FILENAME)
    assert directory.members[0].mode == 0
