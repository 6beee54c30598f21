"""Small images made member by member, read and scanned."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import posixpath
import tarfile
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from foreign_images import put_tar
from lading.inspect.explain.explanation import Explanation, explain_image
from lading.inspect.image.archives import Folder, manifest_image
from lading.inspect.scan.kept import read_with_facts
from lading.inspect.scan.model import Check, LayerFacts
from lading.inspect.scan.report import Advice, ScanReport, scan_image
from lading.oci.digest import Digest
from lading.oci.manifest import MEDIA_CONFIG, MEDIA_LAYER_GZIP, Descriptor, Manifest
from lading.project.scan_settings import Allowed
from lading.store import Store

TODAY = date(2026, 11, 25)
SITE = "opt/venv/lib/python3.12/site-packages"
Layer = Mapping[str, bytes | tarfile.TarInfo]


def layer_tar(files: Layer) -> bytes:
    """A `TarInfo` as value is put as it is; else a file of mode 0644."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, content in files.items():
            if isinstance(content, tarfile.TarInfo):
                content.name = path
                archive.addfile(content, io.BytesIO(b"x" * content.size))
            else:
                member = tarfile.TarInfo(path)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def put(store: Store, layers: Iterable[Layer], config: Mapping[str, Any] | None = None) -> Digest:
    """An image of these layers; `config` is put over a plain config document."""
    stored = [put_tar(store, layer_tar(layer)) for layer in layers]
    document = {
        "os": "linux",
        "architecture": "amd64",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in stored]},
        **(config or {}),
    }
    body = json.dumps(document).encode()
    manifest = Manifest(
        config=Descriptor(media_type=MEDIA_CONFIG, digest=store.blobs.put(body), size_bytes=len(body)),
        layers=tuple(
            Descriptor(media_type=MEDIA_LAYER_GZIP, digest=layer.digest, size_bytes=layer.size_bytes)
            for layer in stored
        ),
    )
    return store.blobs.put(manifest.to_bytes())


def read(store: Store, digest: Digest) -> tuple[Explanation, tuple[LayerFacts, ...]]:
    image, facts = read_with_facts(manifest_image(Folder(store.root), "image", digest), store)
    return explain_image(image), facts


def scan(
    store: Store,
    *layers: Layer,
    config: Mapping[str, Any] | None = None,
    checks: Iterable[Check] = (Check.SECRETS,),
    advice: Advice | None = None,
    allowed: tuple[Allowed, ...] = (),
    gate: str | None = None,
) -> ScanReport:
    explanation, facts = read(store, put(store, layers, config))
    return scan_image(
        explanation,
        facts,
        checks=tuple(checks),
        advice=advice,
        allowed=allowed,
        gate=gate,
        today=TODAY,
    )


def wheel(name: str, version: str, files: Mapping[str, bytes], site: str = SITE) -> dict[str, bytes]:
    """An installed wheel: its files, METADATA and a RECORD that is right."""
    info = f"{name}-{version}.dist-info"
    inside = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\n".encode(),
    }
    rows = [f"{path},sha256={_hash(content)},{len(content)}" for path, content in inside.items()]
    inside[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""]).encode()
    return {posixpath.normpath(f"{site}/{path}"): content for path, content in inside.items()}


def _hash(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")


def store_in(folder: Path) -> Store:
    return Store.open({"LADING_HOME": str(folder / "store")})
