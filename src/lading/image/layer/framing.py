"""gzip members by hand: around a DEFLATE stream somebody else made, around ours, around stored bytes.

A layer blob is a row of members, which together are one valid gzip file (RFC 1952 §2.2). Nothing here
depends on the host: no time, no name, no operating system in any header.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import cast

import deflate
from isal import isal_zlib

from lading.image.layer.recipe import LEVEL

Buffer = bytes | bytearray | memoryview

MEMBER_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
STORED_BLOCK_BYTES = 65_535
_TRAILER = struct.Struct("<II")
_STORED = struct.Struct("<BHH")


def trailer(crc32: int, size_bytes: int) -> bytes:
    """What ends a member; the size is modulo 2^32 as the RFC says."""
    return _TRAILER.pack(crc32, size_bytes & 0xFFFF_FFFF)


def compressed_member(data: bytes) -> bytes:
    """One member holding `data`, compressed by libdeflate: the same bytes on every CPU."""
    stream = cast(bytes, deflate.deflate_compress(data, LEVEL))
    return b"%s%s%s" % (MEMBER_HEAD, stream, trailer(isal_zlib.crc32(data), len(data)))


def stored_member(data: bytes) -> bytes:
    """One member holding `data` as it is: for what would not get smaller."""
    blocks = b"".join(stored_blocks(data, last=True))
    return b"%s%s%s" % (MEMBER_HEAD, blocks, trailer(isal_zlib.crc32(data), len(data)))


def stored_blocks(chunk: Buffer, *, last: bool) -> Iterator[Buffer]:
    """`chunk` as DEFLATE stored blocks (RFC 1951 §3.2.4); `last` marks the end of the stream."""
    view = memoryview(chunk)
    end = len(view)
    position = 0
    while True:
        piece = view[position : position + STORED_BLOCK_BYTES]
        position += len(piece)
        final = last and position == end
        yield _STORED.pack(final, len(piece), len(piece) ^ 0xFFFF)
        yield piece
        if position == end:
            return
