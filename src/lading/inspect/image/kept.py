"""A layer's evidence as a record of the store, by the digest of its stored bytes.

A record is a cache and has its format in its key, so a later format never reads an earlier one.
"""

from __future__ import annotations

import hashlib
from typing import Any

from lading.inspect.image.model import GpuCode, LayerEvidence, Member, MemberKind, Packing
from lading.oci.digest import DiffId, Digest
from lading.store import Store
from lading.store.records import Records

_FORMAT = 3
_MOST_KEPT = 600
"""Layers; the oldest go. Of a large layer some megabytes are kept."""
_LETTERS = dict(zip(MemberKind, "fdslvpwo", strict=True))
_KINDS = {letter: kind for kind, letter in _LETTERS.items()}


def find_layer(store: Store, digest: Digest) -> LayerEvidence | None:
    """What is kept of the layer stored as `digest`."""
    document = _records(store).get(_key(digest))
    return None if document is None else _from_json(document)


def keep_layer(store: Store, layer: LayerEvidence) -> None:
    """Raises StoreError."""
    records = _records(store)
    records.put(_key(layer.digest), _as_json(layer))
    keys = list(records.keys())
    if len(keys) > _MOST_KEPT:
        by_age = sorted(keys, key=lambda key: records.path(key).stat().st_mtime)
        for key in by_age[: len(keys) - _MOST_KEPT]:
            records.remove(key)


def _records(store: Store) -> Records:
    return Records(store.root, "evidence")


def _key(digest: Digest) -> str:
    return hashlib.sha256(f"evidence {_FORMAT} {digest}".encode()).hexdigest()


def _as_json(layer: LayerEvidence) -> dict[str, Any]:
    return {
        "layer": layer.digest,  # not `digest`: the collector need not drop it with the blob
        "diff_id": layer.diff_id,
        "packing": layer.packing,
        "compression": layer.compression,
        "packed_bytes": layer.packed_bytes,
        "unpacked_bytes": layer.unpacked_bytes,
        "end_bytes": layer.end_bytes,
        "packed_end_bytes": layer.packed_end_bytes,
        "members": [_member_row(member) for member in layer.members],
        "documents": {_escaped(path): escaped_all(value) for path, value in layer.documents.items()},
        "gpu_code": {
            _escaped(path): [[c.kind, c.arch, c.count, c.size_bytes, c.packed_size_bytes] for c in codes]
            for path, codes in layer.gpu_code.items()
        },
    }


def _from_json(document: dict[str, Any]) -> LayerEvidence:
    documents = document["documents"]
    return LayerEvidence(
        digest=Digest(document["layer"]),
        diff_id=DiffId(document["diff_id"]),
        packing=Packing(document["packing"]),
        compression=document["compression"],
        packed_bytes=document["packed_bytes"],
        unpacked_bytes=document["unpacked_bytes"],
        end_bytes=document["end_bytes"],
        packed_end_bytes=document["packed_end_bytes"],
        members=tuple(_member(row) for row in document["members"]),
        documents={_restored(path): restored_all(value) for path, value in documents.items()},
        gpu_code={
            _restored(path): tuple(
                GpuCode(kind=kind, arch=arch, count=count, size_bytes=size, packed_size_bytes=packed)
                for kind, arch, count, size, packed in rows
            )
            for path, rows in document["gpu_code"].items()
        },
    )


def _member_row(m: Member) -> list[Any]:
    numbers = [m.mode, m.uid, m.gid, m.mtime_seconds, m.size_bytes, m.header_bytes, m.padding_bytes]
    packed = [m.packed_header_bytes, m.packed_size_bytes, m.packed_padding_bytes]
    return [_escaped(m.path), _LETTERS[m.kind], _escaped(m.link_target), m.sha256, *numbers, *packed]


def _member(row: list[Any]) -> Member:
    path, letter, link, sha256, *numbers = row
    mode, uid, gid, mtime, size, header, padding, packed_header, packed_size, packed_padding = numbers
    sizes = size, header, padding, packed_header, packed_size, packed_padding
    return Member(_restored(path), _KINDS[letter], mode, uid, gid, mtime, *sizes, _restored(link), sha256)


def _escaped(text: str) -> str:
    """Bytes that are no UTF-8 as NUL and two digits: a path has no NUL, and JSON has no lone surrogate."""
    if text.isascii():
        return text
    return "".join(f"\0{ord(c) - 0xDC00:02x}" if 0xDC80 <= ord(c) <= 0xDCFF else c for c in text)


def _restored(text: str) -> str:
    if "\0" not in text:
        return text
    first, *rest = text.split("\0")
    return first + "".join(chr(0xDC00 + int(part[:2], 16)) + part[2:] for part in rest)


def escaped_all(value: Any) -> Any:
    if isinstance(value, str):
        return _escaped(value.replace("\0", "\ufffd"))
    if isinstance(value, list):
        return [escaped_all(item) for item in value]
    if isinstance(value, dict):
        return {escaped_all(key): escaped_all(item) for key, item in value.items()}
    return value


def restored_all(value: Any) -> Any:
    if isinstance(value, str):
        return _restored(value)
    if isinstance(value, list):
        return [restored_all(item) for item in value]
    if isinstance(value, dict):
        return {key: restored_all(item) for key, item in value.items()}
    return value
