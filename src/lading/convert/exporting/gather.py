"""From a project and its plan to all files of an export. Thin: looks into project, store and lock.

What no index has (wheels built here, wheels of a folder) is taken along; everything else is only named.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from lading.convert.exporting.dockerfile import Rendered, render
from lading.convert.exporting.environment import WHEELS, installed_wheels
from lading.convert.exporting.ignore import dockerignore
from lading.convert.exporting.model import DOCKERFILE, IGNORE, MARK, Beside, ExportInputs, Frontend, Place
from lading.image.job import Sources
from lading.image.kinds.wheels import top_level_names
from lading.image.plan import Plan
from lading.image.source_builds import WheelMaker
from lading.image.spec import ProjectLayer, WheelsLayer
from lading.lock.frameworks import TORCH_ECOSYSTEM
from lading.lock.lockfile import lock_identity
from lading.lock.model import Lock, LockedVariant, LockedWheel
from lading.oci.digest import Digest
from lading.oci.json import canonical_json
from lading.project.accelerators import is_accelerator
from lading.project.files import excluded_paths
from lading.project.ignore import Pattern, dockerignore_patterns, gitignore_patterns
from lading.project.model import Project
from lading.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A Dockerfile and everything that lies beside it; the same lock and code give the same bytes."""

    dockerfile: str
    files: tuple[Beside, ...]
    """All files of the folder, the Dockerfile too, sorted by path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """Where the wheels of an export come from."""

    store: Store
    sources: Sources
    maker: WheelMaker


def export_image(
    project: Project,
    plan: Plan,
    lock: Lock,
    gathered: Gathered,
    *,
    place: Place,
    frontend: Frontend,
    tools_image: str | None = None,
) -> Export:
    """Raises ProjectError, and what building or fetching a wheel raises."""
    variant = lock.variant(plan.accelerator, plan.platform)
    assert variant is not None, "the plan was made from it"
    inputs = ExportInputs(
        plan=plan,
        place=place,
        frontend=frontend,
        base=variant.base,
        tools_image=tools_image,
        root=str(project.root),
        indexes=tuple(_indexes(project, plan)),
    )
    inputs, wheels = _with_wheels(inputs, variant, gathered)
    rendered = render(inputs)
    files = [*rendered.beside, *wheels, _ignored(project, rendered, inputs)]
    files.append(Beside(path=DOCKERFILE, content=rendered.dockerfile.encode()))
    files.append(_mark(plan, lock, files))
    return Export(
        dockerfile=rendered.dockerfile, files=tuple(sorted(files, key=lambda file: file.path.encode()))
    )


def _with_wheels(
    inputs: ExportInputs, variant: LockedVariant, gathered: Gathered
) -> tuple[ExportInputs, list[Beside]]:
    """The inputs with the wheels that lie beside the Dockerfile, and these as files."""
    built = {build.sha256 for build in variant.builds}
    local = tuple(w for w in installed_wheels(inputs) if w.url is None or w.sha256 in built)
    specs = [spec for spec in inputs.plan.layers if isinstance(spec, WheelsLayer)]
    gathered.maker.prepare([s for s in specs if any(w in local for w in s.wheels)])
    project_wheel = None
    tops: frozenset[str] = frozenset()
    if any(isinstance(spec, ProjectLayer) for spec in inputs.plan.layers):
        project_wheel = gathered.maker.project_locked()
        names = top_level_names(project_wheel, gathered.sources.open_wheel)
        tops = frozenset(name for name in names if not name.endswith((".dist-info", ".data")))
    taken = (*local, *((project_wheel,) if project_wheel is not None else ()))
    files = [Beside(path=f"{WHEELS}/{wheel.filename}", content=_stored(wheel, gathered)) for wheel in taken]
    held = replace(inputs, wheels=local, project_wheel=project_wheel, installed_tops=tops)
    return held, files


def _stored(wheel: LockedWheel, gathered: Gathered) -> Path:
    """A file with the bytes of `wheel`, checked. Raises FetchFailed, DigestMismatch."""
    digest = Digest.from_hex(wheel.sha256)
    if gathered.store.blobs.has(digest) and gathered.store.blobs.is_intact(digest):
        return gathered.store.blobs.path(digest)
    source = gathered.sources.open_wheel(wheel)
    try:
        with gathered.store.blobs.writer() as blob:
            at = 0
            while at < wheel.size_bytes:
                piece = source.read(at, min(1 << 20, wheel.size_bytes - at))
                blob.write(piece)
                at += len(piece)
            blob.commit(digest)
    finally:
        source.close()
    return gathered.store.blobs.path(digest)


def _indexes(project: Project, plan: Plan) -> Iterator[str]:
    """Where else wheels are: what the project declares, and the indexes of PyTorch's builds."""
    for number, url in enumerate(project.requirements.index_urls):
        yield f"--index-url {url}" if number == 0 else f"--extra-index-url {url}"
    for place in project.requirements.find_links:
        if "://" in place and not place.startswith("file:"):
            yield f"--find-links {place}"
    wheels = [wheel for spec in plan.layers if isinstance(spec, WheelsLayer) for wheel in spec.wheels]
    yield from dict.fromkeys(
        f"--extra-index-url {index}" for wheel in wheels if (index := _torch_index(wheel)) is not None
    )


