"""The end of a ZIP file: its end records and its central directory, parsed and checked.

Knows the records of APPNOTE.TXT 6.3.10 §4.3.12-16 and §4.5; must not know wheels. One tail read, bounded.
"""

from __future__ import annotations

import struct
import zlib
from itertools import pairwise
from typing import NamedTuple

from lading.fetch.source import ByteSource
from lading.image.wheel.member_names import check_names
from lading.image.wheel.rules import Judge
from lading.image.wheel.zip_model import (
    DEFLATED,
    FLAG_DESCRIPTOR,
    FLAG_ENCRYPTED,
    FLAG_UTF8,
    SENTINEL,
    STORED,
    ZipDirectory,
    ZipMember,
)

TAIL_BYTES = 256 << 10
MAX_DIRECTORY_BYTES = 64 << 20
MAX_MEMBERS = 200_000
BOMB_RATIO = 50
"""Package indexes refuse wheels that unpack to more than this many times their size …"""
BOMB_FLOOR_BYTES = 64 << 20
"""… when they unpack to more than this."""

_END = struct.Struct("<4sHHHHIIH")
_END_SIGNATURE = b"PK\x05\x06"
_LOCATOR = struct.Struct("<4sIQI")
_LOCATOR_SIGNATURE = b"PK\x06\x07"
_END64 = struct.Struct("<4sQHHIIQQQQ")
_END64_SIGNATURE = b"PK\x06\x06"
_ENTRY = struct.Struct("<4sBBHHHIIIIHHHHHII")
_ENTRY_SIGNATURE = b"PK\x01\x02"
_LOCAL_HEADER_BYTES = 30
_ALLOWED_FLAGS = 0x0006 | FLAG_DESCRIPTOR | FLAG_UTF8
_MAX_VERSION = 45
_UNIX_SYSTEMS = frozenset({3, 19})
_DESCRIPTOR_BYTES = 12
_MAX_COMMENT_BYTES = 0xFFFF
_ZIP64 = 0x0001
_UNICODE_PATH = 0x7075


class _End(NamedTuple):
    """What the end records agree on, and where they begin."""

    member_count: int
    size_bytes: int
    offset: int
    records_offset: int


def parse_directory(source: ByteSource, judge: Judge) -> ZipDirectory:
    """See `lading.image.wheel.zip.read_directory`."""
    size = source.size_bytes
    tail_offset = max(0, size - TAIL_BYTES)
    tail = bytes(source.read(tail_offset, size - tail_offset))
    end = _find_end(tail, tail_offset, size, judge)
    if end.offset + end.size_bytes != end.records_offset:
        judge.refuse(
            "zip-directory-offset",
            f"the central directory should end at {end.offset + end.size_bytes}, the end records begin at"
            f" {end.records_offset}",
        )
    if end.member_count > MAX_MEMBERS or end.size_bytes > MAX_DIRECTORY_BYTES:
        judge.refuse(
            "zip-too-many-members", f"it claims {end.member_count} members; at most {MAX_MEMBERS} are read"
        )
    if end.offset >= tail_offset:
        raw = tail[end.offset - tail_offset : end.records_offset - tail_offset]
    else:
        raw = bytes(source.read(end.offset, max(0, tail_offset - end.offset)))
        raw += tail[: end.records_offset - tail_offset] if end.records_offset > tail_offset else b""
        raw = raw[: end.size_bytes]
    members = _parse_entries(raw, end, judge)
    names = [member.name for member in members if not member.is_directory]
    check_names(names, [member.name[:-1] for member in members if member.is_directory], judge)
    total = sum(member.size_bytes for member in members)
    if total > BOMB_FLOOR_BYTES and total > BOMB_RATIO * size:
        judge.refuse("zip-bomb", f"{size} bytes would unpack to {total}")
    return ZipDirectory(
        filename=judge.filename,
        members=members,
        directory_offset=end.offset,
        source_size_bytes=size,
        lenient=judge.lenient,
        warnings=tuple(judge.warnings),
    )


