"""Writes `/etc/ld.so.cache` as ldconfig would, from sonames alone (glibc's dl-cache.h, format 1.1).

Pure. The dynamic linker searches the cache by bisection, so the order of entries is part of the format.
"""

from __future__ import annotations

import posixpath
import re
import struct

from lading.image.debian.root import Root
from lading.image.debian.spool import PackageFile
from lading.image.layer.tree import EntryKind

_MAGIC = b"glibc-ld.so.cache1.1"
_LITTLE_ENDIAN = 2
_FLAGS = {"amd64": 0x0303, "arm64": 0x0A03}
"""FLAG_ELF_LIBC6 with FLAG_X8664_LIB64 or FLAG_AARCH64_LIB64."""
_SYSTEM_FOLDERS = ("/lib", "/lib64", "/usr/lib", "/usr/lib64")
_HEADER = struct.Struct("<20sIIB3xI12x")
_ENTRY = struct.Struct("<iIIIQ")


def write_cache(root: Root, architecture: str) -> None:
    """Add the cache, and the links from sonames to files that ldconfig would add."""
    found: dict[str, str] = {}
    folders: set[str] = set()
    for folder in [*_configured(root, "etc/ld.so.conf", depth=0), *_SYSTEM_FOLDERS]:
        real = root.resolve(folder.lstrip("/"))
        if real in folders:
            continue
        folders.add(real)
        for soname, name in sorted(_sonames(root, real).items()):
            if f"{real}/{soname}" not in root.entries:
                root.symlink(f"{real}/{soname}", name)
            found.setdefault(soname, f"{folder}/{soname}")
    root.file("etc/ld.so.cache", encode_cache(found, _FLAGS[architecture]))


def encode_cache(libraries: dict[str, str], flags: int) -> bytes:
    """The cache's bytes: soname → path."""
    names = sorted(libraries, key=soname_key, reverse=True)
    strings = bytearray()
    start = _HEADER.size + len(names) * _ENTRY.size
    entries = bytearray()
    for name in names:
        path = libraries[name]
        at = start + len(strings)
        # The soname is the end of the path, so one string serves both.
        key = at + len(path.encode()) - len(name.encode())
        entries += _ENTRY.pack(flags, key, at, 0, 0)
        strings += path.encode() + b"\0"
    return _HEADER.pack(_MAGIC, len(names), len(strings), _LITTLE_ENDIAN, 0) + bytes(entries) + bytes(strings)


def soname_key(name: str) -> list[tuple[int, int]]:
    """Sorts as `_dl_cache_libcmp` does: runs of digits as numbers, and a digit after any other character."""
    return [
        (1, int(part)) if part.isdigit() else (0, ord(part)) for part in re.findall(r"[0-9]+|[^0-9]", name)
    ]


def _configured(root: Root, path: str, *, depth: int) -> list[str]:
    """The folders named by ld.so.conf and what it includes; without the file, those of ld.so.conf.d."""
    content = root.read(path)
    text = content.decode("utf-8", errors="replace") if content is not None else ""
    if content is None and depth == 0:
        text = "include /etc/ld.so.conf.d/*.conf"
    folders = []
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if words[:1] == ["include"] and depth < 4:
            for pattern in words[1:]:
                for included in _glob(root, pattern):
                    folders += _configured(root, included, depth=depth + 1)
        elif words:
            folders.append(words[0].partition("=")[0].rstrip("/"))
    return folders


def _glob(root: Root, pattern: str) -> list[str]:
    folder, name = posixpath.split(pattern.lstrip("/"))
    matcher = re.compile(re.escape(name).replace(r"\*", "[^/]*"))
    return sorted(
        path
        for path in root.entries
        if posixpath.dirname(path) == folder and matcher.fullmatch(posixpath.basename(path))
    )


def _sonames(root: Root, folder: str) -> dict[str, str]:
    """Soname → name of a file in `folder` that has it."""
    found: dict[str, str] = {}
    prefix = folder + "/"
    for path, entry in root.entries.items():
        if not path.startswith(prefix) or "/" in path[len(prefix) :] or ".so" not in path:
            continue
        file = root.get(path) if entry.kind is EntryKind.SYMLINK else entry
        if file is None or not isinstance(file.content, PackageFile) or file.content.soname is None:
            continue
        soname, name = file.content.soname, path[len(prefix) :]
        if soname not in found or name == soname:
            found[soname] = name
    return found
