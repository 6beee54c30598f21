"""The package database of RPM 4.16 and later, as in RHEL 9, UBI 9 and Fedora: bytes in, values out.

An SQLite file whose rows are header blobs: an index of tagged, typed arrays and their data. What is no such
file, or lies about its lengths, is not understood. Sources: rpm's docs on the header format and tags;
sqlite.org/fileformat.html.
"""

from __future__ import annotations

import contextlib
import sqlite3
import struct
from collections.abc import Iterator
from typing import Any

PATHS = ("var/lib/rpm/rpmdb.sqlite", "usr/lib/sysimage/rpm/rpmdb.sqlite", "usr/share/rpm/rpmdb.sqlite")
_MOST_PACKAGES = 20_000
_MOST_STEPS = 50_000_000
"""Of SQLite's machine: more than any honest database takes."""
_STEPS_AT_ONCE = 100_000
_INTRO = struct.Struct(">II")
_ENTRY = struct.Struct(">IIII")
_INT32, _STRING, _STRING_ARRAY, _LOCAL_STRING = 4, 6, 8, 9
_TAGS = {
    1000: "name",
    1001: "version",
    1002: "release",
    1003: "epoch",
    1014: "licence",
    1022: "arch",
    1044: "source",
    1047: "provides",
    1049: "requires",
    1116: "folder_numbers",
    1117: "file_names",
    1118: "folders",
}
_Values = list[str] | list[int]


def read_packages(content: bytes) -> list[dict[str, Any]]:
    """Name, version, requirements and files of each package. Raises ValueError for no such database."""
    return [package for blob in _blobs(content) if (package := _package(_header(blob))) is not None]


def _blobs(content: bytes) -> Iterator[bytes]:
    if not content.startswith(b"SQLite format 3\0") or len(content) < 100:
        raise ValueError("no SQLite file")
    # A write-ahead log is a file of its own, which a database in memory cannot have: say that there is none.
    plain = content[:18] + b"\1\1" + content[20:]
    steps = iter(range(_MOST_STEPS // _STEPS_AT_ONCE))
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        try:
            database.deserialize(plain)
            database.execute("PRAGMA trusted_schema = OFF")
            database.set_progress_handler(lambda: next(steps, None) is None, _STEPS_AT_ONCE)
            kind = database.execute("SELECT type FROM sqlite_master WHERE name = 'Packages'").fetchone()
            if kind != ("table",):
                raise ValueError("no table of packages")
            rows = database.execute("SELECT blob FROM Packages ORDER BY hnum LIMIT ?", (_MOST_PACKAGES,))
            for (blob,) in rows:
                if isinstance(blob, bytes):
                    yield blob
        except sqlite3.Error as error:
            raise ValueError(f"a damaged SQLite file: {error}") from None


def _header(blob: bytes) -> dict[str, _Values]:
    """The tags that matter, by name. Raises ValueError for lengths that do not add up."""
    if len(blob) < _INTRO.size:
        raise ValueError("a header that is cut off")
    count, data_bytes = _INTRO.unpack_from(blob)
    start = _INTRO.size + count * _ENTRY.size
    if start + data_bytes != len(blob):
        raise ValueError("a header of another length than it says")
    data = blob[start:]
    values: dict[str, _Values] = {}
    for number in range(count):
        tag, kind, offset, amount = _ENTRY.unpack_from(blob, _INTRO.size + number * _ENTRY.size)
        name = _TAGS.get(tag)
        if name is None:
            continue
        if offset > len(data) or amount > len(data):
            raise ValueError("a header whose data lies outside")
        if kind == _INT32 and offset + 4 * amount <= len(data):
            values[name] = list(struct.unpack_from(f">{amount}I", data, offset))
        elif kind in (_STRING, _LOCAL_STRING, _STRING_ARRAY):
            values[name] = _strings(data, offset, 1 if kind == _STRING else amount)
    return values


def _strings(data: bytes, offset: int, amount: int) -> list[str]:
    found = []
    for _ in range(amount):
        end = data.find(b"\0", offset)
        if end < 0:
            raise ValueError("a header with an open string")
        found.append(data[offset:end].decode("utf-8", "surrogateescape"))
        offset = end + 1
    return found


def _package(values: dict[str, _Values]) -> dict[str, Any] | None:
    """None for what is no package, such as the keys of repositories."""
    first = {name: found[0] for name, found in values.items() if found}
    if "name" not in first or "version" not in first or first["name"] == "gpg-pubkey":
        return None
    folders = [str(folder) for folder in values.get("folders", ())]
    numbers = [int(number) for number in values.get("folder_numbers", ())]
    names = [str(name) for name in values.get("file_names", ())]
    if len(numbers) != len(names) or any(number >= len(folders) for number in numbers):
        raise ValueError("a header whose files lie in no folder")
    epoch = first.get("epoch", 0)
    return {
        "name": first["name"],
        "version": f"{first['version']}-{first['release']}" if "release" in first else first["version"],
        "epoch": epoch,
        "arch": first.get("arch", ""),
        "licence": first.get("licence", ""),
        "source": first.get("source", ""),
        "requires": [word for word in map(str, values.get("requires", ())) if not word.startswith("rpmlib(")],
        "provides": [str(word) for word in values.get("provides", ())],
        "files": [
            f"{folders[number]}{name}".lstrip("/") for number, name in zip(numbers, names, strict=True)
        ],
    }
