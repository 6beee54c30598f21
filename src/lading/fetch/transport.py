"""One HTTP exchange: the session, redirects, time limits, and what can go wrong, as lading's errors.

Knows nothing of retries. Credentials go to the origin they were given for and to no other.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urljoin, urlsplit

from lading.errors import FetchFailed
from lading.fetch.address import display_url, is_loopback, origin, redact, split_credentials
from lading.fetch.retry import retry_after_seconds

if TYPE_CHECKING:
    from requests import PreparedRequest, Response, Session

_CHUNK_BYTES = 1 << 18
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 10
_CONNECTION = re.compile(r"^\w+\(host='[^']*', port=\d+\): ")
"""How urllib3 names the connection that failed."""
_ERROR_BODY_BYTES = 64 << 10
AUTHORIZATION = "Authorization"
CERTIFICATE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "PIP_CERT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How slow a server may be: to connect, in silence, and as an average rate."""

    connect_seconds: float = 15.0
    silence_seconds: float = 30.0
    grace_seconds: float = 60.0
    """The average rate is looked at only after this long."""
    slowest_bytes_per_second: int = 1024
    headers_seconds: float = 60.0
    """From the request to the end of the answer's headers, besides one silence."""
    closing_seconds: float = 300.0
    """The silence allowed after a PUT: a registry may read a whole blob again before it answers."""


class Refused(FetchFailed):
    """lading will not ask, or will not take the answer: trying again changes nothing."""


class HttpStatus(FetchFailed):
    """The server answered something else than the bytes. `status` is HTTP's.

    `headers` are the answer's, `body` its first 64 KiB: what a protocol above HTTP says of the failure.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        place: str,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> None:
        super().__init__(message, place=place, hints=_STATUS_HINTS.get(status, ()))
        self.status = status
        self.retry_after = retry_after
        self.headers = headers or {}
        self.body = body


class Body(Protocol):
    """What is sent with a request: of known length, in pieces, and again from the start if need be."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[bytes]: ...


_STATUS_HINTS = {
    401: ("put the user name and password for this host into ~/.netrc or the index variable",),
    403: ("check that these credentials may read this file",),
    407: ("check the user name and password in HTTPS_PROXY",),
}


@contextlib.contextmanager
def transport_errors(url: str) -> Iterator[None]:
    """Turn what requests, urllib3 and the socket raise about `url` into FetchFailed without credentials."""
    import requests
    import urllib3

    name = display_url(url)
    try:
        yield
    except requests.exceptions.SSLError as error:
        raise _tls_failure(name, _reason(error)) from None
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
        raise Refused(f"{name} cannot be fetched: {_reason(error)}", place=name) from None
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        # `from None`: the chained error may print the URL with its credentials.
        raise FetchFailed(f"fetching {name} failed: {_reason(error)}", place=name) from None


class NoTls(Refused):
    """What answered does not speak TLS, or none that is safe enough."""


def _tls_failure(name: str, reason: str) -> Refused:
    if "certificate" not in reason.lower():
        return NoTls(f"{name} offers no TLS that this machine takes: {reason}", place=name)
    return Refused(
        f"{name} has no certificate this machine trusts: {reason}",
        place=name,
        hints=("export SSL_CERT_FILE=/path/to/your/ca-bundle.crt",),
    )


def _reason(error: BaseException) -> str:
    """The innermost sentence: requests and urllib3 wrap it in several reprs."""
    cause: BaseException = error
    while True:
        inner = getattr(cause, "reason", None) or (cause.args[-1] if cause.args else None)
        if not isinstance(inner, BaseException):
            break
        cause = inner
    text = str(cause).rpartition(">: ")[2] or type(cause).__name__
    return redact(_CONNECTION.sub("", text))


