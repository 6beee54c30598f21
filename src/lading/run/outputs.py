"""Outputs as content: a folder that user code left becomes blobs and a manifest, and comes back as files.

The folder is not trusted: links are recorded, never followed; devices, sockets and links that lead out of
it are left behind with a word. Knows files and blobs; must not know what a run is.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lading.errors import ProjectError, StoreError
from lading.oci.digest import Digest
from lading.oci.json import canonical_json
from lading.oci.manifest import MEDIA_EMPTY, Descriptor, Manifest
from lading.store import Store
from lading.store.atomic import store_errors, temporary_name

ARTIFACT_OUTPUTS = "application/vnd.lading.outputs.v1+json"
MEDIA_FILE = "application/vnd.lading.file.v1.raw"
FILE_PATH = "org.cncf.model.filepath"
_EXECUTABLE = "dev.lading.executable"
_LINK = "dev.lading.link"
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFile:
    """One collected file or link; `path` is POSIX, relative to the outputs."""

    path: str
    digest: Digest
    size_bytes: int
    executable: bool = False
    link_target: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    digest: Digest
    files: tuple[OutputFile, ...]
    """Sorted by path."""
    warnings: tuple[str, ...] = ()

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    def find(self, path: str) -> OutputFile | None:
        return next((file for file in self.files if file.path == path), None)


def collect_outputs(folder: Path, store: Store) -> Outputs:
    """Store every file under `folder` by content. Raises StoreError."""
    files: list[OutputFile] = []
    warnings: list[str] = []
    for path, name in _walk(folder):
        status = path.lstat()
        if stat.S_ISREG(status.st_mode):
            digest, size_bytes = _store_file(path, store)
            executable = bool(status.st_mode & 0o100)
            files.append(OutputFile(path=name, digest=digest, size_bytes=size_bytes, executable=executable))
        elif stat.S_ISLNK(status.st_mode) and not _escapes(name, target := str(path.readlink())):
            files.append(OutputFile(path=name, digest=store.blobs.put(b""), size_bytes=0, link_target=target))
        else:
            kind = "a link that leads out" if stat.S_ISLNK(status.st_mode) else "no file, folder or link"
            warnings.append(f"outputs: {name} was left behind: it is {kind}")
    manifest = _manifest(tuple(files), store)
    return Outputs(digest=manifest, files=tuple(files), warnings=tuple(warnings))


def names_in(folder: Path) -> tuple[str, ...]:
    """What `collect_outputs` would look at, by name; nothing where the folder cannot be read."""
    try:
        return tuple(name for _, name in _walk(folder))
    except (OSError, ProjectError):
        return ()


def read_outputs(digest: Digest, store: Store) -> Outputs:
    """The outputs that `collect_outputs` stored. Raises StoreError when absent or of another kind."""
    import json

    manifest = Manifest.from_json(json.loads(store.blobs.read(digest)))
    if manifest.artifact_type != ARTIFACT_OUTPUTS:
        raise StoreError(f"{digest} is {manifest.artifact_type}, not the outputs of a run")
    files = tuple(
        OutputFile(
            path=layer.annotations[FILE_PATH],
            digest=layer.digest,
            size_bytes=layer.size_bytes,
            executable=_EXECUTABLE in layer.annotations,
            link_target=layer.annotations.get(_LINK),
        )
        for layer in manifest.layers
    )
    return Outputs(digest=digest, files=files)


def outputs_present(outputs: Outputs, store: Store) -> bool:
    """True when every blob is there with its size."""
    return all(store.blobs.size_bytes(file.digest) == file.size_bytes for file in outputs.files)


def write_files(files: tuple[OutputFile, ...], store: Store, target: Path) -> None:
    """Write copies of `files` under `target`, each whole or not at all. Raises StoreError.

    Copies, not hard links: someone who edits an output in place must not reach into the store.
    """
    with store_errors("writing outputs", target):
        target.mkdir(parents=True, exist_ok=True)
        for file in files:
            place = target / file.path
            place.parent.mkdir(parents=True, exist_ok=True)
            _write_file(file, store, place)


def is_written(file: OutputFile, target: Path) -> bool:
    """True when `file` lies under `target` with just its content."""
    place = target / file.path
    try:
        if file.link_target is not None or place.is_symlink():
            return place.is_symlink() and str(place.readlink()) == file.link_target
        return (
            place.is_file() and place.stat().st_size == file.size_bytes and _file_digest(place) == file.digest
        )
    except OSError:
        return False


def remove_files(files: tuple[OutputFile, ...], target: Path) -> None:
    """Remove those of `files` under `target` that still hold what was written there."""
    for file in files:
        if is_written(file, target):
            with contextlib.suppress(OSError):
                (target / file.path).unlink()


def tree_digest(path: Path) -> Digest:
    """The content of a file, or of a folder with names, executable bits and links. Raises ProjectError."""
    try:
        if path.is_file():
            return _file_digest(path)
        entries = [
            [name, "link", str(entry.readlink())]
            if entry.is_symlink()
            else [name, "exec" if entry.stat().st_mode & 0o100 else "file", str(_file_digest(entry))]
            for entry, name in _walk(path)
        ]
    except OSError as error:
        raise ProjectError(f"reading an input failed: {error.strerror}", place=str(error.filename)) from error
    return Digest.of(canonical_json(entries))


def _walk(folder: Path) -> Iterator[tuple[Path, str]]:
    """Everything but folders below `folder`, sorted by POSIX path, following no link."""
    found: list[tuple[str, Path]] = []
    for parent, folders, names in os.walk(folder, followlinks=False, onerror=_raise):
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        for name in (*names, *links):
            path = Path(parent) / name
            found.append((path.relative_to(folder).as_posix(), path))
    for name, path in sorted(found):
        try:
            name.encode()
        except UnicodeEncodeError:
            raise ProjectError(f"a file name is not UTF-8: {name!r}", place=str(folder)) from None
        yield path, name


def _raise(error: OSError) -> None:
    raise error


def _file_digest(path: Path) -> Digest:
    with path.open("rb") as file:
        return Digest.from_hex(hashlib.file_digest(file, "sha256").hexdigest())


def _store_file(path: Path, store: Store) -> tuple[Digest, int]:
    with store_errors("collecting an output", path):
        # NOFOLLOW: the file may have become a link since it was listed.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as file, store.blobs.writer() as writer:
            while chunk := file.read(_CHUNK_BYTES):
                writer.write(chunk)
            return writer.commit(), writer.size_bytes


def _escapes(name: str, target: str) -> bool:
    if target.startswith("/"):
        return True
    depth = len(PurePosixPath(name).parent.parts)
    for part in PurePosixPath(target).parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return True
    return False


def _manifest(files: tuple[OutputFile, ...], store: Store) -> Digest:
    layers = []
    for file in files:
        notes = {FILE_PATH: file.path}
        notes |= {_EXECUTABLE: "true"} if file.executable else {}
        notes |= {_LINK: file.link_target} if file.link_target is not None else {}
        layers.append(
            Descriptor(
                media_type=MEDIA_FILE, digest=file.digest, size_bytes=file.size_bytes, annotations=notes
            )
        )
    empty = Descriptor(media_type=MEDIA_EMPTY, digest=store.blobs.put(b"{}"), size_bytes=2)
    manifest = Manifest(config=empty, layers=tuple(layers), artifact_type=ARTIFACT_OUTPUTS)
    return store.blobs.put(manifest.to_bytes())


def _write_file(file: OutputFile, store: Store, place: Path) -> None:
    temporary = place.with_name(f".{temporary_name()}")
    try:
        if file.link_target is not None:
            temporary.symlink_to(file.link_target)
        else:
            shutil.copyfile(store.blobs.path(file.digest), temporary)
            temporary.chmod(0o755 if file.executable else 0o644)
        temporary.rename(place)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
