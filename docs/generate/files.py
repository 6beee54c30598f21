"""The page of files: the lock, the store, what a task leaves, what an image and a model are made of.

Names, media types and formats come from the code; the sentences about them stand here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import fields

import lading.store.store
from lading.lock import model as lock_model
from lading.lock.lockfile import LOCK_NAME
from lading.oci import manifest
from lading.project.files import LARGEST_DATA_BYTES, LARGEST_FILE_BYTES, NEVER, USUALLY_NOT
from lading.project.ignore import Pattern
from lading.run import contract, model, outputs
from lading.run.seal import SEAL_FORMAT, make_seal

Table = Callable[[tuple[str, ...], Iterable[tuple[str, ...]]], str]

_LOCK_TABLES = (
    (
        "`[[suite]]`",
        lock_model.LockedSuite,
        "a signed Debian index as it was accepted; its date never goes back",
    ),
    ("`[[variant]]`", lock_model.LockedVariant, "everything for one accelerator on one platform"),
    ("`[variant.interpreter]`", lock_model.LockedInterpreter, "the Python, to the exact build"),
    ("`[variant.target.NAME]`", lock_model.TargetSelection, "which of the variant's files the target holds"),
    ("`[[variant.wheel]]`", lock_model.LockedWheel, "one wheel file"),
    ("`[[variant.package]]`", lock_model.LockedPackage, "one Debian package file"),
    ("`[[layer]]`", lock_model.LockedLayer, "what a layer came out as in the first build"),
)


def files_page(table: Table) -> str:
    """The whole page."""
    parts = ["# Files\n", *_lock(table), *_store(), *_task(table), *_code(), *_media(table)]
    return "\n".join(parts)


def _lock(table: Table) -> list[str]:
    rows = [
        (name, ", ".join(f"`{field.name}`" for field in fields(kind)), text)
        for name, kind, text in _LOCK_TABLES
    ]
    return [
        f"## {LOCK_NAME}\n",
        "TOML beside `lading.toml`, sorted, one text for one lock; commit it. It holds no path of a machine, "
        "no credentials and no time but those of signed indexes. A file *is* its name, version, file name, "
        "sha256 and size; its URL is only a hint.\n",
        f"Top level: `format` ({lock_model.LOCK_FORMAT}; a later one is refused with a word) and `inputs`, a "
        "sha256 over everything resolution depended on. When that differs from the project, the lock is out "
        "of date: commands renew it, and with `--locked` they end with exit code 4.\n",
        table(("table", "keys", "what it is"), rows) + "\n",
    ]


def _store() -> list[str]:
    layout = (lading.store.store.__doc__ or "").partition("\n\n")[2].strip()
    extra = [
        "  runs/ID/log         what a run printed; circumstances.json: what was seen around it",
        "  containers/ID/      what runs now: its state, what was asked (without secrets), its log",
        "  checkpoints/        $LADING_CHECKPOINTS of each task, by project and place",
        "  toolchains/HEX/     interpreters of images, prepared to compile bytecode",
        "  scratch/            mount points and throw-away folders of containers",
    ]
    return [
        "## The store\n",
        "One folder for one user, `LADING_HOME`. Everything in it is named by its content or by a key; "
        "writes are whole or not there at all, so after `kill -9` nothing needs repair. Many processes may "
        "use it at once. Remove the whole folder to start anew: runs, models and checkpoints are lost.\n",
        "```text\n" + "\n".join([layout, *extra]) + "\n```\n",
        "`records/` is a cache: any of it may be thrown away. The ledger is an SQLite file whose tables "
        "refuse UPDATE and DELETE: what happened stays written. Each run's outputs are blobs with a "
        "manifest; its log is `runs/ID/log`.\n",
        "SBOM (CycloneDX) and provenance (SLSA) of an image are blobs beside it; the image never changes for "
        "them. `lading build --sbom FILE --provenance FILE` writes them out.\n",
    ]


def _task(table: Table) -> list[str]:
    sealed = list(inspect.signature(make_seal).parameters)
    rows = [
        (
            f"`{contract.CODE}`",
            "the project's code and the working folder; what is written there is thrown away",
        ),
        (f"`{contract.INPUTS}/NAME`", "input NAME, read-only"),
        (f"`{contract.OUTPUTS}`", "collected when the task ends with 0"),
        (f"`{contract.CHECKPOINTS}`", "kept for the next run of this task"),
        (f"`{contract.PARAMS}`", "the parameters as JSON"),
        (f"`{contract.SCRATCH}`", "HOME and all caches; gone after the run"),
    ]
    metrics = (
        "Metrics are read from `metrics.json` (one object), `metrics.jsonl` (an object a line, the last "
        "value counts) and what MLflow left (`mlflow.db`, `mlruns/`); where several give one name, the first "
        "of these wins. Nested names are joined with dots; "
        "other characters than letters, digits, `_`, `.`, `@` become `_`. What cannot be read is a warning, "
        "and a gate over it is inconclusive."
    )
    return [
        "## What a task sees and leaves\n",
        table(("path in the container", "what it is"), rows) + "\n",
        metrics + "\n",
        f"`{model.MODEL_FILE}` in the outputs, or the only `.onnx` file there, is the model. Weights it "
        "refers to must lie beside it. `sample.json` in the outputs, or the file that `[serve] sample` "
        "names, is an "
        'inference request (Open Inference Protocol), or `{"request": …, "response": …}` with the outputs it '
        "must come to. Without a sample, zeros that fit the model's inputs are asked; a model that refuses "
        "those, or whose inputs are too large to make some up, is served all the same, and nothing is "
        "replayed.\n",
        "Copies of the outputs are placed in the project's `out/` (or what `outputs` names), owned by you. "
        "Links that lead out of the outputs, devices and sockets are left behind with a word.\n",
        f"The seal of a run (format {SEAL_FORMAT}) is the sha256 of the canonical JSON of: "
        + ", ".join(f"`{name}`" for name in sealed)
        + ". Secrets are there by name, limits are not.\n",
    ]


def _code() -> list[str]:
    never = ", ".join(f"`{pattern}`" for pattern in _patterns(NEVER))
    usually = ", ".join(f"`{pattern}`" for pattern in _patterns(USUALLY_NOT))
    return [
        "## Which files become code\n",
        "Rules come from `.ladingignore`, else `.dockerignore`, else the project's `.gitignore` files.\n",
        f"Never: {never}; outputs, `[data]` sources, wheel folders, and images that were written there: "
        "OCI layouts, archives `*.tar` at the top.\n",
        f"Not unless a rule takes them back (`!README.md`): {usually}.\n",
        f"A file over {LARGEST_FILE_BYTES // 1_000_000} MB, or over {LARGEST_DATA_BYTES // 1_000_000} MB "
        "with an ending of data or weights, stops the build by name, and so does a file that looks like a "
        "credential.\n",
    ]


def _patterns(patterns: Iterable[Pattern]) -> list[str]:
    """The patterns as a .gitignore has them."""
    return [
        ("/" if pattern.anchored else "") + pattern.glob + ("/" if pattern.folders_only else "")
        for pattern in patterns
    ]


def _media(table: Table) -> list[str]:
    rows = [
        ("image manifest", f"`{manifest.MEDIA_MANIFEST}`"),
        ("image config", f"`{manifest.MEDIA_CONFIG}`"),
        ("layer", f"`{manifest.MEDIA_LAYER_GZIP}`"),
        ("outputs of a run", f"`{outputs.ARTIFACT_OUTPUTS}`"),
        ("a file of them", f"`{outputs.MEDIA_FILE}`"),
        ("sealed model", f"`{model.ARTIFACT_MODEL}`"),
        ("its weights", f"`{model.MEDIA_WEIGHT}`"),
        ("its record, sample and answer", f"`{model.MEDIA_DOCUMENT}`"),
    ]
    return ["## Media types\n", table(("what", "media type"), rows) + "\n"]
