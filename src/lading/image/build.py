"""Carries out a plan: reuse the layers that exist, write the others, assemble, record.

Everything before the writing is a value made by somebody else; everything after it is small. Interrupted at
any point, what was finished is kept and what was not is swept; the next build needs no repair.
"""

from __future__ import annotations

import hashlib
import platform as host
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from lading.errors import DigestMismatch, FetchFailed, UsageError
from lading.image.assemble import assemble, created_time
from lading.image.built import image_record, load_image
from lading.image.conflicts import find_conflicts
from lading.image.job import LayerJob, Sources
from lading.image.layer.recompress import MEDIA_TYPES, recompress
from lading.image.lenders import Lenders
from lading.image.model import Image, LayerRecord
from lading.image.plan import Plan
from lading.image.request import BuildListener, Compression
from lading.image.spec import (
    OPEN_STEP,
    STEP,
    AddedPackagesLayer,
    BytecodeLayer,
    ForeignLayer,
    LayerSpec,
    PackagesLayer,
    StepLayer,
)
from lading.image.taken import take_layers
from lading.image.unseen import check_unseen
from lading.image.workers import weight_bytes, write_all
from lading.image.write import write_layer
from lading.lock.model import Lock, LockedLayer
from lading.oci.digest import Digest
from lading.oci.json import canonical_json
from lading.oci.platform import Platform, host_platform
from lading.store import Store


class Elsewhere(Protocol):
    """Where the image is to go: what is there need not be made here."""

    @property
    def name(self) -> str:
        """`HOST/REPOSITORY`, as a lender's."""

    def find(self, layers: Sequence[LockedLayer]) -> frozenset[Digest]:
        """Which of these layers are there."""


_NOT_LOCKED = ("code", "runtime", "files", "model", OPEN_STEP)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    plan: Plan
    lock: Lock
    lock_digest: Digest
    workers: int
    compression: Compression = Compression.GZIP
    locked: bool = False
    elsewhere: Elsewhere | None = None
    """None: every layer is to be in the store."""
    lenders: Lenders | None = None
    """Where layers that the lock names are taken from before they are made."""
    prepare: Callable[[Sequence[LayerSpec]], None] = lambda missing: None
    """Called once with the layers that must be written, before any is."""


def build(
    request: BuildRequest,
    store: Store,
    sources: Sources,
    environment: Mapping[str, str],
    listener: BuildListener,
) -> Image:
    """The image of `request.plan`, in the store but for layers that are `elsewhere`.

    Raises what a layer raises; nothing half-made is kept.
    """
    started = time.monotonic()
    created = created_time(environment)
    key = hashlib.sha256(canonical_json([request.plan.as_json(), created, request.compression])).hexdigest()
    with store.using():
        known = load_image(store, key)
        if known is not None:
            return replace(known, reused=True, seconds=time.monotonic() - started)
        remote = _remote_layers(request, store)
        try:
            records = _layers(request, remote, store, sources, listener)
        except FetchFailed as error:
            raise request.lenders.explain(error) if request.lenders is not None else error from None
        _check_against_lock(request, records, listener)
        packed = tuple(recompress(store, record, request.compression) for record in records)
        config, manifest = assemble(
            request.plan, packed, created=created, media_type=MEDIA_TYPES[request.compression]
        )
        store.blobs.put(config.to_bytes())
        digest = store.blobs.put(manifest.to_bytes())
        warnings = tuple(warning for record in records for warning in record.warnings)
        image = Image(
            project=request.plan.project,
            target=request.plan.target,
            accelerator=request.plan.accelerator,
            platform=request.plan.platform,
            tag=request.plan.tag,
            digest=digest,
            manifest=manifest,
            config=config,
            layers=packed,
            lock_digest=request.lock_digest,
            seconds=time.monotonic() - started,
            absent=frozenset(record.digest for record in remote.values()),
            warnings=warnings + find_conflicts(store, request.plan.layers, records),
        )
        if not image.absent:
            store.images.put(key, image_record(image))
    return image


def cached_layer(store: Store, spec: LayerSpec) -> LayerRecord | None:
    """What `spec` came out as, if its blob is in the store at its full size and its index is there."""
    if isinstance(spec, ForeignLayer):
        there = store.blobs.size_bytes(spec.layer.digest) == spec.layer.size_bytes
        return spec.record if there else None
    document = store.layers.get(spec.key)
    if document is None:
        return None
    record = LayerRecord.from_json(document)
    if store.blobs.size_bytes(record.digest) != record.size_bytes or not store.indexes.has(spec.key):
        return None
    return replace(record, title=spec.title)


