"""An image with torch: what a build from digests alone moves, and what a second pull downloads of torch."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from services.process import Tool

pytestmark = [
    pytest.mark.slow,
    pytest.mark.docker,
    pytest.mark.registry,
    pytest.mark.root,
    pytest.mark.network,
]


class _Handler(BaseHTTPRequestHandler):
    registry: str
    sent: Counter[str]
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do(self) -> None:
        """Hand the request on, and count the bytes of each blob that come back."""
        connection = http.client.HTTPConnection(self.registry, timeout=60)
        names = ("Accept", "Range", "Authorization")
        headers = {name: ", ".join(values) for name in names if (values := self.headers.get_all(name))}
        connection.request(self.command, self.path, headers=headers)
        answer = connection.getresponse()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "date", "server", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        blob = re.search(r"/blobs/(sha256:[0-9a-f]{64})$", self.path)
        while self.command == "GET" and (piece := answer.read(1 << 20)):
            self.wfile.write(piece)
            if blob is not None:
                self.sent[blob[1]] += len(piece)
        connection.close()

    do_GET = do_HEAD = do  # noqa: N815  # http.server's names


@pytest.fixture
def counted(registry: str) -> Iterator[tuple[str, Counter[str]]]:
    """The registry under another address, and the bytes of each blob that it has sent."""
    sent: Counter[str] = Counter()
    handler = type("Bound", (_Handler,), {"registry": registry, "sent": sent})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}", sent
    server.shutdown()
    thread.join()
    server.server_close()


def push(lading: Tool, place: str, folder: Path, **env: str) -> dict[str, Any]:
    words = ("push", "--json", *(("--locked",) if env else ()), place, folder)
    document: dict[str, Any] = json.loads(lading(*words, env=env).stdout)
    return document


def test_torch_moves_once(
    lading: Tool, registry: str, docker: Tool, counted: tuple[str, Counter[str]], tmp_path: Path
) -> None:
    """On an empty machine under 5 MB move for an image of the same torch, and a Docker host that has another
    image with it downloads none of torch's bytes."""
    first = tmp_path / "first"
    first.mkdir()
    (first / "requirements.txt").write_text("torch==2.13.0+cpu\n")
    (first / "lading.toml").write_text('name = "torchy"\nimage.python = "3.11"\n')
    (first / "main.py").write_text("import torch\nprint('first')\n")
    before = push(lading, f"{registry}/team/torchy:1", first)
    second = shutil.copytree(first, tmp_path / "second")
    (second / "main.py").write_text("import torch\nprint('second')\n")
    home = tmp_path / "home"
    after = push(lading, f"{registry}/team/torchy:2", second, LADING_HOME=str(home))
    kept = sum(path.lstat().st_size for path in home.rglob("*") if path.is_file())
    assert kept + after["pushed"]["uploaded_bytes"] < 5_000_000

    address, sent = counted
    docker("pull", f"{address}/team/torchy:1")
    torch = {layer["digest"] for layer in before["layers"] if "torch" in layer["title"].split()[0:3]}
    assert torch
    assert all(sent[digest] > 0 for digest in torch)
    sent.clear()
    docker("pull", f"{address}/team/torchy:2")
    assert {digest: sent[digest] for digest in torch} == dict.fromkeys(torch, 0)
    assert sum(sent.values()) < 1_000_000
    said = docker("run", "--rm", "--network", "none", f"{address}/team/torchy:2", "python", "main.py").stdout
    assert said.strip() == "second"
