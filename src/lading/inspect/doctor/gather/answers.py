"""Asks the indexes, mirrors and registries that are configured here, once each, and says what came of it.

Here alone the network is used, and credentials are: they go where every command of lading would send them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lading.errors import FetchFailed, LadingError
from lading.fetch.address import display_url, origin, split_credentials
from lading.fetch.http import Fetcher
from lading.fetch.transport import AUTHORIZATION, HttpStatus, NoTls, Patience
from lading.inspect.doctor.host import Answer, LogIns, Sources
from lading.inspect.doctor.machine import Machine
from lading.lock.indexes import configured_indexes, index_credentials
from lading.registry.address import registry_host, schemes
from lading.registry.authorize import Authorizer
from lading.registry.credentials import find_credential

_PATIENCE = Patience(connect_seconds=5.0, silence_seconds=5.0, headers_seconds=10.0)
_UNKNOWN_NAME = ("resolve", "name or service not known", "name resolution", "no address associated")
_CERTIFICATES = (
    ("has expired", "certificate-expired"),
    ("not yet valid", "certificate-expired"),
    ("mismatch", "certificate-of-another"),
    ("doesn't match", "certificate-of-another"),
    ("certificate verify failed", "certificate-untrusted"),
)
_TOLD_ELSEWHERE = ("could not find a suitable tls ca", "unable to connect to proxy")
"""By causes that need no network."""


def ask_all(machine: Machine, sources: Sources, log_ins: tuple[LogIns, ...]) -> tuple[Answer, ...]:
    environment = machine.environment
    fetcher = Fetcher(
        staging=Path("/nonexistent"),  # nothing is written
        environment=environment,
        credentials=index_credentials(environment),
        patience=_PATIENCE,
    )
    pages = dict(_pages(machine, sources))
    registries = dict.fromkeys(name for file in log_ins for name in file.known)
    with contextlib.closing(fetcher), ThreadPoolExecutor(max_workers=8) as pool:
        asked = [pool.submit(_ask_page, fetcher, what, url) for url, what in pages.items()]
        asked += [pool.submit(_ask_registry, fetcher, name, environment) for name in registries]
        return tuple(one.result() for one in asked)


def _pages(machine: Machine, sources: Sources) -> Iterator[tuple[str, str]]:
    """URL → what it is; of each origin the first."""
    seen = set()
    named = [(url, "package index") for _, url in configured_indexes(machine.environment)]
    for url, what in [*named, (sources.mirror, "Debian mirror")]:
        if url.startswith(("http://", "https://")):
            with contextlib.suppress(ValueError):  # uv will say so
                place = origin(split_credentials(url)[0])
                if place not in seen:
                    seen.add(place)
                    yield url, what


def _ask_page(fetcher: Fetcher, what: str, url: str) -> Answer:
    try:
        fetcher.send("GET", f"{url.rstrip('/')}/", {}).close()
    except FetchFailed as error:
        return _answer(what, display_url(url), error)
    return Answer(what=what, address=display_url(url))


def _ask_registry(fetcher: Fetcher, name: str, environment: Mapping[str, str]) -> Answer:
    """As `docker login` asks: who we are is told when the registry asks for it."""
    host = registry_host(name)
    answer = Answer(what="registry", address=name)
    for scheme in schemes(name, environment):
        base = f"{scheme}://{host}"
        try:
            fetcher.send("GET", f"{base}/v2/", {AUTHORIZATION: ""}).close()
        except HttpStatus as error:
            if error.status == 401:
                return _log_in(fetcher, name, base, error.headers.get("www-authenticate", ""), environment)
            answer = _answer("registry", name, error)
        except FetchFailed as error:
            answer = _answer("registry", name, error)
        else:
            return Answer(what="registry", address=name)
    return answer


def _log_in(fetcher: Fetcher, name: str, base: str, challenge: str, environment: Mapping[str, str]) -> Answer:
    authorizer = Authorizer(
        registry=name,
        secure=base.startswith("https:"),
        fetcher=fetcher,
        find=lambda: find_credential(name, "", environment),
    )
    try:
        if authorizer.answer(challenge, "", {}):
            fetcher.send("GET", f"{base}/v2/", {AUTHORIZATION: "", **authorizer.header("")}).close()
    except FetchFailed as error:
        return _answer("registry", name, error)
    except LadingError:
        pass  # a helper that fails: other causes see it without the network
    return Answer(what="registry", address=name)


def _answer(what: str, address: str, error: FetchFailed) -> Answer:
    return Answer(what=what, address=address, fault=fault_of(error), words=error.message)


def fault_of(error: FetchFailed) -> str:
    """Which cause a failure to ask is; empty for one that is none, or another's. Pure."""
    words = error.message.lower()
    if any(text in words for text in _TOLD_ELSEWHERE):
        return ""
    if isinstance(error, HttpStatus):
        if error.status == 407:
            return "proxy-log-in"
        if error.status in (401, 403):
            return "log-in-refused"
        return "server-fails" if error.status >= 500 else ""
    if "407" in words and ("proxy" in words or "tunnel" in words):
        return "proxy-log-in"
    for text, name in _CERTIFICATES:
        if text in words and "certificate" in words:
            return name
    if isinstance(error, NoTls):
        return "no-tls"
    return "name-unknown" if any(text in words for text in _UNKNOWN_NAME) else "no-answer"