def _find_end(tail: bytes, tail_offset: int, size: int, judge: Judge) -> _End:
    position = tail.rfind(_END_SIGNATURE, max(0, len(tail) - _END.size - _MAX_COMMENT_BYTES))
    if position < 0 or position + _END.size > len(tail):
        judge.refuse(
            "zip-not-an-archive", "it has no end of central directory: truncated, or no ZIP file at all"
        )
    _, disk, start_disk, disk_count, count, length, offset, comment_bytes = _END.unpack_from(tail, position)
    excess = len(tail) - position - _END.size - comment_bytes
    if excess < 0:
        judge.refuse("zip-not-an-archive", "its end record reaches past its end: truncated")
    if excess:
        judge.refuse("zip-trailing-data", f"{excess} bytes follow the archive")
    if b"PK" in tail[position + _END.size :]:
        judge.refuse("zip-comment", "its comment holds `PK`, the mark of ZIP records")
    end = _End(count, length, offset, tail_offset + position)
    locator = position - _LOCATOR.size
    if locator >= 0 and tail[locator : locator + 4] == _LOCATOR_SIGNATURE:
        return _read_end64(tail, tail_offset, locator, (disk, start_disk, disk_count), end, judge)
    if (disk, start_disk) != (0, 0) or disk_count != count:
        judge.refuse("zip-multi-disk", "its end record speaks of several disks")
    if count == 0xFFFF or SENTINEL in (length, offset):
        judge.refuse("zip64-locator", "its end record refers to a ZIP64 record that is not there")
    return end


def _read_end64(
    tail: bytes, tail_offset: int, locator: int, disks: tuple[int, int, int], end: _End, judge: Judge
) -> _End:
    _, locator_disk, end64_offset, disk_total = _LOCATOR.unpack_from(tail, locator)
    position = end64_offset - tail_offset
    if not 0 <= position <= locator - _END64.size or tail[position : position + 4] != _END64_SIGNATURE:
        judge.refuse("zip64-locator", f"no ZIP64 end record at {end64_offset}, before its locator")
    _, length64, _, needed, disk, start_disk, disk_count, count, size_bytes, offset = _END64.unpack_from(
        tail, position
    )
    if length64 != _END64.size - 12:
        judge.refuse("zip64-extensible-data", f"its ZIP64 end record has {length64} bytes instead of 44")
    if position + _END64.size != locator:
        judge.refuse("zip64-locator", "bytes stand between the ZIP64 end record and its locator")
    if (locator_disk, disk, start_disk) != (0, 0, 0) or disk_total > 1 or disk_count != count:
        judge.refuse("zip-multi-disk", "its ZIP64 end record speaks of several disks")
    if needed > _MAX_VERSION:
        judge.refuse("zip-flags", f"its ZIP64 end record needs version {needed / 10} of the format")
    narrow = (*disks, end.member_count, end.size_bytes, end.offset)
    wide = (0, 0, count, count, size_bytes, offset)
    limits = (0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, SENTINEL, SENTINEL)
    for low, high, sentinel in zip(narrow, wide, limits, strict=True):
        if low not in (high, sentinel):
            judge.refuse("zip64-locator", "its two end records contradict each other")
    return _End(count, size_bytes, offset, tail_offset + position)


