"""`python -m lading_runtime.predict`: answer one request from a file, without a server.

Used once when a model is sealed, to record what its sample comes to. Exit 1: the request does not fit the
model; 3: the model could not be loaded.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from lading_runtime.protocol import infer, model_metadata, read_request
from lading_runtime.serve import EXIT_LOAD_FAILED, load_onnx
from lading_runtime.tensors import BadRequest

_SECONDS = 300.0


def main(arguments: list[str] | None = None) -> int:
    """Writes `{"metadata": …, "outputs": […]}`, or `{"error": …}`, to --answer."""
    parser = argparse.ArgumentParser(prog="lading_runtime.predict", description="Answer one request.")
    parser.add_argument("--model", required=True)
    parser.add_argument("--request", required=True)
    parser.add_argument("--answer", required=True)
    options = parser.parse_args(arguments)
    answer, status = _predict(Path(options.model), Path(options.request))
    Path(options.answer).write_text(json.dumps(answer))
    return status


def _predict(model_path: Path, request_path: Path) -> tuple[dict[str, object], int]:
    try:
        model = load_onnx(model_path)
    except Exception as error:  # noqa: BLE001 - LoadFailed, or ONNX Runtime itself cannot be imported
        return {"error": str(error) or repr(error)}, EXIT_LOAD_FAILED
    try:
        outputs = infer(model, read_request(request_path.read_bytes()), _SECONDS)
        documents = [tensor.as_json() for tensor in outputs]
    except BadRequest as error:
        return {"error": str(error), "metadata": model_metadata("", "", model)}, 1
    return {"metadata": model_metadata("", "", model), "outputs": documents}, 0


if __name__ == "__main__":
    sys.exit(main())
