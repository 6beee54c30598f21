"""Where a built image goes besides the store: an OCI layout folder, or one archive.

Thin: reads blobs, writes files. Every byte is hashed on its way out, so a flipped one is found before it
leaves. A file or an index is there whole or not at all.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from lading.errors import DigestMismatch, OutsideError, UsageError
from lading.image.model import Image
from lading.image.output.archive import (
    CONTAINERD_NAME,
    OCI_LAYOUT,
    REF_NAME,
    NamedManifest,
    archive_chunks,
    archive_size_bytes,
    by_name,
    image_blobs,
    index_entry,
    platform_index,
)
from lading.oci.digest import Digest
from lading.oci.json import canonical_json
from lading.oci.manifest import MEDIA_INDEX
from lading.oci.platform import Platform
from lading.oci.reference import Reference
from lading.store import Store
from lading.store.atomic import fsync_directory, temporary_name

KINDS = ("oci", "oci-archive", "docker-archive")


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One `--output`: what to write and where. `path` `-` is standard output (archives only)."""

    kind: str
    path: str

    @classmethod
    def parse(cls, text: str) -> Output:
        """`oci:DIR`, `oci-archive:FILE`, `docker-archive:FILE`; FILE `-` is standard output.

        Raises UsageError.
        """
        kind, colon, path = text.partition(":")
        if kind not in KINDS or not colon or not path:
            forms = "oci:DIR, oci-archive:FILE or docker-archive:FILE"
            raise UsageError(f"`{text}` is no output; write it as {forms}")
        if path == "-" and kind == "oci":
            raise UsageError("a layout is a folder and cannot go to standard output; use oci-archive:-")
        return cls(kind=kind, path=path)


def named_manifest(image: Image) -> NamedManifest:
    """What `image` is called outside. Raises UsageError when its tag is no image name."""
    try:
        name = Reference.parse(image.tag)
    except ValueError as error:
        raise UsageError(f"`{image.tag}` is no image name: {error}") from error
    return NamedManifest(digest=image.digest, platform=Platform.parse(image.platform), name=name)


def write_output(
    store: Store,
    images: Sequence[NamedManifest],
    output: Output,
    *,
    standard_output: BinaryIO,
    progress: Callable[[int], None] = lambda size_bytes: None,
) -> int:
    """Write `images` to `output`; the bytes written or linked.

    Both archive kinds are the same bytes. Raises UsageError, StoreError, DigestMismatch, OutsideError.
    """
    if output.kind == "oci":
        return write_layout(store, images, Path(output.path), progress=progress)
    chunks = _counted(archive_chunks(store, images), progress)
    size_bytes = archive_size_bytes(store, images)
    if output.path == "-":
        if standard_output.isatty():
            raise UsageError(
                "an archive is not written to a terminal", hints=("lading build … | docker load",)
            )
        with _outside("writing the archive", "standard output"):
            for chunk in chunks:
                standard_output.write(chunk)
            standard_output.flush()
    else:
        _write_file(Path(output.path), chunks)
    return size_bytes


def write_blob(store: Store, digest: Digest, path: Path) -> None:
    """Write one blob of the store to `path`, whole or not at all.

    Raises UsageError, StoreError, DigestMismatch, OutsideError.
    """
    _write_file(path, store.blobs.chunks(digest))


def write_layout(
    store: Store,
    images: Sequence[NamedManifest],
    folder: Path,
    *,
    progress: Callable[[int], None] = lambda size_bytes: None,
    left_out: frozenset[Digest] = frozenset(),
) -> int:
    """Add `images` to the OCI layout in `folder`, which is made where absent; the bytes of their blobs.

    Images of one name are one index of platforms. What had the same name is replaced, what has another stays.
    Blobs are hard links to the store where the file system allows. Several processes may write to one layout.
    Blobs in `left_out` are named and not written: for a reader that has them. Raises UsageError, StoreError,
    DigestMismatch, OutsideError.
    """
    groups = by_name(images)
    blobs = {digest: size for image in images for digest, size in image_blobs(store, image.digest).items()}
    blobs = {digest: size_bytes for digest, size_bytes in blobs.items() if digest not in left_out}
    entries = [index_entry(store, group).as_json() for group in groups]
    indexes = [platform_index(store, group).to_bytes() for group in groups if len(group) > 1]
    with _outside("writing an OCI layout", str(folder)):
        target = folder / "blobs/sha256"
        if not folder.exists():
            target.mkdir(parents=True, exist_ok=True)
        elif not folder.is_dir():
            raise _no_layout(folder)
        with _folder_lock(folder):
            _check_is_layout(folder)
            target.mkdir(parents=True, exist_ok=True)
            index: dict[str, Any] | None = None
            for entry in entries:
                index = _merged_index(folder / "index.json", entry, index)
            for content in indexes:
                _replace(target / Digest.of(content).hex, [content])
            for digest in sorted(blobs):
                _place_blob(store, digest, target, progress)
            fsync_directory(target)
            _replace(folder / "oci-layout", [OCI_LAYOUT])
            _replace(folder / "index.json", [canonical_json(index)])
    return sum(blobs.values())