def _parse_entries(raw: bytes, end: _End, judge: Judge) -> tuple[ZipMember, ...]:
    entries: list[tuple[int, int, str, int, int, int, int, int, int]] = []
    position, length, fixed = 0, len(raw), _ENTRY.size
    unpack = _ENTRY.unpack_from
    while position < length:
        if position + fixed > length:
            judge.refuse("zip-directory-entry", "the central directory ends inside an entry")
        # fmt: off
        (signature, _, system, needed, flags, method, _, crc32, compressed, size,
         name_bytes, extra_bytes, comment_bytes, disk, _, attributes, offset) = unpack(raw, position)
        # fmt: on
        name_end = position + fixed + name_bytes
        if signature != _ENTRY_SIGNATURE or name_end + extra_bytes + comment_bytes > length:
            judge.refuse("zip-directory-entry", f"entry {len(entries)} of the central directory is damaged")
        raw_name = raw[position + fixed : name_end]
        position = name_end + extra_bytes + comment_bytes
        name = _decode_name(raw_name, flags, judge)
        if extra_bytes or SENTINEL in (compressed, size, offset):
            extra = raw[name_end : name_end + extra_bytes]
            size, compressed, offset = _widen(extra, raw_name, (size, compressed, offset), judge)
        if (
            flags & ~FLAG_UTF8 or comment_bytes or disk or needed > _MAX_VERSION
            or method != DEFLATED
        ):  # fmt: skip
            _check_features(name, flags, method, needed, disk, (size, compressed), judge)
            if comment_bytes:
                judge.object_to("zip-entry-comment", "it carries a comment", member=name)
        mode = attributes >> 16 if system in _UNIX_SYSTEMS else 0
        _check_kind(name, attributes >> 16, size, judge)
        entries.append((offset, len(entries), name, method, crc32, compressed, size, flags, mode))
        if len(entries) > end.member_count:
            break
    if len(entries) != end.member_count:
        judge.refuse(
            "zip-directory-count", f"the end record says {end.member_count} members, the directory has others"
        )
    return _place(entries, end, judge)


def _decode_name(raw_name: bytes, flags: int, judge: Judge) -> str:
    if not raw_name:
        judge.refuse("name-not-normal", "a member has no name")
    try:
        name = raw_name.decode()
    except UnicodeDecodeError:
        judge.refuse("name-encoding", "its name is not UTF-8", member=raw_name.decode("latin-1"))
    if not flags & FLAG_UTF8 and not name.isascii():
        judge.refuse("name-encoding", "its name is not ASCII and not marked as UTF-8", member=name)
    return name


def _check_features(
    name: str, flags: int, method: int, needed: int, disk: int, sizes: tuple[int, int], judge: Judge
) -> None:
    if flags & FLAG_ENCRYPTED:
        judge.refuse("zip-encrypted", "it is encrypted", member=name)
    if flags & ~_ALLOWED_FLAGS or needed > _MAX_VERSION:
        judge.refuse(
            "zip-flags", f"it uses flags {flags:#06x}, version {needed / 10} of the format", member=name
        )
    if disk:
        judge.refuse("zip-multi-disk", "it lies on another disk", member=name)
    if method not in (STORED, DEFLATED):
        judge.refuse("zip-method", f"its compression method is {method}", member=name)
    if method == STORED and sizes[0] != sizes[1]:
        judge.refuse(
            "zip-stored-size", f"it is stored, yet {sizes[1]} bytes stand for {sizes[0]}", member=name
        )
    if flags & FLAG_DESCRIPTOR:
        judge.object_to("zip-data-descriptor", "its sizes follow its data in a data descriptor", member=name)


def _check_kind(name: str, mode: int, size_bytes: int, judge: Judge) -> None:
    kind = mode & 0o170000
    if name.endswith("/"):
        if size_bytes:
            judge.refuse(
                "zip-directory-member", f"it is a folder with {size_bytes} bytes of content", member=name
            )
        if kind not in (0, 0o040000):
            judge.refuse("member-kind", f"it is a folder by name and {kind:#o} by mode", member=name)
    elif kind not in (0, 0o100000):
        judge.refuse("member-kind", f"it is no regular file: its mode is {mode:#o}", member=name)


