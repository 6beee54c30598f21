"""Archives inside files: their members are searched as files of the image are. Bounded.

Reads ZIP (wheels, jars, eggs, conda), tar, gzip, bzip2, xz, zstd where its module is there, and what Git
keeps. What is broken or too large is not searched.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from lzma import LZMAError
from typing import IO

from lading.errors import ImageRefused
from lading.inspect.image.model import MemberKind
from lading.inspect.image.tar import TarReader
from lading.inspect.scan.content import ARCHIVES, HEAD_BYTES, SEARCHED, Content, content_of
from lading.inspect.scan.search import TextSearch, search_bytecode, search_text, search_wide_text
from lading.inspect.scan.unpacking import NotSearched, TarStream, unpacked
from lading.project.credentials import form_suspicion, name_suspicion

_DEEPEST = 3
_MOST_MEMBERS = 50_000
_MOST_UNPACKED_BYTES = 2 << 30
_LARGEST_INNER_BYTES = 64 << 20
"""Of an archive in an archive, of bytecode and of UTF-16: these are held in memory."""
_LARGEST_FORM_BYTES = 1 << 20
_PIECE_BYTES = 64 << 10
_LARGEST_DIRECTORY_BYTES = 16 << 20
_BROKEN = (
    zipfile.BadZipFile, ImageRefused, zlib.error, LZMAError, EOFError, OSError, ValueError, OverflowError,
    NotImplementedError, RuntimeError, struct.error, IndexError,
)  # fmt: skip

Spot = tuple[str, str, int | None]
"""Member, what it looks like, line."""


class _Budget:
    """How much more may come out of one file of the image."""

    def __init__(self) -> None:
        self.left_bytes = _MOST_UNPACKED_BYTES
        self.left_members = _MOST_MEMBERS
        self.skipped = ""
        """Why some of it was not looked into."""

    def spend(self, size_bytes: int) -> None:
        self.left_bytes -= size_bytes
        if self.left_bytes < 0:
            raise NotSearched("it unpacks to more than 2 GiB")

    def member(self) -> None:
        self.left_members -= 1
        if self.left_members < 0:
            raise NotSearched(f"it has more than {_MOST_MEMBERS} members")


def search_archive(path: str, content: Content, file: IO[bytes]) -> Iterator[Spot]:
    """Spots in the archive at `path`. Raises NotSearched at the end, where any of it was not looked into."""
    budget = _Budget()
    try:
        yield from _archive(path, content, file, budget, 0)
    except _BROKEN as error:
        raise NotSearched(f"it is broken: {error}") from None
    if budget.skipped:
        raise NotSearched(budget.skipped)


def _archive(path: str, content: Content, file: IO[bytes], budget: _Budget, depth: int) -> Iterator[Spot]:
    if content is Content.ZIP:
        yield from _zip(file, budget, depth)
    elif content is Content.TAR:
        yield from _tar(file, b"", budget, depth)
    elif content is Content.GIT_PACK:
        yield from _git_pack(file, budget)
    elif content is Content.GIT_OBJECT:
        inflated = zlib.decompressobj().decompress(file.read(), _LARGEST_INNER_BYTES)
        budget.spend(len(inflated))
        yield from (("", what, None) for what, _ in search_text(inflated))
    else:
        inner = unpacked(content, file)
        head = inner.read(HEAD_BYTES)
        name = path.rpartition("/")[2]
        stem = name.rpartition(".")[0] or name
        if content_of(stem, head) is Content.TAR:
            yield from _tar(inner, head, budget, depth)
        else:
            yield from _file("", stem, head, inner.read, budget, depth)


def _zip(file: IO[bytes], budget: _Budget, depth: int) -> Iterator[Spot]:
    _check_directory(file)
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            budget.member()
            if member.is_dir():
                continue
            if member.flag_bits & 1:
                budget.skipped = "it holds encrypted files"
                continue
            with archive.open(member) as opened:
                head = opened.read(HEAD_BYTES)
                yield from _file(member.filename, member.filename, head, opened.read, budget, depth)


def _check_directory(file: IO[bytes]) -> None:
    """`zipfile` takes the whole directory into memory, so its size is looked at before."""
    size = file.seek(0, io.SEEK_END)
    start = file.seek(max(0, size - (66 << 10)))
    tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0:
        raise NotSearched("it has no directory")
    (directory_bytes,) = struct.unpack_from("<I", tail, end + 12)
    if tail[max(0, end - 20) : end].startswith(b"PK\x06\x07"):
        file.seek(max(0, start + end - 20 - 56))
        (directory_bytes,) = struct.unpack_from("<Q", file.read(56), 40)
    if directory_bytes > _LARGEST_DIRECTORY_BYTES:
        raise NotSearched("its directory is larger than 16 MiB")
    file.seek(0)


def _tar(file: IO[bytes], head: bytes, budget: _Budget, depth: int) -> Iterator[Spot]:
    """`head` was read of `file` before. What is skipped counts too."""
    stream = TarStream(file, head, budget.spend)
    reader = TarReader(stream, "an archive")
    for member in reader:
        budget.member()
        left = member.size_bytes

        def read(size_bytes: int) -> bytes:
            nonlocal left
            data = stream.read_exactly(min(size_bytes, left))
            left -= len(data)
            return data

        if member.kind is MemberKind.FILE:
            yield from _file(member.path, member.path, read(HEAD_BYTES), read, budget, depth)
        while left:
            read(_PIECE_BYTES)
        reader.skip_padding(member.size_bytes)


def _file(
    shown: str, path: str, head: bytes, read: Callable[[int], bytes], budget: _Budget, depth: int
) -> Iterator[Spot]:
    """One member: `shown` is its name, `path` what its kind is told by."""
    budget.spend(len(head))
    content = content_of(path, head)
    if head and (named := name_suspicion(path)) is not None:
        yield shown, named.what, None
        return
    if content in SEARCHED:
        yield from _text(shown, path, head, read, budget)
    elif content in (Content.BYTECODE, Content.WIDE_TEXT):
        whole = _whole(head, read, budget)
        if content is Content.BYTECODE:
            yield from ((shown, what, None) for what in search_bytecode(whole))
        else:
            yield from ((shown, what, line) for what, line in search_wide_text(whole))
    elif _may_hold_files(content):
        if depth >= _DEEPEST:
            budget.skipped = f"archives are nested more than {_DEEPEST} deep"
            return
        inner = io.BytesIO(_whole(head, read, budget))
        try:
            for member, what, line in _archive(path, content, inner, budget, depth + 1):
                yield "!".join(part for part in (shown, member) if part), what, line
        except _BROKEN as error:  # only this one: the archive around it is whole
            budget.skipped = f"an archive in it is broken: {error}"


def _text(
    shown: str, path: str, head: bytes, read: Callable[[int], bytes], budget: _Budget
) -> Iterator[Spot]:
    search, kept = TextSearch(), head
    search.feed(head)
    while piece := read(1 << 20):
        budget.spend(len(piece))
        search.feed(piece)
        if len(kept) <= _LARGEST_FORM_BYTES:
            kept += piece
    hits = search.finish()
    yield from ((shown, what, line) for what, line in hits)
    if not hits and len(kept) <= _LARGEST_FORM_BYTES and (formed := form_suspicion(path, kept)) is not None:
        yield shown, formed.what, None


def _may_hold_files(content: Content) -> bool:
    return content in ARCHIVES or content in (Content.GIT_OBJECT, Content.GIT_PACK)


def _whole(head: bytes, read: Callable[[int], bytes], budget: _Budget) -> bytes:
    parts, size = [head], len(head)
    while piece := read(1 << 20):
        size += len(piece)
        budget.spend(len(piece))
        if size > _LARGEST_INNER_BYTES:
            raise NotSearched("an archive in it is larger than 64 MiB")
        parts.append(piece)
    return b"".join(parts)


def _git_pack(file: IO[bytes], budget: _Budget) -> Iterator[Spot]:
    """Objects one after another; of one that is stored as a difference, the bytes it adds."""
    data = file.read(_LARGEST_INNER_BYTES * 4 + 1)
    if len(data) > _LARGEST_INNER_BYTES * 4:
        raise NotSearched("a pack of Git larger than 256 MiB")
    count, at = int.from_bytes(data[8:12], "big"), 12
    for _ in range(count):
        budget.member()
        kind = data[at] >> 4 & 7
        at = _after_number(data, at)
        if kind == 6:
            at = _after_number(data, at)
        elif kind == 7:
            at += 20
        content, at = _inflated(data, at, budget)
        yield from (("", what, None) for what, _ in search_text(content))


def _inflated(data: bytes, at: int, budget: _Budget) -> tuple[bytes, int]:
    """The stream that begins at `at`, and where it ends."""
    inflate, parts = zlib.decompressobj(), []
    while not inflate.eof:
        piece = data[at : at + _PIECE_BYTES]
        if not piece:
            raise NotSearched("a pack of Git ends too early")
        parts.append(inflate.decompress(piece))
        budget.spend(len(parts[-1]))
        at += len(piece) - len(inflate.unused_data)
    return b"".join(parts), at


def _after_number(data: bytes, at: int) -> int:
    while data[at] & 0x80:
        at += 1
    return at + 1
