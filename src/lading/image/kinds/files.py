"""Layers of files known before anything is fetched: code, a project's own wheel, the venv's frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lading.errors import InternalError, ProjectError
from lading.image.job import LayerJob
from lading.image.layer.tree import EntryKind, TreeEntry
from lading.image.layer.writer import LayerWriter
from lading.image.spec import CODE, VENV, FilesLayer, ProjectLayer, VenvLayer, WheelsLayer
from lading.oci.digest import Digest


def write_project(job: LayerJob, spec: ProjectLayer, writer: LayerWriter) -> tuple[str, ...]:
    """The project's wheel, and the files beside it; returns warnings. Raises WheelRefused, ProjectError."""
    from lading.image.kinds.wheels import top_level_names, write_wheels

    if job.sources.project_wheel is None:
        raise InternalError("a project is to be built, and nobody has its wheel")
    wheel = job.sources.project_wheel()
    installed = WheelsLayer(
        kind=spec.kind, title=spec.title, wheels=(wheel,), python_version=spec.python_version
    )
    tops = top_level_names(wheel, job.sources.open_wheel)
    kept = tuple(file for file in spec.files if file.path.removeprefix(f"{CODE}/").split("/")[0] not in tops)
    files = FilesLayer(kind=spec.kind, title=spec.title, files=kept)
    warnings = write_wheels(installed, writer, job.sources.open_wheel)
    writer.entries(file_entries(files))
    return warnings


def file_entries(spec: FilesLayer) -> Iterator[TreeEntry]:
    """Files of the project as they were when planned, then generated ones. Raises ProjectError."""
    for file in spec.files:
        if file.link_target is not None:
            yield TreeEntry(path=file.path, kind=EntryKind.SYMLINK, mode=0o777, link_target=file.link_target)
            continue
        content = Path(file.source).read_bytes()
        if file.sha256 != Digest.of(content).hex:
            raise ProjectError(
                f"{file.source} changed while the image was being built", hints=("run the build again",)
            )
        yield TreeEntry(path=file.path, kind=EntryKind.FILE, mode=file.mode, content=content)
    for path, mode, content in spec.generated:
        yield TreeEntry(path=path, kind=EntryKind.FILE, mode=mode, content=content)


def venv_entries(spec: VenvLayer) -> Iterator[TreeEntry]:
    """The few files that make a prefix a virtual environment (PEP 405)."""
    home, _, _ = spec.executable.rpartition("/")
    below = "true" if spec.sees_base else "false"
    config = f"home = {home}\ninclude-system-site-packages = {below}\nversion = {spec.python_version}\n"
    yield TreeEntry(path=f"{VENV}/pyvenv.cfg", kind=EntryKind.FILE, mode=0o644, content=config.encode())
    for name, target in (
        ("python", spec.executable),
        ("python3", "python"),
        (f"python{spec.python_version}", "python"),
    ):
        yield TreeEntry(path=f"{VENV}/bin/{name}", kind=EntryKind.SYMLINK, mode=0o777, link_target=target)
    site_packages = f"{VENV}/lib/python{spec.python_version}/site-packages"
    yield TreeEntry(path=site_packages, kind=EntryKind.DIRECTORY, mode=0o755)
    if spec.sees_base and spec.environment not in ("", f"/{VENV}"):
        line = f"{spec.environment}/lib/python{spec.python_version}/site-packages\n"
        yield TreeEntry(
            path=f"{site_packages}/base.pth", kind=EntryKind.FILE, mode=0o644, content=line.encode()
        )