def _place(
    entries: list[tuple[int, int, str, int, int, int, int, int, int]], end: _End, judge: Judge
) -> tuple[ZipMember, ...]:
    """The members in order of their bytes, each ending where the next begins."""
    entries.sort()
    if entries and entries[0][0] != 0:
        judge.refuse("zip-prefix", f"{entries[0][0]} bytes precede the first member")
    if not entries and end.offset:
        judge.refuse("zip-gap", f"{end.offset} bytes belong to no member")
    starts = [entry[0] for entry in entries] + [end.offset]
    members = []
    for (start, stop), entry in zip(pairwise(starts), entries, strict=True):
        _, _, name, method, crc32, compressed, size, flags, mode = entry
        used = _LOCAL_HEADER_BYTES + len(name.encode()) + compressed
        slack = stop - start - used
        if slack < 0:
            judge.refuse("zip-overlap", f"its {used} bytes do not fit before what follows it", member=name)
        if slack > 0xFFFF + 2 * _DESCRIPTOR_BYTES:
            judge.refuse("zip-gap", f"about {slack} bytes after it belong to no member", member=name)
        members.append(
            ZipMember(
                name=name,
                method=method,
                crc32=crc32,
                compressed_size_bytes=compressed,
                size_bytes=size,
                header_offset=start,
                end_offset=stop,
                flags=flags,
                mode=mode,
            )
        )
    return tuple(members)


def parse_extra(extra: bytes, name: str, judge: Judge) -> list[tuple[int, bytes]]:
    """The extra fields as (id, data). Raises WheelRefused when they do not add up."""
    fields = []
    position = 0
    while position < len(extra):
        if position + 4 > len(extra):
            judge.refuse("zip-extra-field", "its extra fields are cut off", member=name)
        kind, length = struct.unpack_from("<HH", extra, position)
        position += 4 + length
        if position > len(extra):
            judge.refuse("zip-extra-field", f"its extra field {kind:#06x} is cut off", member=name)
        fields.append((kind, extra[position - length : position]))
    return fields


def zip64_field(fields: list[tuple[int, bytes]], name: str, judge: Judge) -> bytes | None:
    """The one ZIP64 field, or None. Raises WheelRefused when there are two."""
    found = [data for kind, data in fields if kind == _ZIP64]
    if len(found) > 1:
        judge.refuse("zip64-field", "it has two ZIP64 fields", member=name)
    return found[0] if found else None


def check_unicode_path(fields: list[tuple[int, bytes]], raw_name: bytes, judge: Judge) -> None:
    """Refuse an Info-ZIP Unicode Path (APPNOTE §4.6.9) that says anything but the member's own name."""
    found = [data for kind, data in fields if kind == _UNICODE_PATH]
    shown = raw_name.decode(errors="replace")
    if len(found) > 1:
        judge.refuse("zip-unicode-path", "it has two Unicode Path fields", member=shown)
    for data in found:
        expected = struct.pack("<BI", 1, zlib.crc32(raw_name)) + raw_name
        if data != expected:
            judge.refuse("zip-unicode-path", "its Unicode Path field is not its name", member=shown)


def _widen(extra: bytes, raw_name: bytes, narrow: tuple[int, int, int], judge: Judge) -> tuple[int, int, int]:
    """Size, compressed size and offset with their ZIP64 values put in (APPNOTE §4.5.3)."""
    name = raw_name.decode()
    fields = parse_extra(extra, name, judge)
    check_unicode_path(fields, raw_name, judge)
    data = zip64_field(fields, name, judge)
    needed = sum(value == SENTINEL for value in narrow)
    if data is None:
        if needed:
            judge.refuse("zip64-field", "its sizes refer to a ZIP64 field that is not there", member=name)
        return narrow
    if len(data) < 8 * needed:
        judge.refuse(
            "zip64-field", f"its ZIP64 field has {len(data)} bytes, {8 * needed} are needed", member=name
        )
    if len(data) != 8 * needed:
        judge.object_to("zip64-field", "its ZIP64 field holds more than is needed", member=name)
    wide = iter(struct.unpack_from(f"<{needed}Q", data))
    size, compressed, offset = (next(wide) if value == SENTINEL else value for value in narrow)
    return size, compressed, offset
