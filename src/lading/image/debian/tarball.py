"""Reads the members of a package's tar, strictly: ustar and GNU long names, as dpkg-deb writes them.

Pure. Nothing is ever extracted here, so a name cannot leave its root; names that try are refused all the
same. pax headers, devices and sparse files do not occur in packages, and readers have disagreed about them:
they are refused, not guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lading.errors import PackageRefused
from lading.image.layer.tree import EntryKind

_BLOCK = 512
_KINDS = {
    b"0": EntryKind.FILE,
    b"\0": EntryKind.FILE,
    b"1": EntryKind.HARDLINK,
    b"2": EntryKind.SYMLINK,
    b"5": EntryKind.DIRECTORY,
}
_LONG_LIMIT_BYTES = 4096
_CONTROL = re.compile("[\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
_MOST_MEMBERS = 500_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member. `path` is relative, without leading `./`; empty for the root itself."""

    path: str
    kind: EntryKind
    mode: int
    uid: int
    gid: int
    link_target: str | None
    start: int
    """Where the content begins in the tar."""
    size_bytes: int


def read_members(tar: memoryview, *, package: str) -> Iterator[Member]:
    """All members in order. Raises PackageRefused [D-tar]."""
    offset = 0
    long_name: str | None = None
    long_link: str | None = None
    for _ in range(_MOST_MEMBERS):
        header = bytes(tar[offset : offset + _BLOCK])
        if len(header) < _BLOCK:
            raise _refused(package, "a tar of it is cut off")
        if not header.strip(b"\0"):
            _check_end(tar, offset, package)
            return
        _check_header(header, package)
        size_bytes = _number(header[124:136], package)
        start = offset + _BLOCK
        if start + size_bytes > len(tar):
            raise _refused(package, "a tar of it is cut off")
        offset = start + -(-size_bytes // _BLOCK) * _BLOCK
        kind = header[156:157]
        if kind in (b"L", b"K"):
            if size_bytes > _LONG_LIMIT_BYTES:
                raise _refused(package, "a member's name is longer than a path may be")
            text = _text(bytes(tar[start : start + size_bytes]).rstrip(b"\0"), package)
            if kind == b"L":
                long_name = text
            else:
                long_link = text
            continue
        yield _member(header, long_name, long_link, start, size_bytes, package)
        long_name = long_link = None
    raise _refused(package, f"a tar of it has more than {_MOST_MEMBERS} members")


def _member(
    header: bytes, long_name: str | None, long_link: str | None, start: int, size_bytes: int, package: str
) -> Member:
    kind = _KINDS.get(header[156:157])
    name = long_name if long_name is not None else _short_name(header, package)
    if kind is None:
        raise _refused(package, f"member {name!r} is of type {header[156:157]!r}")
    path = safe_path(name, package)
    link = long_link if long_link is not None else _text(header[157:257].partition(b"\0")[0], package)
    if kind is EntryKind.HARDLINK:
        link = safe_path(link, package)
    if kind in (EntryKind.HARDLINK, EntryKind.SYMLINK):
        if not link or len(link.encode()) > _LONG_LIMIT_BYTES or _CONTROL.search(link):
            raise _refused(package, f"link {name!r} has the target {link!r}")
    else:
        link = ""
    if kind is not EntryKind.FILE and size_bytes:
        raise _refused(package, f"member {name!r} is no file and has content")
    if not path and kind is not EntryKind.DIRECTORY:
        raise _refused(package, "its root is no directory")
    return Member(
        path=path,
        kind=kind,
        mode=_number(header[100:108], package) & 0o7777,
        uid=_number(header[108:116], package),
        gid=_number(header[116:124], package),
        link_target=link or None,
        start=start,
        size_bytes=size_bytes,
    )


def safe_path(name: str, package: str) -> str:
    """`./usr/bin/x` as `usr/bin/x`. Raises PackageRefused for what is absolute or climbs."""
    path = name.removeprefix("./").rstrip("/")
    if name.startswith("/") or path.startswith("/"):
        raise _refused(package, f"member {name!r} has an absolute name")
    if path in ("", "."):
        return ""
    if any(part in ("", ".", "..") for part in path.split("/")):
        raise _refused(package, f"member {name!r} leaves its root or is not written plainly")
    if _CONTROL.search(path):
        raise _refused(package, f"member {name!r} has a control character in its name")
    return path


def _short_name(header: bytes, package: str) -> str:
    name = header[:100].partition(b"\0")[0]
    prefix = header[345:500].partition(b"\0")[0] if header[257:263] == b"ustar\0" else b""
    return _text(prefix + b"/" + name if prefix else name, package)


def _check_header(header: bytes, package: str) -> None:
    plain = header[:148] + b" " * 8 + header[156:]
    if _number(header[148:156], package) != sum(plain):
        raise _refused(package, "a tar of it has a wrong header checksum")
    if header[257:262] != b"ustar":
        raise _refused(package, "a tar of it is neither ustar nor GNU")


def _check_end(tar: memoryview, offset: int, package: str) -> None:
    if bytes(tar[offset:]).strip(b"\0"):
        raise _refused(package, "something follows the end of a tar")


def _number(field: bytes, package: str) -> int:
    text = field.strip(b" \0")
    if re.fullmatch(rb"[0-7]*", text) is None:
        raise _refused(package, f"a tar of it has the number {field!r}")
    return int(text or b"0", 8)


def _text(raw: bytes, package: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise _refused(package, f"member {raw[:80]!r} is not named in UTF-8") from None


def _refused(package: str, detail: str) -> PackageRefused:
    return PackageRefused(package, "D-tar", detail)
