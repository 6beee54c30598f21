"""What a starting child tells its supervisor: lines of JSON on a pipe that closes when the payload runs."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass


class Report:
    """The child's end. `stage` says what is being tried; a failure is told with it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor
        self.stage = "fork"

    @property
    def descriptor(self) -> int | None:
        return self._descriptor

    def process(self, pid: int) -> None:
        """Name the first process of the container, by its number outside."""
        self._write({"pid": pid})

    def fail(self, error: BaseException) -> None:
        number = error.errno if isinstance(error, OSError) else None
        text = (error.strerror if isinstance(error, OSError) else None) or f"{type(error).__name__}: {error}"
        self._write({"stage": self.stage, "errno": number, "error": text})

    def _write(self, document: dict[str, object]) -> None:
        if self._descriptor is not None:
            os.write(self._descriptor, json.dumps(document).encode() + b"\n")

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@dataclass(frozen=True, slots=True)
class Failure:
    stage: str
    errno: int | None
    error: str


@dataclass(frozen=True, slots=True)
class Outcome:
    pid: int | None
    failure: Failure | None


def read_report(descriptor: int) -> Outcome:
    """Wait for the end of the report; no failure in it means that the payload runs."""
    content = read_to_end(descriptor)
    pid: int | None = None
    failure: Failure | None = None
    for line in content.splitlines():
        document = json.loads(line)
        if "pid" in document:
            pid = document["pid"]
        elif failure is None:
            failure = Failure(document["stage"], document["errno"], document["error"])
    return Outcome(pid, failure)


def read_to_end(descriptor: int) -> bytes:
    """All bytes until every writer has closed its end."""
    content = b""
    while chunk := os.read(descriptor, 65536):
        content += chunk
    return content
