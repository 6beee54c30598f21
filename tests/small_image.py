"""A small true image in a store: two layers of lading's own format, a manifest and a config."""

from __future__ import annotations

from lading.image.layer.writer import LayerWriter
from lading.image.model import Image, LayerRecord
from lading.lock.model import (
    LockedInterpreter,
    LockedPackage,
    LockedVariant,
    LockedWheel,
    TargetSelection,
)
from lading.oci.digest import Digest
from lading.oci.manifest import MEDIA_CONFIG, MEDIA_LAYER_GZIP, Descriptor, ImageConfig, Manifest
from lading.oci.platform import Platform
from lading.store import Store

METADATA = "Metadata-Version: 2.4\nName: six\nVersion: 1.17.0\nLicense-Expression: MIT\n\nwords\n"


def put_layer(store: Store, kind: str, files: dict[str, bytes]) -> LayerRecord:
    key = Digest.of(repr((kind, files)).encode()).hex
    with store.blobs.writer() as blob:
        writer = LayerWriter(blob)
        for path, content in files.items():
            writer.file(path, content, mode=0o755 if path.startswith("bin/") else 0o644)
        written = writer.finish()
    record = LayerRecord(
        key=key,
        kind=kind,
        title=f"{kind} layer",
        digest=written.digest,
        diff_id=written.diff_id,
        size_bytes=written.size_bytes,
        unpacked_bytes=written.unpacked_bytes,
        file_count=len(files),
    )
    store.indexes.put(key, [entry.as_json() for entry in written.index])
    store.layers.put(key, record.as_json())
    return record


def put_image(
    store: Store,
    *,
    tag: str = "small:1.0-cpu",
    program: bytes = b"#!/bin/sh\n",
    note: bytes = METADATA.encode(),
) -> Image:
    """`program` is its /bin/program, `note` is in its upper layer. Equal arguments, equal digests."""
    layers = (
        put_layer(store, "base", {"bin/program": program, "etc/os-release": b"ID=small\n"}),
        put_layer(
            store,
            "tail",
            {"opt/venv/lib/python3.13/site-packages/six-1.17.0.dist-info/METADATA": note},
        ),
    )
    config = ImageConfig(
        platform=Platform("linux", "amd64"),
        diff_ids=tuple(layer.diff_id for layer in layers),
        cmd=("/bin/program",),
        created="1980-01-02T00:00:00Z",
        history=tuple(layer.title for layer in layers),
    )
    body = config.to_bytes()
    manifest = Manifest(
        config=Descriptor(media_type=MEDIA_CONFIG, digest=store.blobs.put(body), size_bytes=len(body)),
        layers=tuple(
            Descriptor(media_type=MEDIA_LAYER_GZIP, digest=layer.digest, size_bytes=layer.size_bytes)
            for layer in layers
        ),
    )
    return Image(
        project="small",
        target="train",
        accelerator="cpu",
        platform="linux/amd64",
        tag=tag,
        digest=store.blobs.put(manifest.to_bytes()),
        manifest=manifest,
        config=config,
        layers=layers,
        lock_digest=Digest.of(b"lock"),
    )


def small_variant() -> LockedVariant:
    """What the small image would have been locked from; one wheel and one package are another target's."""
    return LockedVariant(
        accelerator="cpu",
        platform="linux/amd64",
        interpreter=LockedInterpreter(
            provider="debian", version="3.13", build="3.13.5-2+deb13u5", executable="/usr/bin/python3.13"
        ),
        packages=(
            LockedPackage(
                name="libc6",
                version="1:2.41-12~deb13+1",
                architecture="amd64",
                filename="pool/main/g/glibc/libc6.deb",
                sha256="a" * 64,
                size_bytes=10,
                suite="trixie-security",
            ),
            LockedPackage(
                name="gcc",
                version="4:14",
                architecture="amd64",
                filename="pool/main/g/gcc/gcc.deb",
                sha256="b" * 64,
                size_bytes=10,
                suite="trixie",
            ),
        ),
        wheels=(
            LockedWheel(
                name="six",
                version="1.17.0+local.1",
                filename="six-1.17.0+local.1-py3-none-any.whl",
                sha256="c" * 64,
                size_bytes=10,
            ),
            LockedWheel(name="torch", version="2.13.0", filename="torch.whl", sha256="d" * 64, size_bytes=10),
        ),
        targets={
            "train": TargetSelection(wheels=("six",), packages=("libc6",)),
            "serve": TargetSelection(wheels=("torch",), packages=("gcc", "libc6")),
        },
    )
