"""Wheels become a layer: every DEFLATE stream is taken over, every RECORD row is checked on the way.

Reads each wheel once, front to back, so it works while the wheel is still coming over the network. The
wheel's own sha256 is checked over the same pass.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from lading.errors import DigestMismatch, WheelRefused
from lading.fetch.source import ByteSource
from lading.image.job import OpenWheel
from lading.image.layer.framing import Buffer
from lading.image.layer.writer import LayerWriter
from lading.image.spec import VENV, WheelsLayer
from lading.image.wheel.install import InstallFile, Prefix, WheelInstall, plan_install, walk
from lading.image.wheel.zip import ZipMember, data_offset, inflate_member
from lading.lock.model import LockedWheel

_CHUNK_BYTES = 1 << 20


class _HashingSource:
    """A ByteSource that hashes what is read, once, in order; `finish` reads what nobody asked for."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._hash = hashlib.sha256()
        self._position = 0
        self.name = source.name
        self.size_bytes = source.size_bytes

    def read(self, offset: int, length: int) -> bytes | memoryview:
        data = self._source.read(offset, length)
        ahead = self._position - offset
        if 0 <= ahead < length:
            self._hash.update(data[ahead:] if ahead else data)
            self._position = offset + length
        return data

    def finish(self) -> str:
        while self._position < self.size_bytes:
            self.read(self._position, min(_CHUNK_BYTES, self.size_bytes - self._position))
        return self._hash.hexdigest()

    def close(self) -> None:
        self._source.close()


def write_wheels(spec: WheelsLayer, writer: LayerWriter, open_wheel: OpenWheel) -> tuple[str, ...]:
    """Write every wheel of `spec`; returns warnings. Raises WheelRefused, DigestMismatch, FetchFailed."""
    prefix = Prefix(python_version=spec.python_version, root=VENV)
    warnings: list[str] = []
    if len(spec.wheels) == 1:
        wheel = spec.wheels[0]
        source = _HashingSource(open_wheel(wheel))
        try:
            install = plan_install(source, wheel.filename, prefix, lenient=wheel.name in spec.lenient)
            _write(writer, source, install, wheel, skip=frozenset())
        finally:
            source.close()
        return install.warnings
    winners = _winners(spec, prefix, open_wheel, warnings)
    for wheel in spec.wheels:
        source = _HashingSource(open_wheel(wheel))
        try:
            install = plan_install(source, wheel.filename, prefix, lenient=wheel.name in spec.lenient)
            skip = frozenset(file.path for file in install.files if winners[file.path] != wheel.name)
            _write(writer, source, install, wheel, skip=skip)
        finally:
            source.close()
        warnings += install.warnings
    return tuple(warnings)


def top_level_names(wheel: LockedWheel, open_wheel: OpenWheel) -> frozenset[str]:
    """First parts of the paths that `wheel` installs into site-packages. Raises WheelRefused, FetchFailed."""
    source = open_wheel(wheel)
    try:
        install = plan_install(source, wheel.filename, Prefix(python_version="3", root=VENV))
    finally:
        source.close()
    folder = f"{VENV}/lib/python3/site-packages/"
    return frozenset(
        file.path.removeprefix(folder).split("/")[0] for file in install.files if file.path.startswith(folder)
    )


def _winners(spec: WheelsLayer, prefix: Prefix, open_wheel: OpenWheel, warnings: list[str]) -> dict[str, str]:
    """path → name of the wheel whose file stays: the last by name; other bytes are worth a warning."""
    winner: dict[str, tuple[str, str]] = {}
    for wheel in spec.wheels:
        source = open_wheel(wheel)
        try:
            install = plan_install(source, wheel.filename, prefix, lenient=wheel.name in spec.lenient)
        finally:
            source.close()
        for file in install.files:
            before = winner.get(file.path)
            if before is not None and before[1] != file.sha256:
                warnings.append(f"/{file.path}: {before[0]} and {wheel.name} differ; {wheel.name}'s stays")
            winner[file.path] = wheel.name, file.sha256
    return {path: name for path, (name, _) in winner.items()}


def _write(
    writer: LayerWriter,
    source: _HashingSource,
    install: WheelInstall,
    wheel: LockedWheel,
    *,
    skip: frozenset[str],
) -> None:
    for index, file in walk(install):
        member = install.directory.members[index]
        offset = data_offset(source, install.directory, index)
        pieces = inflate_member(source, install.directory, member, offset)
        if file is None or file.content is not None or file.path in skip:
            _drain(pieces)
        else:
            _relocate(writer, file, member, pieces, wheel.filename)
    for file in install.files:
        if file.content is not None and file.path not in skip:
            writer.file(file.path, file.content, mode=file.mode)
    found = source.finish()
    if found != wheel.sha256:
        raise DigestMismatch(
            f"wheel {wheel.filename} is not the locked one: expected sha256 {wheel.sha256}, got {found}",
            place=wheel.filename,
            hints=(f"lading lock --upgrade {wheel.name}",),
        )


def _drain(pieces: Iterator[tuple[Buffer, Buffer]]) -> None:
    """Read a member that does not enter the layer as it is: its checks still count."""
    for _ in pieces:
        pass


def _relocate(
    writer: LayerWriter,
    file: InstallFile,
    member: ZipMember,
    pieces: Iterator[tuple[Buffer, Buffer]],
    filename: str,
) -> None:
    digest = writer.relocate(
        file.path,
        mode=file.mode,
        size_bytes=member.size_bytes,
        crc32=member.crc32,
        deflated=member.method == 8,
        pieces=pieces,
    )
    if digest != file.sha256:
        raise WheelRefused(
            filename,
            "record-hash",
            f"RECORD says sha256 {file.sha256}, the file has {digest}",
            member=member.name,
            hints=("download it again; if that does not help, pin another version",),
        )
