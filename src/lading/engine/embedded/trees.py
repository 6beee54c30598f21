"""Extracted layers under `trees/`, one folder a diff ID: there whole or not at all, leased while in use.

    trees/HEX/tree.json     how it was made; `durable` once its bytes are known to be on disk
    trees/HEX/root/         the layer's files
    locks/tree-HEX          held shared by users, exclusively by a maker or the collector

A tree is written in `staging/` and renamed, so kill -9 leaves none that is half made. Flushing 1 GB to disk
would cost more than inflating it, so it is put off: a tree of another boot that was never marked durable is
made again (a power loss may have emptied its files), a tree of this boot is in the page cache as written.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from lading.engine.embedded.layer_stream import LayerStream
from lading.engine.embedded.linux import sync_file_system
from lading.engine.embedded.remove import remove_tree
from lading.engine.embedded.unpack import Unpacker
from lading.engine.model import ImageLayer
from lading.errors import EngineError, StoreError
from lading.oci.tar_header import TarRefused
from lading.store.atomic import store_errors, temporary_name
from lading.store.store import Store

_FACTS = "tree.json"
_FORMAT = 1


class Leases:
    """Trees that the collector leaves alone and GPUs in use, while this process or a child of it lives."""

    def __init__(self) -> None:
        self.trees: list[int] = []
        self.gpus: list[int] = []

    @property
    def descriptors(self) -> tuple[int, ...]:
        return (*self.trees, *self.gpus)

    def release_gpus(self) -> None:
        """Before a run is called ended: whoever waited for it may want its GPU."""
        _close(self.gpus)

    def close(self) -> None:
        _close(self.trees)
        _close(self.gpus)


def _close(descriptors: list[int]) -> None:
    while descriptors:
        os.close(descriptors.pop())


def boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def ensure_tree(store: Store, layer: ImageLayer, leases: Leases | None = None) -> Path:
    """The folder of `layer`'s files, extracted and verified when it was not there.

    With `leases` the tree stays until they are closed. Raises EngineError for a layer that is refused,
    DigestMismatch, StoreError.
    """

    def make(folder: Path) -> dict[str, Any]:
        return _extract(store, layer, folder)

    return ensure_folder(store, layer.diff_id.hex, make, leases) / "root"


def ensure_folder(
    store: Store, name: str, make: Callable[[Path], dict[str, Any]], leases: Leases | None
) -> Path:
    """`trees/NAME`, made by `make` in a staging folder when it is absent; `make` answers facts to keep."""
    final = store.root / "trees" / name
    lock = store.root / "locks" / f"tree-{name}"
    boot = boot_id()
    with store_errors("locking a tree", lock):
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            while not _usable(final, boot):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if not _usable(final, boot):
                    _make(store, final, boot, make)
                fcntl.flock(descriptor, fcntl.LOCK_SH)
        except BaseException:
            os.close(descriptor)
            raise
    if leases is None:
        os.close(descriptor)
    else:
        leases.trees.append(descriptor)
    return final


def _usable(final: Path, boot: str) -> bool:
    try:
        facts = json.loads((final / _FACTS).read_bytes())
    except (OSError, ValueError):
        return False
    return facts.get("format") == _FORMAT and (facts.get("durable") is True or facts.get("boot") == boot)


def _make(store: Store, final: Path, boot: str, make: Callable[[Path], dict[str, Any]]) -> None:
    staging = store.staging / temporary_name()
    try:
        staging.mkdir(mode=0o755)
        facts = make(staging)
        durable = not boot
        if durable:
            _sync(staging)
        document = {**facts, "format": _FORMAT, "boot": boot, "durable": durable}
        (staging / _FACTS).write_bytes(json.dumps(document, sort_keys=True).encode())
        if final.exists():
            remove_tree(final)
        final.parent.mkdir(exist_ok=True)
        staging.rename(final)
    except BaseException:
        remove_tree(staging)
        raise


def _extract(store: Store, layer: ImageLayer, folder: Path) -> dict[str, Any]:
    path = store.blobs.path(layer.digest)
    size = store.blobs.size_bytes(layer.digest)
    if size is None:
        raise StoreError(f"layer {layer.digest} is not in the store", place=str(path))
    if size != layer.size_bytes:
        raise StoreError(
            f"layer {layer.digest} has {size} bytes, its image says {layer.size_bytes}",
            place=str(path),
            hints=("lading store verify --repair",),
        )
    root = folder / "root"
    root.mkdir(mode=0o755)
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        unpacker = Unpacker(descriptor)
        with LayerStream(path, layer.digest, layer.diff_id) as stream:
            unpacker.unpack(stream)
    except TarRefused as error:
        raise EngineError(f"layer {layer.digest} refused: {error}", place=str(path)) from error
    finally:
        os.close(descriptor)
    return {"files": unpacker.file_count, "bytes": unpacker.size_bytes}


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync_file_system(descriptor)
    finally:
        os.close(descriptor)


def make_durable(folders: Iterable[Path]) -> None:
    """Flush trees of this boot to disk and say so in their facts. For idle moments; never raises for one.

    `folders` are tree folders (the parents of what `ensure_tree` answers), each leased by the caller.
    """
    pending = []
    for folder in folders:
        try:
            facts = json.loads((folder / _FACTS).read_bytes())
        except (OSError, ValueError):
            continue
        if facts.get("durable") is not True:
            pending.append((folder, facts))
    if not pending:
        return
    try:
        _sync(pending[0][0])
    except OSError:
        return  # stays as it is: made again after the next boot
    for folder, facts in pending:
        temporary = folder / f"{_FACTS}.{temporary_name()}"
        try:
            temporary.write_bytes(json.dumps({**facts, "durable": True}, sort_keys=True).encode())
            _sync(folder)
            temporary.rename(folder / _FACTS)
        except OSError:
            continue