def _torch_index(wheel: LockedWheel) -> str | None:
    """PyTorch's indexes keep their files in a folder that is named for the accelerator."""
    if wheel.name not in TORCH_ECOSYSTEM or wheel.url is None:
        return None
    folder = wheel.url.rpartition("/")[0]
    return folder if is_accelerator(folder.rpartition("/")[2]) else None


def _ignored(project: Project, rendered: Rendered, inputs: ExportInputs) -> Beside:
    paths = [file.path for file in project.code.files]
    if any(path == "app/pyproject.toml" for path in _generated(inputs)):
        paths.remove("pyproject.toml")  # the image has it without lading's settings
    has_code = any(spec.kind == "code" for spec in inputs.plan.layers)
    text = dockerignore(
        paths if has_code else (),
        rendered.in_context,
        rules=_rules(project.root, paths),
        excluded=_excluded(project),
        folder=inputs.place.folder,
    )
    return Beside(path=IGNORE, content=text.encode())


def _generated(inputs: ExportInputs) -> list[str]:
    from lading.image.spec import FilesLayer

    layers = [spec for spec in inputs.plan.layers if isinstance(spec, FilesLayer)]
    return [path for layer in layers for path, _, _ in layer.generated]


def _rules(root: Path, code: Iterable[str]) -> tuple[Pattern, ...]:
    """The ignore rules that the project's own files say, each as it reads from the root."""
    for name, read in ((".ladingignore", gitignore_patterns), (".dockerignore", dockerignore_patterns)):
        if (root / name).is_file():
            return read(_text(root / name))
    folders = {str(parent) for path in code for parent in PurePosixPath(path).parents}
    found: list[Pattern] = []
    for folder in sorted(folders):
        if (root / folder / ".gitignore").is_file():
            inside = gitignore_patterns(_text(root / folder / ".gitignore"))
            found += inside if folder == "." else [_below(folder, pattern) for pattern in inside]
    return tuple(found)


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")


def _below(folder: str, pattern: Pattern) -> Pattern:
    glob = pattern.glob if pattern.anchored else f"**/{pattern.glob}"
    return replace(pattern, glob=f"{folder}/{glob}", anchored=True)


def _excluded(project: Project) -> frozenset[str]:
    """Outputs, data and inputs of tasks: never code, wherever they lie."""
    tasks = project.tasks.values()
    paths = [task.outputs for task in tasks]
    paths += [source for task in tasks for source in task.inputs.values() if ":" not in source]
    paths += [source.source for source in project.data.values() if "://" not in source.source]
    paths += [place for place in project.requirements.find_links if "://" not in place]
    paths += [file.source for one in project.targets.values() for file in one.files if not file.is_remote]
    return excluded_paths(project.root, [*paths, "out"])


def _mark(plan: Plan, lock: Lock, files: Iterable[Beside]) -> Beside:
    document: dict[str, Any] = {
        "project": plan.project,
        "target": plan.target,
        "accelerator": plan.accelerator,
        "platform": plan.platform,
        "lock": str(lock_identity(lock)),
        "files": sorted(file.path for file in files),
    }
    return Beside(path=MARK, content=canonical_json(document) + b"\n")
