"""Laws of the server: the protocol's routes, its errors, limits, slow peers and the drain."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lading_runtime.http import Limits, Server
from lading_runtime.routes import InferenceHandler
from lading_runtime.state import ServerState
from lading_runtime.tensors import BadRequest, Tensor, TensorSpec

DEFAULT = Limits()
GOOD = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}


class Doubling:
    """Y = 2X; `gate` makes every run wait until the test opens it."""

    inputs = (TensorSpec("X", "FP32", (-1, 2)),)
    outputs = (TensorSpec("Y", "FP32", (-1, 2)),)

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.running = threading.Semaphore(0)

    def infer(self, tensors: Sequence[Tensor], wanted: Sequence[str], timeout_seconds: float) -> list[Tensor]:
        self.running.release()
        if not self.gate.wait(timeout_seconds):
            raise BadRequest("too slow", 504)
        (x,) = tensors
        if x.values and x.values[0] == 13.0:
            raise RuntimeError("a bug")
        values = [float("nan") if value == 7.0 else value * 2 for value in x.values]
        return [Tensor(name, "FP32", x.shape, values) for name in wanted]


class Running:
    def __init__(self, model: Doubling | None, limits: Limits, concurrency: int, queue: int) -> None:
        self.state = ServerState(concurrency=concurrency, queue=queue)
        self.model = model or Doubling()
        self.state.model = self.model
        self.server = Server(("127.0.0.1", 0), InferenceHandler.bind("digits", "3"), self.state, limits)
        self.port: int = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self) -> None:
        self.model.gate.set()
        self.server.shutdown()
        self.server.server_close()
        self.server.close_idle()
        self.thread.join()

    def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any, http.client.HTTPMessage]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            content = json.dumps(body).encode() if isinstance(body, dict) else body
            connection.request(method, path, content, headers or {})
            response = connection.getresponse()
            text = response.read()
            document = (
                json.loads(text) if response.headers["Content-Type"] == "application/json" and text else text
            )
            return response.status, document, response.headers
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def raw(self, content: bytes) -> bytes:
        with self.connect() as connection:
            connection.sendall(content)
            chunks = []
            with contextlib.suppress(ConnectionResetError):
                while chunk := connection.recv(65536):
                    chunks.append(chunk)
            return b"".join(chunks)


@contextlib.contextmanager
def serving(*, limits: Limits = DEFAULT, concurrency: int = 2, queue: int = 8) -> Iterator[Running]:
    running = Running(None, limits, concurrency, queue)
    try:
        yield running
    finally:
        running.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with serving(limits=Limits(body_bytes=100_000, header_seconds=5, body_seconds=5)) as running:
        yield running


INFER = "/v2/models/digits/infer"
POST = b"POST " + INFER.encode()


def test_the_routes_of_the_protocol(server: Running) -> None:
    assert server.call("GET", "/v2")[:2] == (200, {"name": "lading", "version": "0.1.0", "extensions": []})
    assert server.call("GET", "/v2/health/live")[:2] == (200, {"live": True})
    assert server.call("GET", "/v2/health/ready")[:2] == (200, {"ready": True})
    status, document, _ = server.call("GET", "/v2/models/digits")
    assert (status, document["versions"], document["platform"]) == (200, ["3"], "onnx_onnxv1")
    assert document["inputs"] == [{"name": "X", "datatype": "FP32", "shape": [-1, 2]}]
    assert server.call("GET", "/v2/models/digits/versions/3")[1] == document
    for path in ("/v2/models/digits/ready", "/v2/models/digits/versions/3/ready"):
        assert server.call("GET", path)[:2] == (200, {"name": "digits", "ready": True})
    for path in (INFER, "/v2/models/digits/versions/3/infer"):
        assert server.call("POST", path, {**GOOD, "id": "a7"})[1] == {
            "model_name": "digits",
            "model_version": "3",
            "id": "a7",
            "outputs": [{"name": "Y", "datatype": "FP32", "shape": [1, 2], "data": [2.0, 4.0]}],
        }
    assert server.call("HEAD", "/v2/health/live")[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("GET", "/", None, {}, 404),
        ("GET", "/v2/models/other", None, {}, 404),
        ("GET", "/v2/models/digits/versions/9", None, {}, 404),
        ("GET", "/v2/models/digits/nothing", None, {}, 404),
        ("GET", "/v2/models/%ff%00/ready", None, {}, 404),
        ("GET", INFER, None, {}, 405),
        ("POST", "/v2/health/live", b"{}", {}, 405),
        ("BREW", INFER, b"{}", {}, 405),
        ("POST", INFER, b"{", {}, 400),
        ("POST", INFER, b"x" * 100_001, {}, 413),
        ("POST", INFER, GOOD, {"Content-Type": "text/plain"}, 415),
        ("POST", INFER, GOOD, {"Content-Encoding": "gzip"}, 415),
        ("POST", INFER, GOOD, {"Inference-Header-Content-Length": "3"}, 415),
        ("POST", INFER, {**GOOD, "outputs": [{"name": "Z"}]}, {}, 422),
        ("POST", INFER, {"inputs": [{**GOOD["inputs"][0], "name": "Z"}]}, {}, 422),
        ("POST", INFER, {"inputs": [{**GOOD["inputs"][0], "datatype": "FP64"}]}, {}, 422),
        ("POST", INFER, {"inputs": [{**GOOD["inputs"][0], "data": [7, 7]}]}, {}, 422),
        ("POST", INFER, {"inputs": [{**GOOD["inputs"][0], "data": [13, 13]}]}, {}, 500),
    ],
)
def test_errors_are_json_with_their_status(
    server: Running, method: str, path: str, body: Any, headers: dict[str, str], status: int
) -> None:
    answered, document, _ = server.call(method, path, body, headers)
    assert answered == status
    assert isinstance(document["error"], str)
    assert server.call("POST", INFER, GOOD)[0] == 200


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (POST + b" HTTP/1.1\r\nConnection: close\r\n\r\n", b"411"),
        (POST + b" HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"411"),
        (
            POST + b" HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
            b"400",
        ),
        (POST + b" HTTP/1.1\r\nContent-Length: -2\r\n\r\n", b"400"),
        (POST + b" HTTP/1.1\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\n", b"413"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /v2 HTTP/9.9\r\n\r\n", b"400"),
        (b"GET /v2 HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", b"431"),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET /v2 HTTP/1.1\r\nA: " + b"x" * 70_000 + b"\r\n\r\n", b"431"),
    ],
)
def test_what_is_no_proper_http_is_refused_in_json(
    server: Running, request_bytes: bytes, status: bytes
) -> None:
    answer = server.raw(request_bytes)
    assert answer.split(b" ")[1] == status
    assert b'{"error"' in answer
    assert b"Connection: close" in answer


def test_a_body_over_the_limit_is_refused_before_it_is_sent(server: Running) -> None:
    head = POST + b" HTTP/1.1\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n\r\n"
    assert server.raw(head).startswith(b"HTTP/1.1 413")


def test_a_kept_connection_serves_many_requests(server: Running) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    for _ in range(3):
        connection.request("POST", INFER, json.dumps(GOOD))
        assert json.loads(connection.getresponse().read())["outputs"][0]["data"] == [2.0, 4.0]
        connection.request("GET", "/v2/nothing")
        assert connection.getresponse().read().startswith(b'{"error"')
    connection.close()


def test_an_unread_body_is_never_the_next_request(server: Running) -> None:
    """Smuggling: a body sent to a route that reads none must not be taken for a request."""
    smuggled = b"GET /v2/health/live HTTP/1.1\r\n\r\n"
    head = b"POST /v2/nothing HTTP/1.1\r\nContent-Length: " + str(len(smuggled)).encode() + b"\r\n\r\n"
    answer = server.raw(head + smuggled)
    assert answer.count(b"HTTP/1.1") == 1


def test_slow_peers_are_told_408_and_silent_ones_are_closed() -> None:
    with serving(limits=Limits(idle_seconds=0.2, header_seconds=0.2, body_seconds=0.2)) as running:
        assert running.raw(b"") == b""
        assert running.raw(b"GET /v2 HT").split(b" ")[1] == b"408"
        head = POST + b" HTTP/1.1\r\nContent-Length: 100\r\n\r\n{"
        assert running.raw(head).split(b" ")[1] == b"408"


def test_too_many_connections_are_refused_with_503() -> None:
    with serving(limits=Limits(connections=1)) as running, running.connect() as first:
        first.sendall(b"GET /v2/health/live HTTP/1.1\r\n\r\n")
        assert first.recv(1000).startswith(b"HTTP/1.1 200")
        assert running.raw(b"").startswith(b"HTTP/1.1 503")


def test_overload_is_bounded_and_health_still_answers() -> None:
    with serving(concurrency=1, queue=1, limits=Limits(request_seconds=5)) as running:
        running.model.gate.clear()
        answers: list[int] = []
        threads = [
            threading.Thread(target=lambda: answers.append(running.call("POST", INFER, GOOD)[0]))
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        while len(answers) < 4:  # one runs, one waits, four are refused at once
            threads[0].join(0.01)
        assert answers == [503] * 4
        assert running.call("GET", "/v2/health/ready")[0] == 200
        assert b'code="503"} 4' in running.call("GET", "/metrics")[1]
        running.model.gate.set()
        for thread in threads:
            thread.join()
        assert sorted(answers) == [200, 200, 503, 503, 503, 503]


def test_a_run_that_takes_too_long_is_504_and_its_slot_is_free_again() -> None:
    with serving(concurrency=1, limits=Limits(request_seconds=0.1)) as running:
        running.model.gate.clear()
        assert running.call("POST", INFER, GOOD)[0] == 504
        running.model.gate.set()
        assert running.call("POST", INFER, GOOD)[0] == 200


def test_before_the_model_is_loaded_it_is_live_and_not_ready() -> None:
    with serving() as running:
        running.state.model = None
        assert running.call("GET", "/v2/health/live")[0] == 200
        assert running.call("GET", "/v2/health/ready")[:2] == (503, {"ready": False})
        status, _, headers = running.call("POST", INFER, GOOD)
        assert (status, headers["Retry-After"]) == (503, "1")


paths = st.lists(
    st.sampled_from(
        ["v2", "models", "digits", "infer", "versions", "3", "ready", "health", "metrics", "%2f", "", ".."]
    )
    | st.text(
        alphabet=st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#?"), max_size=8
    ),
    max_size=6,
).map(lambda parts: "/" + "/".join(parts))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"]),
    path=paths | st.just(INFER),
    body=st.none() | st.binary(max_size=300) | st.just(json.dumps(GOOD).encode()),
    content_type=st.sampled_from(["application/json", "application/json; charset=utf-8", "x", ""]),
)
def test_no_request_is_answered_with_a_server_error(
    server: Running, method: str, path: str, body: bytes | None, content_type: str
) -> None:
    status, document, _ = server.call(method, path, body, {"Content-Type": content_type})
    assert status < 500
    assert status == 200 or method == "HEAD" or "error" in document


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_on_the_wire_are_answered_with_a_server_error(content: bytes) -> None:
    server = Wire.running()
    with server.connect() as connection:
        connection.sendall(content)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := connection.recv(65536):
                answer += chunk
    assert b" 5" not in answer.partition(b"\r\n")[0][8:11]


class Wire:
    """One server for the property above, which hypothesis calls without fixtures."""

    _running: Running | None = None

    @classmethod
    def running(cls) -> Running:
        cls._running = cls._running or Running(None, Limits(), 2, 8)
        return cls._running


@pytest.fixture(scope="module", autouse=True)
def _close_wire() -> Iterator[None]:
    yield
    if Wire._running is not None:
        Wire._running.close()


class Process:
    """The server as a process of its own, with a slow stand-in for ONNX Runtime."""

    def __init__(
        self, folder: Path, *arguments: str, model: bytes | None = b"Add", **environment: str
    ) -> None:
        if model is not None:
            (folder / "model.onnx").write_bytes(model)
        stand_in = Path(__file__).parents[1] / "serve/stand_in"
        source = Path(sys.modules["lading_runtime"].__file__ or "").parents[1]
        command = [sys.executable, "-m", "lading_runtime.serve", "--model", str(folder), "--name", "digits"]
        self.child = subprocess.Popen(
            [*command, *arguments],
            env={**os.environ, "PYTHONPATH": f"{stand_in}:{source}", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.child.stdout is not None
        assert self.child.stderr is not None
        self.stderr = self.child.stderr
        first = self.child.stdout.readline()
        self.port = json.loads(first)["port"] if first else 0

    def wait_for(self, event: str) -> dict[str, Any]:
        for line in self.stderr:
            document: dict[str, Any] = json.loads(line)
            if document["event"] == event:
                return document
        raise AssertionError(f"no {event}")

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def get(self, path: str) -> int:
        connection = self.connection()
        connection.request("GET", path)
        status = connection.getresponse().status
        connection.close()
        return status

    def end(self) -> int:
        assert self.child.stdout is not None
        self.child.stdout.read()
        self.stderr.read()
        self.child.stdout.close()
        self.stderr.close()
        return self.child.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_ends_well_on_a_signal(tmp_path: Path, number: int) -> None:
    process = Process(tmp_path)
    process.wait_for("ready")
    kept = process.connection()
    kept.request("GET", "/v2/health/ready")
    assert kept.getresponse().read() == b'{"ready": true}'
    process.child.send_signal(number)
    assert process.end() == 0
    kept.close()


def test_a_drain_finishes_what_is_in_flight_and_refuses_what_is_new(tmp_path: Path) -> None:
    process = Process(tmp_path, "--concurrency", "50", STAND_IN_RUN_SECONDS="3")
    process.wait_for("ready")
    busy = [process.connection() for _ in range(50)]
    kept = process.connection()
    kept.request("GET", "/v2/health/ready")
    assert kept.getresponse().read() == b'{"ready": true}'
    for connection in busy:
        connection.request("POST", INFER, json.dumps(GOOD))
    while b"lading_requests_in_flight 51" not in metrics(process):
        pass
    process.child.send_signal(signal.SIGTERM)
    process.wait_for("draining")
    kept.request("POST", INFER, json.dumps(GOOD))
    refused = kept.getresponse()
    assert (refused.status, refused.headers["Connection"]) == (503, "close")
    assert process.get("/v2/health/ready") == 503
    assert process.get("/v2/health/live") == 200
    for connection in busy:
        response = connection.getresponse()
        assert (response.status, json.loads(response.read())["outputs"][0]["data"]) == (200, [2.0, 4.0])
        connection.close()
    assert process.end() == 0
    kept.close()


def metrics(process: Process) -> bytes:
    connection = process.connection()
    connection.request("GET", "/metrics")
    text = connection.getresponse().read()
    connection.close()
    return text


def test_a_second_signal_aborts(tmp_path: Path) -> None:
    process = Process(tmp_path, STAND_IN_RUN_SECONDS="60")
    process.wait_for("ready")
    busy = process.connection()
    busy.request("POST", INFER, json.dumps(GOOD))
    while b"lading_requests_in_flight 2" not in metrics(process):
        pass
    process.child.send_signal(signal.SIGTERM)
    process.wait_for("draining")
    process.child.send_signal(signal.SIGTERM)
    assert process.end() == 128 + signal.SIGTERM
    busy.close()


def test_a_drain_that_takes_longer_than_its_grace_says_so(tmp_path: Path) -> None:
    process = Process(tmp_path, "--grace-seconds", "0.1", STAND_IN_RUN_SECONDS="60")
    process.wait_for("ready")
    busy = process.connection()
    busy.request("POST", INFER, json.dumps(GOOD))
    while b"lading_requests_in_flight 2" not in metrics(process):
        pass
    process.child.send_signal(signal.SIGTERM)
    assert process.end() == 1
    busy.close()


def test_while_the_model_loads_it_is_live_and_not_ready(tmp_path: Path) -> None:
    process = Process(tmp_path, STAND_IN_LOAD_SECONDS="60")
    assert process.get("/v2/health/live") == 200
    assert process.get("/v2/health/ready") == 503
    process.child.send_signal(signal.SIGTERM)
    assert process.end() == 0


@pytest.mark.parametrize(
    ("model", "word"), [(None, "is not there"), (b"", "is empty"), (b"junk", "no ONNX model or is cut short")]
)
def test_a_model_that_cannot_be_loaded_ends_the_process_with_its_reason(
    tmp_path: Path, model: bytes | None, word: str
) -> None:
    process = Process(tmp_path, model=model)
    assert word in process.wait_for("load-failed")["error"]
    assert process.end() == 3


def test_a_taken_port_has_its_own_exit_code(tmp_path: Path, server: Running) -> None:
    process = Process(tmp_path, "--port", str(server.port))
    assert process.wait_for("port-failed")["port"] == server.port
    assert process.end() == 4


def test_a_closed_log_stops_no_server(tmp_path: Path) -> None:
    process = Process(tmp_path)
    process.wait_for("ready")
    process.stderr.close()
    assert process.get("/v2/models/digits") == 200
    process.child.send_signal(signal.SIGTERM)
    assert process.child.wait() == 0
    assert process.child.stdout is not None
    process.child.stdout.close()


def test_the_chosen_port_is_written_whole_for_the_parent(tmp_path: Path) -> None:
    process = Process(tmp_path, "--ready-file", str(tmp_path / "ready.json"))
    assert json.loads((tmp_path / "ready.json").read_text())["port"] == process.port
    process.child.send_signal(signal.SIGTERM)
    assert process.end() == 0
