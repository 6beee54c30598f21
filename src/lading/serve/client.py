"""Asking a service: the Open Inference Protocol over HTTP, standard library only."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from lading.errors import OutsideError, ProjectError

_MAXIMUM_BYTES = 256 << 20
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def predict(
    url: str, model: str, request: Mapping[str, Any], *, timeout_seconds: float = 60.0
) -> dict[str, Any]:
    """The service's answer to one inference request.

    Raises ProjectError when the request does not fit the model, OutsideError when no answer came.
    """
    body = json.dumps(request, allow_nan=False).encode()
    target = f"{url.rstrip('/')}/v2/models/{quote(model, safe='')}/infer"
    status, document = call(target, body, timeout_seconds=timeout_seconds)
    if status == 200:
        return document
    message = f"{target} answered {status}: {document.get('error', 'nothing')}"
    raise ProjectError(message, place=url) if 400 <= status < 500 else OutsideError(message, place=url)


def is_ready(url: str, model: str, *, timeout_seconds: float = 2.0) -> bool:
    """True when the service is up, the model is loaded and it has just this name."""
    target = f"{url.rstrip('/')}/v2/models/{quote(model, safe='')}/ready"
    try:
        return call(target, None, timeout_seconds=timeout_seconds)[0] == 200
    except OutsideError:
        return False


def call(url: str, body: bytes | None, *, timeout_seconds: float) -> tuple[int, dict[str, Any]]:
    """Status and JSON object of one exchange. Raises OutsideError when there was none."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise OutsideError(f"{url} is no http address", place=url)
    # A proxy from the environment is for the world outside, never for this machine.
    proxies: dict[str, str] | None = {} if urlsplit(url).hostname in _LOOPBACK else None
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies))
    headers = {"Content-Type": "application/json"} if body is not None else {}
    request = urllib.request.Request(url, data=body, headers=headers)
    try:
        with opener.open(request, timeout=timeout_seconds) as response:
            return response.status, _document(response.read(_MAXIMUM_BYTES), url)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _document(error.read(_MAXIMUM_BYTES), url)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise OutsideError(f"no answer from {url}: {reason}", place=url, hints=("lading ps",)) from error


def _document(body: bytes, url: str) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError as error:
        raise OutsideError(f"{url} did not answer JSON", place=url) from error
    return document if isinstance(document, dict) else {}
