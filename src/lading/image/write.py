"""One layer spec becomes one layer in the store: the only place that knows which writer serves which kind.

Each writer is imported when a layer of its kind is missing: an edit of code reads no wheel and no package.
"""

from __future__ import annotations

from lading.errors import InternalError
from lading.image.job import LayerJob
from lading.image.layer.tree import EntryKind
from lading.image.layer.writer import LayerWriter
from lading.image.model import LayerRecord
from lading.image.spec import (
    AddedPackagesLayer,
    BytecodeLayer,
    FilesLayer,
    ForeignLayer,
    LayerSpec,
    PackagesLayer,
    ProjectLayer,
    StandaloneLayer,
    StepLayer,
    VenvLayer,
    WheelsLayer,
)


def write_layer(job: LayerJob, spec: LayerSpec) -> LayerRecord:
    """Write the layer, record and index it. Idempotent: the same spec gives the same blob."""
    if isinstance(spec, ForeignLayer):
        job.sources.fetch_layers(spec.reference, (spec.layer,))
        return spec.record
    with job.store.blobs.writer() as blob:
        writer = LayerWriter(blob, progress=job.progress)
        warnings = _fill(job, spec, writer)
        written = writer.finish()
    record = LayerRecord(
        key=spec.key,
        kind=spec.kind,
        title=spec.title,
        digest=written.digest,
        diff_id=written.diff_id,
        size_bytes=written.size_bytes,
        unpacked_bytes=written.unpacked_bytes,
        file_count=sum(entry.kind is EntryKind.FILE for entry in written.index),
        warnings=warnings,
    )
    job.store.indexes.put(spec.key, [entry.as_json() for entry in written.index])
    job.store.layers.put(spec.key, record.as_json())
    return record


def _fill(job: LayerJob, spec: LayerSpec, writer: LayerWriter) -> tuple[str, ...]:
    """Feed the entries of `spec` to `writer`; returns warnings."""
    match spec:
        case WheelsLayer():
            from lading.image.kinds.wheels import write_wheels

            return write_wheels(spec, writer, job.sources.open_wheel)
        case PackagesLayer():
            from lading.image.kinds.packages import write_packages

            write_packages(job, spec, writer)
        case AddedPackagesLayer():
            from lading.image.kinds.packages import write_added_packages

            write_added_packages(job, spec, writer)
        case StandaloneLayer():
            from lading.image.kinds.bytecode import write_standalone

            write_standalone(job, spec, writer)
        case BytecodeLayer():
            from lading.image.kinds.bytecode import write_bytecode

            write_bytecode(job, spec, writer)
        case VenvLayer():
            from lading.image.kinds.files import venv_entries

            writer.entries(venv_entries(spec))
        case StepLayer():
            from lading.image.kinds.step import write_step

            return write_step(job, spec, writer)
        case FilesLayer(kind="files" | "model"):
            from lading.image.kinds.added import write_added

            assert job.sources.fetch_file is not None, "a build of files can fetch them"
            write_added(spec, writer, job.sources.fetch_file)
        case FilesLayer():
            from lading.image.kinds.files import file_entries

            writer.entries(file_entries(spec))
        case ProjectLayer():
            from lading.image.kinds.files import write_project

            return write_project(job, spec, writer)
        case ForeignLayer():
            raise InternalError(f"{spec.title} is not written here")
    return ()
