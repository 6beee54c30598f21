"""A package index on loopback that sends all its clients together no more than so many bytes a second.

    python -m benchmarks.slow_index FOLDER MEGABYTES_PER_SECOND

Knows the simple API (PEP 691, 658) and ranges (RFC 9110 §14). A process of its own: what it does must not be
counted as the client's work. Prints its address, then one line for each GET of a wheel.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import threading
import time
import zipfile
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_CHUNK_BYTES = 256 << 10


class Tap:
    """Bytes leave one after another, each at its time."""

    def __init__(self, bytes_per_second: float) -> None:
        self._seconds_per_byte = 1 / bytes_per_second
        self._free_at = 0.0
        self._lock = threading.Lock()

    def wait_for(self, size_bytes: int) -> None:
        """Until these bytes may leave; an idle tap saves nothing up."""
        with self._lock:
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + size_bytes * self._seconds_per_byte
            pause = self._free_at - now
        time.sleep(max(pause, 0))


class Shelf:
    """The wheels and what the index says of them; digests and metadata are read once."""

    def __init__(self, folder: Path) -> None:
        self.wheels = {wheel.name: wheel for wheel in sorted(folder.glob("*.whl"))}
        self.metadata = {name: _metadata(wheel) for name, wheel in self.wheels.items()}
        self._files: dict[str, list[dict[str, Any]]] = {}
        for name, wheel in self.wheels.items():
            self._files.setdefault(_project(name), []).append(self._file(name, wheel))

    def _file(self, name: str, wheel: Path) -> dict[str, Any]:
        with wheel.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {
            "filename": name,
            "url": f"../../files/{name}",
            "hashes": {"sha256": digest},
            "size": wheel.stat().st_size,
            "core-metadata": {"sha256": hashlib.sha256(self.metadata[name]).hexdigest()},
        }

    def page(self, project: str) -> bytes | None:
        if (files := self._files.get(project)) is None:
            return None
        versions = sorted({file["filename"].split("-")[1] for file in files})
        document = {"meta": {"api-version": "1.1"}, "name": project, "versions": versions, "files": files}
        return json.dumps(document).encode()


class Handler(BaseHTTPRequestHandler):
    """One request. `shelf` and `tap` are of the server's."""

    shelf: Shelf
    tap: Tap
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        _, kind, name, *_rest = (*self.path.split("/"), "", "")
        if kind == "simple" and (page := self.shelf.page(name)) is not None:
            self._whole(page, "application/vnd.pypi.simple.v1+json")
        elif kind == "files" and name.removesuffix(".metadata") in self.shelf.metadata:
            if name.endswith(".metadata"):
                self._whole(self.shelf.metadata[name.removesuffix(".metadata")], "text/plain")
            else:
                self._wheel(self.shelf.wheels[name])
        else:
            self._head(404, 0, {})

    def _head(self, status: int, length: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _whole(self, body: bytes, content_type: str) -> None:
        self._head(200, len(body), {"Content-Type": content_type})
        if self.command == "GET":
            self.wfile.write(body)

    def _wheel(self, path: Path) -> None:
        total = path.stat().st_size
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        first, last = _span(wanted[1], wanted[2], total) if wanted else (0, total - 1)
        headers = {"ETag": '"one"', "Accept-Ranges": "bytes"}
        if wanted:
            headers["Content-Range"] = f"bytes {first}-{last}/{total}"
        self._head(206 if wanted else 200, last - first + 1, headers)
        if self.command == "GET":
            print(f"GET {path.name} {first}-{last}", flush=True)
            self._send(path, first, last + 1)

    def _send(self, path: Path, offset: int, end: int) -> None:
        try:
            with path.open("rb") as file:
                while offset < end:
                    size = min(_CHUNK_BYTES, end - offset)
                    self.tap.wait_for(size)
                    offset += self.connection.sendfile(file, offset, size)
        except OSError:
            self.close_connection = True  # the client had enough


def _span(first: str, last: str, total: int) -> tuple[int, int]:
    """First and last byte of a range that may be open at either end. Pure."""
    if not first:
        return total - min(int(last), total), total - 1
    return int(first), min(int(last), total - 1) if last else total - 1


def _project(wheel: str) -> str:
    return re.sub(r"[-_.]+", "-", wheel.split("-")[0]).lower()


def _metadata(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", n)]
        return archive.read(name)


def main() -> None:
    folder, megabytes = Path(sys.argv[1]), float(sys.argv[2])
    state = {"shelf": Shelf(folder), "tap": Tap(megabytes * 1e6)}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), state))
    server.daemon_threads = True
    print(f"http://127.0.0.1:{server.server_address[1]}/", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
