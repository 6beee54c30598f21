"""A strict ZIP reader over random access: what the members are, where their bytes lie, and that they fit.

Strict means: whatever two readers could see differently is refused, so that what is checked is what every
other tool would install. Rules: APPNOTE.TXT 6.3.10, and what package indexes refuse on upload. Knows ZIP;
must not know what a wheel is. Nothing is ever written to disk.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import cast

from isal import isal_zlib

from lading.fetch.source import ByteSource
from lading.image.wheel.rules import Judge
from lading.image.wheel.zip_directory import check_unicode_path, parse_directory, parse_extra, zip64_field
from lading.image.wheel.zip_model import (
    DEFLATED,
    FLAG_DESCRIPTOR,
    FLAG_UTF8,
    SENTINEL,
    STORED,
    ZipDirectory,
    ZipMember,
)

__all__ = [
    "DEFLATED",
    "STORED",
    "ZipDirectory",
    "ZipMember",
    "data_offset",
    "inflate_member",
    "read_directory",
    "read_member",
]

Buffer = bytes | bytearray | memoryview

CHUNK_BYTES = 1 << 20
"""Compressed bytes read at a time."""
OUTPUT_BYTES = 4 << 20
"""Inflated bytes held at a time, whatever the ratio."""
_LOCAL = struct.Struct("<4sHHHIIIIHH")
_LOCAL_SIGNATURE = b"PK\x03\x04"
_DEFLATE_FLAGS = 0x0006
_InflateError = cast(type[Exception], isal_zlib.error)


def read_directory(source: ByteSource, filename: str, *, lenient: bool = False) -> ZipDirectory:
    """The central directory, checked as far as it can be without the members.

    Reads the archive's tail once, and the rest of the directory when it is longer than that. Raises
    WheelRefused; FetchFailed from the source.
    """
    return parse_directory(source, Judge(filename, lenient=lenient))


def data_offset(source: ByteSource, directory: ZipDirectory, index: int) -> int:
    """Where the data of `members[index]` begins, once its local header proved equal to the directory.

    Also checks that the data ends where the next member begins. In ascending order of `index` it reads
    ascending bytes. Raises WheelRefused.
    """
    member = directory.members[index]
    offset = member.header_offset
    raw_name = member.name.encode()
    fixed_end = offset + _LOCAL.size
    if fixed_end + len(raw_name) > member.end_offset:
        directory.judge().refuse("zip-overlap", "its header reaches into what follows", member=member.name)
    head = bytes(source.read(offset, _LOCAL.size + len(raw_name)))
    signature, _, flags, method, _, crc32, compressed, size, name_bytes, extra_bytes = _LOCAL.unpack_from(
        head
    )
    if signature != _LOCAL_SIGNATURE:
        directory.judge().refuse(
            "zip-local-header", f"no local header at offset {offset}", member=member.name
        )
    if name_bytes != len(raw_name) or head[_LOCAL.size :] != raw_name:
        directory.judge().refuse(
            "zip-local-mismatch", "its local header has another name", member=member.name
        )
    if (
        extra_bytes
        or method != member.method
        or flags != member.flags
        or crc32 != member.crc32
        or compressed != member.compressed_size_bytes
        or size != member.size_bytes
    ):
        extra = _read_extra(source, directory, member, fixed_end + len(raw_name), extra_bytes)
        _check_local(directory, member, (flags, method, crc32, compressed, size), extra)
    start: int = fixed_end + len(raw_name) + extra_bytes
    _check_end(directory, member, start + member.compressed_size_bytes)
    return start


def _read_extra(
    source: ByteSource, directory: ZipDirectory, member: ZipMember, offset: int, length: int
) -> bytes:
    if offset + length + member.compressed_size_bytes > member.end_offset:
        directory.judge().refuse("zip-overlap", "its data reaches into what follows", member=member.name)
    return bytes(source.read(offset, length)) if length else b""


def _check_local(
    directory: ZipDirectory, member: ZipMember, local: tuple[int, int, int, int, int], extra: bytes
) -> None:
    judge = directory.judge()
    flags, method, crc32, compressed, size = local
    fields = parse_extra(extra, member.name, judge)
    check_unicode_path(fields, member.name.encode(), judge)
    wide = zip64_field(fields, member.name, judge)
    if wide is not None and len(wide) not in (0, 16):
        judge.refuse("zip64-field", f"its local ZIP64 field has {len(wide)} bytes", member=member.name)
    if wide:
        wide_size, wide_compressed = struct.unpack_from("<QQ", wide)
        size = wide_size if size in (SENTINEL, wide_size) else size
        compressed = wide_compressed if compressed in (SENTINEL, wide_compressed) else compressed
        if not member.flags & FLAG_DESCRIPTOR and (wide_size, wide_compressed) != (size, compressed):
            judge.refuse("zip64-field", "its local header gives two sizes", member=member.name)
    ignored = _DEFLATE_FLAGS | (FLAG_UTF8 if member.name.isascii() else 0)
    if (flags ^ member.flags) & ~ignored:
        judge.refuse("zip-local-mismatch", "its local header has other flags", member=member.name)
    if method != member.method:
        judge.refuse("zip-local-mismatch", "its local header has another method", member=member.name)
    expected = (member.crc32, member.compressed_size_bytes, member.size_bytes)
    zeroed = member.flags & FLAG_DESCRIPTOR and (crc32, compressed, size) == (0, 0, 0)
    if (crc32, compressed, size) != expected and not zeroed:
        judge.refuse("zip-local-mismatch", "its local header has other sizes or CRC", member=member.name)


def _check_end(directory: ZipDirectory, member: ZipMember, end: int) -> None:
    slack = member.end_offset - end
    if member.flags & FLAG_DESCRIPTOR:
        if slack not in (12, 16, 20, 24):
            directory.judge().refuse(
                "zip-descriptor-mismatch",
                f"{slack} bytes follow its data instead of a data descriptor",
                member=member.name,
            )
    elif slack < 0:
        directory.judge().refuse("zip-overlap", "its data reaches into what follows", member=member.name)
    elif slack:
        directory.judge().refuse("zip-gap", f"{slack} bytes after it belong to no member", member=member.name)


def inflate_member(
    source: ByteSource, directory: ZipDirectory, member: ZipMember, offset: int
) -> Iterator[tuple[Buffer, bytes | memoryview]]:
    """The member's bytes as pairs (compressed, inflated), from the `offset` that `data_offset` gave.

    The first halves joined are the raw stream, the second halves the content; either half of a pair may be
    empty. At most CHUNK_BYTES and OUTPUT_BYTES at a time. The stream's end, size and CRC-32 are checked
    before the iterator ends: only then may the content be trusted. Raises WheelRefused.
    """
    if member.method == STORED:
        yield from _stored(source, directory, member, offset)
    elif member.compressed_size_bytes <= CHUNK_BYTES and member.size_bytes <= OUTPUT_BYTES:
        chunk = source.read(offset, member.compressed_size_bytes)
        content = _inflate_whole(chunk, directory, member)
        yield chunk, content
        _check_content(directory, member, len(content), isal_zlib.crc32(content))
    else:
        yield from _inflate(source, directory, member, offset)
    if member.flags & FLAG_DESCRIPTOR:
        _check_descriptor(source, directory, member, offset + member.compressed_size_bytes)


def _stored(
    source: ByteSource, directory: ZipDirectory, member: ZipMember, offset: int
) -> Iterator[tuple[Buffer, bytes | memoryview]]:
    crc32 = 0
    position, end = offset, offset + member.compressed_size_bytes
    while position < end:
        chunk = source.read(position, min(CHUNK_BYTES, end - position))
        crc32 = isal_zlib.crc32(chunk, crc32)
        position += len(chunk)
        yield chunk, chunk
    _check_content(directory, member, end - offset, crc32)


def _inflate_whole(chunk: Buffer, directory: ZipDirectory, member: ZipMember) -> bytes:
    stream = isal_zlib.decompressobj(-15)
    try:
        content: bytes = stream.decompress(chunk, member.size_bytes + 1)
    except _InflateError as error:
        directory.judge().refuse("zip-deflate", f"its data cannot be inflated: {error}", member=member.name)
    if len(content) <= member.size_bytes:
        _check_stream_end(stream.eof, bool(stream.unused_data), directory, member)
    return content


def _inflate(
    source: ByteSource, directory: ZipDirectory, member: ZipMember, offset: int
) -> Iterator[tuple[Buffer, bytes]]:
    stream = isal_zlib.decompressobj(-15)
    crc32 = produced = 0
    position, end = offset, offset + member.compressed_size_bytes
    pending: Buffer = b""
    while not stream.eof:
        chunk: Buffer = b""
        if not pending and position < end:
            chunk = source.read(position, min(CHUNK_BYTES, end - position))
            position += len(chunk)
        try:
            content: bytes = stream.decompress(pending or chunk, OUTPUT_BYTES)
        except _InflateError as error:
            directory.judge().refuse(
                "zip-deflate", f"its data cannot be inflated: {error}", member=member.name
            )
        pending = stream.unconsumed_tail
        produced += len(content)
        crc32 = isal_zlib.crc32(content, crc32)
        if produced > member.size_bytes:
            _check_content(directory, member, produced, crc32)
        yield chunk, content
        if not content and not pending and position == end and not stream.eof:
            break
    _check_stream_end(stream.eof, bool(stream.unused_data) or position < end, directory, member)
    _check_content(directory, member, produced, crc32)


def _check_stream_end(ended: bool, more: bool, directory: ZipDirectory, member: ZipMember) -> None:
    if not ended:
        directory.judge().refuse("zip-deflate", "its compressed data has no end", member=member.name)
    if more:
        directory.judge().refuse(
            "zip-deflate-trailing", "bytes follow its compressed data", member=member.name
        )


def _check_content(directory: ZipDirectory, member: ZipMember, size_bytes: int, crc32: int) -> None:
    if size_bytes != member.size_bytes:
        more = "more than " if size_bytes > member.size_bytes else f"{size_bytes} instead of "
        directory.judge().refuse(
            "zip-size", f"it inflates to {more}{member.size_bytes} bytes", member=member.name
        )
    if crc32 != member.crc32:
        directory.judge().refuse(
            "zip-crc", f"its CRC-32 is {crc32:08x}, not {member.crc32:08x}", member=member.name
        )


def _check_descriptor(source: ByteSource, directory: ZipDirectory, member: ZipMember, offset: int) -> None:
    length = member.end_offset - offset
    raw = bytes(source.read(offset, length))
    body = raw[4:] if length in (16, 24) else raw
    if length in (16, 24) and raw[:4] != b"PK\x07\x08":
        directory.judge().refuse(
            "zip-descriptor-mismatch", "its data descriptor is damaged", member=member.name
        )
    values = struct.unpack("<III" if len(body) == 12 else "<IQQ", body)
    if values != (member.crc32, member.compressed_size_bytes, member.size_bytes):
        directory.judge().refuse(
            "zip-descriptor-mismatch",
            "its data descriptor contradicts the central directory",
            member=member.name,
        )


def read_member(source: ByteSource, directory: ZipDirectory, index: int, *, limit_bytes: int) -> bytes:
    """The whole content of one member, checked. Raises WheelRefused, also above `limit_bytes`."""
    member = directory.members[index]
    if member.size_bytes > limit_bytes:
        directory.judge().refuse(
            "member-too-large",
            f"it has {member.size_bytes} bytes; at most {limit_bytes} are read",
            member=member.name,
        )
    offset = data_offset(source, directory, index)
    return b"".join(content for _, content in inflate_member(source, directory, member, offset))
