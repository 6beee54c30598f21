"""Layers that exist become an image: config and manifest. Pure but for putting two small blobs.

Nothing of the maker enters: no version of lading, no host, no time. `created` is fixed, or SOURCE_DATE_EPOCH.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping

from lading.errors import UsageError
from lading.image.layer.recipe import MTIME_SECONDS
from lading.image.model import LayerRecord
from lading.image.plan import Plan
from lading.oci.digest import Digest
from lading.oci.manifest import MEDIA_CONFIG, MEDIA_LAYER_GZIP, Descriptor, ImageConfig, Manifest
from lading.oci.platform import Platform


def created_time(environment: Mapping[str, str]) -> str:
    """RFC 3339. SOURCE_DATE_EPOCH decides where set; UsageError for anything but a number of seconds."""
    text = environment.get("SOURCE_DATE_EPOCH")
    if not text:
        seconds = MTIME_SECONDS
    elif text.isascii() and text.isdigit() and len(text) <= 11:
        seconds = int(text)
    else:
        raise UsageError(
            f"SOURCE_DATE_EPOCH is {text!r}, which is not a number of seconds since 1970",
            hints=("unset SOURCE_DATE_EPOCH",),
        )
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def assemble(
    plan: Plan, layers: tuple[LayerRecord, ...], *, created: str, media_type: str = MEDIA_LAYER_GZIP
) -> tuple[ImageConfig, Manifest]:
    """The config and the manifest of `plan`, whose layers came out as `layers`."""
    config = ImageConfig(
        platform=Platform.parse(plan.platform),
        diff_ids=tuple(layer.diff_id for layer in layers),
        env=plan.env,
        entrypoint=plan.entrypoint,
        cmd=plan.cmd,
        user=plan.user,
        working_dir=plan.working_dir,
        labels=plan.labels,
        exposed_ports=plan.exposed_ports,
        stop_signal=plan.stop_signal,
        healthcheck=plan.healthcheck,
        created=created,
        history=tuple(layer.title for layer in layers),
    )
    body = config.to_bytes()
    manifest = Manifest(
        config=Descriptor(media_type=MEDIA_CONFIG, digest=Digest.of(body), size_bytes=len(body)),
        layers=tuple(
            Descriptor(
                media_type=layer.media_type or media_type, digest=layer.digest, size_bytes=layer.size_bytes
            )
            for layer in layers
        ),
    )
    return config, manifest
