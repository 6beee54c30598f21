"""One registry's HTTP API: manifests, blobs, upload sessions, referrers, each as one method.

Source: OCI distribution-spec v1.1. What comes back is checked against the digest that was asked for before
anyone sees it. Nothing here decides what to transfer, or in which order.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urljoin

from lading.errors import DigestMismatch, FetchFailed
from lading.fetch.address import display_url, origin
from lading.fetch.http import Fetcher
from lading.fetch.retry import RetryPolicy
from lading.fetch.transport import AUTHORIZATION, Body, HttpStatus, NoTls, Refused
from lading.oci.digest import Digest
from lading.oci.manifest import MEDIA_INDEX, Descriptor
from lading.oci.reference import Reference
from lading.registry.address import registry_host, schemes
from lading.registry.authorize import Authorizer
from lading.registry.credentials import find_credential
from lading.registry.documents import (
    MANIFEST_TYPES,
    FetchedManifest,
    explain_refusal,
    read_manifest,
    reworded,
)
from lading.store import Store

if TYPE_CHECKING:
    from requests import Response

    from lading.fetch.httpfile import HttpFile

LARGEST_MANIFEST_BYTES = 8 << 20
_SMALL_BYTES = 64 << 10
_NO_CONTENT = {"Content-Length": "0"}
_ACCEPTED_RANGE = re.compile(r"(?:bytes=)?0-(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadSession:
    """An upload under way: where its next request goes, and how much the registry has acknowledged."""

    location: str
    """Absolute; may carry a state that is secret, so it is shown nowhere."""
    received_bytes: int = 0
    least_chunk_bytes: int = 0


@dataclass(slots=True, kw_only=True)
class Registry:
    """The API of the registry `name`, for the repositories of one reference. Safe for several threads."""

    name: str
    fetcher: Fetcher
    environment: Mapping[str, str] = field(repr=False)
    _base: str | None = field(default=None, init=False)
    _authorizers: dict[str, Authorizer] = field(default_factory=dict, init=False, repr=False)

    # -- reading --

    def manifest(self, reference: Reference) -> FetchedManifest:
        """The manifest or index that `reference` names.

        Raises HttpStatus (404: no such tag, digest or repository), FetchFailed, DigestMismatch.
        """
        url = self._url(reference.repository, f"manifests/{reference.version}")
        try:
            response = self._pull(reference.repository).respond(
                "GET", url, {"Accept": ", ".join(MANIFEST_TYPES)}
            )
        except HttpStatus as error:
            if error.status != 404:
                raise
            raise reworded(
                error,
                f"{self.name} has no {reference.version} in {reference.repository}",
                (f"skopeo list-tags docker://{reference.name}",),
            ) from None
        content_type = response.headers.get("content-type", "").partition(";")[0].strip()
        said = response.headers.get("docker-content-digest")
        content = self.fetcher.read_whole(response, LARGEST_MANIFEST_BYTES)
        digest = Digest.of(content)
        expected = reference.digest or said
        if expected is not None and expected.startswith("sha256:") and expected != digest:
            raise DigestMismatch(
                f"{self.name} answered manifest {digest} where {expected} was asked for", place=str(reference)
            )
        return read_manifest(content, digest, content_type, str(reference))

    def find_manifest(self, reference: Reference) -> Digest | None:
        """The digest that `reference` names there, or None. Raises FetchFailed."""
        try:
            return self.manifest(reference).digest
        except HttpStatus as error:
            if error.status == 404:
                return None
            raise

    def blob_size_bytes(self, repository: str, digest: Digest) -> int | None:
        """The length of a blob that is there, None for one that is not. Raises FetchFailed."""
        url = self._url(repository, f"blobs/{digest}")
        asker = self._pull(repository)
        try:
            try:
                response = asker.respond("HEAD", url, {})
            except HttpStatus as error:
                if error.status != 405:
                    raise
                response = asker.respond("GET", url, {"Range": "bytes=0-0"})
        except HttpStatus as error:
            if error.status in (404, 416):
                return None
            raise
        with_range = re.fullmatch(r"bytes \d+-\d+/(\d+)", response.headers.get("content-range", ""))
        length = with_range[1] if with_range else response.headers.get("content-length", "")
        said = response.headers.get("docker-content-digest", digest)
        response.close()
        if said != digest or not length.isdigit():
            return None
        return int(length)

    def open_blob(self, repository: str, descriptor: Descriptor, *, start: int = 0) -> HttpFile:
        """The blob's bytes by range. Unverified: whoever streams them checks the digest while they pass."""
        from lading.fetch.httpfile import HttpFile

        self.fetcher.refuse_offline(self._url(repository, f"blobs/{descriptor.digest}"))
        url = self._url(repository, f"blobs/{descriptor.digest}")
        return HttpFile(self._pull(repository), url, descriptor.size_bytes, start=start)

    def referrers(self, repository: str, digest: Digest) -> FetchedManifest | None:
        """The index of what refers to `digest`; None where there is no such API. Raises FetchFailed."""
        try:
            response = self._pull(repository).respond(
                "GET", self._url(repository, f"referrers/{digest}"), {"Accept": MEDIA_INDEX}
            )
        except HttpStatus as error:
            if error.status in (400, 404, 405, 501):
                return None
            raise
        content = self.fetcher.read_whole(response, LARGEST_MANIFEST_BYTES)
        return read_manifest(content, Digest.of(content), MEDIA_INDEX, f"{self.name}/{repository}")

    # -- writing: each request is sent once, the caller decides what a failure means --

    def start_upload(
        self, repository: str, *, mount: Digest | None = None, source: str | None = None
    ) -> UploadSession | None:
        """A new session; None when `mount` from the repository `source` made one needless.

        Raises HttpStatus, FetchFailed.
        """
        query = f"?{urlencode({'mount': mount, 'from': source})}" if mount is not None else ""
        scope = f"repository:{repository}:pull,push"
        if source is not None:
            scope += f" repository:{source}:pull"
        url = self._url(repository, f"blobs/uploads/{query}")
        started = time.monotonic()
        for attempt in range(1, self.fetcher.policy.tries + 1):
            try:
                response = self._asker(scope).send("POST", url, _NO_CONTENT)
                self._drain(response)
                break
            except FetchFailed as error:
                # A session that was opened and not heard of holds nothing; registries forget such.
                self.fetcher.wait_or_raise(error, attempt, started)
        if response.status_code == 201:
            return None
        return self._session(response, url, UploadSession(location=url))

    def upload_status(self, repository: str, session: UploadSession) -> UploadSession:
        """The session as the registry sees it. Raises HttpStatus (404: it is gone), FetchFailed."""
        response = self._push(repository).respond("GET", session.location, {})
        self._drain(response)
        return self._session(response, session.location, session)

    def upload_chunk(self, repository: str, session: UploadSession, body: bytes | Body) -> UploadSession:
        """Append `body`. Raises HttpStatus (416: not the registry's offset), FetchFailed."""
        first, end = session.received_bytes, session.received_bytes + len(body)
        headers = {"Content-Type": "application/octet-stream", "Content-Range": f"{first}-{end - 1}"}
        response = self._push(repository).send("PATCH", session.location, headers, body=body)
        self._drain(response)
        sent = replace(session, received_bytes=end)
        after = self._session(response, session.location, sent)
        if not first < after.received_bytes <= end:
            raise FetchFailed(
                f"{self.name} acknowledges {after.received_bytes} bytes of an upload; {end} were sent",
                place=self.name,
            )
        return after

    def finish_upload(
        self, repository: str, session: UploadSession, digest: Digest, body: bytes | Body = b""
    ) -> None:
        """Close the session with what is left of the blob.

        Raises HttpStatus (400: other bytes), FetchFailed.
        """
        mark = "&" if "?" in session.location else "?"
        url = f"{session.location}{mark}{urlencode({'digest': digest})}"
        headers = {"Content-Type": "application/octet-stream"}
        if not len(body):
            headers |= _NO_CONTENT
        self._drain(self._push(repository).send("PUT", url, headers, body=body))

    def put_manifest(
        self, repository: str, version: str, content: bytes, media_type: str
    ) -> Mapping[str, str]:
        """Store a manifest under a tag or its digest; the answer's headers, none when the answer got lost.

        Raises HttpStatus (400 or 404: a blob it names is not there), FetchFailed, DigestMismatch.
        """
        url = self._url(repository, f"manifests/{version}")
        started = time.monotonic()
        for attempt in range(1, self.fetcher.policy.tries + 1):
            try:
                response = self._push(repository).send("PUT", url, {"Content-Type": media_type}, body=content)
                self._drain(response)
                break
            except FetchFailed as error:
                self.fetcher.wait_or_raise(error, attempt, started)
            if self._holds(repository, version, Digest.of(content)):
                return {}
        said = response.headers.get("docker-content-digest")
        if said is not None and said.startswith("sha256:") and said != Digest.of(content):
            raise DigestMismatch(
                f"{self.name} stored the manifest as {said} instead of {Digest.of(content)}", place=self.name
            )
        return response.headers

    # -- inside --

    def _holds(self, repository: str, version: str, digest: Digest) -> bool:
        """Whether what was stored there last is `digest`; asked before it is stored once more."""
        is_digest = version.startswith("sha256:")
        reference = Reference(registry=self.name, repository=repository, tag=None if is_digest else version)
        return self.find_manifest(reference.at(digest) if is_digest else reference) == digest

    def _url(self, repository: str, path: str) -> str:
        return f"{self._base_url()}/v2/{repository}/{path}"

    def _base_url(self) -> str:
        """Found once; two threads may find the same."""
        if self._base is None:
            host = registry_host(self.name)
            candidates = schemes(self.name, self.environment)
            for scheme in candidates[:-1]:
                if self._speaks(f"{scheme}://{host}"):
                    self._base = f"{scheme}://{host}"
                    break
            else:
                self._base = f"{candidates[-1]}://{host}"
        return self._base

    def _speaks(self, base: str) -> bool:
        try:
            self.fetcher.send("GET", f"{base}/v2/", {AUTHORIZATION: ""}).close()
        except HttpStatus as error:
            # A TLS server answers plain HTTP with 400.
            return error.status != 400
        except NoTls:
            return False
        except Refused:
            if base.startswith("https:"):
                raise  # TLS, and nobody we trust: no reason to speak in the clear
            return False
        except FetchFailed:
            return False
        return True

    def _asker(self, scope: str) -> _Asker:
        base = self._base_url()
        repository = scope.split(":")[1]
        authorizer = self._authorizers.setdefault(
            repository,
            Authorizer(
                registry=self.name,
                secure=base.startswith("https:"),
                fetcher=self.fetcher,
                find=lambda: find_credential(self.name, repository, self.environment),
            ),
        )
        return _Asker(registry=self.name, base=base, scope=scope, authorizer=authorizer, fetcher=self.fetcher)

    def _pull(self, repository: str) -> _Asker:
        return self._asker(f"repository:{repository}:pull")

    def _push(self, repository: str) -> _Asker:
        return self._asker(f"repository:{repository}:pull,push")

    def _session(self, response: Response, url: str, sent: UploadSession) -> UploadSession:
        """What an answer says of a session; where it is silent, `sent` is believed."""
        location = response.headers.get("location")
        target = urljoin(url, location) if location else url
        if target.partition(":")[0] not in ("http", "https"):
            raise Refused(f"{self.name} sends an upload to {display_url(target)}", place=self.name)
        if url.startswith("https:") and target.startswith("http:"):
            target = "https:" + target.removeprefix("http:")
        acknowledged = response.headers.get("range")
        match = _ACCEPTED_RANGE.fullmatch(acknowledged or "")
        least = response.headers.get("oci-chunk-min-length", "")
        return UploadSession(
            location=target,
            received_bytes=_end(int(match[1])) if match else sent.received_bytes,
            least_chunk_bytes=int(least) if least.isdigit() else sent.least_chunk_bytes,
        )

    def _drain(self, response: Response) -> None:
        """Read the little that follows, so that the connection can be used again."""
        self.fetcher.read_whole(response, _SMALL_BYTES)


