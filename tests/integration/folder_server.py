"""A folder on loopback, read-only, as a mirror or an index of plain files is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass(kw_only=True)
class FolderServer:
    url: str
    asked: list[str] = field(default_factory=list)
    """Method and path of each request."""


class _Handler(SimpleHTTPRequestHandler):
    asked: list[str]

    def log_request(self, *_: object) -> None:
        self.asked.append(f"{self.command} {self.path}")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def folder_server(folder: Path) -> Iterator[FolderServer]:
    asked: list[str] = []
    handler = type("Handler", (_Handler,), {"asked": asked})
    listener = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    thread = threading.Thread(target=listener.serve_forever)
    thread.start()
    try:
        yield FolderServer(url=f"http://127.0.0.1:{listener.server_port}", asked=asked)
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()