@dataclass(slots=True, kw_only=True)
class Transport:
    environment: Mapping[str, str] = field(repr=False)
    credentials: Mapping[str, tuple[str, str]] = field(repr=False)
    """Origin → user name and password."""
    patience: Patience
    _session: Session | None = field(default=None, init=False, repr=False)
    _opening: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def respond(
        self, method: str, url: str, headers: Mapping[str, str], *, body: bytes | Body | None = None
    ) -> Response:
        """An open, streaming answer with a 2xx status after redirects; the caller closes it.

        An `Authorization` in `headers` is for this URL's origin and is not sent to any other; an empty one
        means that nobody's credentials are sent.
        Raises HttpStatus for any other status, Refused for what is never done, FetchFailed for the rest.
        """
        _check_address(url)
        here, given = split_credentials(url)
        for _ in range(_MOST_REDIRECTS + 1):
            response = self._send(method, here, headers, given, body)
            if response.status_code not in _REDIRECTS or "location" not in response.headers:
                return self._checked(response)
            response.close()
            target = _redirected(here, response.headers["location"])
            following, carried = split_credentials(target)
            if body is not None:
                _check_resend(here, following, response.status_code)
            if origin(following) != origin(here):
                given = None  # never to another host, scheme or port
                headers = {name: value for name, value in headers.items() if name != AUTHORIZATION}
            here, given = following, carried or given
        raise Refused(f"{display_url(url)} redirects without end", place=display_url(url))

    def read_chunks(self, response: Response) -> Iterator[bytes]:
        """The raw body in the pieces in which it comes. Raises FetchFailed when it breaks off or crawls."""
        started = time.monotonic()
        received = 0
        name = display_url(response.url)
        while True:
            with transport_errors(response.url):
                chunk: bytes = response.raw.read1(_CHUNK_BYTES)
            if not chunk:
                return
            received += len(chunk)
            elapsed = time.monotonic() - started
            slow = received < elapsed * self.patience.slowest_bytes_per_second
            if slow and elapsed > self.patience.grace_seconds:
                raise FetchFailed(
                    f"{name} sends too slowly: {received} bytes in {elapsed:.0f} seconds", place=name
                )
            yield chunk

    def _checked(self, response: Response) -> Response:
        if 200 <= response.status_code < 300:
            return response
        name = display_url(response.url)
        wanted = retry_after_seconds(response.headers.get("retry-after"), datetime.now(UTC))
        reason = redact(response.reason or "")
        with contextlib.closing(response):
            body = self._start_of_body(response)
        raise HttpStatus(
            f"{name} answered {response.status_code} {reason}".rstrip(),
            status=response.status_code,
            place=name,
            retry_after=wanted,
            headers=response.headers,
            body=body,
        )

    def _start_of_body(self, response: Response) -> bytes:
        """What an error says, as far as it comes: it must never hide the error itself."""
        content = bytearray()
        with contextlib.suppress(FetchFailed):
            for chunk in self.read_chunks(response):
                content += chunk
                if len(content) >= _ERROR_BODY_BYTES:
                    break
        return bytes(content[:_ERROR_BODY_BYTES])

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        given: tuple[str, str] | None,
        body: bytes | Body | None,
    ) -> Response:
        session = self._open_session()
        known = given or self.credentials.get(origin(url))
        patience = self.patience
        silence_seconds = patience.silence_seconds if method != "PUT" else patience.closing_seconds
        sent = {name: value for name, value in headers.items() if value}
        with transport_errors(url):
            return session.request(
                method,
                url,
                headers={"Accept-Encoding": "identity", **sent},
                # With a header of ours, be it empty, requests must not look into netrc and overwrite it.
                auth=_leave_alone if AUTHORIZATION in headers else known,
                data=body,
                verify=session.verify,  # said here, requests lets no variable of this process overrule it
                allow_redirects=False,
                stream=True,
                timeout=(patience.connect_seconds, silence_seconds),
                # What is on this machine is reached by no proxy: it would look on the proxy's own.
                proxies={"no_proxy": "*"} if is_loopback(urlsplit(url).hostname or "") else None,
            )

    def _open_session(self) -> Session:
        with self._opening:
            if self._session is None:
                self._session = self._new_session()
            return self._session

    def _new_session(self) -> Session:
        import http.cookiejar

        import requests

        from lading.fetch.connection import patient_adapter

        class PlainSession(requests.Session):
            """Leaves redirects to us: requests would read the whole body of one before we see it."""

            def get_redirect_target(self, resp: Response) -> None:
                return None

        session = PlainSession()
        session.headers["User-Agent"] = "lading"
        # A cookie would make the second download differ from the first.
        session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
        adapter = patient_adapter(self.patience.headers_seconds)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        for name in CERTIFICATE_VARIABLES:
            if bundle := self.environment.get(name):
                session.verify = bundle
                break
        return session


def _check_address(url: str) -> None:
    try:
        parts = urlsplit(url)
        known = parts.scheme.lower() in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port or an IPv6 address that is none
        known = False
    if not known:
        raise Refused(f"{display_url(url)} is not an http or https URL", place=display_url(url))


def _redirected(here: str, location: str) -> str:
    """Where `location` leads from `here`. Raises Refused for what is never followed."""
    try:
        target = urljoin(here, location)
    except ValueError:
        raise Refused(f"{display_url(here)} redirects to no URL", place=display_url(here)) from None
    schemes = (here.partition(":")[0].lower(), target.partition(":")[0].lower())
    if schemes[1] not in ("http", "https") or schemes == ("https", "http"):
        raise Refused(
            f"{display_url(here)} redirects to {display_url(target)}: "
            f"from {schemes[0]} to {schemes[1]} is refused",
            place=display_url(here),
        )
    _check_address(target)
    return target


def _check_resend(here: str, target: str, status: int) -> None:
    """What is sent goes where it was meant for: a body may be a secret, or somebody's private model.

    Raises Refused.
    """
    if origin(target) != origin(here) or status not in (307, 308):
        raise Refused(
            f"{display_url(here)} redirects what was sent to {display_url(target)} with {status}: "
            "nothing is sent there",
            place=display_url(here),
        )


def _leave_alone(request: PreparedRequest) -> PreparedRequest:
    return request
