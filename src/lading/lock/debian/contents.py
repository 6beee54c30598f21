"""Which package ships a shared library: a suite's Contents index, reduced to the linker's own folders.

Pure. An index names every file of every package, half a million lines; what a loader without settings finds
lies in four folders, some twenty thousand of them.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from lading.errors import DigestMismatch

_TRIPLETS = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
_CHUNK_BYTES = 1 << 20
_LIMIT_BYTES = 4 << 30
"""Of an index once decompressed; the largest of the archive's has 0.2 GB."""
_LONGEST_LINE_BYTES = 1 << 16
_NOT_FOR_RUNNING = ("libdevel", "devel", "debug")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """One package that ships a library, and the archive's section it stands in (`libs`)."""

    package: str
    section: str


class LibraryIndex:
    """Soname → the packages that put a file of that name where the linker looks, as reduced text."""

    def __init__(self, reduced: bytes) -> None:
        self._by_name: dict[str, tuple[Shipped, ...]] = {}
        for line in reduced.decode("utf-8", errors="replace").splitlines():
            name, _, places = line.partition(" ")
            self._by_name[name] = tuple(_shipped(place) for place in places.split(","))

    def shipping(self, soname: str) -> tuple[Shipped, ...]:
        return self._by_name.get(soname, ())


def _shipped(place: str) -> Shipped:
    section, _, package = place.rpartition("/")
    return Shipped(package=package, section=section.rpartition("/")[2])


def reduce_contents(packed: bytes, architecture: str, *, name: str) -> bytes:
    """The lines `SONAME SECTION/PACKAGE,…` of a gzipped Contents index, sorted; never for developers' files.

    Raises DigestMismatch for what is no such file. `name` is for the message.
    """
    wanted = re.compile(
        rb"^(?:usr/)?lib(?:64)?/(?:" + _TRIPLETS[architecture].encode() + rb"/)?"
        rb"([^/\s]+\.so(?:\.[^/\s]*)?)[ \t]+(\S+)$",
        re.MULTILINE,
    )
    found: dict[str, set[str]] = {}
    for text in _lines(packed, name):
        for soname, places in wanted.findall(text):
            kept = {place for place in places.decode("utf-8", "replace").split(",") if _is_for_running(place)}
            if kept:
                found.setdefault(soname.decode("utf-8", "replace"), set()).update(kept)
    return "".join(f"{soname} {','.join(sorted(found[soname]))}\n" for soname in sorted(found)).encode()


def _is_for_running(place: str) -> bool:
    section, _, package = place.rpartition("/")
    return section.rpartition("/")[2] not in _NOT_FOR_RUNNING and not package.endswith(("-dev", "-dbg"))


def _lines(packed: bytes, name: str) -> Iterator[bytes]:
    """Whole lines in large pieces: the index as one text would take hundreds of megabytes."""
    inflater = zlib.decompressobj(wbits=31)
    rest = b""
    total = 0
    pending: bytes = packed
    while not inflater.eof:
        try:
            piece = inflater.decompress(pending, _CHUNK_BYTES)
        except zlib.error as error:
            raise DigestMismatch(f"{name} cannot be decompressed: {error}", place=name) from error
        pending = inflater.unconsumed_tail
        total += len(piece)
        text = rest + piece
        whole, _, rest = text.rpartition(b"\n")
        if total > _LIMIT_BYTES or len(rest) > _LONGEST_LINE_BYTES:
            raise DigestMismatch(f"{name} is no index of contents", place=name)
        if not piece and not pending and not inflater.eof:
            raise DigestMismatch(f"{name} ends early", place=name)
        yield whole
    yield rest


def best_candidates(
    shipped: Iterable[Shipped], closure_sizes: Mapping[str, int], preferred: frozenset[str]
) -> list[str]:
    """Packages to take for a library, best first.

    What is `preferred` (locked already, or coming anyway) before others, the section of libraries before
    others, a name in `lib` before others, then the smallest closure, then the name. A package without a
    closure size cannot be had.
    """
    ranked = sorted(
        (
            one.package not in preferred,
            one.section != "libs",
            not one.package.startswith("lib"),
            closure_sizes[one.package],
            one.package,
        )
        for one in set(shipped)
        if one.package in closure_sizes
    )
    return [entry[-1] for entry in ranked]
