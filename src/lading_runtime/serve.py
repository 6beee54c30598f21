"""`python -m lading_runtime.serve`: serve one ONNX model until SIGTERM.

Live as soon as the port is open, ready when the model is loaded. SIGTERM or SIGINT: unready at once, what is
in flight is finished, exit 0 within the grace; a second signal aborts. Exit 1: a drain that took too long;
3: the model could not be loaded; 4: the port could not be opened.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from lading_runtime.http import Limits, Server
from lading_runtime.log import log
from lading_runtime.protocol import Model
from lading_runtime.routes import InferenceHandler
from lading_runtime.state import ServerState

EXIT_DRAIN_TIMEOUT = 1
EXIT_LOAD_FAILED = 3
EXIT_PORT_FAILED = 4
MODEL_FILE = "model.onnx"


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    return serve(
        lambda: load_onnx(Path(options.model)),
        name=options.name,
        version=options.version,
        host=options.host,
        port=options.port,
        ready_file=Path(options.ready_file) if options.ready_file else None,
        grace_seconds=options.grace_seconds,
        concurrency=options.concurrency,
        queue=options.queue,
        limits=Limits(body_bytes=options.body_bytes, request_seconds=options.request_seconds),
    )


def serve(
    load: Callable[[], Model],
    *,
    name: str,
    version: str = "1",
    host: str = "127.0.0.1",
    port: int = 0,
    ready_file: Path | None = None,
    grace_seconds: float = 30.0,
    concurrency: int = 2,
    queue: int = 64,
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> int:
    """Serve what `load` returns; the exit status. Call it from the main thread: it takes the signals."""
    state = ServerState(concurrency=concurrency, queue=queue)
    try:
        server = Server((host, port), InferenceHandler.bind(name, version), state, limits)
    except OSError as error:
        log("port-failed", host=host, port=port, error=error.strerror or str(error))
        return EXIT_PORT_FAILED
    # A pipe, not an Event: a handler that takes a lock its own thread holds would wait for ever.
    woken, wake = os.pipe()
    _take_signals(state, wake)
    failures: list[str] = []
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    log("listening", host=host, port=server.server_address[1], model=name, version=version)
    loader = threading.Thread(target=_load, args=(load, state, wake, failures), daemon=True)
    loader.start()
    _announce(server, ready_file)
    os.read(woken, 1)
    if failures:
        log("load-failed", error=failures[0])
        return EXIT_LOAD_FAILED
    return _drain(server, state, grace_seconds)


def load_onnx(path: Path) -> Model:
    """The model at `path`: a folder with `model.onnx`, or the file itself."""
    # Heavy; imported after the port is open, so that liveness answers meanwhile.
    from lading_runtime.onnx_session import OnnxModel

    threads = int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0)))
    model = OnnxModel(path / MODEL_FILE if path.is_dir() else path, threads)
    if model.left_out:
        log("outputs-left-out", outputs=model.left_out)
    return model


def _load(load: Callable[[], Model], state: ServerState, wake: int, failures: list[str]) -> None:
    start = time.monotonic()
    try:
        state.model = load()
    except Exception as error:  # noqa: BLE001 - whatever it was, the process must say it and end
        failures.append(str(error) or repr(error))
        os.write(wake, b"l")
        return
    log("ready", seconds=round(time.monotonic() - start, 3))


def _announce(server: Server, ready_file: Path | None) -> None:
    """Write the chosen port where a parent looks for it, whole or not at all; then say it on stdout."""
    host, port = server.server_address[:2]
    document = json.dumps({"host": str(host), "port": port, "pid": os.getpid()})
    if ready_file is not None:
        part = ready_file.with_name(ready_file.name + ".part")
        part.write_text(document)
        part.rename(ready_file)
    try:
        sys.stdout.write(document + "\n")
        sys.stdout.flush()
    except (OSError, ValueError):
        log("stdout-closed")


def _take_signals(state: ServerState, wake: int) -> None:
    def handle(number: int, frame: FrameType | None) -> None:
        if state.draining:
            os._exit(128 + number)
        state.draining = True
        os.write(wake, b"s")

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)


def _drain(server: Server, state: ServerState, grace_seconds: float) -> int:
    deadline = time.monotonic() + grace_seconds
    log("draining", in_flight=state.in_flight)
    idle = state.wait_idle(max(0.0, deadline - time.monotonic()))
    server.shutdown()
    server.server_close()
    server.close_idle()
    # Requests that were on their way are answered (503, close) before the process goes.
    while server.open_connections() and time.monotonic() < deadline and idle:
        time.sleep(0.01)
    log("stopped", in_flight=state.in_flight)
    return 0 if idle else EXIT_DRAIN_TIMEOUT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lading_runtime.serve", description="Serve one ONNX model.")
    parser.add_argument("--model", required=True, help="folder with model.onnx, or the file")
    parser.add_argument("--name", required=True)
    parser.add_argument("--version", default="1")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--ready-file", help="gets {host, port, pid} as JSON once the port is open")
    parser.add_argument("--grace-seconds", type=float, default=30.0)
    parser.add_argument("--concurrency", type=int, default=2, help="model runs at once")
    parser.add_argument("--queue", type=int, default=64, help="requests that may wait for a run")
    parser.add_argument("--body-bytes", type=int, default=64 << 20)
    parser.add_argument("--request-seconds", type=float, default=60.0)
    return parser


if __name__ == "__main__":
    sys.exit(main())
