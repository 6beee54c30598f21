"""A `.deb` opened: its control files, and its tree with contents waiting in a spool. Nothing of it is run.

Thin. Sizes are capped before anything is decompressed; what is documentation is not even spooled.
"""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lading.errors import PackageRefused, StoreError
from lading.image.debian.ar import split_deb
from lading.image.debian.prune import is_kept
from lading.image.debian.spool import PackageFile, Spool
from lading.image.debian.tarball import Member, read_members
from lading.image.elf import elf_needs
from lading.image.layer.tree import EntryKind, TreeEntry
from lading.lock.model import LockedPackage

_CONTROL_LIMIT_BYTES = 64 << 20
_DATA_LIMIT_BYTES = 6 << 30
_RATIO_LIMIT = 500
"""Of a tar to its compressed form, above 64 MiB; runs of zeros in real packages stay far below."""
_XZ_MEMORY_BYTES = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedPackage:
    locked: LockedPackage
    fields: Mapping[str, str]
    """The control stanza: names as written, values with their continuation lines."""
    control: Mapping[str, bytes] = field(repr=False)
    """Control files by name: `postinst`, `conffiles`, `triggers` …"""
    entries: tuple[TreeEntry, ...] = field(repr=False)
    """Its own paths, in its own order, documentation left out."""
    paths: tuple[str, ...] = field(repr=False)
    """All paths, documentation too: what dpkg's list of files says."""

    @property
    def name(self) -> str:
        return self.locked.name

    def script(self, name: str) -> str | None:
        content = self.control.get(name)
        return None if content is None else content.decode("utf-8", errors="replace")


def open_package(locked: LockedPackage, path: Path, spool: Spool) -> OpenedPackage:
    """Raises PackageRefused, StoreError. The bytes are expected to be verified (fetch_packages does)."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StoreError(f"reading {locked.name} failed: {error.strerror}", place=str(path)) from error
    parts = split_deb(memoryview(content), package=locked.name)
    control = _decompress(parts.control, parts.control_suffix, _CONTROL_LIMIT_BYTES, locked.name)
    tar = _decompress(parts.data, parts.data_suffix, _DATA_LIMIT_BYTES, locked.name)
    files = _control_files(memoryview(control), locked.name)
    fields = parse_stanza(files.get("control", b"").decode("utf-8", errors="replace"))
    found = fields.get("Package"), fields.get("Version"), fields.get("Architecture")
    if found != (locked.name, locked.version, locked.architecture):
        raise PackageRefused(locked.name, "D-identity", f"inside it is {found}, not what its index says")
    entries, paths = _tree(memoryview(tar), locked, spool)
    return OpenedPackage(locked=locked, fields=fields, control=files, entries=entries, paths=paths)


def _decompress(packed: memoryview, suffix: str, limit_bytes: int, name: str) -> bytes:
    if suffix == "":
        return bytes(packed)
    limit_bytes = min(limit_bytes, max(64 << 20, len(packed) * _RATIO_LIMIT))
    try:
        if suffix == ".xz":
            unpacker = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES)
            content = unpacker.decompress(packed, limit_bytes + 1)
            rest, ended = unpacker.unused_data, unpacker.eof
        else:
            inflater = zlib.decompressobj(wbits=31)
            content = inflater.decompress(packed, limit_bytes + 1)
            rest, ended = inflater.unused_data, inflater.eof
    except (lzma.LZMAError, zlib.error) as error:
        raise PackageRefused(name, "D-compression", f"a tar of it cannot be decompressed: {error}") from error
    if len(content) > limit_bytes:
        raise PackageRefused(name, "D-compression", f"a tar of it grows to more than {limit_bytes} bytes")
    if not ended or rest:
        raise PackageRefused(name, "D-compression", "a tar of it is cut off, or something follows it")
    return content


def _control_files(tar: memoryview, name: str) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for member in read_members(tar, package=name):
        if not member.path:
            continue
        if member.kind is not EntryKind.FILE or "/" in member.path or member.path in files:
            raise PackageRefused(name, "D-control", f"control.tar holds {member.path!r}")
        files[member.path] = bytes(tar[member.start : member.start + member.size_bytes])
    if "control" not in files:
        raise PackageRefused(name, "D-control", "control.tar holds no control file")
    return files


def parse_stanza(text: str) -> dict[str, str]:
    """Field name → value, continuation lines and all (deb822(5))."""
    fields: dict[str, str] = {}
    key = ""
    for line in text.splitlines():
        if line[:1] in (" ", "\t"):
            fields[key] += "\n" + line
        elif line.strip():
            key, _, value = line.partition(":")
            fields[key] = value.strip()
    return fields


def _tree(
    tar: memoryview, locked: LockedPackage, spool: Spool
) -> tuple[tuple[TreeEntry, ...], tuple[str, ...]]:
    entries: list[TreeEntry] = []
    paths: dict[str, EntryKind] = {}
    for member in read_members(tar, package=locked.name):
        if member.path in paths:
            raise PackageRefused(locked.name, "D-duplicate", f"data.tar holds {member.path!r} twice")
        parent = member.path.rpartition("/")[0]
        if parent and paths.get(parent, EntryKind.DIRECTORY) is not EntryKind.DIRECTORY:
            raise PackageRefused(
                locked.name, "D-escape", f"{member.path!r} stands under its own link {parent!r}"
            )
        if member.kind is EntryKind.HARDLINK and paths.get(member.link_target or "") is not EntryKind.FILE:
            raise PackageRefused(
                locked.name,
                "D-hardlink",
                f"{member.path!r} is a hard link to {member.link_target!r}, no file of it",
            )
        paths[member.path] = member.kind
        if not member.path or not is_kept(member.path, member.kind):
            continue
        content = _content(tar, member, locked, spool)
        entries.append(
            TreeEntry(
                path=member.path,
                kind=member.kind,
                mode=member.mode,
                link_target=member.link_target,
                content=content,
                uid=member.uid,
                gid=member.gid,
            )
        )
    return tuple(entries), tuple(paths)


def _content(tar: memoryview, member: Member, locked: LockedPackage, spool: Spool) -> bytes | PackageFile:
    if member.kind is not EntryKind.FILE or not member.size_bytes:
        return b""
    view = tar[member.start : member.start + member.size_bytes]
    return PackageFile(
        package_sha256=locked.sha256,
        member_start=member.start,
        size_bytes=member.size_bytes,
        soname=_soname(member.path, view),
        spool=spool,
        spool_start=spool.append(view),
    )


def _soname(path: str, content: memoryview) -> str | None:
    """The dynamic linker's name of a shared library: its soname, else its file name, as ldconfig has it."""
    name = path.rpartition("/")[2]
    if ".so" not in name or not name.startswith(("lib", "ld-", "ld.")):
        return None
    needs = elf_needs(content)
    return None if needs is None else needs.soname or name
