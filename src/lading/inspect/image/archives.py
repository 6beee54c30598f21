"""Images in files: OCI layouts as folders and archives, and Docker's archives.

An archive is indexed once, member by member, and never unpacked; a layer is then a range of the file. Names
in an archive are looked up and never opened as paths. Raises ImageRefused for what is no such thing.
"""

from __future__ import annotations

import gzip
import os
import posixpath
import shutil
import tarfile
import tempfile
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import IO, Any, Protocol, cast

from lading.errors import ImageRefused, UsageError
from lading.inspect.image.attached import index_attachments
from lading.inspect.image.source import LARGEST_DOCUMENT_BYTES, ImageSource, LayerSource, parse_document
from lading.oci.digest import Digest

_DEEPEST_INDEX = 4
_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_ATTESTATION = "vnd.docker.reference.type"


class Container(Protocol):
    """Files by name: a folder's or an archive's."""

    place: str

    def read(self, name: str) -> bytes | None: ...
    def opener(self, name: str) -> Callable[[], IO[bytes]]: ...


class Folder:
    def __init__(self, path: Path) -> None:
        self.place = str(path)
        self._path = path

    def read(self, name: str) -> bytes | None:
        try:
            with (self._path / name).open("rb") as file:
                return _limited(file, self.place, name)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ImageRefused(self.place, "layout", f"{name} cannot be read: {error.strerror}") from None

    def opener(self, name: str) -> Callable[[], IO[bytes]]:
        path = self._path / name
        if not path.is_file():
            raise ImageRefused(self.place, "blob", f"it has no {name}")
        return lambda: path.open("rb", buffering=0)


class Archive:
    """A tar file; one in gzip is unpacked into an unnamed temporary file first."""

    def __init__(self, path: Path, staging: Path) -> None:
        self.place = str(path)
        self._file = _plain_file(path, staging)
        weakref.finalize(self, self._file.close)
        self._members: dict[str, tuple[int, int]] = {}
        self._links: dict[str, str] = {}
        try:
            self._index()
        except (tarfile.TarError, EOFError, OverflowError, ValueError) as error:
            raise ImageRefused(self.place, "archive", f"it is no tar archive: {error}") from None

    def _index(self) -> None:
        with tarfile.open(fileobj=self._file, mode="r:") as archive:
            for member in archive:
                name = posixpath.normpath(member.name).lstrip("/")
                if member.isreg():
                    self._members[name] = member.offset_data, member.size
                elif member.issym() or member.islnk():
                    base = posixpath.dirname(name) if member.issym() else ""
                    self._links[name] = posixpath.normpath(posixpath.join(base, member.linkname))

    def read(self, name: str) -> bytes | None:
        found = self._members.get(self._links.get(name, name))
        if found is None:
            return None
        with self._open(*found) as file:
            return _limited(file, self.place, name)

    def opener(self, name: str) -> Callable[[], IO[bytes]]:
        found = self._members.get(self._links.get(name, name))
        if found is None:
            raise ImageRefused(self.place, "blob", f"it has no {name}")
        return lambda: self._open(*found)

    def _open(self, start: int, size_bytes: int) -> IO[bytes]:
        """Whoever can open a layer keeps the archive, and so its file, open."""
        return cast(IO[bytes], BufferedReader(_Range(self._file, start, size_bytes), 1 << 20))


class _Range(RawIOBase):
    """A stretch of a file, read by position: several may be open at once."""

    def __init__(self, file: IO[bytes], start: int, size_bytes: int) -> None:
        self._file, self._position, self._end = file, start, start + size_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)[: self._end - self._position]
        count = os.preadv(self._file.fileno(), [view], self._position) if view else 0
        self._position += count
        return count


def _limited(file: IO[bytes], place: str, name: str) -> bytes:
    content = file.read(LARGEST_DOCUMENT_BYTES + 1)
    if len(content) > LARGEST_DOCUMENT_BYTES:
        raise ImageRefused(place, "document", f"{name} is larger than {LARGEST_DOCUMENT_BYTES} bytes")
    return content


def _plain_file(path: Path, staging: Path) -> IO[bytes]:
    try:
        file = path.open("rb")
        if file.read(2) != b"\x1f\x8b":
            file.seek(0)
            return file
        file.seek(0)
        with file, gzip.open(file) as packed:
            plain = tempfile.TemporaryFile(dir=staging)  # noqa: SIM115 layers are ranges of it
            shutil.copyfileobj(packed, plain, 1 << 20)
        plain.seek(0)
        return cast(IO[bytes], plain)
    except (gzip.BadGzipFile, EOFError) as error:
        raise ImageRefused(str(path), "archive", f"its gzip stream is damaged: {error}") from None
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror or error}", place=str(path), hints=(f"ls -l {path}",)
        ) from None


