"""HTTP as lading needs it: whole answers, files by range, downloads; bounded retries; no socket when offline.

Proxies, netrc and certificate bundles as `requests` takes them from the environment.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from lading.errors import DigestMismatch, FetchFailed
from lading.fetch.address import display_url
from lading.fetch.retry import RetryPolicy, is_retried
from lading.fetch.transport import Body, HttpStatus, Patience, Refused, Transport
from lading.store.atomic import fsync_directory, store_errors, temporary_name

if TYPE_CHECKING:
    from requests import Response

    from lading.fetch.httpfile import HttpFile

_CHUNK_BYTES = 1 << 20
_Answer = TypeVar("_Answer")


class Fetcher:
    """Opens URLs. One value a command; safe for several threads. Offline it opens no socket at all."""

    def __init__(
        self,
        *,
        staging: Path,
        environment: Mapping[str, str],
        offline: bool = False,
        credentials: Mapping[str, tuple[str, str]] | None = None,
        policy: RetryPolicy | None = None,
        patience: Patience | None = None,
    ) -> None:
        """`staging` is a folder on the store's file system for what is being written; `credentials` maps an
        origin (see address.origin) to the user name and password that its configured URL carried."""
        self.staging = staging
        self.offline = offline
        self.policy = policy or RetryPolicy()
        self._transport = Transport(
            environment=environment, credentials=credentials or {}, patience=patience or Patience()
        )

    def get_bytes(self, url: str, *, limit_bytes: int, sha256: str | None = None) -> bytes:
        """The whole answer, at most `limit_bytes`. Raises FetchFailed, or DigestMismatch for other bytes."""
        content = self._with_retries(url, lambda: self._body(url, limit_bytes))
        if sha256 is not None:
            check_sha256(display_url(url), hashlib.sha256(content).hexdigest(), sha256)
        return content

    def open_file(self, url: str, size_bytes: int | None = None) -> HttpFile:
        """`url` as a ByteSource. Raises FetchFailed. With a known size nothing is asked before `read`."""
        from lading.fetch.httpfile import HttpFile

        self.refuse_offline(url)
        return HttpFile(self, url, size_bytes)

    def size_bytes(self, url: str) -> int:
        """The length of what `url` names, by HEAD or a range of one byte. Raises FetchFailed."""
        with contextlib.closing(self.open_file(url)) as remote:
            return remote.size_bytes

    def download(self, url: str, to: Path, *, sha256: str, size_bytes: int | None = None) -> None:
        """Put the file at `to`, whole and verified, or not at all; goes on after a broken connection.

        Raises FetchFailed (also when it is not `size_bytes` long), DigestMismatch, StoreError.
        """
        temporary = self.staging / temporary_name()
        with contextlib.closing(self.open_file(url, size_bytes)) as remote, store_errors("writing", to):
            try:
                state = hashlib.sha256()
                with temporary.open("xb") as file:
                    for offset in range(0, remote.size_bytes, _CHUNK_BYTES):
                        chunk = remote.read(offset, min(_CHUNK_BYTES, remote.size_bytes - offset))
                        state.update(chunk)
                        file.write(chunk)
                    file.flush()
                    os.fsync(file.fileno())
                check_sha256(remote.name, state.hexdigest(), sha256)
                temporary.rename(to)
                fsync_directory(to.parent)
            finally:
                temporary.unlink(missing_ok=True)

    def respond(self, method: str, url: str, headers: Mapping[str, str]) -> Response:
        """An open, streaming 2xx answer, after retries and redirects. The caller closes it.

        Raises HttpStatus for another status, FetchFailed for everything else.
        """
        return self._with_retries(url, lambda: self._transport.respond(method, url, headers))

    def send(
        self, method: str, url: str, headers: Mapping[str, str], *, body: bytes | Body | None = None
    ) -> Response:
        """As `respond`, once: what changes something on a server is never sent again blindly."""
        self.refuse_offline(url)
        return self._transport.respond(method, url, headers, body=body)

    def read_chunks(self, response: Response) -> Iterator[bytes]:
        """The raw body in the pieces in which it comes. Raises FetchFailed when it breaks off or crawls."""
        return self._transport.read_chunks(response)

    def read_whole(self, response: Response, limit_bytes: int) -> bytes:
        """The whole raw body; closes the response. Raises FetchFailed, also for more than `limit_bytes`."""
        content = bytearray()
        with contextlib.closing(response):
            for chunk in self.read_chunks(response):
                content += chunk
                if len(content) > limit_bytes:
                    name = display_url(response.url)
                    raise Refused(f"{name} is larger than {limit_bytes} bytes", place=name)
        return bytes(content)

    def pause(self, attempt: int, wanted_seconds: float | None = None) -> None:
        """Wait as the policy says after try number `attempt`."""
        time.sleep(self.policy.delay_seconds(attempt, wanted_seconds, random.random()))

    def refuse_offline(self, url: str) -> None:
        """Raises FetchFailed when offline, naming what was wanted."""
        if self.offline:
            raise Refused(
                f"{display_url(url)} is not in the store, and --offline forbids fetching it",
                place=display_url(url),
                hints=("run the same command once without --offline",),
            )

    def close(self) -> None:
        self._transport.close()

    def _body(self, url: str, limit_bytes: int) -> bytes:
        return self.read_whole(self._transport.respond("GET", url, {}), limit_bytes)

    def _with_retries(self, url: str, attempt_once: Callable[[], _Answer]) -> _Answer:
        self.refuse_offline(url)
        started = time.monotonic()
        for attempt in range(1, self.policy.tries + 1):
            try:
                return attempt_once()
            except FetchFailed as error:
                self.wait_or_raise(error, attempt, started)
        raise AssertionError("a retry policy allows at least one try")

    def wait_or_raise(self, error: FetchFailed, attempt: int, started: float) -> None:
        """Wait until it is time for another try; raise `error` where there is none to be made.

        `attempt` counts from 1; `started` is the monotonic time of the first.
        """
        if isinstance(error, Refused) or (isinstance(error, HttpStatus) and not is_retried(error.status)):
            raise error
        wanted = error.retry_after if isinstance(error, HttpStatus) else None
        delay = self.policy.delay_seconds(attempt, wanted, random.random())
        spent = time.monotonic() - started
        if attempt >= self.policy.tries or spent + delay > self.policy.budget_seconds:
            raise _given_up(error, attempt, spent) from None
        time.sleep(delay)


def _given_up(error: FetchFailed, attempts: int, spent_seconds: float) -> FetchFailed:
    message = f"{error.message} (tried {attempts} times in {spent_seconds:.0f} s)"
    if isinstance(error, HttpStatus):
        return HttpStatus(
            message,
            status=error.status,
            place=error.place or "",
            retry_after=error.retry_after,
            headers=error.headers,
            body=error.body,
        )
    return FetchFailed(message, place=error.place, hints=error.hints)


def check_sha256(name: str, actual: str, expected: str) -> None:
    """Raises DigestMismatch when the two hex digests differ."""
    if actual != expected:
        raise DigestMismatch(
            f"{name} is not the file that was named: expected sha256 {expected}, got {actual}", place=name
        )
