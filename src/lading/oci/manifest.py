"""Descriptors, manifests, image configs and indexes as values with one canonical JSON form.

Only the fields that lading writes or reads are modelled; see image-spec manifest.md, config.md,
image-index.md. Nothing here knows where bytes are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lading.oci.digest import DiffId, Digest
from lading.oci.json import canonical_json
from lading.oci.platform import Platform

MEDIA_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
MEDIA_INDEX = "application/vnd.oci.image.index.v1+json"
MEDIA_CONFIG = "application/vnd.oci.image.config.v1+json"
MEDIA_LAYER_TAR = "application/vnd.oci.image.layer.v1.tar"
MEDIA_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
MEDIA_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
MEDIA_EMPTY = "application/vnd.oci.empty.v1+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """Names a blob: what it is, how long, and its digest (image-spec descriptor.md)."""

    media_type: str
    digest: Digest
    size_bytes: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: Platform | None = None

    def as_json(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": str(self.digest),
            "size": self.size_bytes,
        }
        if self.annotations:
            document["annotations"] = dict(self.annotations)
        if self.platform is not None:
            document["platform"] = {"os": self.platform.os, "architecture": self.platform.architecture}
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Descriptor:
        """Raises ValueError or KeyError for a document that is no descriptor."""
        size = document["size"]
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise ValueError(f"descriptor size is not a length: {size!r}")
        platform = document.get("platform")
        return cls(
            media_type=str(document["mediaType"]),
            digest=Digest(document["digest"]),
            size_bytes=size,
            annotations=dict(document.get("annotations") or {}),
            platform=Platform(platform["os"], platform["architecture"]) if platform else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """What an image runs and what its layers unpack to, oldest layer first (image-spec config.md)."""

    platform: Platform
    diff_ids: tuple[DiffId, ...]
    env: tuple[tuple[str, str], ...] = ()
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    user: str = ""
    working_dir: str = "/"
    labels: Mapping[str, str] = field(default_factory=dict)
    exposed_ports: tuple[str, ...] = ()
    stop_signal: str | None = None
    healthcheck: Mapping[str, Any] | None = None
    """Docker's own field: config.md has none, and engines that do not know it pass it by."""
    created: str | None = None
    history: tuple[str, ...] = ()
    """One `created_by` text a layer, same length as `diff_ids`, or empty."""

    def as_json(self) -> dict[str, Any]:
        config: dict[str, Any] = {"Env": [f"{name}={value}" for name, value in self.env]}
        if self.entrypoint:
            config["Entrypoint"] = list(self.entrypoint)
        if self.cmd:
            config["Cmd"] = list(self.cmd)
        if self.user:
            config["User"] = self.user
        config["WorkingDir"] = self.working_dir
        if self.labels:
            config["Labels"] = dict(self.labels)
        if self.exposed_ports:
            config["ExposedPorts"] = {port: {} for port in self.exposed_ports}
        if self.stop_signal:
            config["StopSignal"] = self.stop_signal
        if self.healthcheck:
            config["Healthcheck"] = dict(self.healthcheck)
        document: dict[str, Any] = {
            "architecture": self.platform.architecture,
            "os": self.platform.os,
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [str(diff_id) for diff_id in self.diff_ids]},
        }
        if self.created is not None:
            document["created"] = self.created
        if self.history:
            entry = {"created": self.created} if self.created is not None else {}
            document["history"] = [{**entry, "created_by": text} for text in self.history]
        return document

    def to_bytes(self) -> bytes:
        return canonical_json(self.as_json())

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ImageConfig:
        config = document.get("config") or {}
        return cls(
            platform=Platform(document["os"], document["architecture"]),
            diff_ids=tuple(DiffId(text) for text in document["rootfs"]["diff_ids"]),
            env=tuple(_split_env(item) for item in config.get("Env") or ()),
            entrypoint=tuple(config.get("Entrypoint") or ()),
            cmd=tuple(config.get("Cmd") or ()),
            user=config.get("User") or "",
            working_dir=config.get("WorkingDir") or "/",
            labels=dict(config.get("Labels") or {}),
            exposed_ports=tuple(config.get("ExposedPorts") or ()),
            stop_signal=config.get("StopSignal"),
            healthcheck=config.get("Healthcheck"),
            created=document.get("created"),
            history=tuple(entry.get("created_by", "") for entry in document.get("history") or ()),
        )


def _split_env(item: str) -> tuple[str, str]:
    name, _, value = item.partition("=")
    return name, value


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A config and its layers, oldest first."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict)
    artifact_type: str | None = None
    subject: Descriptor | None = None

    def as_json(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": MEDIA_MANIFEST,
            "config": self.config.as_json(),
            "layers": [layer.as_json() for layer in self.layers],
        }
        if self.artifact_type is not None:
            document["artifactType"] = self.artifact_type
        if self.subject is not None:
            document["subject"] = self.subject.as_json()
        if self.annotations:
            document["annotations"] = dict(self.annotations)
        return document

    def to_bytes(self) -> bytes:
        return canonical_json(self.as_json())

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Manifest:
        """Refuses a document with both `layers` and `manifests` (CVE-2021-41190)."""
        if "manifests" in document:
            raise ValueError("a manifest may not also be an index")
        subject = document.get("subject")
        return cls(
            config=Descriptor.from_json(document["config"]),
            layers=tuple(Descriptor.from_json(layer) for layer in document["layers"]),
            annotations=dict(document.get("annotations") or {}),
            artifact_type=document.get("artifactType"),
            subject=Descriptor.from_json(subject) if subject else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """Several manifests under one name, usually one a platform."""

    manifests: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": MEDIA_INDEX,
            "manifests": [manifest.as_json() for manifest in self.manifests],
        }
        if self.annotations:
            document["annotations"] = dict(self.annotations)
        return document

    def to_bytes(self) -> bytes:
        return canonical_json(self.as_json())
