"""What a registry answers, read strictly: manifests, indexes, and its words for a refusal. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lading.errors import FetchFailed
from lading.fetch.address import redact
from lading.fetch.transport import HttpStatus
from lading.oci.digest import Digest
from lading.oci.manifest import MEDIA_INDEX, MEDIA_MANIFEST

MEDIA_DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
MEDIA_DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
INDEX_TYPES = (MEDIA_INDEX, MEDIA_DOCKER_INDEX)
MANIFEST_TYPES = (MEDIA_MANIFEST, MEDIA_DOCKER_MANIFEST, *INDEX_TYPES)
_LONGEST_WORDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedManifest:
    """A manifest or index as the registry holds it; `content` is what `digest` names."""

    digest: Digest
    media_type: str
    content: bytes
    document: Mapping[str, Any]

    @property
    def is_index(self) -> bool:
        return self.media_type in INDEX_TYPES


def read_manifest(content: bytes, digest: Digest, content_type: str, place: str) -> FetchedManifest:
    """Raises FetchFailed for what is no manifest, or two things at once (CVE-2021-41190)."""
    try:
        document = json.loads(content)
    except ValueError:
        document = None
    if not isinstance(document, dict) or document.get("schemaVersion") != 2:
        raise _no_manifest(place, "it is no manifest of schema version 2")
    said = document.get("mediaType", content_type)
    if said != content_type and content_type in MANIFEST_TYPES:
        raise _no_manifest(place, f"it calls itself {said} and was sent as {content_type}")
    if said not in MANIFEST_TYPES:
        raise _no_manifest(place, f"its type is {redact(str(said))[:100]}")
    is_index = said in INDEX_TYPES
    if ("layers" in document or "config" in document) and (is_index or "manifests" in document):
        raise _no_manifest(place, "it is an index and a manifest at once")
    wanted = "manifests" if is_index else "layers"
    if not isinstance(document.get(wanted), list):
        raise _no_manifest(place, f"it has no list of {wanted}")
    return FetchedManifest(digest=digest, media_type=said, content=content, document=document)


def _no_manifest(place: str, reason: str) -> FetchFailed:
    return FetchFailed(f"what the registry holds as {place} cannot be used: {reason}", place=place)


def error_codes(error: HttpStatus) -> tuple[str, ...]:
    """The codes of a refusal, such as `MANIFEST_BLOB_UNKNOWN` (distribution-spec, "Error Codes")."""
    return tuple(code for code, _ in _errors(error))


def explain_refusal(error: HttpStatus, registry: str) -> HttpStatus:
    """The same failure with the registry's own words and a next step."""
    said = "; ".join(f"{code}: {words}" if words else code for code, words in _errors(error))
    message = f"{error.message} ({redact(said)[:_LONGEST_WORDS]})" if said else error.message
    explained = HttpStatus(
        message,
        status=error.status,
        place=error.place or registry,
        retry_after=error.retry_after,
        headers=error.headers,
        body=error.body,
    )
    hints = {
        401: (f"docker login {registry}",),
        403: (f"docker login {registry}", "check that this user may push there"),
    }
    explained.hints = hints.get(error.status, ())
    return explained


def _errors(error: HttpStatus) -> list[tuple[str, str]]:
    try:
        document = json.loads(error.body)
        rows = document["errors"]
        return [
            (str(row.get("code", "")), str(row.get("message", ""))) for row in rows if isinstance(row, dict)
        ]
    except (ValueError, KeyError, TypeError):
        return []
