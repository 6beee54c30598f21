"""Bytecode, and the layer of a standalone Python: what the image's own interpreter, run here, compiles.

Where the image is for another machine, the same release of Python for this one compiles: bytecode depends on
the release alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping

from lading.errors import InternalError
from lading.image.job import LayerJob
from lading.image.layer.contents import layer_index, read_files
from lading.image.layer.tree import EntryKind, TreeEntry
from lading.image.layer.writer import LayerWriter
from lading.image.model import LayerRecord
from lading.image.python.bytecode import Compiler, cache_path
from lading.image.python.native import native_variant
from lading.image.python.standalone import standalone_tree
from lading.image.python.toolchain import Toolchain, prepare_toolchain
from lading.image.spec import BytecodeLayer, StandaloneLayer
from lading.lock.model import LockedBase, LockedInterpreter, LockedPackage


def write_bytecode(job: LayerJob, spec: BytecodeLayer, writer: LayerWriter) -> None:
    """Every module of the layers below, compiled. Raises FetchFailed, StoreError, ProjectError."""
    interpreter = spec.interpreter
    if interpreter.provider == "standalone":
        files = _LazyTree(lambda: standalone_tree(job.sources.fetch_standalone(interpreter)))
        toolchain = _standalone_toolchain(job, interpreter, files)
    elif spec.base is not None:
        toolchain = _base_toolchain(job, spec.base, interpreter)
    else:
        tree = _LazyTree(lambda: _packages_tree(job, spec.toolchain))
        toolchain = packages_toolchain(job, spec.toolchain, interpreter, tree)
    _compile(job, _modules(job, spec), interpreter, toolchain, writer)


def write_standalone(job: LayerJob, spec: StandaloneLayer, writer: LayerWriter) -> None:
    """A standalone Python with its library's bytecode. Raises FetchFailed."""
    tree = standalone_tree(job.sources.fetch_standalone(spec.interpreter))
    writer.entries(tree.values())
    toolchain = _standalone_toolchain(job, spec.interpreter, tree)
    write_library_bytecode(job, tree, spec.interpreter, toolchain, writer)


def write_library_bytecode(
    job: LayerJob,
    tree: Mapping[str, TreeEntry],
    interpreter: LockedInterpreter,
    toolchain: Toolchain,
    writer: LayerWriter,
) -> None:
    """The bytecode of the interpreter's own library in `tree`."""
    prefix, _, _ = interpreter.executable.lstrip("/").partition("/bin/")
    roots = (f"{prefix}/lib/python{interpreter.version}/", f"{prefix}/lib/python3/dist-packages/")
    modules = (
        (path, entry.read())
        for path, entry in sorted(tree.items())
        if path.startswith(roots) and path.endswith(".py") and entry.kind is EntryKind.FILE
    )
    _compile(job, modules, interpreter, toolchain, writer)


def packages_toolchain(
    job: LayerJob,
    packages: tuple[LockedPackage, ...],
    interpreter: LockedInterpreter,
    tree: Mapping[str, TreeEntry],
) -> Toolchain:
    """The Python of the Debian `packages` that `tree` is made of, or the same release for this host."""
    if job.platform != job.host:
        native = native_variant(job.lock, interpreter, job.platform, job.host)
        packages = tuple(p for p in native.packages if p.role in ("base", "interpreter"))
        tree, interpreter = _LazyTree(lambda: _packages_tree(job, packages)), native.interpreter
    return _prepared(job, _toolchain_name(packages), tree, interpreter)


def _standalone_toolchain(
    job: LayerJob, interpreter: LockedInterpreter, tree: Mapping[str, TreeEntry]
) -> Toolchain:
    if job.platform != job.host:
        interpreter = native_variant(job.lock, interpreter, job.platform, job.host).interpreter
        tree = _LazyTree(lambda: standalone_tree(job.sources.fetch_standalone(interpreter)))
    assert interpreter.sha256 is not None
    return _prepared(job, interpreter.sha256, tree, interpreter)


def _base_toolchain(job: LayerJob, base: LockedBase, interpreter: LockedInterpreter) -> Toolchain:
    if job.platform != job.host:
        native = native_variant(job.lock, interpreter, job.platform, job.host)
        assert native.base is not None, "the same provider"
        base, interpreter = native.base, native.interpreter
    tree = _LazyTree(lambda: _base_interpreter(job, base, interpreter.executable))
    return _prepared(job, base.digest.hex, tree, interpreter)


def _prepared(
    job: LayerJob, name: str, tree: Mapping[str, TreeEntry], interpreter: LockedInterpreter
) -> Toolchain:
    return prepare_toolchain(job.store, name, tree, executable=interpreter.executable, platform=job.host)


def _packages_tree(job: LayerJob, packages: tuple[LockedPackage, ...]) -> dict[str, TreeEntry]:
    from lading.image.debian import debian_tree

    paths = job.sources.fetch_packages(packages)
    opened = [(package, paths[package.name]) for package in packages]
    return debian_tree(opened, flavour="standard", staging=job.store.staging)


def _base_interpreter(job: LayerJob, base: LockedBase, executable: str) -> dict[str, TreeEntry]:
    from lading.image.foreign import interpreter_tree

    job.sources.fetch_layers(base.reference, base.layers)
    return interpreter_tree(job.store, base, executable)


def _modules(job: LayerJob, spec: BytecodeLayer) -> Iterator[tuple[str, bytes]]:
    """Every module of the source layers by path; a later layer's wins."""
    holders: dict[str, int] = {}
    indexes = []
    for number, source in enumerate(spec.sources):
        index = layer_index(job.store, source.key)
        if index is None or not job.store.layers.has(source.key):
            raise InternalError(f"the layer of {source.title} has no index")
        modules = [entry for entry in index if entry.path.endswith(".py")]
        indexes.append(modules)
        holders.update({entry.path: number for entry in modules})
    for number, (source, modules) in enumerate(zip(spec.sources, indexes, strict=True)):
        record = LayerRecord.from_json(job.store.layers.get(source.key) or {})
        held = sorted((e for e in modules if holders[e.path] == number), key=lambda entry: entry.path)
        for entry, content in read_files(job.store, record.digest, held):
            yield entry.path, content


def _compile(
    job: LayerJob,
    modules: Iterator[tuple[str, bytes]],
    interpreter: LockedInterpreter,
    toolchain: Toolchain,
    writer: LayerWriter,
) -> None:
    with Compiler(toolchain, job.workers) as compiler:
        for path, compiled in compiler.compile_all(modules):
            writer.file(cache_path(path, interpreter.version), compiled, mode=0o644)


def _toolchain_name(packages: tuple[LockedPackage, ...]) -> str:
    names = "\n".join(sorted(package.sha256 for package in packages))
    return hashlib.sha256(names.encode()).hexdigest()


class _LazyTree(Mapping[str, TreeEntry]):
    """A tree that is read only when something is really looked up: a prepared toolchain never does."""

    def __init__(self, read: Callable[[], Mapping[str, TreeEntry]]) -> None:
        self._read = read
        self._tree: Mapping[str, TreeEntry] | None = None

    def _get(self) -> Mapping[str, TreeEntry]:
        if self._tree is None:
            self._tree = self._read()
        return self._tree

    def __getitem__(self, path: str) -> TreeEntry:
        return self._get()[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._get())

    def __len__(self) -> int:
        return len(self._get())
