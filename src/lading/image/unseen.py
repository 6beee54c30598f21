"""Layers of a metadata-only build, whose bytes nobody looks at: what the lock says of them, held against all
that is known without those bytes.

A digest that is none of this project's layers cannot be told from a right one here: the lock is trusted, as
far as laws.md says. What contradicts itself is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lading.errors import DigestMismatch
from lading.image.model import LayerRecord
from lading.image.spec import STEP, LayerSpec
from lading.lock.model import LockedLayer
from lading.oci.digest import Digest
from lading.store import Store

MAY_BE_EMPTY = ("bytecode", STEP)
"""Kinds of layers of which two may be the same bytes: those of no files."""
_REMEDY = ("git log -p lading.lock", "lading build --locked   # makes or takes the layers, and compares")


def check_unseen(
    unseen: Sequence[LayerSpec], plan: Sequence[LayerSpec], locked: Mapping[str, LockedLayer], store: Store
) -> None:
    """`unseen` are those of `plan` that are believed by their digest in the lock, here by key.

    Raises DigestMismatch where a digest is another layer's, or once came out otherwise here.
    """
    for spec in unseen:
        layer = locked[spec.key]
        for other in plan:
            if other.key in locked and other.key != spec.key and locked[other.key].digest == layer.digest:
                _refuse_shared(spec, layer.digest, other.kind, other.title)
        before = store.layers.get(spec.key)
        if before is not None and before["digest"] != layer.digest:
            raise DigestMismatch(
                f"the lock says that layer {spec.title!r} is {layer.digest}; here it came out as"
                f" {before['digest']}",
                place="lading.lock",
                hints=_REMEDY,
            )
    if unseen:
        _check_records({locked[spec.key].digest: spec for spec in unseen}, store)


def _check_records(unseen: Mapping[Digest, LayerSpec], store: Store) -> None:
    """Against every layer that this store has ever made or taken."""
    for key in store.layers.keys():  # noqa: SIM118  # records are no mapping
        document = store.layers.get(key)
        if document is None or (spec := unseen.get(document["digest"])) is None:
            continue
        record = LayerRecord.from_json(document)
        other_wheel = record.kind == spec.kind == "wheel" and record.title != spec.title
        if record.key != spec.key and (record.kind != spec.kind or other_wheel):
            _refuse_shared(spec, record.digest, record.kind, record.title)


def _refuse_shared(spec: LayerSpec, digest: Digest, kind: str, title: str) -> None:
    if spec.kind in MAY_BE_EMPTY and kind in MAY_BE_EMPTY:
        return
    raise DigestMismatch(
        f"the lock says that layer {spec.title!r} is {digest}, which is layer {title!r}",
        place="lading.lock",
        hints=_REMEDY,
    )
