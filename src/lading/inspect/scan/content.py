"""What a file is, by its first bytes: a suffix is only a name. Pure."""

from __future__ import annotations

import re
from enum import StrEnum

HEAD_BYTES = 8192


class Content(StrEnum):
    TEXT = "text"
    WIDE_TEXT = "text in UTF-16"
    BYTECODE = "Python bytecode"
    PICKLE = "pickles"
    DATABASE = "SQLite databases"
    ZIP = "ZIP archives"
    TAR = "tar archives"
    GZIP = "gzip files"
    BZIP2 = "bzip2 files"
    XZ = "xz files"
    ZSTD = "zstd files"
    GIT_OBJECT = "objects of Git"
    GIT_PACK = "packs of Git"
    MACHINE_CODE = "machine code"
    WEIGHTS = "weights and arrays"
    OTHER = "other large binary files"


ARCHIVES = frozenset({Content.ZIP, Content.TAR, Content.GZIP, Content.BZIP2, Content.XZ, Content.ZSTD})
SEARCHED = frozenset({Content.TEXT, Content.DATABASE, Content.PICKLE})
"""As they are, of any size."""
_MAGIC = (
    (b"\x7fELF", Content.MACHINE_CODE),
    (b"MZ", Content.MACHINE_CODE),
    (b"!<arch>\n", Content.MACHINE_CODE),
    (b"\0asm", Content.MACHINE_CODE),
    (b"\x89HDF\r\n", Content.WEIGHTS),
    (b"\x93NUMPY", Content.WEIGHTS),
    (b"GGUF", Content.WEIGHTS),
    (b"\x1f\x8b", Content.GZIP),
    (b"BZh", Content.BZIP2),
    (b"\xfd7zXZ\0", Content.XZ),
    (b"\x28\xb5\x2f\xfd", Content.ZSTD),
    (b"SQLite format 3\0", Content.DATABASE),
    (b"PACK\0\0\0", Content.GIT_PACK),
    (b"\xff\xfe", Content.WIDE_TEXT),
    (b"\xfe\xff", Content.WIDE_TEXT),
)
_GIT_OBJECT = re.compile(r"(?:^|/)objects/[0-9a-f]{2}/[0-9a-f]{38,62}$")
_PICKLE = re.compile(rb"\x80[\x02-\x05](?:\x95.{8})?[]}(cKMJX\x8c\x8a\x88NqhCB)]", re.DOTALL)
"""PROTO, a FRAME perhaps, and one of the opcodes that real pickles begin with."""
_TORCH_MEMBER = re.compile(rb"[^/\0]{1,200}/data\.pkl$")


def content_of(path: str, head: bytes) -> Content:
    """`head` is the first HEAD_BYTES, or all of a shorter file."""
    if _GIT_OBJECT.search(path) and head[:1] == b"x":
        return Content.GIT_OBJECT
    for magic, content in _MAGIC:
        if head.startswith(magic) and not (content is Content.WIDE_TEXT and b"\0" not in head):
            return content
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return Content.WEIGHTS if is_torch_archive(head) else Content.ZIP
    if head[257:262] == b"ustar":
        return Content.TAR
    if path.endswith(".pyc") and head[2:4] == b"\r\n":
        return Content.BYTECODE
    if _PICKLE.match(head):
        return Content.PICKLE
    if _is_safetensors(head):
        return Content.WEIGHTS
    return Content.OTHER if b"\0" in head else Content.TEXT


def is_torch_archive(head: bytes) -> bool:
    """`torch.save` writes a ZIP whose first member is a pickle, mostly with weights beside it."""
    name_bytes = int.from_bytes(head[26:28], "little")
    return bool(_TORCH_MEMBER.match(head[30 : 30 + name_bytes]))


def _is_safetensors(head: bytes) -> bool:
    return head[8:10] == b'{"' and 0 < int.from_bytes(head[:8], "little") <= 100_000_000
