"""Connections that give up on a server which never finishes its headers.

A socket's time limit begins anew with each byte, so a byte now and then would keep a caller for days. Here
the wait for an answer's headers has an end of its own.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

import requests
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection


def patient_adapter(headers_seconds: float) -> requests.adapters.HTTPAdapter:
    """requests' adapter, whose connections wait `headers_seconds` for headers after the silence allowed."""

    class Plain(HTTPConnection):
        def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # as urllib3 has it
            with _deadline(self.sock, _limit(self.timeout, headers_seconds)):
                return super().getresponse()

    class Secure(HTTPSConnection):
        def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # as urllib3 has it
            with _deadline(self.sock, _limit(self.timeout, headers_seconds)):
                return super().getresponse()

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Secure

    class Adapter(requests.adapters.HTTPAdapter):
        def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
            super().init_poolmanager(*arguments, **options)
            self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}

        def proxy_manager_for(self, *arguments: Any, **options: Any) -> urllib3.PoolManager:
            manager: urllib3.PoolManager = super().proxy_manager_for(*arguments, **options)
            manager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
            return manager

    return Adapter(pool_connections=16, pool_maxsize=16)


def _limit(silence: object, headers_seconds: float) -> float:
    """Never shorter than what one silence may take."""
    return headers_seconds + (float(silence) if isinstance(silence, int | float) else 0.0)


@contextlib.contextmanager
def _deadline(connected: socket.socket | None, seconds: float) -> Any:
    """Hang up after `seconds`. Raises TimeoutError then: what had come by that time is half an answer."""
    late = threading.Event()

    def hang_up() -> None:
        late.set()
        with contextlib.suppress(OSError):
            # Of the plain socket: TLS would say goodbye first, and wait to be answered.
            if connected is not None:
                socket.socket.shutdown(connected, socket.SHUT_RDWR)

    watch = threading.Timer(seconds, hang_up)
    watch.daemon = True
    watch.start()
    try:
        yield
    except Exception:
        if late.is_set():
            raise TimeoutError("the headers of the answer came too slowly") from None
        raise
    finally:
        watch.cancel()
    if late.is_set():
        raise TimeoutError("the headers of the answer came too slowly")