@contextlib.contextmanager
def open_registry(
    name: str, store: Store, environment: Mapping[str, str], *, offline: bool = False
) -> Iterator[Registry]:
    """The registry `name`; its connections are closed at the end."""
    fetcher = Fetcher(staging=store.staging, environment=environment, offline=offline)
    with contextlib.closing(fetcher):
        yield Registry(name=name, fetcher=fetcher, environment=environment)


def _end(last: int) -> int:
    """`0-0` is what a session without a byte says; one with its first byte alone cannot be told from it."""
    return last + 1 if last else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asker:
    """Requests within one scope: adds who we are, answers one challenge a request, explains refusals."""

    registry: str
    base: str
    scope: str
    authorizer: Authorizer
    fetcher: Fetcher

    @property
    def staging(self) -> Path:
        return self.fetcher.staging

    @property
    def policy(self) -> RetryPolicy:
        return self.fetcher.policy

    def pause(self, attempt: int) -> None:
        self.fetcher.pause(attempt)

    def read_chunks(self, response: Response) -> Iterator[bytes]:
        return self.fetcher.read_chunks(response)

    def respond(self, method: str, url: str, headers: Mapping[str, str]) -> Response:
        """With retries: for what changes nothing."""
        return self._authorized(url, headers, lambda sent: self.fetcher.respond(method, url, sent))

    def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | Body | None = None
    ) -> Response:
        """Once, but for an answered challenge: the registry has refused and done nothing then."""
        return self._authorized(url, headers, lambda sent: self.fetcher.send(method, url, sent, body=body))

    def _authorized(
        self, url: str, headers: Mapping[str, str], ask: Callable[[Mapping[str, str]], Response]
    ) -> Response:
        ours = origin(url) == origin(self.base)
        for last in (False, False, True):
            # An empty header keeps requests from looking into netrc for us.
            who = {AUTHORIZATION: "", **self.authorizer.header(self.scope)} if ours else {}
            try:
                return ask({**headers, **who})
            except HttpStatus as error:
                challenge = error.headers.get("www-authenticate", "")
                asked = error.status == 401 and ours and not last
                if asked and self.authorizer.answer(challenge, self.scope, who):
                    continue
                raise explain_refusal(error, self.registry, self.authorizer.hide) from None
        raise AssertionError("the last turn returns or raises")
