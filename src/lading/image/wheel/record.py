"""RECORD: the wheel's own list of files, read strictly and written for what is installed (PEP 376, PEP 427).

Pure. Knows CSV and hashes; must not know archives.
"""

from __future__ import annotations

import binascii
import csv
import io
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from lading.image.wheel.rules import Judge

_HASH = "sha256="
_HASH_CHARACTERS = len(_HASH) + 43


class RecordRow(NamedTuple):
    """What RECORD says of one file. `sha256` is 64 hex digits or empty, `size_bytes` -1 when absent."""

    sha256: str
    size_bytes: int


def read_record(raw: bytes, record_name: str, unhashed: frozenset[str], judge: Judge) -> dict[str, RecordRow]:
    """RECORD's rows by path, without those of folders and of RECORD itself.

    `unhashed` may have no hash: signatures of RECORD. Raises WheelRefused.
    """
    try:
        rows = list(csv.reader(io.StringIO(raw.decode(), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        judge.refuse("record-syntax", f"RECORD cannot be read: {error}", member=record_name)
    found: dict[str, RecordRow] = {}
    for row in rows:
        if not row:
            continue
        if len(row) != 3:
            judge.refuse(
                "record-syntax", f"a row of RECORD has {len(row)} columns: {row[0]!r}", member=record_name
            )
        path, digest, size = row
        if path == record_name or (path.endswith("/") and not digest):
            continue
        parsed = RecordRow(_sha256(path, digest, unhashed, judge), _size(path, size, judge))
        if found.setdefault(path, parsed) is not parsed:
            if found[path] != parsed:
                judge.refuse("record-duplicate", "RECORD lists it twice, differently", member=path)
            judge.object_to("record-duplicate", "RECORD lists it twice", member=path)
    return found


def _sha256(path: str, digest: str, unhashed: frozenset[str], judge: Judge) -> str:
    if not digest:
        if path not in unhashed:
            judge.refuse("record-no-hash", "RECORD gives no hash for it", member=path)
        return ""
    if not digest.startswith(_HASH):
        judge.refuse("record-hash-algorithm", f"RECORD gives {digest[:24]!r}, not a sha256", member=path)
    try:
        if len(digest) != _HASH_CHARACTERS:
            raise binascii.Error("wrong length")
        encoded = digest[len(_HASH) :].replace("-", "+").replace("_", "/")
        return binascii.a2b_base64(encoded + "=", strict_mode=True).hex()
    except ValueError:
        judge.refuse("record-syntax", f"RECORD gives the damaged hash {digest!r}", member=path)


def _size(path: str, size: str, judge: Judge) -> int:
    if not size:
        return -1
    if not (size.isascii() and size.isdigit() and len(size) < 20):
        judge.refuse("record-syntax", f"RECORD gives the size {size!r}", member=path)
    return int(size)


def check_record(
    rows: Mapping[str, RecordRow], sizes: Mapping[str, int], unlisted: frozenset[str], judge: Judge
) -> None:
    """Every file has one row of the right size and every row a file. `sizes` are the archive's, by path.

    `unlisted` need no row: RECORD and its signatures. Raises WheelRefused.
    """
    for path in sorted(sizes.keys() - rows.keys() - unlisted):
        judge.refuse("record-unlisted", "RECORD does not list it", member=path)
    for path in sorted(rows.keys() - sizes.keys()):
        judge.object_to("record-absent", "RECORD lists it, the archive lacks it", member=path)
    for path, row in rows.items():
        if row.size_bytes not in (-1, sizes.get(path, row.size_bytes)):
            judge.object_to(
                "record-size", f"RECORD says {row.size_bytes} bytes, the archive {sizes[path]}", member=path
            )


def write_record(entries: Iterable[tuple[str, str, int]], record_name: str) -> bytes:
    """RECORD for (path, sha256 hex, size in bytes): sorted, in the form uv writes, RECORD's own row empty."""
    rows = [
        (path, f"{_HASH}{encode_sha256(sha256)}", str(size_bytes)) for path, sha256, size_bytes in entries
    ]
    rows.append((record_name, "", ""))
    rows.sort(key=lambda row: row[0].encode())
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def encode_sha256(sha256: str) -> str:
    """64 hex digits as RECORD writes them: URL-safe base64 without padding."""
    encoded = binascii.b2a_base64(bytes.fromhex(sha256), newline=False).rstrip(b"=").decode()
    return encoded.replace("+", "-").replace("/", "_")
