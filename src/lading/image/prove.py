"""`--prove`: write every layer a second time, elsewhere and with another number of workers, and compare."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace

from lading.errors import DigestMismatch
from lading.image.build import BuildRequest, build
from lading.image.job import Sources
from lading.image.layer.contents import layer_index
from lading.image.layer.writer import IndexEntry
from lading.image.model import Image, LayerRecord
from lading.image.request import BuildListener
from lading.image.spec import OPEN_STEP, STEP
from lading.lock.model import Lock, LockedBaseLayer
from lading.store import Store
from lading.store.atomic import store_errors, temporary_name


def prove(
    image: Image,
    request: BuildRequest,
    store: Store,
    sources: Sources,
    environment: Mapping[str, str],
    listener: BuildListener,
) -> None:
    """Raises DigestMismatch naming the first file that came out differently."""
    folder = store.staging / f"{temporary_name()}-prove"
    second = Store.open({"LADING_HOME": str(folder)})
    bare = Lock(inputs=request.lock.inputs, suites=(), variants=())
    again = BuildRequest(
        plan=request.plan,
        lock=bare,
        lock_digest=request.lock_digest,
        workers=1 if request.workers > 1 else 2,
        compression=request.compression,
    )
    try:
        other = build(again, second, _lent(sources, store, second), environment, listener)
        for ours, theirs in zip(image.layers, other.layers, strict=True):
            if ours.digest != theirs.digest:
                raise DigestMismatch(
                    f"layer {ours.title!r} is not reproducible: {_difference(store, ours, second, theirs)}",
                    hints=_hints(ours),
                )
        for record in image.layers:
            if record.kind == OPEN_STEP:
                listener.warned(
                    f"{record.title!r} uses the network: the same now, which proves nothing for later"
                )
        if other.digest != image.digest:
            raise DigestMismatch(f"the config differs: {image.digest} and {other.digest}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _lent(sources: Sources, store: Store, second: Store) -> Sources:
    """A base's layers are nobody's to write: the second store reads the first one's files."""

    def fetch_layers(reference: str, layers: tuple[LockedBaseLayer, ...]) -> None:
        sources.fetch_layers(reference, layers)
        for layer in layers:
            path = second.blobs.path(layer.digest)
            with store_errors("sharing a base's layer", path), contextlib.suppress(FileExistsError):
                os.link(store.blobs.path(layer.digest), path)

    return replace(sources, fetch_layers=fetch_layers)


def _hints(record: LayerRecord) -> tuple[str, ...]:
    if record.kind == OPEN_STEP:
        return (
            "the step has network = true: fetch what it needs by [[image.files]] with a sha256 instead",
            "lading build, which marks the image as not reproducible",
        )
    if record.kind == STEP:
        return ("make the command write the same bytes each time: no clock, no random numbers, sorted lists",)
    return ("please report this with both layers: lading store keeps the first",)


def _difference(store: Store, ours: LayerRecord, second: Store, theirs: LayerRecord) -> str:
    left = _rows(store, ours)
    right = _rows(second, theirs)
    for path in sorted(left.keys() | right.keys()):
        if path not in right:
            return f"/{path} is only in the first"
        if path not in left:
            return f"/{path} is only in the second"
        if (left[path].mode, left[path].content) != (right[path].mode, right[path].content):
            return f"/{path} differs ({left[path].content[:12]} and {right[path].content[:12]})"
    return "the same files, in another order or framing"


def _rows(store: Store, record: LayerRecord) -> dict[str, IndexEntry]:
    return {entry.path: entry for entry in layer_index(store, record.key) or ()}
