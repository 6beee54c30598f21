"""URLs as they may be shown, compared and authenticated. Pure.

A URL's userinfo is a credential: it is taken off before the URL is stored, printed or sent, and travels as an
Authorization header to its own origin alone.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import unquote, urlsplit, urlunsplit

_USERINFO = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)[^\s/?#@'\"<>]*(?:@[^\s/?#@'\"<>]*)*@")
_QUERY_NAMES = "token|signature|sig|key|secret|password|credential|auth"
_QUERY_SECRET = re.compile(rf"([?&][^=&#\s]*(?:{_QUERY_NAMES})[^=&#\s]*=)[^&#\s'\"]+", re.IGNORECASE)
_DEFAULT_PORTS = {"http": 80, "https": 443}


def redact(text: str) -> str:
    """`text` with the userinfo and the secret-looking query values of every URL in it taken out."""
    return _QUERY_SECRET.sub(r"\1***", _USERINFO.sub(r"\g<scheme>", text))


def display_url(url: str) -> str:
    """`url` as it may appear in a message, a log or a lock."""
    return redact(url)


def split_credentials(url: str) -> tuple[str, tuple[str, str] | None]:
    """`url` without its userinfo, and the user name and password that stood there."""
    parts = urlsplit(url)
    userinfo, separator, host = parts.netloc.rpartition("@")
    if not separator:
        return url, None
    user, _, password = userinfo.partition(":")
    return urlunsplit(parts._replace(netloc=host)), (unquote(user), unquote(password))


def is_loopback(host: str) -> bool:
    """Whether `host` (no port, no brackets) is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def origin(url: str) -> str:
    """Scheme, host and port: what credentials are for (RFC 6454). Raises ValueError for a bad port."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    port = parts.port or _DEFAULT_PORTS.get(scheme, 0)
    return f"{scheme}://{(parts.hostname or '').lower()}:{port}"
