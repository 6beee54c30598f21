"""What an image weighs, package by package, and what that is against another image.

A bill is read from what is kept of any image: manifest, config and, where there is one, the bill of materials
beside it, so a build of last week and one of today are read alike. Large wheels and system parts weigh what
their layers weigh, small wheels what their files weigh.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lading.image.output.archive import read_manifest
from lading.image.output.attach import find_attachments
from lading.image.output.sbom import SIZE_PROPERTY
from lading.oci.digest import Digest
from lading.oci.manifest import ImageConfig, Manifest
from lading.store import Store

_LARGEST_DOCUMENT_BYTES = 64 << 20
_COUNTED = re.compile(r"\b\d+ (small|other) wheels\b")
_VERSION = re.compile(r"(?P<name>.*\S)\s+(?P<version>\d\S*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a bill: a package, or a layer that is no package's."""

    name: str
    version: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """All of one image."""

    size_bytes: int
    """Of its layers, packed, as they travel."""
    rows: tuple[Row, ...]
    """Largest first. They need not sum up exactly: small wheels share a layer."""
    debian: Mapping[str, str]
    """Debian packages and their versions, in whichever layer they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One package, or layer, that differs between two images."""

    name: str
    before: str | None
    """Its version then; None: it was not there."""
    after: str | None
    """None: it is gone."""
    size_bytes: int
    """How much larger it is now."""

    def __str__(self) -> str:
        """`pandas 2.3.1 → 2.4.0`, `libgl1 added`, `scipy removed`, `code of digits`."""
        if self.before is None:
            return f"{self.name} {self.after} added".replace("  ", " ")
        if self.after is None:
            return f"{self.name} removed"
        return f"{self.name} {self.before} → {self.after}" if self.before != self.after else self.name

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "before": self.before,
            "after": self.after,
            "size_bytes": self.size_bytes,
        }


def read_bill(store: Store, digest: Digest) -> Bill | None:
    """The bill of the image `digest`; None where its manifest or config is no longer in the store.

    Raises StoreError, DigestMismatch.
    """
    if not store.blobs.has(digest):
        return None
    manifest = read_manifest(store, digest)
    if not store.blobs.has(manifest.config.digest):
        return None
    body = store.blobs.read(manifest.config.digest, limit_bytes=_LARGEST_DOCUMENT_BYTES)
    attached = find_attachments(store, digest)
    sbom = store.blobs.read(attached.sbom, limit_bytes=_LARGEST_DOCUMENT_BYTES) if attached else b"{}"
    return make_bill(manifest, ImageConfig.from_json(json.loads(body)), json.loads(sbom))


def make_bill(manifest: Manifest, config: ImageConfig, sbom: Mapping[str, Any]) -> Bill:
    """Pure."""
    wheels: dict[str, Row] = {}
    debian: dict[str, str] = {}
    for component in sbom.get("components") or ():
        name, version = str(component["name"]), str(component["version"])
        if str(component.get("purl", "")).startswith("pkg:deb/"):
            debian[name] = version
        elif str(component.get("purl", "")).startswith("pkg:pypi/"):
            wheels[name] = Row(name=name, version=version, size_bytes=_size_bytes(component))
    titles = config.history if len(config.history) == len(manifest.layers) else ()
    rows = []
    for number, layer in enumerate(manifest.layers):
        title = titles[number] if titles and titles[number] else f"layer {layer.digest.hex[:12]}"
        name, version = _split(title)
        if name in wheels and wheels[name].version == version:
            wheels.pop(name)
        elif wheels and title.endswith("small wheels"):
            continue  # its wheels are named one by one
        rows.append(Row(name=name, version=version, size_bytes=layer.size_bytes))
    rows += wheels.values()
    return Bill(
        size_bytes=sum(layer.size_bytes for layer in manifest.layers),
        rows=tuple(sorted(rows, key=lambda row: (-row.size_bytes, row.name))),
        debian=debian,
    )


def compare(before: Bill, after: Bill) -> tuple[Change, ...]:
    """What differs, the largest growth first; Debian packages have no size of their own."""
    then, now = _by_name(before.rows), _by_name(after.rows)
    changes = []
    for name in {**then, **now}:
        old, new = then.get(name), now.get(name)
        if old is None or new is None or old.version != new.version or old.size_bytes != new.size_bytes:
            changes.append(
                Change(
                    name=name,
                    before=None if old is None else old.version,
                    after=None if new is None else new.version,
                    size_bytes=(new.size_bytes if new else 0) - (old.size_bytes if old else 0),
                )
            )
    if before.debian and after.debian:
        for name in sorted(before.debian.keys() | after.debian.keys()):
            old_version, new_version = before.debian.get(name), after.debian.get(name)
            if old_version != new_version and name not in then and name not in now:
                changes.append(Change(name=name, before=old_version, after=new_version, size_bytes=0))
    return tuple(sorted(changes, key=lambda change: (-change.size_bytes, change.name)))


def named_changes(changes: Sequence[Change]) -> list[Change]:
    """Those a person would name: packages that came, went or moved; else what grew or shrank."""
    moved = [change for change in changes if change.before != change.after and not _is_derived(change.name)]
    return sorted(moved or changes, key=lambda change: (-abs(change.size_bytes), change.name))


def _is_derived(name: str) -> bool:
    return name.startswith("bytecode of ")


def _by_name(rows: Sequence[Row]) -> dict[str, Row]:
    held: dict[str, Row] = {}
    for row in rows:
        known = held.get(row.name)
        size_bytes = row.size_bytes + (known.size_bytes if known else 0)
        held[row.name] = Row(name=row.name, version=row.version, size_bytes=size_bytes)
    return held


def _split(title: str) -> tuple[str, str]:
    """`torch 2.13.0` → its parts; `bytecode of 7 other wheels` → a name that stays when one is added."""
    title = _COUNTED.sub(r"\1 wheels", title)
    match = _VERSION.fullmatch(title)
    return (match["name"], match["version"]) if match else (title, "")


def _size_bytes(component: Mapping[str, Any]) -> int:
    for line in component.get("properties") or ():
        if line.get("name") == SIZE_PROPERTY and str(line.get("value", "")).isdigit():
            return int(line["value"])
    return 0
