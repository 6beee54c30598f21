"""A stand-in for ONNX Runtime that runs just `Y = X + X` (slower, wrong or choosy, where it is told to)."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace
from typing import Any

from numpy import Array

__version__ = "0.0-stand-in"


class SessionOptions:
    pass


class RunOptions:
    terminate = False


class InferenceSession:
    def __init__(self, path: str, sess_options: Any, providers: list[str]) -> None:
        with open(path, "rb") as file:
            content = file.read()
        if b"Add" not in content:
            raise RuntimeError("INVALID_PROTOBUF: protobuf parsing failed")
        time.sleep(float(os.environ.get("STAND_IN_LOAD_SECONDS", "0")))

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(name="X", type="tensor(float)", shape=["rows", 2])]

    def get_outputs(self) -> list[Any]:
        return [SimpleNamespace(name="Y", type="tensor(float)", shape=["rows", 2])]

    def run(self, wanted: list[str], feed: dict[str, Any], options: RunOptions) -> list[Any]:
        if not any(feed["X"].values) and "STAND_IN_REFUSES_ZEROS" in os.environ:
            raise RuntimeError("Unknown Category")
        end = time.monotonic() + float(os.environ.get("STAND_IN_RUN_SECONDS", "0"))
        while time.monotonic() < end:
            if options.terminate:
                raise RuntimeError("terminated")
            time.sleep(0.005)
        factor = float(os.environ.get("STAND_IN_FACTOR", "2"))
        return [Array([value * factor for value in feed["X"].values], "float32").reshape(feed["X"].shape)]
