"""Reads which shared objects a wheel holds and what they need. Thin: `lading.lock.needs` judges.

A linker's tables lie anywhere in an ELF file, mostly at its end, and a ZIP member is inflated from its start:
so knowing means having the bytes. A wheel that is not here is fetched whole, verified, into the store, where
the build finds it; the answer is kept by sha256 for ever.
"""

from __future__ import annotations

import contextlib
import mmap
import re
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from lading.errors import WheelRefused
from lading.fetch.source import ByteSource, LocalFile
from lading.image.elf import ElfNeeds, elf_needs
from lading.image.wheel.zip import ZipDirectory, data_offset, inflate_member, read_directory
from lading.lock.model import LockedWheel
from lading.lock.needs import SharedObject
from lading.oci.digest import Digest
from lading.store import Store
from lading.store.records import Records

_RULE = 1
"""Raised when the same wheel would be read as other needs; part of each record."""
_SHARED_OBJECT = re.compile(r"\.so(?:\.[^/]*)?$")
_IN_MEMORY_BYTES = 32 << 20
_LARGEST_BYTES = 4 << 30
_CHUNK_BYTES = 4 << 20
_THREADS = 4


def read_needs(
    wheels: tuple[LockedWheel, ...], *, store: Store, open_wheel: Callable[[LockedWheel], ByteSource]
) -> Mapping[str, tuple[SharedObject, ...]]:
    """sha256 → the shared objects of each wheel. `open_wheel` is called from several threads.

    Raises FetchFailed, DigestMismatch.
    """
    records = Records(store.root, "wheel-needs")

    def one(wheel: LockedWheel) -> tuple[SharedObject, ...]:
        known = records.get(wheel.sha256)
        if isinstance(known, dict) and known.get("rule") == _RULE:
            return tuple(SharedObject.from_json(row) for row in known["objects"])
        with contextlib.closing(kept_wheel(store, wheel, open_wheel(wheel))) as source:
            objects = shared_objects(source, wheel.filename, store)
        records.put(wheel.sha256, {"rule": _RULE, "objects": [item.as_json() for item in objects]})
        return objects

    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(one, wheels))
    return {wheel.sha256: objects for wheel, objects in zip(wheels, found, strict=True)}


def kept_wheel(store: Store, wheel: LockedWheel, source: ByteSource) -> ByteSource:
    """`wheel` as a local file: in the store, verified, where it was not on this machine."""
    if isinstance(source, LocalFile):
        return source
    digest = Digest.from_hex(wheel.sha256)
    with contextlib.closing(source), store.blobs.writer() as blob:
        for offset in range(0, wheel.size_bytes, _CHUNK_BYTES):
            blob.write(source.read(offset, min(_CHUNK_BYTES, wheel.size_bytes - offset)))
        blob.commit(digest)
    return LocalFile(store.blobs.path(digest))


def shared_objects(source: ByteSource, filename: str, store: Store) -> tuple[SharedObject, ...]:
    """The ELF files of one wheel, by path. A wheel that a build would refuse has none: the build says why."""
    try:
        directory = read_directory(source, filename, lenient=True)
        found = [
            SharedObject(path=member.name, soname=needs.soname, needed=needs.needed)
            for index, member in enumerate(directory.members)
            if _SHARED_OBJECT.search(member.name) and member.size_bytes <= _LARGEST_BYTES
            if (needs := _member_needs(source, directory, index, store)) is not None
        ]
    except WheelRefused:
        return ()
    return tuple(sorted(found, key=lambda item: item.path))


def _member_needs(source: ByteSource, directory: ZipDirectory, index: int, store: Store) -> ElfNeeds | None:
    """Of a large member only a temporary file holds the whole: memory stays small."""
    member = directory.members[index]
    pieces = inflate_member(source, directory, member, data_offset(source, directory, index))
    if member.size_bytes <= _IN_MEMORY_BYTES:
        return elf_needs(b"".join(content for _, content in pieces))
    with tempfile.TemporaryFile(dir=store.staging) as file:
        for _, content in pieces:
            file.write(content)
        file.flush()
        with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped, memoryview(mapped) as view:
            return elf_needs(view)
