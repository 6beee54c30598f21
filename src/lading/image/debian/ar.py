"""Reads the outer archive of a `.deb`, strictly (deb(5)): three members in this order, nothing more.

Pure: bytes in, members out.
"""

from __future__ import annotations

from dataclasses import dataclass

from lading.errors import PackageRefused

_MAGIC = b"!<arch>\n"
_HEADER_BYTES = 60
_SUFFIXES = ("", ".gz", ".xz")


@dataclass(frozen=True, slots=True, kw_only=True)
class DebParts:
    """Views of the two tars as stored; suffixes say how they are compressed (empty, `.gz`, `.xz`)."""

    control: memoryview
    control_suffix: str
    data: memoryview
    data_suffix: str


def split_deb(content: memoryview, *, package: str) -> DebParts:
    """Raises PackageRefused [D-ar] for any other form."""
    members = _members(content, package)
    names = [name for name, _ in members]
    if len(members) != 3 or names[0] != "debian-binary":
        raise _refused(package, f"its members are {names[:6]}, not debian-binary, control.tar, data.tar")
    if bytes(members[0][1]) != b"2.0\n":
        raise _refused(package, f"its format is {bytes(members[0][1][:16])!r}, not 2.0")
    return DebParts(
        control=members[1][1],
        control_suffix=_suffix(names[1], "control.tar", package),
        data=members[2][1],
        data_suffix=_suffix(names[2], "data.tar", package),
    )


def _suffix(name: str, stem: str, package: str) -> str:
    suffix = name.removeprefix(stem)
    if not name.startswith(stem) or suffix not in _SUFFIXES:
        known = ", ".join(stem + known_suffix for known_suffix in _SUFFIXES)
        raise _refused(package, f"it has {name!r} where one of {known} must stand")
    return suffix


def _members(content: memoryview, package: str) -> list[tuple[str, memoryview]]:
    if bytes(content[:8]) != _MAGIC:
        raise _refused(package, "it is no ar archive")
    members: list[tuple[str, memoryview]] = []
    offset = len(_MAGIC)
    while offset < len(content):
        header = bytes(content[offset : offset + _HEADER_BYTES])
        if len(header) < _HEADER_BYTES or header[58:] != b"`\n" or not header[48:58].strip().isdigit():
            raise _refused(package, f"it is broken at byte {offset}")
        name = header[:16].decode("ascii", errors="replace").rstrip(" ").removesuffix("/")
        size_bytes = int(header[48:58])
        start = offset + _HEADER_BYTES
        if start + size_bytes > len(content):
            raise _refused(package, f"its member {name!r} is cut off")
        if name in (known for known, _ in members):
            raise _refused(package, f"it holds {name!r} twice")
        if len(members) == 3:
            raise _refused(package, f"it holds {name!r} after data.tar")
        members.append((name, content[start : start + size_bytes]))
        offset = start + size_bytes + size_bytes % 2
    return members


def _refused(package: str, detail: str) -> PackageRefused:
    return PackageRefused(package, "D-ar", detail)
