"""Requests and answers of the Open Inference Protocol (REST): bytes ↔ values. Pure, standard library only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lading_runtime.tensors import BadRequest, Tensor, TensorSpec, check_tensor, read_tensor

SERVER_NAME = "lading"
SERVER_VERSION = "0.1.0"
PLATFORM = "onnx_onnxv1"
_MAXIMUM_TENSORS = 1024


class Model(Protocol):
    """A loaded model. `infer` may be called from several threads at once."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def infer(self, tensors: Sequence[Tensor], wanted: Sequence[str], timeout_seconds: float) -> list[Tensor]:
        """Raises BadRequest: 422 when the model refuses the values, 504 after `timeout_seconds`."""
        ...


@dataclass(frozen=True)
class InferRequest:
    id: str | None
    inputs: tuple[Tensor, ...]
    outputs: tuple[str, ...]
    """Names of the wanted outputs; empty for all."""


def read_request(body: bytes) -> InferRequest:
    """Raises BadRequest."""
    document = _load(body)
    if not isinstance(document, dict):
        raise BadRequest("the request is no JSON object")
    identity = document.get("id")
    if identity is not None and not isinstance(identity, str):
        raise BadRequest("id is no string")
    inputs = _list(document, "inputs")
    if not inputs:
        raise BadRequest("the request has no inputs")
    wanted = _list(document, "outputs")
    if not all(isinstance(item, dict) and isinstance(item.get("name"), str) for item in wanted):
        raise BadRequest("each requested output is an object with a name")
    if not isinstance(document.get("parameters", {}), dict):
        raise BadRequest("parameters is no JSON object")
    tensors = tuple(read_tensor(item) for item in inputs)
    if len({tensor.name for tensor in tensors}) != len(tensors):
        raise BadRequest("two inputs have one name")
    return InferRequest(identity, tensors, tuple(item["name"] for item in wanted))


def infer(model: Model, request: InferRequest, timeout_seconds: float) -> list[Tensor]:
    """Check the request against the model and run it. Raises BadRequest."""
    specs = {spec.name: spec for spec in model.inputs}
    for tensor in request.inputs:
        if tensor.name not in specs:
            raise BadRequest(f"the model has no input {tensor.name!r}; it has {', '.join(specs)}", 422)
        check_tensor(tensor, specs[tensor.name])
    missing = sorted(set(specs) - {tensor.name for tensor in request.inputs})
    if missing:
        raise BadRequest(f"the model needs {', '.join(missing)} as well", 422)
    known = [spec.name for spec in model.outputs]
    unknown = sorted(set(request.outputs) - set(known))
    if unknown:
        raise BadRequest(f"the model has no output {unknown[0]!r}; it has {', '.join(known)}", 422)
    return model.infer(request.inputs, request.outputs or known, timeout_seconds)


def write_response(name: str, version: str, request_id: str | None, outputs: Sequence[Tensor]) -> bytes:
    """Raises BadRequest (422) for values that JSON cannot carry."""
    document: dict[str, Any] = {"model_name": name, "model_version": version}
    if request_id is not None:
        document["id"] = request_id
    document["outputs"] = [tensor.as_json() for tensor in outputs]
    return to_json(document)


def server_metadata() -> dict[str, Any]:
    return {"name": SERVER_NAME, "version": SERVER_VERSION, "extensions": []}


def model_metadata(name: str, version: str, model: Model) -> dict[str, Any]:
    return {
        "name": name,
        "versions": [version],
        "platform": PLATFORM,
        "inputs": [spec.as_json() for spec in model.inputs],
        "outputs": [spec.as_json() for spec in model.outputs],
    }


def to_json(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")


def _load(body: bytes) -> Any:
    try:
        return json.loads(body, parse_constant=_no_constant, object_pairs_hook=_unique)
    except BadRequest:
        raise
    except RecursionError:
        raise BadRequest("the JSON nests too deep") from None
    except ValueError as error:  # syntax, UTF-8, integers of thousands of digits
        raise BadRequest(f"the body is no JSON: {str(error)[:200]}") from None


def _no_constant(text: str) -> Any:
    raise BadRequest(f"{text} is no JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise BadRequest("a JSON object names a key twice")
    return document


def _list(document: dict[str, Any], key: str) -> list[Any]:
    value = document.get(key, [])
    if not isinstance(value, list) or len(value) > _MAXIMUM_TENSORS:
        raise BadRequest(f"{key} is no list of {_MAXIMUM_TENSORS} entries at most")
    return value
