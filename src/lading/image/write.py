"""One layer spec becomes one layer in the store: the only place that knows which writer serves which kind."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lading.errors import InternalError, ProjectError
from lading.image.added_files import FetchFile, write_added
from lading.image.debian import debian_layers, debian_tree, layer_over
from lading.image.foreign import base_tree, foreign_record, interpreter_tree
from lading.image.layer.contents import layer_index, read_files
from lading.image.layer.tree import EntryKind, TreeEntry
from lading.image.layer.writer import LayerWriter, Progress
from lading.image.model import LayerRecord
from lading.image.python.bytecode import Compiler, cache_path
from lading.image.python.native import native_variant
from lading.image.python.standalone import standalone_tree
from lading.image.python.toolchain import Toolchain, prepare_toolchain
from lading.image.spec import (
    CODE,
    VENV,
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
from lading.image.step import StepRunner, write_changes
from lading.image.wheels_layer import OpenWheel, top_level_names, write_wheels
from lading.lock.model import (
    Lock,
    LockedBase,
    LockedBaseLayer,
    LockedInterpreter,
    LockedPackage,
    LockedWheel,
)
from lading.oci.digest import Digest
from lading.oci.platform import Platform
from lading.store import Store

FetchPackages = Callable[[tuple[LockedPackage, ...]], Mapping[str, Path]]
FetchLayers = Callable[[str, tuple[LockedBaseLayer, ...]], None]
FetchStandalone = Callable[[LockedInterpreter], Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where bytes come from. Each function raises FetchFailed, and none returns unverified packages."""

    open_wheel: OpenWheel
    fetch_packages: FetchPackages
    fetch_standalone: FetchStandalone
    fetch_layers: FetchLayers
    """Brings layers of a base image into the store."""
    project_wheel: Callable[[], LockedWheel] | None = None
    """The project's own wheel, in the store; None where no project is built."""
    fetch_file: FetchFile | None = None
    steps: StepRunner | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerJob:
    """All that writing layers takes. Plain values and functions: it travels to worker processes by fork."""

    store: Store
    sources: Sources
    lock: Lock
    platform: Platform
    """The image's."""
    host: Platform
    """This machine's: what compiles bytecode runs here."""
    workers: int
    progress: Progress | None = None
    known: Mapping[str, LayerRecord] = field(default_factory=dict)
    """By key, the layers that are there already: a step runs in those below it."""

    def write(self, spec: LayerSpec) -> LayerRecord:
        """Write the layer, record and index it. Idempotent: the same spec gives the same blob."""
        if isinstance(spec, ForeignLayer):
            self.sources.fetch_layers(spec.reference, (spec.layer,))
            return foreign_record(spec)
        with self.store.blobs.writer() as blob:
            writer = LayerWriter(blob, progress=self.progress)
            warnings = self._fill(spec, writer)
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
        self.store.indexes.put(spec.key, [entry.as_json() for entry in written.index])
        self.store.layers.put(spec.key, record.as_json())
        return record

    def _fill(self, spec: LayerSpec, writer: LayerWriter) -> tuple[str, ...]:
        match spec:
            case WheelsLayer():
                return write_wheels(spec, writer, self.sources.open_wheel)
            case PackagesLayer():
                self._packages(spec, writer)
            case AddedPackagesLayer():
                writer.entries(
                    layer_over(
                        self._base_tree(spec.base),
                        self._opened(spec.packages),
                        flavour=spec.flavour,
                        staging=self.store.staging,
                    )
                )
            case ForeignLayer():
                raise InternalError(f"{spec.title} is not written here")
            case StandaloneLayer():
                self._standalone(spec, writer)
            case VenvLayer():
                writer.entries(_venv_entries(spec))
            case BytecodeLayer():
                self._bytecode(spec, writer)
            case StepLayer():
                return self._step(spec, writer)
            case FilesLayer(kind="files" | "model"):
                assert self.sources.fetch_file is not None, "a build of files can fetch them"
                write_added(spec, writer, self.sources.fetch_file)
            case FilesLayer():
                writer.entries(_file_entries(spec))
            case ProjectLayer():
                return self._project(spec, writer)
        return ()

    def _project(self, spec: ProjectLayer, writer: LayerWriter) -> tuple[str, ...]:
        if self.sources.project_wheel is None:
            raise InternalError("a project is to be built, and nobody has its wheel")
        wheel = self.sources.project_wheel()
        installed = WheelsLayer(
            kind=spec.kind, title=spec.title, wheels=(wheel,), python_version=spec.python_version
        )
        tops = top_level_names(wheel, self.sources.open_wheel)
        kept = tuple(
            file for file in spec.files if file.path.removeprefix(f"{CODE}/").split("/")[0] not in tops
        )
        files = FilesLayer(kind=spec.kind, title=spec.title, files=kept)
        warnings = write_wheels(installed, writer, self.sources.open_wheel)
        writer.entries(_file_entries(files))
        return warnings

    def _step(self, spec: StepLayer, writer: LayerWriter) -> tuple[str, ...]:
        assert self.sources.steps is not None, "steps were checked before anything was written"
        modes: dict[str, int] = {}
        for key in spec.below:
            entries = layer_index(self.store, key) or ()
            modes |= {entry.path: entry.mode for entry in entries if entry.kind is EntryKind.DIRECTORY}
        warnings: list[str] = []

        def take(changes: Path) -> None:
            warnings.extend(write_changes(changes, writer, modes))

        below = tuple(self.known[key] for key in spec.below)
        self.sources.steps.run(spec, below, self.store, take)
        return tuple(f"step {spec.number}: {warning}" for warning in warnings)

    def _packages(self, spec: PackagesLayer, writer: LayerWriter) -> None:
        groups = [self._opened(group) for group in (spec.below, spec.packages) if group]
        layers = debian_layers(groups, flavour=spec.flavour, staging=self.store.staging)
        writer.entries(layers[-1])
        if spec.interpreter is not None:
            tree = {entry.path: entry for layer in layers for entry in layer}
            toolchain = self._toolchain(spec.below + spec.packages, spec.interpreter, tree)
            self._library_bytecode(tree, spec.interpreter, toolchain, writer)

    def _toolchain(
        self,
        packages: tuple[LockedPackage, ...],
        interpreter: LockedInterpreter,
        tree: Mapping[str, TreeEntry],
    ) -> Toolchain:
        """The Python of the Debian `packages` that `tree` is made of, or the same release for this host."""
        if self.platform != self.host:
            native = native_variant(self.lock, interpreter, self.platform, self.host)
            packages = tuple(p for p in native.packages if p.role in ("base", "interpreter"))
            tree, interpreter = _LazyTree(lambda: self._tree(packages, "standard")), native.interpreter
        return self._prepared(_toolchain_name(packages), tree, interpreter)

    def _prepared(
        self, name: str, tree: Mapping[str, TreeEntry], interpreter: LockedInterpreter
    ) -> Toolchain:
        return prepare_toolchain(
            self.store, name, tree, executable=interpreter.executable, platform=self.host
        )

    def _standalone(self, spec: StandaloneLayer, writer: LayerWriter) -> None:
        tree = standalone_tree(self.sources.fetch_standalone(spec.interpreter))
        writer.entries(tree.values())
        toolchain = self._standalone_toolchain(spec.interpreter, tree)
        self._library_bytecode(tree, spec.interpreter, toolchain, writer)

    def _standalone_toolchain(
        self, interpreter: LockedInterpreter, tree: Mapping[str, TreeEntry]
    ) -> Toolchain:
        if self.platform != self.host:
            interpreter = native_variant(self.lock, interpreter, self.platform, self.host).interpreter
            tree = _LazyTree(lambda: standalone_tree(self.sources.fetch_standalone(interpreter)))
        assert interpreter.sha256 is not None
        return self._prepared(interpreter.sha256, tree, interpreter)

    def _library_bytecode(
        self,
        tree: Mapping[str, TreeEntry],
        interpreter: LockedInterpreter,
        toolchain: Toolchain,
        writer: LayerWriter,
    ) -> None:
        prefix, _, _ = interpreter.executable.lstrip("/").partition("/bin/")
        roots = (f"{prefix}/lib/python{interpreter.version}/", f"{prefix}/lib/python3/dist-packages/")
        modules = (
            (path, entry.read())
            for path, entry in sorted(tree.items())
            if path.startswith(roots) and path.endswith(".py") and entry.kind is EntryKind.FILE
        )
        self._compile(modules, interpreter, toolchain, writer)

    def _bytecode(self, spec: BytecodeLayer, writer: LayerWriter) -> None:
        if spec.interpreter.provider == "standalone":
            files = standalone_tree(self.sources.fetch_standalone(spec.interpreter))
            toolchain = self._standalone_toolchain(spec.interpreter, files)
        elif spec.base is not None:
            base, interpreter = spec.base, spec.interpreter
            if self.platform != self.host:
                native = native_variant(self.lock, interpreter, self.platform, self.host)
                assert native.base is not None, "the same provider"
                base, interpreter = native.base, native.interpreter
            toolchain = prepare_toolchain(
                self.store,
                base.digest.hex,
                _LazyTree(lambda: self._base_interpreter(base, interpreter.executable)),
                executable=interpreter.executable,
                platform=self.host,
            )
        else:
            tree = _LazyTree(lambda: self._tree(spec.toolchain, "standard"))
            toolchain = self._toolchain(spec.toolchain, spec.interpreter, tree)
        self._compile(self._modules(spec), spec.interpreter, toolchain, writer)

    def _modules(self, spec: BytecodeLayer) -> Iterator[tuple[str, bytes]]:
        """Every module of the source layers by path; a later layer's wins."""
        holders: dict[str, int] = {}
        indexes = []
        for number, source in enumerate(spec.sources):
            index = layer_index(self.store, source.key)
            if index is None or not self.store.layers.has(source.key):
                raise InternalError(f"the layer of {source.title} has no index")
            modules = [entry for entry in index if entry.path.endswith(".py")]
            indexes.append(modules)
            holders.update({entry.path: number for entry in modules})
        for number, (source, modules) in enumerate(zip(spec.sources, indexes, strict=True)):
            record = LayerRecord.from_json(self.store.layers.get(source.key) or {})
            held = sorted((e for e in modules if holders[e.path] == number), key=lambda entry: entry.path)
            for entry, content in read_files(self.store, record.digest, held):
                yield entry.path, content

    def _compile(
        self,
        modules: Iterator[tuple[str, bytes]],
        interpreter: LockedInterpreter,
        toolchain: Toolchain,
        writer: LayerWriter,
    ) -> None:
        with Compiler(toolchain, self.workers) as compiler:
            for path, compiled in compiler.compile_all(modules):
                writer.file(cache_path(path, interpreter.version), compiled, mode=0o644)

    def _base_tree(self, base: LockedBase) -> dict[str, TreeEntry]:
        self.sources.fetch_layers(base.reference, base.layers)
        return base_tree(self.store, base)

    def _base_interpreter(self, base: LockedBase, executable: str) -> dict[str, TreeEntry]:
        self.sources.fetch_layers(base.reference, base.layers)
        return interpreter_tree(self.store, base, executable)

    def _opened(self, packages: tuple[LockedPackage, ...]) -> list[tuple[LockedPackage, Path]]:
        paths = self.sources.fetch_packages(packages)
        return [(package, paths[package.name]) for package in packages]

    def _tree(self, packages: tuple[LockedPackage, ...], flavour: str) -> dict[str, TreeEntry]:
        return debian_tree(self._opened(packages), flavour=flavour, staging=self.store.staging)


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


def _venv_entries(spec: VenvLayer) -> Iterator[TreeEntry]:
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


def _file_entries(spec: FilesLayer) -> Iterator[TreeEntry]:
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
