"""A small real registry on loopback: it keeps what is pushed, and any answer of it can be made wrong.

Speaks what distribution-spec v1.1 asks of a registry: manifests, blobs by range, uploads in chunks with an
honest `Range`, mounts, referrers when `referrers` is on; bearer or basic authentication when `auth` says so.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

PASSWORD = "hunter2-and-more"
USER = "someone"
Fault = Callable[["Handler"], bool]
"""Answers instead of the registry (True), or lets it answer after all (False)."""


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    received_bytes: int = 0


@dataclass
class FaultRegistry:
    """`fault(method, pattern, …)` makes the next matching requests go wrong, one fault a request."""

    auth: str = ""
    """`bearer`, `basic` or nothing."""
    referrers: bool = False
    token_uses: int = 1 << 30
    """Requests a token is good for."""
    context: ssl.SSLContext | None = None
    family: socket.AddressFamily = socket.AF_INET
    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    uploads: dict[str, bytearray] = field(default_factory=dict)
    log: list[Seen] = field(default_factory=list)
    faults: list[tuple[str, re.Pattern[str], Fault]] = field(default_factory=list)
    tokens: dict[str, int] = field(default_factory=dict)
    released: threading.Event = field(default_factory=threading.Event)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __enter__(self) -> Self:
        handler = type("Bound", (Handler,), {"registry": self})
        kind = type("Server", (ThreadingHTTPServer,), {"address_family": self.family})
        self._server = kind(("::1" if self.family == socket.AF_INET6 else "127.0.0.1", 0), handler)
        self._server.handle_error = lambda *_: None
        if self.context is not None:
            self._server.socket = self.context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def name(self) -> str:
        host = "[::1]" if self.family == socket.AF_INET6 else "127.0.0.1"
        return f"{host}:{self._server.server_address[1]}"

    @property
    def base(self) -> str:
        return f"{'https' if self.context else 'http'}://{self.name}"

    def fault(self, method: str, pattern: str, *faults: Fault) -> None:
        self.faults += [(method, re.compile(pattern), fault) for fault in faults]

    def put(self, repository: str, content: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.blobs[repository, digest] = content
        return digest

    def put_manifest(self, repository: str, tag: str, document: object, media_type: str) -> str:
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        for version in (tag, digest):
            self.manifests[repository, version] = (media_type, content)
        return digest

    def requests(self, method: str, pattern: str = "") -> list[Seen]:
        return [one for one in self.log if one.method == method and re.search(pattern, one.path)]

    def take(self, method: str, path: str) -> Fault | None:
        with self.lock:
            for number, (wanted, pattern, fault) in enumerate(self.faults):
                if wanted == method and pattern.search(path):
                    del self.faults[number]
                    return fault
        return None


class Handler(BaseHTTPRequestHandler):
    registry: FaultRegistry
    protocol_version = "HTTP/1.1"
    timeout = 3

    def log_message(self, *_: Any) -> None:
        pass

    def do(self) -> None:
        self.body_read = False
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.seen = Seen(self.command, self.path, headers)
        self.registry.log.append(self.seen)
        fault = self.registry.take(self.command, self.path)
        try:
            if fault is None or not fault(self):
                self.serve()
        except OSError:
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = do  # noqa: N815  # http.server's names

    # -- answering --

    def answer(self, status: int, content: bytes = b"", **headers: str) -> None:
        if not self.body_read:
            self.read_body()
        self.send_response(status)
        # A kept connection would have the server's thread wait for the next request at the test's end.
        self.send_header("Connection", "close")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def refuse(self, status: int, code: str, message: str = "no", **headers: str) -> None:
        body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
        self.answer(status, body, **headers)

    def read_body(self, most: int | None = None) -> bytes:
        length = int(self.headers.get("Content-Length") or 0)
        length = length if most is None else min(length, most)
        content = self.rfile.read(length) if length else b""
        self.body_read = True
        self.seen.received_bytes += len(content)
        return content

    def hang_up(self, *, with_reset: bool = False) -> None:
        self.wfile.flush()
        if with_reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        self.close_connection = True

    # -- the registry --

    def serve(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/token":
            self.token()
        elif not self.is_known():
            self.challenge()
        elif url.path == "/v2/":
            self.answer(200)
        elif match := re.fullmatch(r"/v2/(.+)/blobs/uploads/([^/]*)", url.path):
            self.upload(match[1], match[2], query)
        elif match := re.fullmatch(r"/v2/(.+)/blobs/([^/]+)", url.path):
            self.blob(match[1], match[2])
        elif match := re.fullmatch(r"/v2/(.+)/manifests/([^/]+)", url.path):
            self.manifest(match[1], match[2])
        elif (match := re.fullmatch(r"/v2/(.+)/referrers/([^/]+)", url.path)) and self.registry.referrers:
            self.refer(match[1], match[2])
        else:
            self.refuse(404, "NOT_FOUND")

    def is_known(self) -> bool:
        said = self.headers.get("Authorization", "")
        if not self.registry.auth:
            return True
        if self.registry.auth == "basic":
            return said == basic()
        token = said.removeprefix("Bearer ")
        with self.registry.lock:
            self.registry.tokens[token] = self.registry.tokens.get(token, 0) - 1
            return self.registry.tokens[token] >= 0

    def challenge(self) -> None:
        text = f'Bearer realm="{self.registry.base}/token",service="tests"'
        if self.registry.auth == "basic":
            text = 'Basic realm="tests"'
        self.refuse(401, "UNAUTHORIZED", WWW_Authenticate=text)

    def token(self) -> None:
        if self.headers.get("Authorization", "") != basic():
            self.refuse(401, "UNAUTHORIZED")
            return
        with self.registry.lock:
            token = f"token-{len(self.registry.tokens):04}-secret"
            self.registry.tokens[token] = self.registry.token_uses
        self.answer(200, json.dumps({"token": token}).encode())

    def blob(self, repository: str, digest: str) -> None:
        content = self.registry.blobs.get((repository, digest))
        if content is None:
            self.refuse(404, "BLOB_UNKNOWN")
            return
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if match is None:
            length = {"Content_Length": str(len(content))} if self.command == "HEAD" else {}
            self.answer(200, b"" if length else content, Docker_Content_Digest=digest, **length)
            return
        first, last = int(match[1]), int(match[2] or len(content) - 1)
        said = f"bytes {first}-{min(last, len(content) - 1)}/{len(content)}"
        self.answer(206, content[first : last + 1], Content_Range=said)

    def manifest(self, repository: str, version: str) -> None:
        if self.command == "PUT":
            content = self.read_body()
            for digest in re.findall(rb'"digest":"(sha256:[0-9a-f]{64})"', content):
                there = (repository, digest.decode())
                is_image = b'"layers"' in content and b'"subject"' not in content
                if is_image and there not in self.registry.blobs:
                    self.refuse(404, "MANIFEST_BLOB_UNKNOWN")
                    return
            media_type = self.headers.get("Content-Type", "")
            digest = self.registry.put_manifest(repository, version, content, media_type)
            subject = json.loads(content).get("subject")
            extra = {"OCI_Subject": subject["digest"]} if subject and self.registry.referrers else {}
            self.answer(201, Docker_Content_Digest=digest, **extra)
            return
        found = self.registry.manifests.get((repository, version))
        if found is None:
            self.refuse(404, "MANIFEST_UNKNOWN")
            return
        self.answer(200, found[1], Content_Type=found[0])

    def refer(self, repository: str, digest: str) -> None:
        rows = []
        for (place, version), (media_type, content) in self.registry.manifests.items():
            subject = json.loads(content).get("subject") or {}
            if place == repository and version.startswith("sha256:") and subject.get("digest") == digest:
                rows.append({"mediaType": media_type, "digest": version, "size": len(content)})
        document = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": rows,
        }
        self.answer(200, json.dumps(document).encode(), Content_Type=document["mediaType"])

    def upload(self, repository: str, name: str, query: dict[str, str]) -> None:
        if self.command == "POST":
            mounted = self.registry.blobs.get((query.get("from", ""), query.get("mount", "")))
            if mounted is not None:
                self.registry.blobs[repository, query["mount"]] = mounted
                self.answer(201, Location=f"/v2/{repository}/blobs/{query['mount']}")
                return
            name = f"session-{len(self.registry.uploads)}"
            self.registry.uploads[name] = bytearray()
            self.progress(repository, name)
            return
        held = self.registry.uploads.get(name)
        if held is None:
            self.refuse(404, "BLOB_UPLOAD_UNKNOWN")
            return
        if self.command == "GET":
            self.progress(repository, name, 204)
            return
        first = int((self.headers.get("Content-Range") or f"{len(held)}-").partition("-")[0])
        if first != len(held):
            self.read_body()
            self.progress(repository, name, 416)
            return
        self.append(held)
        if self.command == "PATCH":
            self.progress(repository, name)
            return
        digest = f"sha256:{hashlib.sha256(held).hexdigest()}"
        if digest != query.get("digest"):
            self.refuse(400, "DIGEST_INVALID")
            return
        self.registry.blobs[repository, digest] = bytes(held)
        del self.registry.uploads[name]
        self.answer(201, Location=f"/v2/{repository}/blobs/{digest}", Docker_Content_Digest=digest)

    def append(self, held: bytearray, most: int | None = None) -> None:
        """Whatever comes is kept as it comes, as a registry does when the sender dies."""
        left = int(self.headers.get("Content-Length") or 0)
        left = left if most is None else min(left, most)
        self.body_read = True
        while left and (piece := self.rfile.read1(min(left, 65536))):
            held += piece
            self.seen.received_bytes += len(piece)
            left -= len(piece)
        if left:
            raise ConnectionResetError("the sender is gone")

    def progress(self, repository: str, name: str, status: int = 202) -> None:
        held = len(self.registry.uploads[name])
        location = f"/v2/{repository}/blobs/uploads/{name}?_state=secret-{name}"
        self.answer(status, Location=location, Range=f"0-{max(0, held - 1)}")


def basic() -> str:
    return "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


def status(code: int, error: str = "", message: str = "no", **headers: str) -> Fault:
    """Answers so, and does nothing."""

    def fault(handler: Handler) -> bool:
        handler.refuse(code, error or "FAULT", message, **headers)
        return True

    return fault


def raw(content: bytes, code: int = 200, **headers: str) -> Fault:
    def fault(handler: Handler) -> bool:
        handler.answer(code, content, **headers)
        return True

    return fault


def dropped(after: int = 0, *, with_reset: bool = False) -> Fault:
    """Takes `after` bytes of an upload into the session, then hangs up without a word."""

    def fault(handler: Handler) -> bool:
        name = urlsplit(handler.path).path.rpartition("/")[2]
        if name in handler.registry.uploads and after:
            handler.append(handler.registry.uploads[name], after)
        handler.hang_up(with_reset=with_reset)
        return True

    return fault


def unheard(handler: Handler) -> bool:
    """Does what it is asked, and the answer gets lost."""
    kept = handler.wfile
    handler.wfile = Nowhere()  # type: ignore[assignment]
    try:
        handler.serve()
    finally:
        handler.wfile = kept
    handler.hang_up()
    return True


class Nowhere:
    def write(self, data: bytes) -> int:
        return len(data)

    def flush(self) -> None:
        pass


def cut(after: int, *, with_reset: bool = False) -> Fault:
    """A blob whose body breaks off after `after` bytes of what was promised."""

    def fault(handler: Handler) -> bool:
        digest = handler.path.rpartition("/")[2]
        content = next(body for (_, name), body in handler.registry.blobs.items() if name == digest)
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", handler.headers.get("Range", ""))
        first = int(match[1]) if match else 0
        last = len(content) - 1
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        handler.send_header("Content-Length", str(last - first + 1))
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(content[first : first + after])
        handler.hang_up(with_reset=with_reset)
        return True

    return fault


def stalled(handler: Handler) -> bool:
    """Says nothing at all until the test ends."""
    handler.registry.released.wait(10)
    handler.hang_up()
    return True


def dripping(handler: Handler) -> bool:
    """A byte of the headers now and then, for ever."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not handler.registry.released.wait(0.02):
        handler.wfile.write(b"x")
    handler.hang_up()
    return True
