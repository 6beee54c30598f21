"""What refers to an image: its bill of materials and its provenance, beside it in an index or at a registry.

Two ways are in use: BuildKit's attestation manifests in the image's index, and OCI referrers. Pure; who reads
a manifest is the caller's to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

SBOM, PROVENANCE = "SBOM", "provenance"
_KINDS = (
    ("spdx", SBOM),
    ("cyclonedx", SBOM),
    ("slsa", PROVENANCE),
    ("provenance", PROVENANCE),
    ("in-toto", PROVENANCE),
)
_DEEPEST_INDEX = 4
_PREDICATE = "in-toto.io/predicate-type"
_REFERENCE_TYPE, _REFERENCE_DIGEST = "vnd.docker.reference.type", "vnd.docker.reference.digest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    kind: str
    """`SBOM`, `provenance`, or the type that it has."""
    subject: str
    """The digest of the manifest that it says it is about."""
    has_subject: bool
    """Whether that manifest stands beside it."""


def kind_of(text: str) -> str:
    """Of a media type or the type of a predicate."""
    return next((kind for word, kind in _KINDS if word in text.lower()), text)


def index_attachments(
    index: Mapping[str, Any], read: Callable[[str], Mapping[str, Any] | None]
) -> tuple[Attachment, ...]:
    """What in `index` refers to a manifest. `read` gives a manifest by digest, None for what is not there."""
    found = list(_manifests(index, read, 0))
    there = {digest for digest, _, _ in found}
    return tuple(
        Attachment(kind=kind, subject=subject, has_subject=subject in there)
        for _, notes, document in found
        if (subject := _subject(notes, document))
        for kind in sorted(_kinds(document))
    )


def referrer_attachments(
    index: Mapping[str, Any], read: Callable[[str], Mapping[str, Any] | None], subject: str
) -> tuple[Attachment, ...]:
    """The same of a registry's answer to who refers to `subject`; some leave out what an entry is."""
    return tuple(
        Attachment(kind=kind, subject=subject, has_subject=True)
        for entry in _entries(index)
        for kind in sorted(
            {kind_of(str(entry["artifactType"]))}
            if entry.get("artifactType")
            else _kinds(read(str(entry.get("digest"))) or {})
        )
    )


def _manifests(
    index: Mapping[str, Any], read: Callable[[str], Mapping[str, Any] | None], depth: int
) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    for entry in _entries(index):
        digest = entry.get("digest")
        document = read(digest) if isinstance(digest, str) else None
        if document is None:
            continue
        if "manifests" in document and depth < _DEEPEST_INDEX:
            yield from _manifests(document, read, depth + 1)
        else:
            notes = entry.get("annotations")
            yield str(digest), notes if isinstance(notes, dict) else {}, document


def _entries(index: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    entries = index.get("manifests")
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _subject(notes: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    if notes.get(_REFERENCE_TYPE) == "attestation-manifest":
        return str(notes.get(_REFERENCE_DIGEST) or "")
    subject = document.get("subject")
    return str(subject.get("digest") or "") if isinstance(subject, dict) else ""


def _kinds(document: Mapping[str, Any]) -> set[str]:
    layers = document.get("layers")
    kinds = set()
    for layer in layers if isinstance(layers, list) else []:
        if isinstance(layer, dict):
            notes = layer.get("annotations")
            predicate = notes.get(_PREDICATE) if isinstance(notes, dict) else None
            kinds.add(kind_of(str(predicate or layer.get("mediaType") or "")))
    if artifact_type := document.get("artifactType"):
        kinds.add(kind_of(str(artifact_type)))
    return kinds
