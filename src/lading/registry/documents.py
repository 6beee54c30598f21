"""What a registry answers, read strictly: manifests, indexes, and its words for a refusal. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lading.errors import DigestMismatch, FetchFailed
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


def check_descriptors(document: Mapping[str, Any], place: str) -> None:
    """What an image names must be fetchable from its own registry, and be what it says it is.

    Raises FetchFailed for another digest than sha256, for layers that are elsewhere (they are never fetched
    from the addresses given), and DigestMismatch for embedded `data` of another digest (image-spec,
    descriptor.md).
    """
    rows = [document.get("config"), *document["layers"]]
    for row in rows:
        if not isinstance(row, dict):
            raise _no_manifest(place, "it names a blob with something that is no descriptor")
        digest = row.get("digest")
        if not isinstance(digest, str) or not digest.startswith("sha256:"):
            named = str(digest).partition(":")[0][:40]
            raise _no_manifest(place, f"it names a blob by {named!r}, and lading checks sha256 alone")
        media_type = str(row.get("mediaType", ""))
        if "foreign" in media_type or "nondistributable" in media_type:
            raise _no_manifest(place, f"its layer {digest} is to be fetched elsewhere, which is never done")
        if "data" in row and not _is_embedded(row):
            raise DigestMismatch(f"{place} embeds other bytes for {digest} than it names", place=place)


def _is_embedded(row: Mapping[str, Any]) -> bool:
    try:
        content = base64.b64decode(row["data"], validate=True)
    except (ValueError, TypeError):
        return False
    return len(content) == row.get("size") and Digest.of(content) == row["digest"]


def _no_manifest(place: str, reason: str) -> FetchFailed:
    return FetchFailed(f"what the registry holds as {place} cannot be used: {reason}", place=place)


def error_codes(error: HttpStatus) -> tuple[str, ...]:
    """The codes of a refusal, such as `MANIFEST_BLOB_UNKNOWN` (distribution-spec, "Error Codes")."""
    return tuple(code for code, _ in _errors(error))


def explain_refusal(
    error: HttpStatus, registry: str, hide: Callable[[str], str] = lambda text: text
) -> HttpStatus:
    """The same failure with the registry's own words, made harmless by `hide`, and a next step."""
    said = "; ".join(f"{code}: {words}" if words else code for code, words in _errors(error))
    # The words end on a terminal: no control characters, no direction marks.
    said = "".join(mark if mark.isprintable() else " " for mark in hide(redact(said)))
    message = f"{error.message} ({said[:_LONGEST_WORDS]})" if said else error.message
    hints = {
        401: (f"docker login {registry}",),
        403: (f"docker login {registry}", "check that this user may do that there"),
        413: ("raise the size limit of the proxy before the registry (nginx: client_max_body_size)",),
    }
    return reworded(error, message, hints.get(error.status, ()))


def reworded(error: HttpStatus, message: str, hints: tuple[str, ...] = ()) -> HttpStatus:
    """The same refusal, said in the words of what was asked for."""
    other = HttpStatus(
        message,
        status=error.status,
        place=error.place or "",
        retry_after=error.retry_after,
        headers=error.headers,
        body=error.body,
    )
    other.hints = hints
    return other


def _errors(error: HttpStatus) -> list[tuple[str, str]]:
    try:
        document = json.loads(error.body)
        rows = document["errors"]
        return [
            (str(row.get("code", "")), str(row.get("message", ""))) for row in rows if isinstance(row, dict)
        ]
    except (ValueError, KeyError, TypeError):
        return []
