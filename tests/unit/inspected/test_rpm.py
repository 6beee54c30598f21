"""RPM's database: what is no such file, or lies about itself, is refused and never a crash."""

from __future__ import annotations

import contextlib
import sqlite3
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lading.inspect.image.databases import read_document
from lading.inspect.image.rpm import PATHS, read_packages

STRING, INT32, STRINGS = 6, 4, 8


def header(*tags: tuple[int, int, list[str] | list[int]]) -> bytes:
    """A header blob as RPM writes it: index entries, then their data."""
    index, data = b"", b""
    for tag, kind, values in tags:
        data += bytes(-len(data) % 4)
        index += struct.pack(">IIII", tag, kind, len(data), len(values))
        for value in values:
            data += struct.pack(">I", value) if isinstance(value, int) else value.encode() + b"\0"
    return struct.pack(">II", len(tags), len(data)) + index + data


def database(tmp_path: Path, *blobs: bytes, table: str = "TABLE") -> bytes:
    path = tmp_path / "rpmdb.sqlite"
    connection = sqlite3.connect(path)
    if table == "TABLE":
        connection.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)")
        connection.executemany("INSERT INTO Packages (blob) VALUES (?)", [(blob,) for blob in blobs])
    else:
        connection.execute(f"CREATE VIEW Packages AS {table}")
    connection.commit()
    connection.close()
    return path.read_bytes()


PACKAGE = header(
    (1000, STRING, ["bash"]),
    (1001, STRING, ["5.1.8"]),
    (1002, STRING, ["9.el9"]),
    (1003, INT32, [2]),
    (1049, STRINGS, ["libc.so.6", "rpmlib(CompressedFileNames)"]),
    (1116, INT32, [0, 1]),
    (1117, STRINGS, ["bash", "README"]),
    (1118, STRINGS, ["/usr/bin/", "/usr/share/doc/bash/"]),
)


def test_a_package_has_its_release_its_files_and_what_it_needs(tmp_path: Path) -> None:
    (package,) = read_packages(database(tmp_path, PACKAGE, header((1000, STRING, ["gpg-pubkey"]))))
    assert (package["name"], package["version"], package["epoch"]) == ("bash", "5.1.8-9.el9", 2)
    assert package["files"] == ["usr/bin/bash", "usr/share/doc/bash/README"]
    assert package["requires"] == ["libc.so.6"]


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\0\0\0\1",
        PACKAGE[:-1],
        PACKAGE + b"\0",
        struct.pack(">II", 1 << 31, 0),
        header((1000, STRING, ["a"]))[:-1] + b"x",
        header((1000, STRING, ["a"]), (1001, STRING, ["1"]), (1116, INT32, [7]), (1117, STRINGS, ["x"])),
        struct.pack(">II", 1, 4) + struct.pack(">IIII", 1000, STRING, 4096, 1) + b"a\0\0\0",
        struct.pack(">II", 1, 4) + struct.pack(">IIII", 1117, STRINGS, 0, 1 << 30) + b"a\0\0\0",
    ],
)
def test_a_header_that_lies_about_lengths_makes_the_database_unreadable(tmp_path: Path, blob: bytes) -> None:
    content = database(tmp_path, blob)
    with pytest.raises(ValueError, match="header"):
        read_packages(content)
    assert read_document(PATHS[0], content) is None


def test_a_view_that_never_ends_is_no_table(tmp_path: Path) -> None:
    endless = (
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS hnum, 'a' AS blob FROM n"
    )
    with pytest.raises(ValueError, match="no table"):
        read_packages(database(tmp_path, table=endless))


@settings(deadline=None)  # it writes a database
@given(place=st.integers(0, 8191), value=st.integers(0, 255))
def test_a_flipped_byte_is_refused_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int
) -> None:
    content = bytearray(database(tmp_path_factory.mktemp("db"), PACKAGE))
    content[place % len(content)] = value
    with contextlib.suppress(ValueError):
        read_packages(bytes(content))


def test_what_is_no_sqlite_file_is_nobodys() -> None:
    assert read_document(PATHS[0], b"Packages, but in Berkeley's form") is None
