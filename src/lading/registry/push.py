"""An image goes to a registry: only what the registry lacks, the manifest last.

The order makes every moment safe: a manifest is stored when all that it names is there, so a push that dies
leaves nothing that could be pulled half.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

from lading.errors import InternalError
from lading.fetch.transport import HttpStatus
from lading.oci.digest import Digest
from lading.oci.json import canonical_json
from lading.oci.manifest import MEDIA_EMPTY, MEDIA_INDEX, MEDIA_MANIFEST, Descriptor, Index, Manifest
from lading.oci.reference import Reference
from lading.registry.client import Registry, UploadSession
from lading.registry.documents import error_codes
from lading.registry.placement import known_repositories, note_repository
from lading.registry.upload import CHUNK_BYTES, Upload
from lading.store import Store

_AT_ONCE = 4
_EMPTY = b"{}"
_REFERRER_TRIES = 4
_MISSING_CODES = frozenset({"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What a push cost, in bytes of blobs; manifests are not counted."""

    uploaded_bytes: int = 0
    mounted_bytes: int = 0
    present_bytes: int = 0

    def __add__(self, other: Moved) -> Moved:
        return Moved(
            uploaded_bytes=self.uploaded_bytes + other.uploaded_bytes,
            mounted_bytes=self.mounted_bytes + other.mounted_bytes,
            present_bytes=self.present_bytes + other.present_bytes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A blob in the store that stands beside an image: its bill of materials, say."""

    content: Digest
    media_type: str
    """Its artifact type too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedManifest:
    digest: Digest
    moved: Moved


Supply = Callable[[Sequence[Digest]], None]
"""Makes blobs that are neither there nor in the store. Raises what making them raises."""


def _cannot_supply(missing: Sequence[Digest]) -> None:
    raise InternalError(f"blob {missing[0]} is neither in the store nor in the registry")


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """Everything one push to one repository takes."""

    registry: Registry
    repository: str
    store: Store
    progress: Callable[[int], None] = lambda size_bytes: None
    supply: Supply = _cannot_supply
    chunk_bytes: int = CHUNK_BYTES
    mount_from: tuple[str, ...] = ()
    """Repositories of this registry to mount from besides those that are known to hold a blob."""
    there: frozenset[Digest] = frozenset()
    """Blobs that the repository has, as it said a moment ago. What it lacked then is asked for again before
    it is sent: others push too, while an image is being built."""
    _progress_lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def image(
        self,
        manifest: Manifest,
        version: str,
        *,
        documents: Sequence[Document] = (),
        sent: Mapping[Digest, Moved] = MappingProxyType({}),
    ) -> PushedManifest:
        """Blobs but for those `sent` before, then `documents` as referrers, then the manifest under `version`
        (a tag or its digest).

        Documents go before the image, so that an image that is there has them. A registry that no longer has
        a blob which it said it had is believed the second time.
        Raises HttpStatus, FetchFailed, StoreError, DigestMismatch, and what `supply` raises.
        """
        content = manifest.to_bytes()
        subject = Descriptor(media_type=MEDIA_MANIFEST, digest=Digest.of(content), size_bytes=len(content))
        attached = [self._referrer(subject, document) for document in documents]
        named = [blob for one in (manifest, *attached) for blob in (*one.layers, one.config)]
        blobs = list({blob.digest: blob for blob in named}.values())
        moved = self.blobs([blob for blob in blobs if blob.digest not in sent])
        moved = sum((sent[blob.digest] for blob in blobs if blob.digest in sent), start=moved)
        self._attach(subject, attached)
        try:
            self._put(version, content)
        except HttpStatus as error:
            if error.status not in (400, 404) or not _MISSING_CODES & set(error_codes(error)):
                raise
            asking = replace(self, there=frozenset())
            moved = moved + replace(asking.blobs(blobs), present_bytes=0)
            self._put(version, content)
        return PushedManifest(digest=subject.digest, moved=moved)

    def _referrer(self, subject: Descriptor, document: Document) -> Manifest:
        """What makes `document` found beside `subject` (image-spec, manifest.md, artifact usage)."""
        empty = self.store.blobs.put(_EMPTY)
        size_bytes = self.store.blobs.size_bytes(document.content) or 0
        return Manifest(
            config=Descriptor(media_type=MEDIA_EMPTY, digest=empty, size_bytes=len(_EMPTY)),
            layers=(
                Descriptor(media_type=document.media_type, digest=document.content, size_bytes=size_bytes),
            ),
            artifact_type=document.media_type,
            subject=subject,
        )

    def _attach(self, subject: Descriptor, referrers: Sequence[Manifest]) -> None:
        """Put manifests whose blobs are there; a registry that keeps no referrers gets the tag instead."""
        unknown = []
        for manifest in referrers:
            body = manifest.to_bytes()
            digest = Digest.of(body)
            headers = self.registry.put_manifest(self.repository, digest, body, MEDIA_MANIFEST)
            if "oci-subject" not in headers:
                descriptor = Descriptor(media_type=MEDIA_MANIFEST, digest=digest, size_bytes=len(body))
                unknown.append({**descriptor.as_json(), "artifactType": manifest.artifact_type})
        if unknown:
            _add_to_tag(self, subject.digest, unknown)

    def _put(self, version: str, content: bytes) -> None:
        self.registry.put_manifest(self.repository, version, content, MEDIA_MANIFEST)

    def index(self, index: Index, version: str) -> Digest:
        """An index of manifests that are there already. Raises HttpStatus, FetchFailed."""
        content = index.to_bytes()
        self.registry.put_manifest(self.repository, version, content, MEDIA_INDEX)
        return Digest.of(content)

    def bring(self, blob: Descriptor) -> Moved:
        """One blob, which is in the store. Raises HttpStatus, FetchFailed, StoreError, DigestMismatch."""
        if self._is_there(blob):
            return Moved(present_bytes=blob.size_bytes)
        opened = self._mount(blob)
        return Moved(mounted_bytes=blob.size_bytes) if opened is True else self._upload(blob, opened)

    def blobs(self, blobs: Sequence[Descriptor]) -> Moved:
        """Bring every blob there, several at once, the largest first."""
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="push") as pool:
            there = list(pool.map(self._is_there, blobs))
            missing = [blob for blob, found in zip(blobs, there, strict=True) if not found]
            present = sum(blob.size_bytes for blob, found in zip(blobs, there, strict=True) if found)
            tried = list(zip(missing, pool.map(self._mount, missing), strict=True))
            mounted = sum(blob.size_bytes for blob, opened in tried if opened is True)
            left = [(blob, opened) for blob, opened in tried if opened is not True]
            if absent := [blob.digest for blob, _ in left if not self.store.blobs.has(blob.digest)]:
                self.supply(absent)
            left.sort(key=lambda one: one[0].size_bytes, reverse=True)
            results = list(pool.map(lambda one: self._upload(*one), left))
        return sum(results, start=Moved(present_bytes=present, mounted_bytes=mounted))

    def _is_there(self, blob: Descriptor) -> bool:
        found = (
            blob.digest in self.there
            or self.registry.blob_size_bytes(self.repository, blob.digest) == blob.size_bytes
        )
        if found:
            note_repository(self.store, self.registry.name, self.repository, blob.digest)
        return found

    def _upload(self, blob: Descriptor, opened: UploadSession | None) -> Moved:
        sent_bytes = Upload(
            registry=self.registry,
            repository=self.repository,
            store=self.store,
            digest=blob.digest,
            size_bytes=blob.size_bytes,
            progress=self._advance,
            chunk_bytes=self.chunk_bytes,
            opened=opened,
        ).run()
        note_repository(self.store, self.registry.name, self.repository, blob.digest)
        return Moved(uploaded_bytes=sent_bytes)

    def _mount(self, blob: Descriptor) -> UploadSession | Literal[True] | None:
        """True when another repository of this registry had the blob, and it is here too now; else the
        session that the registry opened instead, if it did.
        """
        opened: UploadSession | None = None
        known = known_repositories(self.store, self.registry.name, blob.digest)
        for source in dict.fromkeys((*known, *self.mount_from)):
            if source == self.repository:
                continue
            try:
                opened = self.registry.start_upload(self.repository, mount=blob.digest, source=source)
            except HttpStatus:
                continue  # not from there; an upload is always possible
            if opened is None:
                note_repository(self.store, self.registry.name, self.repository, blob.digest)
                return True
        return opened

    def _advance(self, size_bytes: int) -> None:
        with self._progress_lock:
            self.progress(size_bytes)


def _add_to_tag(push: Push, subject: Digest, entries: Sequence[Mapping[str, object]]) -> None:
    """The registry keeps no referrers: the index at a tag named after the subject is ours to extend.

    Source: distribution-spec, "Referrers Tag Schema". Two writers at once may lose an entry, as it says; the
    one who reads again finds out.
    """
    tag = f"sha256-{subject.hex}"
    reference = Reference(registry=push.registry.name, repository=push.repository, tag=tag)
    for _ in range(_REFERRER_TRIES):  # read again what was written: another writer may have been faster
        manifests: list[Mapping[str, object]] = []
        try:
            manifests = list(push.registry.manifest(reference).document.get("manifests", []))
        except HttpStatus as error:
            if error.status != 404:
                raise
        known = {manifest.get("digest") for manifest in manifests}
        missing = [entry for entry in entries if entry["digest"] not in known]
        if not missing:
            return
        document = {"schemaVersion": 2, "mediaType": MEDIA_INDEX, "manifests": [*manifests, *missing]}
        push.registry.put_manifest(push.repository, tag, canonical_json(document), MEDIA_INDEX)
