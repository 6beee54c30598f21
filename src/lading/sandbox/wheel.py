"""One canonical archive for what a backend left: same files, same bytes, whatever order and time it wrote.

Members are sorted, times fixed, modes by rule, RECORD made anew, streams from the one pinned compressor.
Signatures inside a wheel would not survive, and no backend makes any.
"""

from __future__ import annotations

import base64
import hashlib
import io
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from lading.errors import BuildFailed

_LARGEST_WHEEL_BYTES = 4 << 30
_DOS_TIME = (0, (1 << 5) | 2)
"""Time and date fields of 1980-01-02."""
_LEVEL = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelFile:
    name: str
    version: str
    filename: str
    content: bytes


def canonical_wheel(path: Path) -> WheelFile:
    """Raises BuildFailed for what is no wheel."""
    try:
        name, version, _, _ = parse_wheel_filename(path.name)
        if path.stat().st_size > _LARGEST_WHEEL_BYTES:
            raise BuildFailed(f"{path.name} is larger than {_LARGEST_WHEEL_BYTES >> 30} GiB")
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, path.name)
    except (InvalidWheelFilename, zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise BuildFailed(f"what the backend left is no wheel: {error}", place=path.name) from error
    record = next((member for member in members if member.endswith(".dist-info/RECORD")), None)
    if record is None:
        raise BuildFailed("what the backend left has no RECORD", place=path.name)
    rows = "".join(
        f"{_quoted(member)},sha256={_urlsafe(content)},{len(content)}\n"
        for member, (content, _) in sorted(members.items())
        if member != record
    )
    members[record] = (f"{rows}{record},,\n".encode(), False)
    order = sorted(members, key=lambda member: (".dist-info/" in member, member))
    content = _zip([(member, *members[member]) for member in order])
    return WheelFile(name=str(name), version=str(version), filename=path.name, content=content)


def _members(archive: zipfile.ZipFile, filename: str) -> dict[str, tuple[bytes, bool]]:
    members: dict[str, tuple[bytes, bool]] = {}
    for info in archive.infolist():
        if info.is_dir():
            continue
        if info.filename in members:
            raise BuildFailed(f"{info.filename} is twice in the wheel", place=filename)
        members[info.filename] = archive.read(info), bool(info.external_attr >> 16 & 0o111)
    return members


def _quoted(path: str) -> str:
    return '"' + path.replace('"', '""') + '"' if any(c in path for c in ',"\n') else path


def _urlsafe(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")


def _zip(members: list[tuple[str, bytes, bool]]) -> bytes:
    """A plain ZIP file (APPNOTE 6.3): local headers with sizes, no descriptors, no extra fields."""
    import deflate  # libdeflate, pinned: zlib's output differs between builds

    buffer = io.BytesIO()
    directory = io.BytesIO()
    for name, content, executable in members:
        raw = name.encode()
        packed = bytes(deflate.deflate_compress(content, _LEVEL)) if content else b""
        method = 8 if content else 0
        flags = 0 if name.isascii() else 0x800
        common = struct.pack(
            "<HHHHHIIIHH",
            *(20, flags, method, *_DOS_TIME, zlib.crc32(content), len(packed), len(content), len(raw), 0),
        )
        mode = 0o100755 if executable else 0o100644
        offset = buffer.tell()
        buffer.write(b"PK\x03\x04" + common + raw + packed)
        directory.write(b"PK\x01\x02" + struct.pack("<H", 0x314) + common)
        directory.write(struct.pack("<HHHII", 0, 0, 0, mode << 16, offset) + raw)
    start, size = buffer.tell(), directory.tell()
    buffer.write(directory.getvalue())
    buffer.write(struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, len(members), len(members), size, start, 0))
    return buffer.getvalue()
