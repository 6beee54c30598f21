"""Rules about models and data in a Dockerfile's image. Pure but for the sizes they ask for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from posixpath import basename, normpath

from lading.inspect.lint.dockerfile import Dockerfile, Instruction
from lading.inspect.lint.model import Severity, Spot
from lading.inspect.lint.rule import Kind, rule
from lading.inspect.lint.rules.context import build_context, copies, is_whole
from lading.inspect.lint.rules.scripts import RunCommand, final_stage, has_option, is_python, run_commands
from lading.inspect.lint.shell import ShellWord
from lading.inspect.lint.surroundings import Surroundings

_DATA = (
    ".csv", ".tsv", ".parquet", ".feather", ".arrow", ".tfrecord", ".tfrecords", ".npz", ".npy", ".jsonl",
    ".hdf5", ".lmdb", ".mdb", ".avro", ".orc", ".recordio", ".csv.gz", ".jsonl.gz", ".webdataset",
)  # fmt: skip
_PICKLES = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt")
_WEIGHTS = (
    *_PICKLES, ".safetensors", ".onnx", ".h5", ".keras", ".gguf", ".tflite", ".engine", ".plan", ".caffemodel"
)  # fmt: skip
_LARGE_DATA_BYTES = 100_000_000
_LARGE_WEIGHTS_BYTES = 10_000_000
_CHECKS = frozenset(
    {"sha256sum", "sha512sum", "sha1sum", "md5sum", "b2sum", "shasum", "openssl", "gpg", "cosign"}
)
_HUB_CALLS = frozenset(
    {"from_pretrained", "snapshot_download", "hf_hub_download", "SentenceTransformer", "CrossEncoder"}
)
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?")
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@rule(
    "LDD012", "A data set in the image", Kind.DOCKERFILE, Severity.WARNING,
    "docs.docker.com/engine/storage: volumes hold data that outlives a container", looks_around=True,
)  # fmt: skip
def copied_data(document: Dockerfile, around: Surroundings) -> Iterator[Spot]:
    """Every pull moves the data set, every push uploads it, and it is out of date in all copies but one.
    Said when what COPY names holds more than 100 MB of data files (.csv, .parquet, .tfrecord …) and they
    lie beside the Dockerfile.

    Bad:

        COPY data/ /data/

    Good:

        docker run --mount type=bind,src=$PWD/data,dst=/data,readonly …
    """
    context = build_context(document, around)
    if context is None:
        return
    for entry, sources in copies(document, final_stage(document)):
        size = 0
        for path, bytes_ in context.folder.listing.sizes.items():
            if path.lower().endswith(_DATA) and _takes(sources, path) and not context.is_ignored(path):
                size += bytes_
        if size > _LARGE_DATA_BYTES:
            yield Spot(
                start=entry.start,
                message=f"{size / 1e6:,.0f} MB of data go into the image: mount them when it runs",
            )


def _takes(sources: tuple[str, ...], path: str) -> bool:
    """Whether a COPY with these sources copies the file; never for patterns but the whole."""
    for source in sources:
        place = normpath(source).lstrip("/")
        if is_whole(source) or path == place or path.startswith(f"{place}/"):
            return True
    return False


@rule(
    "LDD013", "Weights and code in one layer", Kind.DOCKERFILE, Severity.INFO,
    "docs.docker.com/build/cache/optimize: a layer changes as a whole", looks_around=True,
)  # fmt: skip
def weights_with_code(document: Dockerfile, around: Surroundings) -> Iterator[Spot]:
    """Each edit of a script then moves the weights again, to the registry and to every machine. Said of a
    COPY that names both, and of `COPY . .` where weights of 10 MB or more lie beside the Dockerfile.

    Bad:

        COPY model.onnx serve.py /app/

    Good:

        COPY model.onnx /app/
        COPY serve.py /app/
    """
    context = build_context(document, around)
    for entry, sources in copies(document, final_stage(document)):
        weights = next((source for source in sources if source.lower().endswith(_WEIGHTS)), None)
        code = [
            source for source in sources if source.endswith(".py") or source.rstrip("/") in {"src", "app"}
        ]
        if context is not None and weights is None and any(is_whole(source) for source in sources):
            code = ["all else"]
            weights = next(
                (
                    path
                    for path, size in sorted(context.folder.listing.sizes.items())
                    if size >= _LARGE_WEIGHTS_BYTES
                    and path.lower().endswith(_WEIGHTS)
                    and not context.is_ignored(path)
                ),
                None,
            )
        if weights and code:
            yield Spot(
                start=entry.start,
                message=f"{weights} and {code[0]} are one layer: each edit moves the weights again",
            )


@rule(
    "LDD014", "Weights that run code when they are loaded", Kind.DOCKERFILE, Severity.WARNING,
    "PyTorch's SECURITY.md; docs.python.org: pickle is not secure",
)  # fmt: skip
def copied_pickle(document: Dockerfile) -> Iterator[Spot]:
    """.pkl, .joblib, .pt, .pth and .ckpt are pickles: loading one runs whatever its maker put in, with all
    that the container may do. Formats that hold numbers alone are safetensors and ONNX.

    Bad:

        COPY model.joblib /model/

    Good:

        COPY model.onnx /model/
    """
    for entry, sources in copies(document, final_stage(document)):
        target = (entry.json_words or tuple(word.value for word in entry.words))[-1]
        for source in sources:
            name = basename(source).lower()
            if name.endswith(_PICKLES) and "site-packages" not in target:
                yield Spot(
                    start=entry.start,
                    message=f"{basename(source)} is a pickle: loading it runs code; use safetensors or ONNX",
                )
                break


@rule(
    "LDD015", "A model is fetched without saying which", Kind.DOCKERFILE, Severity.WARNING,
    "huggingface.co/docs: revision; docs.docker.com: ADD --checksum",
)  # fmt: skip
def fetched_model(document: Dockerfile) -> Iterator[Spot]:
    """A name on a hub is a branch: its owner, or who stole the account, puts other weights there, and the
    next build takes them. A revision or a checksum says which are meant.

    Bad:

        RUN huggingface-cli download acme/model

    Good:

        RUN huggingface-cli download acme/model --revision 5c38ec7c405ec4b44b94cc5a9bb96e735b38267a
    """
    for stage in document.stages:
        commands = list(run_commands(stage))
        for run in commands:
            same = [other for other in commands if other.instruction is run.instruction]
            checked = any(_CHECKS & set(other.values) for other in same)
            if not checked and (what := _unchecked(run, same)):
                yield Spot(start=run.offset, message=what)
        for entry in stage.all("ADD"):
            if not any(flag.text.startswith("--checksum") for flag in entry.flags):
                yield from (Spot(start=entry.start, message=text) for text in _added(entry))


def _added(entry: Instruction) -> Iterator[str]:
    for word in entry.words[:-1]:
        if word.value.startswith(("http://", "https://")) and _is_weights(word.value):
            yield f"{basename(word.value)} is fetched without a checksum: ADD --checksum=sha256:…"


def _is_weights(url: str) -> bool:
    return "$" not in url and url.split("?")[0].lower().endswith((*_WEIGHTS, "pytorch_model.bin"))


def _unchecked(run: RunCommand, same: list[RunCommand]) -> str:
    values = run.values
    name = values[0].rpartition("/")[2]
    if name in {"huggingface-cli", "hf"} and values[1:2] == ("download",):
        named = [
            word for word in run.command.words[2:3] if word.literal and _REPOSITORY.fullmatch(word.value)
        ]
        kinds = has_option(run, "--revision", "--repo-type", "--local-files-only")
        return f"{named[0].value} is fetched without --revision" if named and not kinds else ""
    if name in {"wget", "curl"}:
        if has_option(run, "--head", "-I", "--checksum"):
            return ""
        url = next((word for word in values[1:] if "://" in word and _is_weights(word)), None)
        return f"{basename(url.split('?')[0])} is fetched without a checksum: sha256sum -c" if url else ""
    if name == "git" and values[1:2] == ("clone",):
        hub = any(word.startswith("https://huggingface.co/") and "/datasets/" not in word for word in values)
        pinned = has_option(run, "-b", "--branch", "--revision") or any(
            "checkout" in other.values or "reset" in other.values for other in same
        )
        return "" if not hub or pinned else "the repository is fetched as it is today: git checkout <commit>"
    if is_python(values[0]) and values[1:2] == ("-c",) and len(values) > 2:
        return _unpinned_call(run.command.words[2])
    return ""


def _unpinned_call(word: ShellWord) -> str:
    """The first call in a Python text that loads from a hub by name alone."""
    if not word.literal:
        return ""
    try:
        tree = ast.parse(word.value)
    except (SyntaxError, ValueError):
        return ""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        callee = node.func
        name = callee.attr if isinstance(callee, ast.Attribute) else getattr(callee, "id", "")
        texts = [
            value.value
            for value in (
                *node.args,
                *(part.value for part in node.keywords if part.arg in {"repo_id", None}),
            )
            if isinstance(value, ast.Constant) and isinstance(value.value, str)
        ]
        if (
            name not in _HUB_CALLS
            or any(part.arg in {"revision", None} for part in node.keywords)
            or not texts
        ):
            continue
        if (
            _HUB_NAME.fullmatch(texts[0])
            and any(part.arg == "local_files_only" for part in node.keywords) is False
        ):
            return f"{texts[0]} is fetched without revision=…"
    return ""
