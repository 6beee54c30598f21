"""Sealing a model: an ONNX file among a run's outputs becomes an immutable artifact with its history.

The artifact is an OCI manifest in the shape of the CNCF ModelPack specification (model-spec, docs/spec.md):
weights raw and uncompressed, small documents beside them. It holds no time and no name, so one content is
one digest; name and version are the ledger's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from lading.errors import ProjectError, StoreError
from lading.oci.digest import Digest
from lading.oci.json import canonical_json
from lading.oci.manifest import Descriptor, Manifest
from lading.run.gate import Verdict
from lading.run.ledger import json_metrics
from lading.run.onnx import OnnxSummary, read_onnx
from lading.run.outputs import FILE_PATH, OutputFile, Outputs, write_files
from lading.store import Store

ARTIFACT_MODEL = "application/vnd.cncf.model.manifest.v1+json"
MEDIA_MODEL_CONFIG = "application/vnd.cncf.model.config.v1+json"
MEDIA_WEIGHT = "application/vnd.cncf.model.weight.v1.raw"
MEDIA_DOCUMENT = "application/vnd.cncf.model.doc.v1.raw"
GENERATED = "generated"
MODEL_FILE = "model.onnx"
RECORD_FILE = "lading/record.json"
SAMPLE_FILE = "lading/sample.json"
ANSWER_FILE = "lading/answer.json"

_MOST_VALUES = 1 << 22
_OTHER_FORMATS = {
    ".safetensors": "safetensors",
    ".pt": "PyTorch",
    ".pth": "PyTorch",
    ".joblib": "joblib",
    ".pkl": "pickle",
    ".keras": "Keras",
    ".tflite": "TensorFlow Lite",
    ".gguf": "GGUF",
    ".pb": "TensorFlow",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundModel:
    """A model among files. `file` is None when there is none that can be sealed."""

    file: OutputFile | None
    unsealed: tuple[str, ...] = ()
    """Models in formats that stay plain outputs: `model.pt (PyTorch)`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A request and, once it was run, the outputs it came to."""

    request: Mapping[str, Any]
    outputs: tuple[Mapping[str, Any], ...] = ()
    origin: str = GENERATED
    """`project`, `outputs` or `generated`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecord:
    """Where a model comes from: what the seal, the lock and the gate said."""

    project: str
    task: str | None
    run_id: str | None
    seal: str | None
    image_digest: str | None
    lock_digest: str | None
    metrics: Mapping[str, float] = field(default_factory=dict)
    verdict: Verdict | None = None

    def as_json(self) -> dict[str, Any]:
        # The run id and the project's name are the ledger's: two runs of one content are one model.
        return {
            "task": self.task,
            "seal": self.seal,
            "image": self.image_digest,
            "lock": self.lock_digest,
            "metrics": json_metrics(self.metrics),
            "gate": self.verdict.as_json() if self.verdict is not None else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedModel:
    digest: Digest
    files: tuple[OutputFile, ...]
    """The model's own files; `model.onnx` first."""
    sample: Sample | None
    record: Mapping[str, Any]

    @property
    def size_bytes(self) -> int:
        return sum(item.size_bytes for item in self.files)


def find_model(outputs: Outputs) -> FoundModel:
    """`model.onnx`, else the only `.onnx` file. Raises ProjectError when several could be meant."""
    unsealed = tuple(
        f"{item.path} ({_OTHER_FORMATS[PurePosixPath(item.path).suffix]})"
        for item in outputs.files
        if PurePosixPath(item.path).suffix in _OTHER_FORMATS and item.link_target is None
    )
    if (named := outputs.find(MODEL_FILE)) is not None and named.link_target is None:
        return FoundModel(file=named, unsealed=unsealed)
    candidates = [f for f in outputs.files if f.path.endswith(".onnx") and f.link_target is None]
    if len(candidates) > 1:
        names = ", ".join(item.path for item in candidates)
        raise ProjectError(
            f"several models are in the outputs: {names}", hints=(f"write the one to serve as {MODEL_FILE}",)
        )
    return FoundModel(file=candidates[0] if candidates else None, unsealed=unsealed)


def model_files(
    outputs: Outputs, model: OutputFile, store: Store
) -> tuple[tuple[OutputFile, ...], OnnxSummary]:
    """The model as `model.onnx`, the weight files it refers to, and what it says about itself.

    Raises ProjectError when it is no ONNX model or a file it refers to is missing.
    """
    summary = read_onnx(store.blobs.path(model.digest))
    folder = PurePosixPath(model.path).parent
    files = [OutputFile(path=MODEL_FILE, digest=model.digest, size_bytes=model.size_bytes)]
    for name in summary.external_files:
        weights = outputs.find(str(folder / name))
        if weights is None or weights.link_target is not None:
            raise ProjectError(f"{model.path} keeps weights in {name}, which is not among the outputs")
        files.append(OutputFile(path=name, digest=weights.digest, size_bytes=weights.size_bytes))
    return tuple(files), summary


def generated_sample(summary: OnnxSummary) -> Sample | None:
    """A request of zeros that fits the model's inputs; a free dimension is 1. None where that is too large.

    Raises ProjectError for an input that no request can name.
    """
    inputs = []
    for value in summary.inputs:
        if value.datatype is None:
            raise ProjectError(
                f"no sample can be made up for the model's input {value.name!r}",
                hints=('[serve]  sample = "tests/sample.json"',),
            )
        shape = [size if size >= 0 else 1 for size in value.shape]
        count = 1
        for size in shape:
            count *= size
        if count > _MOST_VALUES:
            return None
        zero: Any = {"BYTES": "", "BOOL": False, "FP16": 0.0, "FP32": 0.0, "FP64": 0.0}.get(value.datatype, 0)
        inputs.append(
            {"name": value.name, "datatype": value.datatype, "shape": shape, "data": [zero] * count}
        )
    return Sample(request={"inputs": inputs})


def read_sample(path: Path, origin: str) -> Sample:
    """A sample file: an Open Inference Protocol request, or `{"request": …, "response": …}` with the outputs
    it must come to. Raises ProjectError."""
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise ProjectError(f"the sample could not be read: {error.strerror}", place=str(path)) from error
    except (ValueError, RecursionError) as error:
        raise ProjectError(f"the sample is no JSON: {error}", place=str(path)) from error
    return parse_sample(document, origin, str(path))


def parse_sample(document: Any, origin: str, place: str) -> Sample:
    """As `read_sample`, from the document."""
    response: Any = {}
    if isinstance(document, dict) and "request" in document:
        response = document.get("response") or {}
        document = document["request"]
    if not isinstance(document, dict) or not isinstance(document.get("inputs"), list):
        raise ProjectError(
            "the sample is no inference request: it has no list `inputs`",
            place=place,
            hints=('{"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 4], "data": [0, 0, 0, 0]}]}',),
        )
    outputs = response.get("outputs", []) if isinstance(response, dict) else []
    return Sample(request=document, outputs=tuple(outputs), origin=origin)


def seal_model(
    files: tuple[OutputFile, ...],
    summary: OnnxSummary,
    record: ModelRecord,
    sample: Sample | None,
    store: Store,
) -> SealedModel:
    """Write the artifact. Nothing names it before its last blob, the manifest, is durable."""
    config = _config(files, summary, store)
    layers = [_layer(MEDIA_WEIGHT, item.digest, item.size_bytes, item.path) for item in files]
    documents = {RECORD_FILE: record.as_json()}
    if sample is not None:
        documents[SAMPLE_FILE] = dict(sample.request)
        documents[ANSWER_FILE] = {"outputs": list(sample.outputs), "sample": sample.origin}
    for name, document in sorted(documents.items()):
        body = canonical_json(document)
        layers.append(_layer(MEDIA_DOCUMENT, store.blobs.put(body), len(body), name))
    manifest = Manifest(config=config, layers=tuple(layers), artifact_type=ARTIFACT_MODEL)
    digest = store.blobs.put(manifest.to_bytes())
    return SealedModel(digest=digest, files=files, sample=sample, record=record.as_json())


def read_model(digest: Digest, store: Store) -> SealedModel:
    """The sealed model `digest`. Raises StoreError when it is absent or no model."""
    manifest = Manifest.from_json(json.loads(store.blobs.read(digest)))
    if manifest.artifact_type != ARTIFACT_MODEL:
        raise StoreError(f"{digest} is {manifest.artifact_type}, not a model")
    files: list[OutputFile] = []
    documents: dict[str, Any] = {}
    for layer in manifest.layers:
        path = layer.annotations[FILE_PATH]
        if layer.media_type == MEDIA_WEIGHT:
            files.append(OutputFile(path=path, digest=layer.digest, size_bytes=layer.size_bytes))
        else:
            documents[path] = json.loads(store.blobs.read(layer.digest))
    sample = None
    if SAMPLE_FILE in documents:
        answer = documents[ANSWER_FILE]
        sample = Sample(
            request=documents[SAMPLE_FILE], outputs=tuple(answer["outputs"]), origin=answer["sample"]
        )
    return SealedModel(digest=digest, files=tuple(files), sample=sample, record=documents[RECORD_FILE])


def write_model(model: SealedModel, store: Store, folder: Path) -> None:
    """Write the model's own files under `folder`, for a container to mount."""
    write_files(model.files, store, folder)


def _config(files: tuple[OutputFile, ...], summary: OnnxSummary, store: Store) -> Descriptor:
    document = {
        "descriptor": {},
        "config": {"format": "onnx", "irVersion": summary.ir_version, "opsets": dict(summary.opsets)},
        "modelfs": {"type": "layers", "diffIds": [str(item.digest) for item in files]},
    }
    body = canonical_json(document)
    return Descriptor(media_type=MEDIA_MODEL_CONFIG, digest=store.blobs.put(body), size_bytes=len(body))


def _layer(media_type: str, digest: Digest, size_bytes: int, path: str) -> Descriptor:
    return Descriptor(
        media_type=media_type, digest=digest, size_bytes=size_bytes, annotations={FILE_PATH: path}
    )
