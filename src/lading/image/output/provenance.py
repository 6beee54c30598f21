"""How an image came to be: a SLSA v1 provenance in an in-toto statement, canonical JSON.

The one place where the maker may be named: lading's version, the Git revision, the host and the time. Pure;
no credentials can reach it, since the lock holds none. Sources: in-toto Statement v1, SLSA provenance v1.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from lading.image.model import Image
from lading.image.output.purl import debian_purl, interpreter_purl, wheel_purl
from lading.image.output.sbom import selected
from lading.image.spec import OPEN_STEP
from lading.lock.model import LockedVariant
from lading.oci.json import canonical_json

MEDIA_PROVENANCE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:lading:build:1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """Who built, where and when: all that may differ between two builds of one image."""

    lading_version: str
    python_version: str
    host: str
    """Kernel and machine, `Linux 6.1 x86_64`."""
    revision: str | None
    """The commit checked out in the project, or None."""
    started: float
    """Seconds since 1970; so is `finished`."""
    finished: float


def make_provenance(image: Image, variant: LockedVariant, maker: Maker) -> bytes:
    """The statement. Everything but `runDetails` and the revision follows from image and lock."""
    wheels, packages = selected(variant, image.target)
    dependencies = [
        *({"uri": wheel_purl(w), "digest": {"sha256": w.sha256}, "name": w.filename} for w in wheels),
        *({"uri": debian_purl(p), "digest": {"sha256": p.sha256}, "name": p.filename} for p in packages),
    ]
    interpreter = variant.interpreter
    if interpreter.sha256 is not None:
        dependencies.append(
            {
                "uri": interpreter_purl(interpreter),
                "digest": {"sha256": interpreter.sha256},
                "name": interpreter.executable,
            }
        )
    dependencies.sort(key=lambda dependency: str(dependency["uri"]))
    document = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": image.tag.rpartition(":")[0], "digest": {"sha256": image.digest.hex}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "project": image.project,
                    "target": image.target,
                    "accelerator": image.accelerator,
                    "platform": image.platform,
                    "lock": {"digest": {"sha256": image.lock_digest.hex}},
                },
                "internalParameters": {
                    "layers": [layer.key for layer in image.layers],
                    **_builds(variant),
                    **_marks(image),
                },
                "resolvedDependencies": [*_source(maker), *dependencies],
            },
            "runDetails": _run_details(maker),
        },
    }
    return canonical_json(document)


def _builds(variant: LockedVariant) -> dict[str, Any]:
    """What was built from source, of what, and how far that was kept apart; nothing where nothing was."""
    rows = [
        {
            "name": build.name,
            "version": build.version,
            "isolation": build.isolation,
            "source": {
                "kind": build.source.kind,
                "uri": build.source.location,
                "digest": build.source.digest,
            },
            "wheel": {"sha256": build.sha256},
        }
        for build in variant.builds
        if build.sha256 is not None
    ]
    return {"builds": rows} if rows else {}


def _marks(image: Image) -> dict[str, list[str]]:
    """Steps that used the network: what they fetched is named nowhere."""
    steps = [layer.title for layer in image.layers if layer.kind == OPEN_STEP]
    return {"notReproducible": steps} if steps else {}


def _source(maker: Maker) -> list[dict[str, Any]]:
    if maker.revision is None:
        return []
    return [{"uri": "git+file:.", "digest": {"gitCommit": maker.revision}, "name": "source"}]


def _run_details(maker: Maker) -> dict[str, Any]:
    return {
        "builder": {
            "id": "urn:lading:builder",
            "version": {"lading": maker.lading_version, "python": maker.python_version, "host": maker.host},
        },
        "metadata": {"startedOn": _rfc3339(maker.started), "finishedOn": _rfc3339(maker.finished)},
    }


def _rfc3339(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(int(seconds), datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