def _check_is_layout(folder: Path) -> None:
    """Under the lock: in between, another process has begun a layout and not yet said so."""
    if (folder / "oci-layout").exists():
        return
    unfinished = (".oci-layout.", ".index.json.")  # of a writer that was killed
    if any(name != "blobs" and not name.startswith(unfinished) for name in os.listdir(folder)):
        raise _no_layout(folder)


def _no_layout(folder: Path) -> UsageError:
    return UsageError(
        f"{folder} is there and is no OCI layout", place=str(folder), hints=(f"ls -la {folder}",)
    )


@contextlib.contextmanager
def _folder_lock(folder: Path) -> Iterator[None]:
    """A lock on the folder itself: an OCI layout should hold no file that the spec does not name."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # no flock here: the last index wins, and is still whole
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _merged_index(path: Path, entry: dict[str, Any], known: dict[str, Any] | None) -> dict[str, Any]:
    """The index `known`, or else that at `path`, with `entry` in it.

    Raises UsageError for what is no index, and when another image has the entry's short name.
    """
    try:
        document = known if known is not None else json.loads(path.read_bytes())
        old = [dict(line) for line in document["manifests"]]
        names = [dict(line.get("annotations") or {}) for line in old]
    except FileNotFoundError:
        return {"schemaVersion": 2, "mediaType": MEDIA_INDEX, "manifests": [entry]}
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is no OCI index: {error}", place=str(path)) from error
    annotations = entry["annotations"]
    kept = []
    for line, name in zip(old, names, strict=True):
        if name.get(CONTAINERD_NAME) == annotations[CONTAINERD_NAME]:
            continue
        if name.get(REF_NAME) == annotations[REF_NAME]:
            raise UsageError(
                f"the layout already has {name.get(CONTAINERD_NAME, 'an image')} under the name"
                f" {annotations[REF_NAME]!r}; two images of one name cannot be told apart",
                place=str(path),
                hints=("lading build --output oci:ANOTHER_FOLDER",),
            )
        kept.append(line)
    return {**document, "manifests": [*kept, entry]}


def _place_blob(store: Store, digest: Digest, folder: Path, progress: Callable[[int], None]) -> None:
    """Hash the blob in the store, then link it; copy where a link is impossible."""
    final = folder / digest.hex
    temporary = folder.parent.parent / f".{temporary_name()}"
    try:
        try:
            os.link(store.blobs.path(digest), temporary)
            for chunk in store.blobs.chunks(digest):
                progress(len(chunk))
        except OSError:
            _write_chunks(temporary, _counted(store.blobs.chunks(digest), progress))
        temporary.rename(final)
    finally:
        # Still there after a rename onto another link of the same file, which does nothing (rename(2)).
        temporary.unlink(missing_ok=True)


def _write_file(path: Path, chunks: Iterator[bytes]) -> None:
    """A regular file is replaced whole; a pipe or device is written to, never replaced."""
    with _outside("writing the archive", str(path)):
        real = Path(os.path.realpath(path))
        mode = real.stat().st_mode if real.exists() else stat.S_IFREG
        if stat.S_ISDIR(mode):
            raise UsageError(f"{path} is a folder; an archive is a file", place=str(path))
        if not real.parent.is_dir():
            raise UsageError(
                f"there is no folder {real.parent}", place=str(path), hints=(f"mkdir -p {real.parent}",)
            )
        if stat.S_ISREG(mode):
            _replace(real, chunks)
        else:
            with real.open("wb", buffering=0) as file:
                for chunk in chunks:
                    _write_whole(file.fileno(), chunk)


def _replace(path: Path, chunks: Iterator[bytes] | list[bytes]) -> None:
    temporary = path.parent / f".{path.name}.{temporary_name()}"
    try:
        _write_chunks(temporary, chunks)
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
    fsync_directory(path.parent)


def _write_chunks(path: Path, chunks: Iterator[bytes] | list[bytes]) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        for chunk in chunks:
            _write_whole(descriptor, chunk)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_whole(descriptor: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(descriptor, view) :]


def _counted(chunks: Iterator[bytes], progress: Callable[[int], None]) -> Iterator[bytes]:
    for chunk in chunks:
        progress(len(chunk))
        yield chunk


@contextlib.contextmanager
def _outside(doing: str, place: str) -> Iterator[None]:
    try:
        yield
    except DigestMismatch:
        raise
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutsideError(f"{doing} failed: {error.strerror or error}", place=place) from error
