"""Files that the user puts into an image, and baked models: planned as layers, then streamed into them.

Large ones have a layer each, which other projects share and a change of another file leaves alone; what would
not compress is stored as it is. Both rules look at the content alone, so every machine decides the same.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import deflate

from lading.errors import ProjectError
from lading.image.job import FetchFile
from lading.image.layer.recipe import CHUNK_BYTES, LEVEL
from lading.image.layer.tree import EntryKind, TreeEntry
from lading.image.layer.writer import LayerWriter
from lading.image.spec import FilesLayer, PlannedFile
from lading.project.model import CodeFile, ImageFile
from lading.project.presence import files_at

OWN_LAYER_BYTES = 64 << 20
WEIGHTS_BYTES = 1 << 20
"""From here on, a file of weights has a layer of its own."""
MAX_OWN_LAYERS = 16
_WEIGHTS = (
    ".safetensors", ".onnx", ".gguf", ".pt", ".pth", ".ckpt", ".bin", ".h5", ".keras", ".tflite", ".npz",
    ".msgpack", ".joblib",
)  # fmt: skip
_SAMPLE_BYTES = 256 << 10
_WORTH_COMPRESSING = 0.97


def plan_files(root: Path, entries: Iterable[ImageFile]) -> tuple[FilesLayer, ...]:
    """The layers of `[[image.files]]`. Reads and hashes every local file. Raises ProjectError."""
    planned: dict[str, PlannedFile] = {}
    for entry in entries:
        for file in _planned(root, entry):
            if file.path in planned:
                raise ProjectError(f"/{file.path} comes from two of [[image.files]]", place=entry.place)
            planned[file.path] = file
    return layers_of(tuple(planned.values()), kind="files")


def layers_of(files: Sequence[PlannedFile], *, kind: str) -> tuple[FilesLayer, ...]:
    """Large files each in a layer, largest first; then all others in one."""
    large = sorted((f for f in files if _is_large(f)), key=lambda file: (-file.size_bytes, file.path))
    own = {file.path for file in large[:MAX_OWN_LAYERS]}
    layers = [
        FilesLayer(kind=kind, title=f"/{file.path}", files=(file,)) for file in large if file.path in own
    ]
    rest = tuple(sorted((f for f in files if f.path not in own), key=lambda file: file.path.split("/")))
    if rest:
        title = f"/{rest[0].path}" + (f" and {len(rest) - 1} more" if len(rest) > 1 else "")
        layers.append(FilesLayer(kind=kind, title=title, files=rest))
    return tuple(layers)


def planned_file(root: Path, file: CodeFile, target: str, mode: int | None = None) -> PlannedFile:
    """`file` of the project as /`target`, hashed. Raises ProjectError."""
    source = root / file.path
    if file.link_target is not None:
        _refuse_leading_out(root, source, file)
        return PlannedFile(path=target, mode=0o777, size_bytes=0, sha256=None, link_target=file.link_target)
    try:
        with source.open("rb") as opened:
            sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise ProjectError(f"reading {file.path} failed: {error.strerror}", place=str(source)) from error
    usual = 0o755 if file.executable else 0o644
    return PlannedFile(
        path=target,
        mode=usual if mode is None else mode,
        size_bytes=file.size_bytes,
        sha256=sha256,
        source=str(source),
    )


def write_added(spec: FilesLayer, writer: LayerWriter, fetch: FetchFile) -> None:
    """Fill the layer. Raises ProjectError for a file that has changed, and what fetching raises."""
    for file in spec.files:
        if file.link_target is not None:
            link = TreeEntry(path=file.path, kind=EntryKind.SYMLINK, mode=0o777, link_target=file.link_target)
            writer.entry(link)
            continue
        assert file.sha256 is not None, "planned files have a digest"
        path = fetch(file.source, file.sha256) if is_url(file.source) else Path(file.source)
        stream_file(writer, file.path, path, mode=file.mode, sha256=file.sha256)


def stream_file(
    writer: LayerWriter, target: str, path: Path, *, mode: int, sha256: str | None = None
) -> None:
    """`path` as the file `target`. Raises ProjectError when it cannot be read or has another sha256."""
    try:
        size_bytes = path.stat().st_size
        compress = _compresses(path, size_bytes)
        found = writer.stream(target, _chunks(path), mode=mode, size_bytes=size_bytes, compress=compress)
    except OSError as error:
        raise ProjectError(f"reading {path} failed: {error.strerror}", place=str(path)) from error
    if sha256 not in (None, found):
        raise ProjectError(f"{path} changed while the image was being built", hints=("run the build again",))


def is_url(source: str) -> bool:
    return source.startswith(("https://", "http://"))


def _planned(root: Path, entry: ImageFile) -> Iterator[PlannedFile]:
    destination = entry.destination.lstrip("/")
    if entry.is_remote:
        mode = 0o644 if entry.mode is None else entry.mode
        yield PlannedFile(path=destination, mode=mode, size_bytes=0, sha256=entry.sha256, source=entry.source)
        return
    is_folder = (root / entry.source).is_dir()
    for file in files_at(root, entry.source):
        target = destination + file.path.removeprefix(entry.source) if is_folder else destination
        planned = planned_file(root, file, target, entry.mode)
        if entry.sha256 is not None and not is_folder and planned.sha256 != entry.sha256:
            raise ProjectError(
                f"{entry.source} has sha256 {planned.sha256}, not {entry.sha256}", place=entry.place
            )
        yield planned


def _refuse_leading_out(root: Path, source: Path, file: CodeFile) -> None:
    target = Path(os.path.normpath(source.parent / (file.link_target or "")))
    if not target.is_relative_to(root):
        raise ProjectError(
            f"{file.path} is a link that leads out of the project",
            place=str(source),
            hints=(f"ls -l {source}",),
        )


def _is_large(file: PlannedFile) -> bool:
    if file.link_target is not None:
        return False
    # The size of what a URL names is unknown before it is fetched, and the order may not depend on that.
    weights = file.path.lower().endswith(_WEIGHTS) and file.size_bytes >= WEIGHTS_BYTES
    return is_url(file.source) or weights or file.size_bytes >= OWN_LAYER_BYTES


def _compresses(path: Path, size_bytes: int) -> bool:
    """Whether samples of a large file get smaller: begin, middle and end. libdeflate is pinned (law 4)."""
    if size_bytes < WEIGHTS_BYTES:
        return True
    before = after = 0
    with path.open("rb") as file:
        for start in (0, size_bytes // 2, size_bytes - _SAMPLE_BYTES):
            file.seek(start)
            sample = file.read(_SAMPLE_BYTES)
            before += len(sample)
            after += len(deflate.deflate_compress(sample, LEVEL))
    return after < before * _WORTH_COMPRESSING


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
