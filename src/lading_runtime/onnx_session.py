"""An ONNX model behind the protocol's Model: numpy and ONNX Runtime, the only module that imports them.

Maps and sequences of maps (scikit-learn's ZipMap: one `{class: probability}` a row) become an FP32 tensor of
rows × classes with the classes as its `classes` parameter.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
import onnxruntime

from lading_runtime.tensors import BadRequest, Tensor, TensorSpec

_DTYPES = {
    "BOOL": "bool",
    **{f"{sign}INT{bits}": f"{sign.lower()}int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": f"float{bits}" for bits in (16, 32, 64)},
    "BYTES": "object",
}
_ONNX_TYPES = {
    "bool": "BOOL",
    "float16": "FP16",
    "float": "FP32",
    "double": "FP64",
    "string": "BYTES",
    **{f"{sign}int{bits}": f"{sign.upper()}INT{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}


class LoadFailed(Exception):
    """The model cannot be served; the message says which of the causes it is."""


class OnnxModel:
    """A loaded ONNX file. Safe for many threads."""

    def __init__(self, path: Path, threads: int) -> None:
        """Raises LoadFailed."""
        self._session = _open_session(path, threads)
        self.inputs = tuple(_spec(item) for item in self._session.get_inputs())
        if any(spec.datatype not in _DTYPES for spec in self.inputs):
            kinds = ", ".join(spec.datatype for spec in self.inputs)
            raise LoadFailed(f"{path.name} takes an input that the protocol has no word for: {kinds}")
        outputs = [_spec(item) for item in self._session.get_outputs()]
        self.outputs = tuple(spec for spec in outputs if spec.datatype in _DTYPES)
        self.left_out = tuple(spec.name for spec in outputs if spec.datatype not in _DTYPES)
        if not self.outputs:
            raise LoadFailed(f"{path.name} gives no output that the protocol has a word for")

    def infer(self, tensors: Sequence[Tensor], wanted: Sequence[str], timeout_seconds: float) -> list[Tensor]:
        feed = {tensor.name: _array(tensor) for tensor in tensors}
        options = onnxruntime.RunOptions()
        # A run that takes too long is ended from inside, so that its thread comes back.
        timer = threading.Timer(timeout_seconds, lambda: setattr(options, "terminate", True))
        timer.daemon = True
        timer.start()
        try:
            results = self._session.run(list(wanted), feed, options)
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's classes share no base of their own
            if options.terminate:
                raise BadRequest(f"the model took longer than {timeout_seconds:g} s", 504) from None
            raise BadRequest(f"the model refused the request: {str(error)[:300]}", 422) from None
        finally:
            timer.cancel()
        return [_tensor(name, value) for name, value in zip(wanted, results, strict=True)]


def _open_session(path: Path, threads: int) -> Any:
    if not path.exists():
        raise LoadFailed(f"{path} is not there")
    if not os.access(path, os.R_OK):
        raise LoadFailed(f"{path} may not be read by uid {os.getuid()}")
    if path.stat().st_size == 0:
        raise LoadFailed(f"{path} is empty")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            str(path), sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # noqa: BLE001 - as above
        raise LoadFailed(_load_failure(path, str(error))) from None


def _load_failure(path: Path, text: str) -> str:
    lower = text.lower()
    version = onnxruntime.__version__
    if "unsupported model ir version" in lower or "opset" in lower:
        return f"{path.name} is newer than ONNX Runtime {version} in this image: {text[:200]}"
    if "protobuf" in lower or "invalid_protobuf" in lower:
        return f"{path.name} is no ONNX model or is cut short: {text[:200]}"
    return f"{path.name} could not be loaded by ONNX Runtime {version}: {text[:300]}"


def _spec(item: Any) -> TensorSpec:
    kind = str(item.type)
    shape = tuple(size if isinstance(size, int) and size >= 0 else -1 for size in item.shape or ())
    if kind.startswith("tensor(") and kind[7:-1] in _ONNX_TYPES:
        return TensorSpec(item.name, _ONNX_TYPES[kind[7:-1]], shape)
    if kind.startswith(("seq(map(", "map(")) and kind.rstrip(")").endswith("tensor(float"):
        return TensorSpec(item.name, "FP32", (-1, -1))
    return TensorSpec(item.name, kind, shape)


def _array(tensor: Tensor) -> Any:
    return numpy.array(tensor.values, dtype=_DTYPES[tensor.datatype]).reshape(tensor.shape)


def _tensor(name: str, value: Any) -> Tensor:
    if isinstance(value, dict):
        value = [value]
    if isinstance(value, list):
        return _from_maps(name, value)
    datatype = next((word for word, dtype in _DTYPES.items() if value.dtype == numpy.dtype(dtype)), "BYTES")
    flat = value.reshape(-1).tolist()
    values = [str(item) for item in flat] if datatype == "BYTES" else flat
    return Tensor(name, datatype, tuple(value.shape), values)


def _from_maps(name: str, rows: list[dict[Any, Any]]) -> Tensor:
    classes = list(rows[0]) if rows else []
    if any(list(row) != classes for row in rows):
        classes = sorted({key for row in rows for key in row}, key=str)
    values = [float(row.get(key, 0.0)) for row in rows for key in classes]
    plain = [key if isinstance(key, str) else int(key) for key in classes]
    return Tensor(name, "FP32", (len(rows), len(classes)), values, {"classes": plain})
