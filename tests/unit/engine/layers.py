"""Layers for tests, written header by header: what no well-behaved writer would write can be said here."""

from __future__ import annotations

import gzip
from pathlib import Path

from lading.engine.model import ImageLayer
from lading.oci.digest import DiffId
from lading.store import Store

BLOCK = 512
END = bytes(2 * BLOCK)


def header(
    name: str | bytes,
    kind: bytes = b"0",
    *,
    size: int | bytes = 0,
    link: str = "",
    mode: int = 0o644,
    mtime: bytes = b"02264167600\0",
) -> bytes:
    block = bytearray(BLOCK)
    raw = name.encode() if isinstance(name, str) else name
    block[: len(raw)] = raw
    block[100:108] = b"%07o\0" % mode
    block[108:124] = b"0000000\x000000000\0"
    block[124:136] = size if isinstance(size, bytes) else b"%011o\0" % size
    block[136:148] = mtime
    block[156:157] = kind
    block[157 : 157 + len(link)] = link.encode()
    block[257:265] = b"ustar\x0000"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def member(
    name: str, content: bytes = b"", kind: bytes = b"0", *, mode: int = 0o644, link: str = ""
) -> bytes:
    return (
        header(name, kind, size=len(content), mode=mode, link=link) + content + bytes(-len(content) % BLOCK)
    )


def pax(records: bytes, kind: bytes = b"x") -> bytes:
    return member("pax", records, kind)


def record(key: str, value: str) -> bytes:
    body = f" {key}={value}\n".encode()
    length = len(body) + 1
    while len(f"{length}".encode()) + len(body) != length:
        length = len(f"{length}".encode()) + len(body)
    return f"{length}".encode() + body


def put(store: Store, tar: bytes, blob: bytes | None = None, *, diff_id: DiffId | None = None) -> ImageLayer:
    packed = gzip.compress(tar, 1, mtime=0) if blob is None else blob
    digest = store.blobs.put(packed)
    return ImageLayer(digest=digest, diff_id=diff_id or DiffId.of(tar), size_bytes=len(packed))


def listing(root: Path) -> dict[str, str]:
    """path → `folder`, `-> target`, or the content of a file."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_dir():
            found[name] = "folder"
        else:
            found[name] = path.read_text()
    return found
