"""What a stack of layers holds: the merged list of its paths, and the bytes of those that are asked for.

Reads blobs of the store, of any maker: gzip, zstd and plain tar. Nothing is extracted; a path is a name in a
dictionary, so no name can lead anywhere. Whiteouts are applied (image-spec layer.md, "Whiteouts").
"""

from __future__ import annotations

import gzip
import io
import itertools
import posixpath
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from enum import StrEnum
from typing import IO, Any, cast

from lading.errors import FetchFailed, UsageError
from lading.oci.digest import Digest
from lading.oci.links import resolve_links
from lading.store import Store
from lading.store.atomic import store_errors

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_MOST_PATHS = 2_000_000
_MOST_KEPT_BYTES = 512 << 20
_MOST_LINKS = 40
_BUFFER_BYTES = 1 << 20
_LONGEST_WINDOW_BYTES = 128 << 20


class StackedKind(StrEnum):
    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class StackedFile:
    """One path as the uppermost layer that has it says."""

    path: str
    """POSIX, relative to the root."""
    kind: StackedKind
    mode: int
    size_bytes: int = 0
    link_target: str | None = None
    content: bytes | None = field(default=None, repr=False)
    """Of a file that was asked for; None of all others."""


Wanted = Callable[[str, int], bool]
"""`wanted(path, size_bytes)`: whether the bytes of the file are to be kept."""


class Stack:
    """The merged tree."""

    def __init__(self, files: dict[str, StackedFile]) -> None:
        self.files = files

    def resolve(self, path: str) -> str:
        """Where `path` really is, links followed inside this root; a loop ends where it was found."""
        links = itertools.count()

        def link_at(place: str) -> str | None:
            entry = self.files.get(place)
            target = entry.link_target if entry is not None else None
            return target if target is not None and next(links) < _MOST_LINKS else None

        return resolve_links(path, link_at)

    def get(self, path: str) -> StackedFile | None:
        """The entry that `path` leads to."""
        return self.files.get(self.resolve(path))

    def read(self, path: str) -> bytes | None:
        """The bytes of the file that `path` leads to, where they were kept."""
        entry = self.get(path)
        return entry.content if entry is not None else None

    def listed(self, folder: str) -> tuple[str, ...]:
        """Names in `folder`, sorted."""
        prefix = f"{self.resolve(folder)}/"
        names = {path[len(prefix) :].partition("/")[0] for path in self.files if path.startswith(prefix)}
        return tuple(sorted(names))


def read_stack(store: Store, layers: Iterable[Digest], wanted: Wanted) -> Stack:
    """Merge `layers`, oldest first, all in the store.

    Raises StoreError, FetchFailed for a layer that is no tar or grows without end, UsageError for zstd where
    no decoder is installed.
    """
    files: dict[str, StackedFile] = {}
    kept_bytes = 0
    for digest in layers:
        upper: dict[str, StackedFile] = {}
        gone: list[str] = []
        for entry, hidden in _entries(store, digest, wanted):
            if hidden is not None:
                gone.append(hidden)
                continue
            assert entry is not None
            upper[entry.path] = entry
            kept_bytes += len(entry.content or b"")
            if len(files) + len(upper) > _MOST_PATHS or kept_bytes > _MOST_KEPT_BYTES:
                raise FetchFailed(f"layer {digest} of the base image is too large to look into")
        _hide(files, gone)
        for path, entry in upper.items():
            before = files.get(path)
            was_folder = before is not None and before.kind is StackedKind.DIRECTORY
            if was_folder and entry.kind is not StackedKind.DIRECTORY:
                _hide(files, [path])
            files[path] = entry
    return Stack(files)


def _hide(files: dict[str, StackedFile], gone: Iterable[str]) -> None:
    """Take paths and what is below them away; one that ends with `/` hides only what is below."""
    for path in gone:
        folder = path if path.endswith("/") else f"{path}/"
        for name in [name for name in files if name == path or name.startswith(folder)]:
            del files[name]


def _entries(store: Store, digest: Digest, wanted: Wanted) -> Iterator[tuple[StackedFile | None, str | None]]:
    path = store.blobs.path(digest)
    try:
        with store_errors("reading a layer", path), path.open("rb") as blob:
            stream = _decoded(blob)
            with tarfile.open(fileobj=cast(Any, stream), mode="r|") as archive:
                seen: dict[str, StackedFile] = {}
                for member in archive:
                    yield from _entry(archive, member, wanted, seen)
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, UnicodeError) as error:
        raise FetchFailed(f"layer {digest} of the base image cannot be read: {error}") from None


def _entry(
    archive: tarfile.TarFile, member: tarfile.TarInfo, wanted: Wanted, seen: dict[str, StackedFile]
) -> Iterator[tuple[StackedFile | None, str | None]]:
    path = _normal(member.name)
    name = posixpath.basename(path)
    if not path:
        return
    if name == _OPAQUE:
        yield None, f"{posixpath.dirname(path)}/"
        return
    if name.startswith(_WHITEOUT):
        yield None, posixpath.join(posixpath.dirname(path), name.removeprefix(_WHITEOUT))
        return
    entry = _read_member(archive, member, path, wanted, seen)
    seen[path] = entry
    yield entry, None


def _read_member(
    archive: tarfile.TarFile,
    member: tarfile.TarInfo,
    path: str,
    wanted: Wanted,
    seen: dict[str, StackedFile],
) -> StackedFile:
    mode = member.mode & 0o7777
    if member.isdir():
        return StackedFile(path=path, kind=StackedKind.DIRECTORY, mode=mode)
    if member.issym():
        return StackedFile(path=path, kind=StackedKind.SYMLINK, mode=0o777, link_target=member.linkname)
    if member.islnk():
        first = seen.get(_normal(member.linkname))
        content = first.content if first is not None else None
        size_bytes = first.size_bytes if first is not None else 0
        return StackedFile(
            path=path, kind=StackedKind.FILE, mode=mode, size_bytes=size_bytes, content=content
        )
    if not member.isreg():
        return StackedFile(path=path, kind=StackedKind.OTHER, mode=mode)
    kept: bytes | None = None
    if wanted(path, member.size):
        file = archive.extractfile(member)
        assert file is not None, "a regular file has bytes"
        with closing(file):
            kept = file.read()
    return StackedFile(path=path, kind=StackedKind.FILE, mode=mode, size_bytes=member.size, content=kept)


def _normal(name: str) -> str:
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _decoded(blob: IO[bytes]) -> IO[bytes]:
    magic = blob.read(4)
    blob.seek(0)
    if magic[:2] == b"\x1f\x8b":
        from isal import igzip

        decoder: Any = igzip.IGzipFile(fileobj=blob, mode="rb")  # type: ignore[no-untyped-call]
        return cast(IO[bytes], io.BufferedReader(decoder, _BUFFER_BYTES))
    if magic == b"\x28\xb5\x2f\xfd":
        try:
            import zstandard
        except ImportError as error:
            raise UsageError(
                "the base image has layers in zstd, which needs the package zstandard",
                hints=("pip install 'lading[zstd]'",),
            ) from error
        unpacker = zstandard.ZstdDecompressor(max_window_size=_LONGEST_WINDOW_BYTES)
        return cast(IO[bytes], unpacker.stream_reader(blob, read_across_frames=True))
    return blob
