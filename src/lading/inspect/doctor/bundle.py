"""One archive for a bug report: what is known of a run and its host, without secrets and persons.

`bundle_members` is pure and decides what goes in; `write_bundle` writes it, and refuses to when a known
secret is left in any member. Equal contents, equal bytes.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lading.errors import InternalError, OutsideError, UsageError
from lading.inspect.doctor.redact import IS_SET, Redactor, is_secret_name

_SHOWN_PREFIXES = (
    "LADING_", "CUDA_", "NVIDIA_", "NCCL_", "TORCH", "PYTORCH_", "OMP_", "MKL_", "OPENBLAS_", "TF_",
    "XLA_", "JAX_",
    "HF_", "TRANSFORMERS_", "PIP_", "UV_", "PYTHON", "LD_", "LC_", "LANG", "SLURM_JOB", "SLURM_MEM",
    "SLURM_CPUS",
    "SLURM_GPUS", "KUBERNETES_SERVICE", "CI", "TMPDIR", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME",
)  # fmt: skip
_PROXIES = ("http_proxy", "https_proxy", "no_proxy")


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleInputs:
    """Everything that may go in, as it was read."""

    versions: Mapping[str, Any]
    host: Mapping[str, Any]
    findings: tuple[Mapping[str, Any], ...] = ()
    """Of the host."""
    environment: Mapping[str, str] = field(default_factory=dict)
    run: Mapping[str, Any] | None = None
    circumstances: Mapping[str, Any] | None = None
    diagnosis: tuple[Mapping[str, Any], ...] = ()
    log: str | None = None
    log_left_out_bytes: int = 0
    unknown_secrets: tuple[str, ...] = ()
    """Names of secrets that the run had and this environment has not: their values cannot be looked for."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Of the project: name → text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    members: tuple[tuple[str, bytes], ...]
    left_out: tuple[str, ...]


def bundle_members(inputs: BundleInputs, redactor: Redactor) -> Bundle:
    """The archive's files, the first of which says what was left out."""
    counts: Counter[str] = Counter()
    members: list[tuple[str, bytes]] = []

    def add_text(name: str, text: str) -> None:
        done = redactor.text(text)
        counts.update(done.counts)
        members.append((name, done.text.encode("utf-8", "replace")))

    def add_document(name: str, document: Any) -> None:
        # Text by text: in the whole, a redaction could take a quotation mark with it.
        text = json.dumps(
            redactor.document(document), indent=1, sort_keys=True, ensure_ascii=False, default=str
        )
        members.append((name, f"{text}\n".encode("utf-8", "replace")))

    left_out: list[str] = []
    add_document("versions.json", inputs.versions)
    add_document("host.json", inputs.host)
    add_document("doctor.json", list(inputs.findings))
    shown = shown_variables(inputs.environment)
    add_document("environment.json", shown)
    hidden = len(inputs.environment) - len(shown)
    left_out.append(
        f"{hidden} environment variables, by name and value" if hidden else "no environment variable"
    )
    if inputs.run is not None:
        add_document("run.json", inputs.run)
        add_document("circumstances.json", inputs.circumstances or {})
        add_document("diagnosis.json", _diagnosis(inputs))
        left_out += [
            "the run's inputs, outputs, checkpoints and image",
            "values of secrets: they are never written down",
        ]
        left_out += _add_log(inputs, add_text)
    for name, text in sorted(inputs.files.items()):
        add_text(f"project/{name}", text)
    left_out.append("the project's code and data")
    left_out += [f"{count} places with {kind}" for kind, count in sorted(counts.items())]
    readme = redactor.without_known(_readme(members, left_out)).encode("utf-8", "replace")
    return Bundle(members=(("README.txt", readme), *members), left_out=tuple(left_out))


def _diagnosis(inputs: BundleInputs) -> list[Mapping[str, Any]]:
    """Proofs quote the log: where it has to stay out, they do."""
    if not inputs.unknown_secrets:
        return list(inputs.diagnosis)
    return [{**finding, "proof": []} for finding in inputs.diagnosis]


def _add_log(inputs: BundleInputs, add_text: Any) -> list[str]:
    if inputs.log is None:
        return ["the log: it is gone"]
    if inputs.unknown_secrets:
        names = ", ".join(inputs.unknown_secrets)
        return [
            f"the log: the run had the secret {names}, whose value is not in this environment to be "
            f"looked for"
        ]
    add_text("log.txt", inputs.log)
    return (
        [f"{inputs.log_left_out_bytes} bytes from the middle of the log"] if inputs.log_left_out_bytes else []
    )


def shown_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Those that decide how lading, Python and GPUs behave. Of secrets only that they are set."""
    return {
        name: IS_SET if is_secret_name(name) else value
        for name, value in sorted(environment.items())
        if name.startswith(_SHOWN_PREFIXES) or name.lower() in _PROXIES
    }


def _readme(members: list[tuple[str, bytes]], left_out: list[str]) -> str:
    inside = "\n".join(f"  {name}  {len(content)} bytes" for name, content in members)
    outside = "\n".join(f"  {line}" for line in left_out)
    return (
        "A bundle of lading doctor, for a bug report.\n\n"
        f"In it:\n{inside}\n\n"
        f"Left out or taken out:\n{outside}\n\n"
        "Secrets were looked for by value, where this environment has them, and by form. No program knows "
        "all\n"
        "forms: read log.txt and run.json before you send this.\n"
    )


def archive_bytes(bundle: Bundle, folder: str) -> bytes:
    """A tar.gz with everything in `folder`; no time, no owner."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, content in bundle.members:
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size, info.mode = len(content), 0o644
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def write_bundle(bundle: Bundle, redactor: Redactor, path: Path) -> int:
    """Write it for its owner's eyes only; its size. Raises UsageError where something is, OutsideError where
    it cannot be written.
    """
    for name, content in bundle.members:
        if redactor.leaks(content):
            raise InternalError(f"a secret would have been in {name} of the bundle; nothing was written")
    content = archive_bytes(bundle, path.name.partition(".")[0])
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise UsageError(
            f"{path} is there already",
            hints=(f"lading doctor bundle --output {path.name.partition('.')[0]}-2.tar.gz",),
        ) from None
    except OSError as error:
        raise OutsideError(
            f"writing the bundle failed: {error.strerror}",
            place=str(path),
            hints=("lading doctor bundle --output /tmp/bundle.tar.gz",),
        ) from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    return len(content)
