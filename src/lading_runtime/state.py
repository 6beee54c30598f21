"""What a server knows about itself: loaded or not, draining or not, how much is in flight. Thread-safe."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from lading_runtime.protocol import Model


class Busy(Exception):
    """No place to run or to wait is free."""


class ServerState:
    def __init__(self, *, concurrency: int, queue: int) -> None:
        self.model: Model | None = None
        self.draining = False
        self._condition = threading.Condition()
        self._slots = threading.BoundedSemaphore(concurrency)
        self._waiting_limit = queue
        self._waiting = 0
        self._in_flight = 0
        self._requests: Counter[int] = Counter()
        self._seconds = 0.0

    @property
    def ready(self) -> bool:
        return self.model is not None and not self.draining

    @property
    def in_flight(self) -> int:
        return self._in_flight

    @contextmanager
    def request(self) -> Iterator[None]:
        """One request from its first byte to its last: what a drain waits for."""
        with self._condition:
            self._in_flight += 1
        try:
            yield
        finally:
            with self._condition:
                self._in_flight -= 1
                self._condition.notify_all()

    @contextmanager
    def slot(self, timeout_seconds: float) -> Iterator[None]:
        """A place to run the model; waits in a bounded queue. Raises Busy."""
        with self._condition:
            if self._waiting >= self._waiting_limit and not self._slots.acquire(blocking=False):
                raise Busy
            direct = self._waiting >= self._waiting_limit
            self._waiting += 0 if direct else 1
        if not direct:
            try:
                acquired = self._slots.acquire(timeout=timeout_seconds)
            finally:
                with self._condition:
                    self._waiting -= 1
            if not acquired:
                raise Busy
        try:
            yield
        finally:
            self._slots.release()

    def wait_idle(self, timeout_seconds: float) -> bool:
        """True when nothing is in flight any more."""
        with self._condition:
            return self._condition.wait_for(lambda: self._in_flight == 0, timeout_seconds)

    def count(self, status: int, seconds: float) -> None:
        with self._condition:
            self._requests[status] += 1
            self._seconds += seconds

    def metrics(self) -> str:
        """Prometheus' text form, version 0.0.4."""
        with self._condition:
            requests, seconds = dict(self._requests), self._seconds
        lines = [
            "# HELP lading_inference_requests_total Inference requests answered, by HTTP status.",
            "# TYPE lading_inference_requests_total counter",
            *(
                f'lading_inference_requests_total{{code="{status}"}} {count}'
                for status, count in sorted(requests.items())
            ),
            "# HELP lading_inference_seconds Time from request to answer.",
            "# TYPE lading_inference_seconds summary",
            f"lading_inference_seconds_sum {seconds:.6f}",
            f"lading_inference_seconds_count {sum(requests.values())}",
            "# HELP lading_requests_in_flight Requests being read, run or answered.",
            "# TYPE lading_requests_in_flight gauge",
            f"lading_requests_in_flight {self._in_flight}",
            "# HELP lading_ready Whether new requests are taken.",
            "# TYPE lading_ready gauge",
            f"lading_ready {int(self.ready)}",
        ]
        return "\n".join(lines) + "\n"


def seconds_since(start: float) -> float:
    return time.monotonic() - start
