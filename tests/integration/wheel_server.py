"""A package index on loopback that writes down every byte of a wheel it sends, and can fail on purpose.

Knows the simple API (PEP 691, 658) and ranges (RFC 9110 §14); must not know lading.
"""

from __future__ import annotations

import base64
import hashlib
import json
import mmap
import re
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_CHUNK_BYTES = 64 << 10


@dataclass(kw_only=True)
class Sent:
    """One answer to a GET of the wheel: from which byte on, and how many bytes went out."""

    first: int
    length: int = 0


@dataclass(kw_only=True)
class WheelServer:
    """Serves one wheel. What may go wrong is set between two commands."""

    wheel: Path
    url: str = ""
    knows_ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    """Offsets in the file: a stream that reaches one closes the connection there, once."""
    flipped_byte: int | None = None
    """The byte at this offset is another one on the wire."""
    gate_offset: int | None = None
    """A stream stops before this offset until `gate` is set."""
    gate: threading.Event = field(default_factory=threading.Event)
    at_gate: threading.Event = field(default_factory=threading.Event)
    sent: list[Sent] = field(default_factory=list)
    password: str | None = None
    """Who asks must be `reader` with this password."""

    def reset(self) -> None:
        """Nothing goes wrong any more, nothing was sent yet."""
        self.knows_ranges, self.cuts, self.flipped_byte, self.gate_offset = True, [], None, None
        self.gate, self.at_gate, self.sent = threading.Event(), threading.Event(), []
        self.password = None

    @property
    def sent_bytes(self) -> int:
        return sum(one.length for one in self.sent)

    def streamed(self) -> list[tuple[int, int]]:
        """First byte and end of each answer, in order."""
        return [(one.first, one.first + one.length) for one in self.sent]


@contextmanager
def wheel_server(wheel: Path) -> Iterator[WheelServer]:
    """`wheel` on a free port of 127.0.0.1, at an index whose URL is `url`."""
    server = WheelServer(wheel=wheel)
    with wheel.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        handler = type("Bound", (_Handler,), {"server_state": server, "content": content})
        listener = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        listener.daemon_threads = False
        server.url = f"http://127.0.0.1:{listener.server_address[1]}/simple/"
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.gate.set()
            listener.shutdown()
            thread.join()
            listener.server_close()


class _Handler(BaseHTTPRequestHandler):
    server_state: WheelServer
    content: mmap.mmap
    protocol_version = "HTTP/1.1"
    timeout = 5

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        name = self.server_state.wheel.name
        project = name.partition("-")[0].replace("_", "-")
        if not self._allowed():
            self._head(401, 0, WWW_Authenticate='Basic realm="index"')
        elif self.path == f"/simple/{project}/":
            self._whole(json.dumps(self._page(project)).encode(), "application/vnd.pypi.simple.v1+json")
        elif self.path == f"/files/{name}.metadata":
            self._whole(_metadata(self.server_state.wheel), "text/plain")
        elif self.path == f"/files/{name}":
            self._file()
        else:
            self._head(404, 0)

    def _allowed(self) -> bool:
        password = self.server_state.password
        expected = base64.b64encode(f"reader:{password}".encode()).decode()
        return password is None or self.headers.get("Authorization") == f"Basic {expected}"

    def _page(self, project: str) -> dict[str, Any]:
        wheel = self.server_state.wheel
        file = {
            "filename": wheel.name,
            "url": f"../../files/{wheel.name}",
            "hashes": {"sha256": hashlib.sha256(self.content).hexdigest()},
            "size": len(self.content),
            "core-metadata": {"sha256": hashlib.sha256(_metadata(wheel)).hexdigest()},
        }
        return {
            "meta": {"api-version": "1.1"},
            "name": project,
            "versions": [wheel.name.split("-")[1]],
            "files": [file],
        }

    def _head(self, status: int, length: int, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Connection", "close")
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.close_connection = True

    def _whole(self, body: bytes, content_type: str) -> None:
        self._head(200, len(body), Content_Type=content_type)
        if self.command == "GET":
            self.wfile.write(body)

    def _file(self) -> None:
        total = len(self.content)
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first, last = 0, total - 1
        if wanted is None or not self.server_state.knows_ranges:
            self._head(200, total, ETag='"one"')
        else:
            first, last = int(wanted[1]), int(wanted[2] or total - 1)
            self._head(206, last - first + 1, ETag='"one"', Content_Range=f"bytes {first}-{last}/{total}")
        if self.command == "GET":
            self._send(first, last + 1)

    def _send(self, offset: int, end: int) -> None:
        state = self.server_state
        record = Sent(first=offset)
        state.sent.append(record)
        # Only streams are disturbed: a request for the end alone is short.
        stops = state.cuts if end - offset > _CHUNK_BYTES * 4 else []
        cut = min((at for at in stops if offset <= at < end), default=None)
        end = end if cut is None else cut
        try:
            while offset < end:
                self._wait(offset, end)
                piece = self._piece(offset, min(end, offset + _CHUNK_BYTES))
                self.wfile.write(piece)
                offset += len(piece)
                record.length += len(piece)
        except (BrokenPipeError, ConnectionResetError):
            return
        if cut is not None:
            state.cuts.remove(cut)

    def _wait(self, offset: int, end: int) -> None:
        state = self.server_state
        if state.gate_offset is not None and offset <= state.gate_offset < min(end, offset + _CHUNK_BYTES):
            state.at_gate.set()
            state.gate.wait(60)

    def _piece(self, offset: int, end: int) -> bytes:
        flipped = self.server_state.flipped_byte
        piece = self.content[offset:end]
        if flipped is None or not offset <= flipped < end:
            return piece
        return (
            piece[: flipped - offset] + bytes([piece[flipped - offset] ^ 1]) + piece[flipped - offset + 1 :]
        )


def _metadata(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return archive.read(name)


Fill = Callable[[zipfile.ZipFile], list[tuple[str, str, int]]]
"""Writes members; returns name, sha256 in hex digits and size of each."""


def write_wheel(folder: Path, name: str, fill: Fill) -> Path:
    """A valid wheel `name` 1.0 with the members that `fill` writes first."""
    path = folder / f"{name.replace('-', '_')}-1.0-py3-none-any.whl"
    info = f"{name.replace('-', '_')}-1.0.dist-info"
    small = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        rows = fill(archive)
        for member, text in small.items():
            archive.writestr(zipfile.ZipInfo(member, (2020, 1, 1, 0, 0, 0)), text)
            rows.append((member, hashlib.sha256(text.encode()).hexdigest(), len(text)))
        record = "".join(f"{member},sha256={_urlsafe(digest)},{size}\n" for member, digest, size in rows)
        archive.writestr(
            zipfile.ZipInfo(f"{info}/RECORD", (2020, 1, 1, 0, 0, 0)), record + f"{info}/RECORD,,\n"
        )
    return path


def _urlsafe(digest: str) -> str:
    return base64.urlsafe_b64encode(bytes.fromhex(digest)).decode().rstrip("=")
