"""Layers taken as somebody else made them, by the digest that the lock names: from the store or a lender.

A taken layer gets the record and the index that writing it here would have given. Its bytes are checked
against digest and diff ID, and looked into: what cannot be the layer that was meant is refused.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence

from lading.errors import DigestMismatch
from lading.image.layer.contents import layer_index, read_files
from lading.image.layer.reader import ForeignFormat, ReadLayer, read_layer
from lading.image.layer.tree import EntryKind
from lading.image.layer.writer import IndexEntry
from lading.image.lenders import Lenders
from lading.image.model import LayerRecord
from lading.image.python.bytecode import cache_path
from lading.image.request import BuildListener
from lading.image.spec import (
    VENV,
    AddedPackagesLayer,
    BytecodeLayer,
    ForeignLayer,
    LayerSpec,
    PackagesLayer,
    StandaloneLayer,
    VenvLayer,
    WheelsLayer,
)
from lading.lock.model import LockedLayer, LockedPackage
from lading.store import Store

_STATUS = "var/lib/dpkg/status"
_REMEDY = ("git log -p lading.lock", "lading lock --upgrade")


def take_layers(
    specs: Sequence[LayerSpec],
    locked: Mapping[str, LockedLayer],
    store: Store,
    lenders: Lenders | None,
    listener: BuildListener,
) -> None:
    """Bring into the store, of the layers `specs` that it lacks, those that are `locked` (by key) and can be
    had. The others are for somebody to make.

    Raises DigestMismatch for bytes that are not the locked layer's, StoreError.
    """
    # A virtual environment's few files are made faster than they are asked for.
    wanted = [spec for spec in specs if spec.key in locked and not isinstance(spec, VenvLayer)]
    layers = [locked[spec.key] for spec in wanted]
    there = {layer.digest for layer in layers if _is_whole(store, layer)}
    if lenders is not None:
        where = lenders.find([layer for layer in layers if layer.digest not in there])
        lent = [layer for layer in layers if layer.digest in where]
        if lent:
            listener.taking(len(lent), sum(layer.size_bytes for layer in lent))
            there |= lenders.fetch(lent, where, listener.progress)
    for spec in wanted:
        if locked[spec.key].digest in there and not isinstance(spec, ForeignLayer):
            began = time.monotonic()
            record = _adopt(store, spec, locked[spec.key])
            if record is not None:
                listener.taken(record, time.monotonic() - began)


def _is_whole(store: Store, layer: LockedLayer) -> bool:
    return store.blobs.size_bytes(layer.digest) == layer.size_bytes


def _adopt(store: Store, spec: LayerSpec, locked: LockedLayer) -> LayerRecord | None:
    """None: the store's blob is damaged, and making the layer anew mends it."""
    try:
        read = read_layer(store, locked.digest)
    except ForeignFormat as error:
        if not store.blobs.is_intact(locked.digest):
            return None
        raise _refused(spec, locked, f"is no layer that lading wrote: {error}") from None
    if read.digest != locked.digest:
        return None
    if read.diff_id != locked.diff_id:
        raise _refused(spec, locked, f"unpacks to {read.diff_id}, not to the lock's {locked.diff_id}")
    if (reason := _contradiction(store, spec, read)) is not None:
        raise _refused(spec, locked, reason)
    record = LayerRecord(
        key=spec.key,
        kind=spec.kind,
        title=spec.title,
        digest=read.digest,
        diff_id=read.diff_id,
        size_bytes=locked.size_bytes,
        unpacked_bytes=read.unpacked_bytes,
        file_count=sum(entry.kind is EntryKind.FILE for entry in read.index),
    )
    store.indexes.put(spec.key, [entry.as_json() for entry in read.index])
    store.layers.put(spec.key, record.as_json())
    return record


def _refused(spec: LayerSpec, locked: LockedLayer, reason: str) -> DigestMismatch:
    return DigestMismatch(
        f"the lock says that layer {spec.title!r} is {locked.digest}, which {reason}",
        place="lading.lock",
        hints=_REMEDY,
    )


def _contradiction(store: Store, spec: LayerSpec, read: ReadLayer) -> str | None:
    """Why the layer cannot be what `spec` says, as a clause; None where nothing speaks against it."""
    match spec:
        case WheelsLayer():
            return _lacks_wheels(spec, read.index)
        case PackagesLayer():
            return _lacks_packages(store, (*spec.below, *spec.packages), read)
        case AddedPackagesLayer():
            return _lacks_packages(store, spec.packages, read)
        case StandaloneLayer():
            wanted = spec.interpreter.executable.lstrip("/")
            return None if any(e.path == wanted for e in read.index) else f"holds no /{wanted}"
        case BytecodeLayer():
            return _other_bytecode(store, spec, read.index)
    return None


def _lacks_wheels(spec: WheelsLayer, index: Iterable[IndexEntry]) -> str | None:
    """Every wheel of a layer has its own folder of metadata there, named after it."""
    prefix = f"{VENV}/lib/python{spec.python_version}/site-packages/"
    held = set()
    for entry in index:
        folder, _, name = entry.path.removeprefix(prefix).partition("/")
        if name == "RECORD" and folder.endswith(".dist-info"):
            held.add(_distribution(folder.removesuffix(".dist-info")))
    for wheel in spec.wheels:
        # The folder of a wheel that is accepted with its faults may have any name.
        if wheel.name not in spec.lenient and _distribution(f"{wheel.name}-{wheel.version}") not in held:
            return f"does not hold {wheel.filename}"
    return None


def _distribution(stem: str) -> tuple[str, str]:
    """Name and version as they can be compared: a folder may spell both in its own way."""
    from packaging.utils import canonicalize_name, canonicalize_version

    name, _, version = stem.rpartition("-")
    return canonicalize_name(name), canonicalize_version(version)


def _lacks_packages(store: Store, packages: Iterable[LockedPackage], read: ReadLayer) -> str | None:
    """Each layer of packages has dpkg's records of all packages up to it."""
    status = [entry for entry in read.index if entry.path == _STATUS]
    text = b"".join(content for _, content in read_files(store, read.digest, status)).decode(errors="replace")
    installed = set(re.findall(r"^Package: (\S+)$.*?^Version: (\S+)$", text, re.MULTILINE | re.DOTALL))
    for package in packages:
        if (package.name, package.version) not in installed:
            return f"does not hold the Debian package {package.name} {package.version}"
    return None


def _other_bytecode(store: Store, spec: BytecodeLayer, index: Iterable[IndexEntry]) -> str | None:
    """Exactly one compiled file for each module below, where these layers are here to compare with."""
    found = {entry.path for entry in index if entry.kind is EntryKind.FILE}
    if odd := sorted(path for path in found if not path.endswith(".pyc")):
        return f"holds /{odd[0]}, which is no bytecode"
    expected = set()
    for source in spec.sources:
        modules = layer_index(store, source.key)
        if modules is None:
            return None
        expected |= {
            cache_path(entry.path, spec.interpreter.version)
            for entry in modules
            if entry.path.endswith(".py") and entry.kind is EntryKind.FILE
        }
    # A module that cannot be compiled has no bytecode.
    if odd := sorted(found - expected):
        return f"holds /{odd[0]}, and no layer below has that module"
    return None
