"""The model server on the real ONNX Runtime: types, ZipMap, causes of a failed load."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lading_runtime
from lading.serve.client import call, predict
from unit.run.tiny_onnx import doubling_model, field, value_info

pytestmark = [pytest.mark.slow, pytest.mark.network]

REPOSITORY = Path(__file__).parent.parent.parent
SOURCE = Path(lading_runtime.__file__).parents[1]


@pytest.fixture(scope="session")
def onnx_python() -> Path:
    """An interpreter with ONNX Runtime, made once and kept under build/."""
    folder = REPOSITORY / "build/test-venvs/onnxruntime"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.parent / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            uv = Path(sys.executable).parent / "uv"
            subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
            packages = ("onnxruntime", "numpy")
            command = [uv, "pip", "install", "--quiet", "--python", folder / "bin/python", *packages]
            subprocess.run(command, check=True)
            (folder / "complete").touch()
    return folder / "bin/python"


class Served:
    def __init__(self, python: Path, folder: Path, content: bytes, *arguments: str) -> None:
        (folder / "model.onnx").write_bytes(content)
        command = [python, "-m", "lading_runtime.serve", "--model", folder, "--name", "m", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
        pipe = subprocess.PIPE
        self.child = subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)
        assert self.child.stdout is not None
        assert self.child.stderr is not None
        self.url = f"http://127.0.0.1:{json.loads(self.child.stdout.readline())['port']}"
        self.events: list[dict[str, Any]] = []
        for line in self.child.stderr:
            self.events.append(json.loads(line))
            if self.events[-1]["event"] in ("ready", "load-failed"):
                break

    def ask(self, *tensors: dict[str, Any]) -> list[dict[str, Any]]:
        outputs: list[dict[str, Any]] = predict(self.url, "m", {"inputs": list(tensors)})["outputs"]
        return outputs

    def end(self) -> int:
        self.child.send_signal(signal.SIGTERM)
        self.child.communicate()
        return self.child.returncode


@pytest.fixture
def serve(onnx_python: Path, tmp_path: Path) -> Iterator[Any]:
    started: list[Served] = []

    def start(content: bytes, *arguments: str) -> Served:
        started.append(Served(onnx_python, tmp_path, content, *arguments))
        return started[-1]

    yield start
    for served in started:
        served.end()


def identity_model(element: int) -> bytes:
    node = field(1, "X") + field(2, "Y") + field(4, "Identity")
    graph = field(1, node) + field(2, "identity")
    graph += field(11, value_info("X", element, ("n",))) + field(12, value_info("Y", element, ("n",)))
    return field(1, 8) + field(8, field(2, 14)) + field(7, graph)


def zipmap_model() -> bytes:
    """Probabilities of the classes 3 and 8, as scikit-learn's converter gives them."""
    labels = field(1, "classlabels_int64s") + field(8, 3) + field(8, 8) + field(20, 7)
    node = field(1, "X") + field(2, "Y") + field(4, "ZipMap") + field(5, labels) + field(7, "ai.onnx.ml")
    value = field(1, field(1, 1) + field(2, b""))
    sequence = field(4, field(1, field(5, field(1, 7) + field(2, value))))
    graph = field(1, node) + field(2, "zip") + field(11, value_info("X", 1, ("n", 2)))
    graph += field(12, field(1, "Y") + field(2, sequence))
    opsets = field(8, field(2, 13)) + field(8, field(1, "ai.onnx.ml") + field(2, 1))
    return field(1, 8) + opsets + field(7, graph)


def test_a_real_model_answers(serve: Any) -> None:
    served = serve(doubling_model())
    (output,) = served.ask({"name": "X", "datatype": "FP32", "shape": [2, 2], "data": [[1, 2], [3, 4.5]]})
    assert output == {"name": "Y", "datatype": "FP32", "shape": [2, 2], "data": [2.0, 4.0, 6.0, 9.0]}
    assert served.end() == 0


@pytest.mark.parametrize(
    ("element", "datatype", "data"),
    [
        (1, "FP32", [0.5, -1.25]),
        (2, "UINT8", [0, 255]),
        (3, "INT8", [-128, 127]),
        (4, "UINT16", [65535]),
        (5, "INT16", [-32768]),
        (6, "INT32", [-(2**31)]),
        (7, "INT64", [-(2**63), 2**63 - 1]),
        (8, "BYTES", ["", "héllo"]),
        (9, "BOOL", [True, False]),
        (10, "FP16", [0.5, 65504.0]),
        (11, "FP64", [1e300]),
        (12, "UINT32", [2**32 - 1]),
        (13, "UINT64", [2**64 - 1]),
    ],
)
def test_every_datatype_goes_through_unchanged(
    serve: Any, element: int, datatype: str, data: list[Any]
) -> None:
    served = serve(identity_model(element))
    (output,) = served.ask({"name": "X", "datatype": datatype, "shape": [len(data)], "data": data})
    assert (output["datatype"], output["data"]) == (datatype, data)


def test_a_map_of_classes_becomes_a_tensor_with_its_classes(serve: Any) -> None:
    served = serve(zipmap_model())
    (output,) = served.ask({"name": "X", "datatype": "FP32", "shape": [2, 2], "data": [0.25, 0.75, 1, 0]})
    assert output["data"] == [0.25, 0.75, 1.0, 0.0]
    assert (output["datatype"], output["shape"], output["parameters"]) == (
        "FP32",
        [2, 2],
        {"classes": [3, 8]},
    )
    status, metadata = call(f"{served.url}/v2/models/m", None, timeout_seconds=10)
    assert (status, metadata["outputs"]) == (200, [{"name": "Y", "datatype": "FP32", "shape": [-1, -1]}])


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (doubling_model()[:40], "cut short"),
        (b"no model at all", "no ONNX model"),
        (doubling_model().replace(field(1, 8), field(1, 99), 1), "newer than ONNX Runtime"),
        (b"", "is empty"),
    ],
)
def test_each_cause_of_a_failed_load_has_its_own_words(serve: Any, content: bytes, word: str) -> None:
    served = serve(content)
    assert word in served.events[-1]["error"]
    assert served.child.wait() == 3
