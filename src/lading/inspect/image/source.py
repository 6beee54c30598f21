"""An image as it was found, before any layer is read: documents, and how to open each layer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Protocol

from lading.errors import ImageRefused
from lading.inspect.image.attached import Attachment
from lading.inspect.image.kept import find_layer, keep_layer
from lading.inspect.image.layer import Observer, read_layer
from lading.inspect.image.model import ImageEvidence, LayerEvidence, LayerNote
from lading.oci.digest import DiffId, Digest
from lading.store import Store

LARGEST_DOCUMENT_BYTES = 8 << 20
_MOST_LAYERS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSource:
    place: str
    digest: Digest | None
    """Of the stored bytes; None where only a diff ID is promised."""
    media_type: str
    open_blob: Callable[[], IO[bytes]] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSource:
    name: str
    digest: Digest | None
    config_bytes: bytes = field(repr=False)
    layers: tuple[LayerSource, ...]
    attached: tuple[Attachment, ...] | None = None
    """What refers to it or its neighbours; None where that cannot be known."""


class Companion(Protocol):
    """Somebody who wants to see every layer's bytes once, and keeps what they saw by the layer's digest."""

    def knows(self, digest: Digest) -> bool: ...
    def observer(self) -> Observer: ...
    def keep(self, digest: Digest, observer: Observer) -> None: ...


def read_image(
    source: ImageSource,
    store: Store,
    *,
    progress: Callable[[int], None] = lambda size_bytes: None,
    companion: Companion | None = None,
) -> ImageEvidence:
    """Every layer, read now or before; now where `companion` has not seen it.

    Raises ImageRefused, DigestMismatch, StoreError, EngineError.
    """
    config = parse_document(source.config_bytes, source.name)
    try:
        diff_ids = [DiffId(text) for text in config["rootfs"]["diff_ids"]]
        platform = f"{config['os']}/{config['architecture']}"
    except (KeyError, TypeError, ValueError) as error:
        raise ImageRefused(source.name, "config", f"its config is none of an image: {error}") from None
    if len(diff_ids) != len(source.layers) or len(diff_ids) > _MOST_LAYERS:
        raise ImageRefused(
            source.name, "layers", f"it has {len(source.layers)} layers, its config names {len(diff_ids)}"
        )
    layers = [
        _layer(store, layer, diff_id, progress, companion)
        for layer, diff_id in zip(source.layers, diff_ids, strict=True)
    ]
    created = _created_by(config, len(layers))
    return ImageEvidence(
        name=source.name,
        digest=source.digest,
        config_digest=Digest.of(source.config_bytes),
        platform=platform,
        config=config,
        layers=tuple(layers),
        notes=tuple(
            LayerNote(created_by=words, media_type=layer.media_type)
            for words, layer in zip(created, source.layers, strict=True)
        ),
    )


def parse_document(content: bytes, place: str) -> Mapping[str, Any]:
    """A JSON object. Raises ImageRefused."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ImageRefused(place, "json", f"a document is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise ImageRefused(place, "json", "a document is no JSON object")
    return document


def _layer(
    store: Store,
    source: LayerSource,
    diff_id: DiffId,
    progress: Callable[[int], None],
    companion: Companion | None,
) -> LayerEvidence:
    # A plain layer's bytes are what its diff ID is of, so archives of Docker find theirs by that.
    key = source.digest or Digest(diff_id)
    known = find_layer(store, key)
    if (
        known is not None
        and known.diff_id == diff_id
        and (companion is None or companion.knows(known.digest))
    ):
        return known
    observer = companion.observer() if companion is not None else None
    layer = read_layer(
        source.open_blob,
        source.place,
        digest=source.digest,
        diff_id=diff_id,
        progress=progress,
        observer=observer,
    )
    keep_layer(store, layer)
    if companion is not None and observer is not None:
        companion.keep(layer.digest, observer)
    return layer


def _created_by(config: Mapping[str, Any], count: int) -> Sequence[str]:
    """The words of the history for each layer; empty ones where it does not add up."""
    history = [entry for entry in config.get("history") or () if isinstance(entry, dict)]
    said = [str(entry.get("created_by", "")) for entry in history if not entry.get("empty_layer")]
    return said if len(said) == count else [""] * count
