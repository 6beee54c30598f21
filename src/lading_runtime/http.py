"""HTTP for the server: one thread a connection, bounded; deadlines against slow peers; errors as JSON.

Routes are in routes.py; this module knows bytes, sockets and limits, and no tensor.
"""

from __future__ import annotations

import abc
import contextlib
import email.message
import io
import socket
import threading
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lading_runtime.log import log
from lading_runtime.protocol import SERVER_NAME, to_json
from lading_runtime.state import ServerState
from lading_runtime.tensors import BadRequest

_DISCARD_BYTES = 1 << 20


@dataclass(frozen=True)
class Limits:
    body_bytes: int = 64 << 20
    connections: int = 512
    idle_seconds: float = 75.0
    """How long a kept connection may be silent between requests."""
    header_seconds: float = 10.0
    body_seconds: float = 60.0
    request_seconds: float = 60.0
    """How long the model may run, and how long a request may wait for its turn."""


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    close: bool = False

    @classmethod
    def json(cls, document: Any, status: int = 200) -> Answer:
        return cls(status, to_json(document))

    @classmethod
    def error(cls, status: int, message: str, *, close: bool = False, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(status, to_json({"error": message}), headers=named, close=close)


class _DeadlineReader(io.RawIOBase):
    """A socket's bytes until `deadline` (monotonic seconds): a peer that trickles cannot stretch it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.deadline = 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    allow_reuse_address = True

    def __init__(
        self, address: tuple[str, int], handler: type[Handler], state: ServerState, limits: Limits
    ) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self.state = state
        self.limits = limits
        self.closing = False
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._open_lock:
            full = len(self._open) >= self.limits.connections
            if not full:
                self._open.add(request)
        if full:
            _refuse(request)
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread could be started
            _refuse(request)
            self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Called inside an except block: a peer that went away is no event, all else is logged."""
        import sys

        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError):
            log("error", error=repr(error))

    def close_idle(self) -> None:
        """End kept connections: what a peer has already sent is still read and answered."""
        self.closing = True
        with self._open_lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)

    def open_connections(self) -> int:
        with self._open_lock:
            return len(self._open)


def _refuse(connection: socket.socket) -> None:
    body = b'{"error": "too many connections"}'
    head = (
        f"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
        f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with contextlib.suppress(OSError):
        connection.settimeout(1.0)
        connection.sendall(head.encode() + body)


class Handler(abc.ABC, BaseHTTPRequestHandler):
    """Reads one request after another; a subclass answers them in `answer`."""

    protocol_version = "HTTP/1.1"
    server_version = SERVER_NAME
    sys_version = ""
    disable_nagle_algorithm = True
    server: Server

    @abc.abstractmethod
    def answer(self, method: str, path: str) -> Answer:
        """What a request gets. The body is read by whoever needs it."""

    def setup(self) -> None:
        super().setup()
        self._reader = _DeadlineReader(self.connection)
        self._buffer = io.BufferedReader(self._reader)
        self.rfile = self._buffer

    def handle_one_request(self) -> None:
        """Overrides the base: a deadline a phase, JSON errors, and in-flight from the first byte on."""
        self.close_connection = True
        self._answered = self._body_read = started = False
        self.requestline, self.request_version, self.command = "", "HTTP/1.1", ""
        self.headers = email.message.Message()
        limits = self.server.limits
        try:
            self._reader.deadline = time.monotonic() + limits.idle_seconds
            started = bool(self._buffer.peek(1))
            if started:
                with self.server.state.request():
                    self._reader.deadline = time.monotonic() + limits.header_seconds
                    self._serve()
        except TimeoutError:
            # A silent kept connection is closed without a word; half a request is told.
            if started and not self._answered:
                self._send(Answer.error(408, "the request took too long to arrive", close=True))
            self.close_connection = True

    def _serve(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if len(self.raw_requestline) > 65536:
            self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG)
            return
        if not self.raw_requestline.strip():
            self.close_connection = not self.raw_requestline
            return
        if not self.parse_request():
            return
        try:
            answer = self.answer(self.command, self.path)
        except BadRequest as error:
            answer = Answer.error(error.status, str(error))
        except (ConnectionError, TimeoutError):
            raise
        except Exception as error:  # noqa: BLE001 - a bug of ours answers one request, it ends no server
            log("error", error=repr(error), path=self.path[:200])
            answer = Answer.error(500, "the server failed on this request", close=True)
        self._send(answer)

    def read_body(self) -> bytes:
        """The request's body. Raises BadRequest: 411 without a length, 413 over the limit."""
        lengths = self.headers.get_all("Content-Length", [])
        if "Transfer-Encoding" in self.headers:
            raise BadRequest("a body needs a Content-Length; chunked bodies are not read", 411)
        if not lengths:
            raise BadRequest("a body needs a Content-Length", 411)
        if len(lengths) > 1 or not (lengths[0].isascii() and lengths[0].isdigit()):
            raise BadRequest("Content-Length is no length")
        if len(lengths[0]) > 18 or int(lengths[0]) > self.server.limits.body_bytes:
            raise BadRequest(f"the body is over {self.server.limits.body_bytes} bytes", 413)
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(HTTPStatus.CONTINUE)
            self.end_headers()
        self._reader.deadline = time.monotonic() + self.server.limits.body_seconds
        body = self.rfile.read(int(lengths[0]))
        if len(body) < int(lengths[0]):
            raise ConnectionResetError("the peer left in the middle of its body")
        self._body_read = True
        return body

    def handle_expect_100(self) -> bool:
        """The go-ahead is sent by `read_body`, once the length is known to be allowed."""
        return True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """The base class calls it for what is no HTTP; an unknown version is a client's mistake too."""
        status = 400 if code >= 500 else code
        self.request_version = "HTTP/1.1"  # the base class assumes 0.9, which has no status line
        self._send(Answer.error(status, message or HTTPStatus(code).phrase, close=True))

    def _send(self, answer: Answer) -> None:
        self._answered = True
        # close_connection is what parse_request made of the Connection header and the HTTP version.
        close = answer.close or self.close_connection or not self._is_drained()
        close = close or self.server.closing or self.server.state.draining
        self.connection.settimeout(self.server.limits.body_seconds)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if close:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
        self.close_connection = close
        if close and not self._body_read:
            self._linger()

    def _is_drained(self) -> bool:
        """False when an unread body would be taken for the next request."""
        if self._body_read:
            return True
        length = self.headers.get("Content-Length", "0").strip()
        return length in ("", "0") and "Transfer-Encoding" not in self.headers

    def _linger(self) -> None:
        """Read a little of what was refused: closing over unread bytes resets the answer away."""
        with contextlib.suppress(OSError, ValueError):
            self.connection.shutdown(socket.SHUT_WR)
            self._reader.deadline = time.monotonic() + 1.0
            left = _DISCARD_BYTES
            while left > 0 and (chunk := self.rfile.read1(min(left, 65536))):
                left -= len(chunk)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Requests are counted, not logged line by line."""