def _remote_layers(request: BuildRequest, store: Store) -> dict[str, LayerRecord]:
    """By key, the layers that the store lacks, the lock knows, and the image's destination has.

    Bytecode is compiled from the layers below it, and a step runs in them: where one must be written, these
    are wanted here too.
    """
    if request.elsewhere is None:
        return {}
    locked = _locked_layers(request)
    specs = {spec.key: spec for spec in request.plan.layers if cached_layer(store, spec) is None}
    asked = [locked[key] for key in specs if key in locked]
    there = request.elsewhere.find(asked)
    if request.lenders is not None:  # the destination lends too, and is not asked twice
        lacking = (layer.digest for layer in asked if layer.digest not in there)
        request.lenders.note_lacking(request.elsewhere.name, lacking)
    remote = {key for key in specs if key in locked and locked[key].digest in there}
    for key, spec in specs.items():
        if isinstance(spec, BytecodeLayer) and key not in remote:
            remote -= {source.key for source in spec.sources}
    # The uppermost step first: what it needs may be a step that needs more.
    for key, spec in reversed(specs.items()):
        if isinstance(spec, StepLayer) and key not in remote:
            remote -= set(spec.below)
    unseen = [spec for key, spec in specs.items() if key in remote]
    check_unseen(unseen, request.plan.layers, locked, store)
    return {
        key: LayerRecord(
            key=key,
            kind=specs[key].kind,
            title=specs[key].title,
            digest=locked[key].digest,
            diff_id=locked[key].diff_id,
            size_bytes=locked[key].size_bytes,
            unpacked_bytes=0,
            file_count=0,
            media_type=_media_type(specs[key]),
        )
        for key in remote
    }


def _media_type(spec: LayerSpec) -> str | None:
    return spec.layer.media_type if isinstance(spec, ForeignLayer) else None


def _locked_layers(request: BuildRequest) -> dict[str, LockedLayer]:
    """By key, what the lock says of layers; a base image's are locked with that image."""
    foreign = [spec.record for spec in request.plan.layers if isinstance(spec, ForeignLayer)]
    return {
        layer.key: layer for layer in (*request.lock.layers, *lockable_layers(foreign, with_foreign=True))
    }


def _layers(
    request: BuildRequest,
    remote: Mapping[str, LayerRecord],
    store: Store,
    sources: Sources,
    listener: BuildListener,
) -> tuple[LayerRecord, ...]:
    specs = request.plan.layers
    absent = [spec for spec in specs if spec.key not in remote and cached_layer(store, spec) is None]
    take_layers(absent, _locked_layers(request), store, request.lenders, listener)
    known = {spec.key: record for spec in specs if (record := cached_layer(store, spec)) is not None}
    records = {**remote, **known}
    missing = [spec for spec in specs if spec.key not in records]
    _check_steps(missing, store, sources)
    request.prepare(missing)
    listener.started(specs, missing, sum(weight_bytes(spec) for spec in missing))
    job = LayerJob(
        store=store,
        sources=sources,
        lock=request.lock,
        platform=Platform.parse(request.plan.platform),
        host=host_platform(host.machine()),
        workers=request.workers,
    )
    one_by_one = BytecodeLayer | PackagesLayer | ForeignLayer | AddedPackagesLayer | StepLayer
    first = [spec for spec in missing if not isinstance(spec, one_by_one)]
    write_all(job, first, records, listener)
    # These compile with all workers themselves; bytecode needs the layers of its modules first, steps all.
    for spec in missing:
        if spec.key not in records:
            began = time.monotonic()
            records[spec.key] = write_layer(replace(job, progress=listener.progress, known=records), spec)
            listener.written(records[spec.key], time.monotonic() - began)
    return tuple(records[spec.key] for spec in specs)


def _check_steps(missing: Sequence[LayerSpec], store: Store, sources: Sources) -> None:
    """Before anything is fetched: a step that cannot run here. Raises what the runner raises."""
    steps = [spec for spec in missing if isinstance(spec, StepLayer)]
    if not steps:
        return
    if sources.steps is None:
        raise UsageError(f"{steps[0].title} cannot be run by this command", hints=("lading build",))
    sources.steps.check(steps, store)


def _check_against_lock(
    request: BuildRequest, records: tuple[LayerRecord, ...], listener: BuildListener
) -> None:
    """A layer the lock knows must come out as it did before (law 2).

    A step is the user's own command: where it writes other bytes each time, only `--locked` refuses it.
    """
    locked = {layer.key: layer for layer in request.lock.layers}
    for record in records:
        before = locked.get(record.key)
        if before is not None and before.digest != record.digest:
            if record.kind == STEP and not request.locked:
                listener.warned(
                    f"{record.title!r} came out otherwise than the lock says;"
                    " `lading build --prove` names the file"
                )
                continue
            raise DigestMismatch(
                f"layer {record.title!r} came out as {record.digest}, the lock says {before.digest}",
                place="lading.lock",
                hints=("lading store verify", "lading build --prove"),
            )


def lockable_layers(records: Sequence[LayerRecord], *, with_foreign: bool = False) -> tuple[LockedLayer, ...]:
    """The layers worth locking: those that do not change with the project's code or with lading itself, and
    come out the same each time.

    A base image's layers are locked as part of that image.
    """
    return tuple(
        LockedLayer(
            key=record.key,
            kind=record.kind,
            digest=record.digest,
            diff_id=record.diff_id,
            size_bytes=record.size_bytes,
        )
        for record in records
        if record.kind not in _NOT_LOCKED and (with_foreign or record.media_type is None)
    )