def layout_image(container: Container, name: str, platform: str) -> ImageSource:
    """The image for `platform` of an OCI layout."""
    index = container.read("index.json")
    if index is None:
        raise ImageRefused(container.place, "layout", "it has no index.json", hints=("skopeo copy --help",))
    document = parse_document(index, container.place)
    image = manifest_image(container, name, _choose(container, document, platform, 0))
    return replace(image, attached=index_attachments(document, lambda digest: _manifest(container, digest)))


def _manifest(container: Container, digest: str) -> Mapping[str, Any] | None:
    """A manifest that is there and whole; None for all else."""
    try:
        return _document(container, Digest(digest))
    except (ImageRefused, ValueError):
        return None


def _choose(container: Container, index: Mapping[str, Any], platform: str, depth: int) -> Digest:
    offered: dict[str, Digest] = {}
    try:
        for entry in index["manifests"]:
            if _ATTESTATION in (entry.get("annotations") or {}):
                continue
            digest = Digest(entry["digest"])
            said = entry.get("platform") or {}
            if "manifests" in _document(container, digest) and depth < _DEEPEST_INDEX:
                return _choose(container, _document(container, digest), platform, depth + 1)
            known = f"{said['os']}/{said['architecture']}" if said.get("os") else _platform(container, digest)
            offered.setdefault(known, digest)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ImageRefused(container.place, "index", f"its index is broken: {error}") from None
    if platform not in offered:
        names = ", ".join(sorted(offered)) or "nothing"
        raise UsageError(
            f"{container.place} has no image for {platform}; it has {names}",
            hints=tuple(f"lading explain --platform {known} …" for known in sorted(offered)[:1]),
        )
    return offered[platform]


def _platform(container: Container, digest: Digest) -> str:
    config = _document(container, Digest(_document(container, digest)["config"]["digest"]))
    return f"{config['os']}/{config['architecture']}"


def _document(container: Container, digest: Digest) -> Mapping[str, Any]:
    return parse_document(_blob(container, digest), f"{container.place} {digest.short}")


def _blob(container: Container, digest: Digest) -> bytes:
    content = container.read(f"blobs/sha256/{digest.hex}")
    if content is None:
        raise ImageRefused(container.place, "blob", f"it has no blob {digest}")
    if Digest.of(content) != digest:
        raise ImageRefused(container.place, "blob", f"blob {digest} has other bytes than its name says")
    return content


def manifest_image(container: Container, name: str, digest: Digest) -> ImageSource:
    manifest = _document(container, digest)
    try:
        layers = [(Digest(layer["digest"]), str(layer["mediaType"])) for layer in manifest["layers"]]
        config = Digest(manifest["config"]["digest"])
    except (KeyError, TypeError, ValueError) as error:
        raise ImageRefused(container.place, "manifest", f"its manifest is broken: {error}") from None
    return ImageSource(
        name=name,
        digest=digest,
        config_bytes=_blob(container, config),
        layers=tuple(
            LayerSource(
                place=f"layer {layer.short}",
                digest=layer,
                media_type=media_type,
                open_blob=container.opener(f"blobs/sha256/{layer.hex}"),
            )
            for layer, media_type in layers
        ),
    )


def docker_image(container: Container, name: str, platform: str) -> ImageSource:
    """The first image of an archive that `docker save` wrote."""
    import json

    content = container.read("manifest.json")
    if content is None:
        return layout_image(container, name, platform)
    try:
        entry = json.loads(content)[0]
        config = container.read(entry["Config"])
        if config is None:
            raise ImageRefused(container.place, "blob", f"it has no {entry['Config']}")
        layers = tuple(
            LayerSource(
                place=f"layer {number} of {container.place}",
                digest=None,
                media_type="application/vnd.docker.image.rootfs.diff.tar",
                open_blob=container.opener(layer),
            )
            for number, layer in enumerate(entry["Layers"], 1)
        )
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise ImageRefused(container.place, "manifest", f"its manifest.json is broken: {error}") from None
    return ImageSource(name=name, digest=None, config_bytes=config, layers=layers)
