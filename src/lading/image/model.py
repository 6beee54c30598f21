"""What a build is made of and what it makes, as values: layer specs, the plan, layer records, the image.

Pure. The plan is data, made before a byte is written; a LayerSpec's key says everything its bytes depend on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lading.oci.digest import DiffId, Digest
from lading.oci.manifest import ImageConfig, Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRecord:
    """A layer that exists (or existed): what a LayerSpec came out as."""

    key: str
    kind: str
    """`base`, `interpreter`, `apt`, `wheel`, `tail`, `bytecode`, `venv`, `code`, `runtime`, `files`, `model`,
    `step`, `open-step`."""
    title: str
    """For people and history: `torch 2.13.0`, `base debian:bookworm`."""
    digest: Digest
    diff_id: DiffId
    size_bytes: int
    """Of the compressed blob."""
    unpacked_bytes: int
    file_count: int
    warnings: tuple[str, ...] = ()
    media_type: str | None = None
    """Of a layer of somebody else's; None: as all layers of the image."""

    def as_json(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "kind": self.kind,
            "title": self.title,
            "digest": str(self.digest),
            "diff_id": str(self.diff_id),
            "size_bytes": self.size_bytes,
            "unpacked_bytes": self.unpacked_bytes,
            "file_count": self.file_count,
            "warnings": list(self.warnings),
            **({"media_type": self.media_type} if self.media_type is not None else {}),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> LayerRecord:
        return cls(
            key=document["key"],
            kind=document["kind"],
            title=document["title"],
            digest=Digest(document["digest"]),
            diff_id=DiffId(document["diff_id"]),
            size_bytes=document["size_bytes"],
            unpacked_bytes=document["unpacked_bytes"],
            file_count=document["file_count"],
            warnings=tuple(document["warnings"]),
            media_type=document.get("media_type"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One built image: its manifest and config blobs are in the store, and so are its layers."""

    project: str
    target: str
    accelerator: str
    platform: str
    tag: str
    """For people: `digits:1.4.0-cpu`; never `latest`."""
    digest: Digest
    """Of the manifest: the image's name."""
    manifest: Manifest
    config: ImageConfig
    layers: tuple[LayerRecord, ...]
    """Oldest first; same order and length as `manifest.layers`."""
    lock_digest: Digest
    """sha256 of the lock's identity part."""
    reused: bool = False
    """True when nothing had to be written."""
    absent: frozenset[Digest] = frozenset()
    """Layers that are known by their digest only: they are where the image is to go, and not in the store."""
    seconds: float = field(default=0.0, compare=False)
    warnings: tuple[str, ...] = ()
