"""Runs that could not load a model: cut off, another format, another version, not for this code. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lading.inspect.doctor.model import Sign
from lading.inspect.doctor.runs.evidence import RunEvidence
from lading.inspect.doctor.runs.register import death, said, told

_TRUNCATED = re.compile(
    r"SafetensorError: .*(?:MetadataIncompleteBuffer|incomplete metadata|HeaderTooSmall|header too small"
    r"|InvalidHeaderLength|invalid header length)"
    r"|PytorchStreamReader failed (?:reading zip archive: failed finding central directory"
    r"|locating file|reading file .*(?:read failed|invalid))"
    r"|pickle data was truncated|EOFError(?:: (?:Ran out of input|No data left in file))?$"
    r"|unexpected EOF, expected \d+ more bytes|EOF: reading array data, expected \d+ bytes"
    r"|truncated file: eof = |Compressed file ended before the end-of-stream|Incomplete or corrupted"
    r"|tensor '\S+' data is not within the file bounds|zlib\.error: Error -5|Unexpected end of (?:ZLIB|file)"
    r"|file seems not fully written|cannot reshape array of size \d+ into shape"
)
_NO_ARCHIVE = re.compile(r"BadZipFile: ")
_PROTOBUF = re.compile(r"INVALID_PROTOBUF.*|Protobuf parsing failed|Error parsing message with type 'onnx")
_WRONG_FORMAT = re.compile(
    r"SafetensorError: .*(?:HeaderTooLarge|header too large|InvalidHeaderStart|InvalidHeaderDeserialization"
    r"|invalid (?:JSON|UTF-8) in header)"
    r"|invalid load key, '?(\\?[^']{1,4})|Unsupported operand (\d+)|file signature not found"
    r"|This file contains pickled \(object\) data|Cannot load file containing pickled data when allow_pickle"
    r"|Not a gzipped file|invalid magic (?:number|characters)|Invalid magic number; corrupt file"
    r"|not a (?:valid )?gguf|Unrecognized model format|is not a valid model file"
)
_LFS = re.compile(r"git-lfs\.github\.com/spec|invalid load key, '?v\b|Unsupported operand 118\b|git lfs pull")
_PAGE = re.compile(r"invalid load key, '?<|Unsupported operand 60\b|<!DOCTYPE html|<html")
_VERSION = re.compile(
    r"Unsupported model IR version: (\d+), max supported IR version: (\d+)"
    r"|Opset (\d+) is under development|ONNX Runtime only \*?guarantees"
    r"|No Op registered for \w+ with domain_version of \d+|Could not find an implementation for \w+"
    r"|unsupported pickle protocol: (\d+)"
    r"|Trying to unpickle estimator (\w+) from version ([\w.]+) when using version ([\w.]+)"
    r"|No module named '(?:numpy\._?core|(?:sklearn|pandas\.core|torch|keras|tensorflow)\.[\w.]+)"
    r"|incompatible dtype: expected|(?:checkpoint|model) .*does not recognize this architecture"
    r"|unsupported (?:gguf|GGML) version|file in version \d+ .*newer version of PyTorch"
    r"|Can't get attribute '\w+' on <module '(?:sklearn|numpy|pandas|torch)"
    r"|Attempted to read a PyTorch file with version \d+, but the maximum supported"
)
_MISMATCH = re.compile(
    r"Error\(s\) in loading state_dict for (\w+)|size mismatch for ([\w.]+)|Missing key\(s\) in state_dict"
    r"|Unexpected key\(s\) in state_dict|Layer count mismatch|A total of \d+ objects could not be loaded"
    r"|INVALID_ARGUMENT : (?:Got invalid dimensions|Unexpected input data type)"
    r"|Can't get attribute '(\w+)' on <module '__main__'"
)
_REFUSED = re.compile(r"Unsupported (?:global|class)|not an allowed global by default")
_DEVICE = re.compile(r"Attempting to deserialize object on (?:a )?CUDA device")
_SUFFIXES = "onnx|pt|pth|bin|safetensors|gguf|pkl|joblib|h5|keras|npy|npz|ckpt"
_PERMISSION = re.compile(
    r"Load model from (\S+) failed:system error number 13"
    rf"|PermissionError: \[Errno 13\] Permission denied: '([^']*\.(?:{_SUFFIXES}))'"
)
_MODEL_NAME = re.compile(rf"[^/'\s\"]+\.(?:{_SUFFIXES})\b")


@death(
    "run-model-truncated", "A model file is cut off", "safetensors, ZIP, pickle, HDF5, ONNX: their formats"
)
def model_truncated(run: RunEvidence) -> Iterator[Sign]:
    """The file begins as a model does and ends too early: a download or a copy that broke off, a full disk
    while it was written, a process that was killed while it saved.

    ONNX files have neither a length nor a first word of their own: one that was cut off and one of another
    format look alike, and are only called likely.

    Mend: compare its size with the source's and fetch it again; save under another name and rename.
    """
    match = said(run, _TRUNCATED)
    if match is not None:
        yield from told(run, match, "", _file_name(run))
        return
    match = said(run, _PROTOBUF, _NO_ARCHIVE)
    if match is not None and not run.words.has(_LFS) and not run.words.has(_PAGE):
        proof = (match.proof, _file_name(run) or "it is cut off, or of another format", run.ending())
        yield Sign(proof=proof, remedy=f"head -c 200 {_model(run) or 'FILE'}", certain=False)


@death("run-model-format", "A model file is of another format", "magic numbers; Git LFS pointer files")
def model_format(run: RunEvidence) -> Iterator[Sign]:
    """The first bytes are not those of the format that the loader expects. Mostly the file is no model at
    all: a Git LFS pointer (130 bytes of text: `invalid load key, 'v'`, `Unsupported operand 118`), a web page
    that a download link answered (`'<'`, `operand 60`), or weights under the wrong suffix.

    Mend: look at its beginning: `head -c 200 FILE`. For a pointer: `git lfs pull`.
    """
    match = said(run, _WRONG_FORMAT)
    if run.words.has(_LFS):
        yield from told(run, match, "git lfs pull", "the file begins like a Git LFS pointer")
    elif run.words.has(_PAGE):
        yield from told(run, match, f"head -c 200 {_model(run) or 'FILE'}", "it begins like a web page")
    else:
        yield from told(run, match, f"head -c 200 {_model(run) or 'FILE'}", _file_name(run))


@death("run-model-version", "A model was saved by another version", "ONNX: IR and opset; pickle: protocols")
def model_version(run: RunEvidence) -> Iterator[Sign]:
    """The file is whole and of the right format, and was written by a newer or older release than the one
    that reads it: an ONNX IR or opset beyond the runtime, a pickle of scikit-learn or numpy with modules that
    moved, a checkpoint of a newer framework.

    Mend: load it with the version that saved it, or export it again. Pickles hold no stable format: ONNX or
    safetensors do.
    """
    yield from told(run, said(run, _VERSION), "", _file_name(run))


@death("run-model-mismatch", "Weights and code do not belong together", "torch.nn.Module.load_state_dict")
def model_mismatch(run: RunEvidence) -> Iterator[Sign]:
    """The file was read; what is in it does not fit the model that the code built: another number of classes,
    another layer, a prefix (`module.`) from data parallel training, a class that was defined in `__main__`
    when it was saved. Often a checkpoint of an earlier experiment lies in `$LADING_CHECKPOINTS`.

    Mend: build the model with the parameters of the checkpoint, or begin without it.
    """
    yield from told(run, said(run, _MISMATCH), f"lading why {run.task}")


@death(
    "run-pickle-refused", "A checkpoint holds more than weights, and was refused", "torch.load: weights_only"
)
def pickle_refused(run: RunEvidence) -> Iterator[Sign]:
    """Since torch 2.6 `torch.load` reads weights alone; a checkpoint with other Python objects is refused,
    since loading it can run code.

    Mend: for a file you trust, `torch.serialization.add_safe_globals([…])` or `weights_only=False`; save
    `state_dict()` or safetensors from now on.
    """
    yield from told(run, said(run, _REFUSED))


@death("run-model-device", "A checkpoint was saved on a GPU and there is none", "torch.load: map_location")
def model_device(run: RunEvidence) -> Iterator[Sign]:
    """Tensors remember the device they were on.

    Mend: `torch.load(path, map_location="cpu")`, or give the task GPUs.
    """
    yield from told(run, said(run, _DEVICE), run.again("--gpus 1"))


@death("run-model-permission", "A model file may not be read", "open(2): EACCES")
def model_permission(run: RunEvidence) -> Iterator[Sign]:
    """The file is there and belongs to somebody else, or a folder above it is closed to the user that the
    container runs as. Files of an image are for all to read; this one comes from a mount or an input.

    Mend: `chmod -R a+rX` where it lies, then run again.
    """
    match = said(run, _PERMISSION)
    name = next(filter(None, match.match.groups()), "FILE") if match is not None else ""
    yield from told(run, match, f"chmod a+r {name.rpartition('/')[2]}")


def _file_name(run: RunEvidence) -> str:
    name = _model(run)
    return f"the file is {name}" if name else ""


def _model(run: RunEvidence) -> str:
    """The model that the last exception names, or the line that raised it."""
    raised = run.words.last
    if raised is None:
        return ""
    texts = [str(raised), raised.message, *run.words.lines[raised.start : raised.end]]
    return next((match[0] for text in texts if (match := _MODEL_NAME.search(text))), "")
