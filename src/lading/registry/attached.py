"""What stands beside an image at a registry: the index that names it, and whatever refers to its digest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lading.errors import DigestMismatch, FetchFailed
from lading.fetch.transport import HttpStatus
from lading.oci.digest import Digest
from lading.oci.reference import Reference
from lading.registry.client import Registry

Read = Callable[[str], Mapping[str, Any] | None]


def fetch_referrers(
    registry: Registry, reference: Reference, digest: Digest
) -> tuple[Mapping[str, Any] | None, Mapping[str, Any], Read]:
    """The index at `reference` (None for a plain manifest), the index of what refers to `digest`, and a
    reader of manifests in this repository. A registry without the API of referrers is asked for their tag.

    Raises HttpStatus, FetchFailed, DigestMismatch.
    """
    repository = reference.repository
    found = registry.manifest(reference)
    referrers = registry.referrers(repository, digest)
    if referrers is None:
        tag = Reference(registry=registry.name, repository=repository, tag=f"sha256-{digest.hex}")
        try:
            referrers = registry.manifest(tag)
        except HttpStatus as error:
            if error.status != 404:
                raise

    def read(text: str) -> Mapping[str, Any] | None:
        try:
            return registry.manifest(reference.at(Digest(text))).document
        except (ValueError, FetchFailed, DigestMismatch, HttpStatus):
            return None  # what cannot be read refers to nothing

    return found.document if found.is_index else None, {} if referrers is None else referrers.document, read
