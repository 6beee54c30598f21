"""A small real HTTP server on loopback whose every answer can be made wrong in a chosen way."""

from __future__ import annotations

import hashlib
import re
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]


Answer = Callable[["Handler", bytes], None]


@dataclass
class Loopback:
    """`files` by path; `answers[path]` are used one a request, the last one for ever."""

    files: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    log: list[Request] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    """Set when the test ends: answers that stall wait for it."""

    def __enter__(self) -> Self:
        handler = type("Bound", (Handler,), {"loopback": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def url(self, path: str, host: str = "127.0.0.1", userinfo: str = "") -> str:
        return f"http://{userinfo + '@' if userinfo else ''}{host}:{self.port}{path}"

    def methods(self) -> list[str]:
        return [request.method for request in self.log]

    def ranges(self) -> list[str | None]:
        return [request.headers.get("range") for request in self.log if request.method == "GET"]


class Handler(BaseHTTPRequestHandler):
    loopback: Loopback
    protocol_version = "HTTP/1.1"
    timeout = 2

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.loopback.log.append(Request(self.command, self.path, headers))
        queue = self.loopback.answers.get(self.path, [ranges])
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        content = self.loopback.files.get(self.path)
        if content is None and answer is ranges:
            answer = status(404)
        try:
            answer(self, content or b"")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def wanted(self, content: bytes) -> tuple[int, int] | None:
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        return (int(match[1]), int(match[2] or len(content) - 1)) if match else None

    def begin(self, code: int, length: int | None, **headers: str) -> None:
        self.send_response(code)
        # A kept connection would have the server's thread wait for the next request at the test's end.
        self.send_header("Connection", "close")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def body(self, content: bytes) -> None:
        if self.command != "HEAD":
            self.wfile.write(content)

    def drop(self) -> None:
        """Close at once, in the middle of whatever was promised."""
        self.wfile.flush()
        self.close_connection = True

    def reset(self) -> None:
        """RST instead of FIN."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True


def etag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:16]}"'


def ranges(handler: Handler, content: bytes) -> None:
    """A good server: 206 for a range, If-Range honoured."""
    wanted = handler.wanted(content)
    condition = handler.headers.get("If-Range")
    if wanted is None or (condition is not None and condition != etag(content)):
        handler.begin(200, len(content), ETag=etag(content))
        handler.body(content)
        return
    first, last = wanted
    part = content[first : last + 1]
    handler.begin(206, len(part), ETag=etag(content), Content_Range=f"bytes {first}-{last}/{len(content)}")
    handler.body(part)


def whole(handler: Handler, content: bytes) -> None:
    """A server that knows no ranges."""
    handler.begin(200, len(content), ETag=etag(content))
    handler.body(content)


def status(code: int, **headers: str) -> Answer:
    def answer(handler: Handler, content: bytes) -> None:
        handler.begin(code, 0, **headers)

    return answer


def redirect(to: str, code: int = 302) -> Answer:
    return status(code, Location=to)


def broken_after(count: int, *, with_reset: bool = False, ignore_range: bool = False) -> Answer:
    """Promises the whole part, sends `count` bytes of it and hangs up."""

    def answer(handler: Handler, content: bytes) -> None:
        wanted = None if ignore_range else handler.wanted(content)
        first, last = wanted or (0, len(content) - 1)
        part = content[first : last + 1]
        if wanted is None:
            handler.begin(200, len(part), ETag=etag(content))
        else:
            handler.begin(
                206, len(part), ETag=etag(content), Content_Range=f"bytes {first}-{last}/{len(content)}"
            )
        if handler.command == "HEAD":
            return
        handler.body(part[:count])
        if with_reset:
            handler.reset()
        else:
            handler.drop()

    return answer


def content_range(text: str) -> Answer:
    """206 with this Content-Range, whatever was asked for."""

    def answer(handler: Handler, content: bytes) -> None:
        first, last = handler.wanted(content) or (0, len(content) - 1)
        part = content[first : last + 1]
        handler.begin(206, len(part), ETag=etag(content), Content_Range=text)
        handler.body(part)

    return answer


def stalled(handler: Handler, content: bytes) -> None:
    """Promises the file and sends nothing."""
    handler.begin(200, len(content))
    handler.loopback.released.wait(10)
    handler.drop()


def crawling(handler: Handler, content: bytes) -> None:
    """One byte now and then."""
    handler.begin(200, len(content))
    for byte in content:
        handler.body(bytes([byte]))
        if handler.loopback.released.wait(0.02):
            break
    handler.drop()
