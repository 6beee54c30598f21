"""The `Authorization` header for one registry: basic, or bearer tokens fetched and kept a scope.

Source: distribution's token authentication, with its OAuth2 form for identity tokens. A token is kept for
this process alone; a credential goes to the registry itself and, over TLS, to the realm that it names.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from lading.errors import FetchFailed
from lading.fetch.address import display_url, is_loopback
from lading.fetch.http import Fetcher
from lading.fetch.transport import AUTHORIZATION, HttpStatus
from lading.registry.challenge import Challenge, parse_challenges
from lading.registry.credentials import Credential

_LARGEST_TOKEN_BYTES = 1 << 20
_CLIENT = "lading"
_LEAST_SECRET = 4
"""Shorter ones stand in every text."""


@dataclass(slots=True, kw_only=True)
class Authorizer:
    """Safe for several threads: each scope is asked for once."""

    registry: str
    secure: bool
    fetcher: Fetcher
    find: Callable[[], Credential | None]
    """Looked up when the registry asks, and no earlier: most reads are public."""
    _headers: dict[str, str] = field(default_factory=dict, repr=False)
    _secrets: set[str] = field(default_factory=set, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def hide(self, text: str) -> str:
        """`text` of an answer without what we said to be let in: some registries repeat it."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def header(self, scope: str) -> Mapping[str, str]:
        known = self._headers.get(scope)
        return {AUTHORIZATION: known} if known is not None else {}

    def answer(self, challenge_header: str, scope: str, refused: Mapping[str, str]) -> bool:
        """Get what the challenge asks for; False when there is nothing (more) to answer with.

        `refused` are the headers that were sent: another thread may have renewed them meanwhile.
        Raises FetchFailed, OutsideError (credential helpers).
        """
        with self._lock:
            before = refused.get(AUTHORIZATION)
            if self._headers.get(scope) not in (None, before):
                return True
            for challenge in parse_challenges(challenge_header):
                header = self._respond(challenge, scope)
                if header is not None and (header != before or challenge.scheme == "bearer"):
                    self._headers[scope] = header
                    self._keep_hidden(header.partition(" ")[2])
                    return True
        return False

    def _respond(self, challenge: Challenge, scope: str) -> str | None:
        if challenge.scheme == "basic":
            credential = self._credential()
            if credential is None or credential.identity_token:
                return None
            return _basic(credential)
        if challenge.scheme == "bearer" and "realm" in challenge.parameters:
            return f"Bearer {self._token(challenge.parameters, scope)}"
        return None

    def _credential(self) -> Credential | None:
        credential = self.find()
        if credential is not None:
            self._keep_hidden(credential.password, credential.identity_token, _basic(credential)[6:])
        return credential

    def _keep_hidden(self, *secrets: str) -> None:
        self._secrets.update(secret for secret in secrets if len(secret) >= _LEAST_SECRET)

    def _token(self, parameters: Mapping[str, str], scope: str) -> str:
        realm = parameters["realm"]
        self._check_realm(realm)
        query = [("service", parameters["service"])] if "service" in parameters else []
        query += [("scope", part) for part in scope.split(" ")]
        credential = self._credential()
        try:
            if credential is not None and credential.identity_token:
                content = self._exchange(realm, query, credential)
            else:
                headers = {AUTHORIZATION: _basic(credential)} if credential is not None else {}
                mark = "&" if "?" in realm else "?"
                content = self._ask(f"{realm}{mark}{urlencode(query)}", headers)
        except HttpStatus as error:
            if error.status not in (400, 401, 403):
                raise
            who = "the credentials for it" if credential is not None else "anonymous access"
            raise HttpStatus(
                f"{self.registry} refuses {who}: its token service answered {error.status}",
                status=error.status,
                place=self.registry,
            ) from None
        return _token_in(content, realm)

    def _ask(self, url: str, headers: Mapping[str, str]) -> bytes:
        return self.fetcher.read_whole(self.fetcher.respond("GET", url, headers), _LARGEST_TOKEN_BYTES)

    def _exchange(self, realm: str, query: list[tuple[str, str]], credential: Credential) -> bytes:
        scopes = " ".join(value for name, value in query if name == "scope")
        form = {name: value for name, value in query if name != "scope"}
        form |= {"grant_type": "refresh_token", "refresh_token": credential.identity_token}
        body = urlencode({**form, "scope": scopes, "client_id": _CLIENT}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.fetcher.read_whole(
            self.fetcher.send("POST", realm, headers, body=body), _LARGEST_TOKEN_BYTES
        )

    def _check_realm(self, realm: str) -> None:
        try:
            parts = urlsplit(realm)
            host, scheme = parts.hostname or "", parts.scheme
        except ValueError:
            host = scheme = ""
        # A registry that is itself reached without TLS has nothing to protect its realm with.
        if (
            not host
            or scheme not in ("https", "http")
            or (scheme == "http" and self.secure and not is_loopback(host))
        ):
            raise FetchFailed(
                f"{self.registry} names a token service that gets no credentials: {display_url(realm)}",
                place=self.registry,
            )


def _basic(credential: Credential) -> str:
    return "Basic " + base64.b64encode(f"{credential.user}:{credential.password}".encode()).decode()


def _token_in(content: bytes, realm: str) -> str:
    try:
        document = json.loads(content)
        token = document.get("token") or document.get("access_token")
    except (ValueError, AttributeError):
        token = None
    if not isinstance(token, str) or not token or not token.isprintable():
        raise FetchFailed(f"{display_url(realm)} answered without a token", place=display_url(realm))
    return token
