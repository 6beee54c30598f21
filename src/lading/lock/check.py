"""Judging whether a lock still fits its project, and adding to it what the first build found out.

Light on purpose: every build and run asks this, and most need nothing else of this package.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from lading.errors import DigestMismatch
from lading.lock.model import Lock, LockedLayer
from lading.oci.digest import DiffId, Digest
from lading.oci.json import canonical_json
from lading.project.inputs import project_inputs
from lading.project.model import Project


class LayerFacts(Protocol):
    """What the lock keeps of a built layer; the image package's records have it."""

    @property
    def key(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def digest(self) -> Digest: ...
    @property
    def diff_id(self) -> DiffId: ...
    @property
    def size_bytes(self) -> int: ...


def inputs_digest(project: Project) -> str:
    """sha256 hex over all that resolution depends on and that the project says."""
    document = {
        "project": project_inputs(project),
        "flavours": {name: settings.flavour for name, settings in project.targets.items()},
    }
    return hashlib.sha256(canonical_json(document)).hexdigest()


def check_lock(
    project: Project,
    lock: Lock,
    *,
    platforms: tuple[str, ...] | None = None,
    accelerators: tuple[str, ...] | None = None,
) -> str | None:
    """Why `lock` does not fit `project` any more, as a clause; None when it does."""
    for accelerator in accelerators or project.image.accelerators:
        for platform in platforms or project.image.platforms:
            variant = lock.variant(accelerator, platform)
            if variant is None:
                return f"the lock has nothing for {accelerator} on {platform}"
            if missing := sorted(set(project.targets) - set(variant.targets)):
                return f"the lock has no target {missing[0]} for {accelerator} on {platform}"
    if lock.inputs != inputs_digest(project):
        return "what the project asks for changed since it was locked"
    return None


def add_layers(lock: Lock, records: Iterable[LayerFacts]) -> Lock:
    """`lock` with the layers that a trusted build wrote.

    Raises DigestMismatch when a layer the lock knows came out with other bytes.
    """
    layers = {layer.key: layer for layer in lock.layers}
    for record in records:
        built = LockedLayer(
            key=record.key,
            kind=record.kind,
            digest=record.digest,
            diff_id=record.diff_id,
            size_bytes=record.size_bytes,
        )
        known = layers.setdefault(record.key, built)
        if (known.digest, known.diff_id, known.size_bytes) != (built.digest, built.diff_id, built.size_bytes):
            raise DigestMismatch(
                f"the {built.kind} layer {built.key[:12]} came out as {built.digest}; "
                f"the lock says {known.digest}",
                place="lading.lock",
                hints=("lading build --prove",),
            )
    return replace(lock, layers=tuple(layers[key] for key in sorted(layers)))
