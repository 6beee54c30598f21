"""From a project's requirements to the wheels of one variant: exactly one version each, and who holds which.

uv resolves; here its answers are put together. All targets are resolved as one set first, so that train and
serve share versions; then each target's part is found by resolving it again with that set as constraints.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lading.errors import ProjectError, ResolutionFailed
from lading.fetch.address import display_url
from lading.lock.accelerators import check_accelerator, cpu_builds, cuda_wheels, unfitting_cpu_builds
from lading.lock.base.held import over_held, without_held, write_placeholders
from lading.lock.base.image import FoundBase
from lading.lock.compilation import Compilation
from lading.lock.indexes import find_links, uv_environment
from lading.lock.links import listed_filenames
from lading.lock.model import LockedWheel
from lading.lock.pylock import BuildPackage, FoundWheel, read_pylock, select_wheels
from lading.lock.requirements import (
    TargetRequirements,
    compile_arguments,
    group_arguments,
)
from lading.lock.sizes import find_sizes
from lading.lock.target import TargetEnvironment
from lading.lock.torch_index import torch_index
from lading.lock.torch_route import routed, write_route
from lading.lock.uv import Uv
from lading.project.model import Project, RequirementKind

if TYPE_CHECKING:
    from lading.fetch.http import Fetcher
    from lading.lock.builds import Builds
    from lading.store import Store

_LOCKED = (RequirementKind.UV_LOCK, RequirementKind.PYLOCK)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedWheels:
    """`targets` maps each target to the sorted names it holds."""

    wheels: tuple[LockedWheel, ...]
    targets: Mapping[str, tuple[str, ...]]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """Worth knowing, and nothing to act on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelRequest:
    """What is resolved. `kept` are pins to prefer (name → version): only what must move moves."""

    project: Project
    target: TargetEnvironment
    accelerator: str
    requirements: Mapping[str, TargetRequirements]
    kept: Mapping[str, str]
    known_sizes: Mapping[str, int]
    base: FoundBase | None = None
    """A base image whose Python packages are constraints, and are not installed again."""
    is_for_build: bool = False
    """For the room of a build: what the base holds is preferred, and another version may go over it."""

    @property
    def held(self) -> Mapping[str, str]:
        return self.base.locked.held if self.base is not None else {}

    @property
    def bound(self) -> Mapping[str, str]:
        """Versions of the base that nothing may differ from."""
        return {} if self.is_for_build else self.held


def resolve_wheels(
    request: WheelRequest,
    *,
    store: Store,
    fetcher: Fetcher,
    environment: Mapping[str, str],
    builds: Builds | None = None,
) -> ResolvedWheels:
    """Wheels for every target of `request`. Runs uv; nothing of the project or of a package is executed on
    this machine. `builds` is who turns source into wheels where there are none; None: nobody does.

    Raises ResolutionFailed (no solution, or a package without a wheel), ProjectError, FetchFailed,
    OutsideError.
    """
    project = request.project
    with tempfile.TemporaryDirectory(prefix="lading-lock-") as scratch:
        own = [str(builds.links)] if builds is not None else []
        if request.base is not None and request.held:
            own.append(f"{scratch}/held")
            write_placeholders(request.held, request.base.probe.metadata, Path(own[-1]))
        # In the environment: uv would read none of its folders beside `--find-links`.
        folders = (*own, *project.requirements.find_links)
        uv = Uv(
            folder=project.root,
            environment=uv_environment(environment, request.accelerator, folders),
            offline=fetcher.offline,
        )
        resolution = _Resolution(
            request=request,
            uv=uv,
            scratch=Path(scratch),
            fetcher=fetcher,
            compilation=Compilation(request=request, uv=uv, scratch=Path(scratch), builds=builds),
            torch_index=torch_index(environment, request.accelerator),
            builds=builds,
        )
        found, targets, warnings = resolution.run(
            [*project.requirements.find_links, *find_links(environment)]
        )
    if request.base is not None:
        if request.is_for_build:
            found = over_held(found, request.held)
        else:
            found = without_held(found, request.held, request.base.locked.reference)
        kept = {wheel.name for wheel in found}
        targets = {target: tuple(name for name in names if name in kept) for target, names in targets.items()}
    warnings = (*warnings, *check_accelerator(found, request.accelerator))
    sizes = find_sizes(found, store=store, fetcher=fetcher, folder=project.root, known=request.known_sizes)
    wheels = tuple(_locked(wheel, sizes[wheel.sha256]) for wheel in found)
    return ResolvedWheels(wheels=wheels, targets=targets, warnings=warnings, notes=tuple(resolution.notes))


def _locked(wheel: FoundWheel, size_bytes: int) -> LockedWheel:
    remote = wheel.url is not None and wheel.url.startswith(("http://", "https://"))
    return LockedWheel(
        name=wheel.name,
        version=wheel.version,
        filename=wheel.filename,
        sha256=wheel.sha256,
        size_bytes=size_bytes,
        url=display_url(wheel.url).partition("#")[0] if remote and wheel.url is not None else None,
    )


@dataclass(slots=True, kw_only=True)
class _Resolution:
    request: WheelRequest
    uv: Uv
    scratch: Path
    fetcher: Fetcher
    compilation: Compilation
    torch_index: str | None = None
    """Where PyTorch's builds of the accelerator come from, when the user named a place."""
    routed: frozenset[str] = frozenset()
    """The packages that are taken from there."""
    builds: Builds | None = None
    notes: dict[str, None] = field(default_factory=dict)
    """A set that keeps its order."""

    def run(
        self, links: list[str]
    ) -> tuple[tuple[FoundWheel, ...], dict[str, tuple[str, ...]], tuple[str, ...]]:
        if self.request.project.requirements.kind in _LOCKED:
            return self._use_lock()
        arguments = self._union_arguments()
        if not arguments:
            return (), dict.fromkeys(self.request.requirements, ()), ()
        found, warnings = self._chosen(arguments, links)
        # Only now: what is built against torch is built against the torch that was chosen.
        while self.builds is not None and self.builds.build_chosen(found):
            found, more = self._chosen(arguments, links)
            warnings = tuple(dict.fromkeys((*warnings, *more)))
        pins = self._pins(found)
        names: dict[tuple[str, ...], tuple[str, ...]] = {arguments: tuple(sorted(pins)), (): ()}
        targets = {}
        for target, requirements in self.request.requirements.items():
            own = self._arguments(requirements, f"{target}.in")
            if own not in names:
                names[own] = self.compilation.names(own, pins)
            targets[target] = names[own]
        return found, targets, warnings

    def _chosen(
        self, arguments: tuple[str, ...], links: list[str]
    ) -> tuple[tuple[FoundWheel, ...], tuple[str, ...]]:
        found = self._torch_builds(arguments)
        if self.request.accelerator == "cpu" and cuda_wheels(found):
            return self._prefer_cpu_builds(arguments, found, links)
        return found, ()

    def _torch_builds(self, arguments: tuple[str, ...]) -> tuple[FoundWheel, ...]:
        """The resolution, with PyTorch's builds from the index of the accelerator where one is named.

        Which packages those are shows only in the resolution itself, and a build may bring others.
        """
        if self.torch_index is None:
            return self.compilation.wheels(arguments, {})
        direct = self.request.project.requirements.names
        try:
            found = self.compilation.wheels(arguments, {})
        except ResolutionFailed:
            # A version such as 2.9.1+cu126 is on no other index.
            self.routed = routed(direct, self.torch_index, self.fetcher)
            if not self.routed:
                raise
            found = self.compilation.wheels((*arguments, self._route()), {})
        while more := routed({wheel.name for wheel in found} - self.routed, self.torch_index, self.fetcher):
            self.routed |= more
            found = self.compilation.wheels((*arguments, self._route()), {})
        return found

    def _route(self) -> str:
        assert self.torch_index is not None, "nothing is routed without an index"
        return write_route(self.scratch, self.routed, self.torch_index)

    def _pins(self, found: Iterable[FoundWheel]) -> dict[str, str]:
        """Version of each wheel; of those from the accelerator's own index the file itself, since no other
        index that uv would ask for a target's part has it."""
        return {
            wheel.name: f"@{wheel.url}" if wheel.name in self.routed and wheel.url else wheel.version
            for wheel in found
        }

    def _prefer_cpu_builds(
        self, arguments: tuple[str, ...], found: tuple[FoundWheel, ...], links: Iterable[str]
    ) -> tuple[tuple[FoundWheel, ...], tuple[str, ...]]:
        """uv takes the highest version, which is an index's CUDA build; a wheel folder's `+cpu` build is
        what the cpu accelerator asks for, so it becomes a constraint where it fits the requirements."""
        target = self.request.target
        filenames = listed_filenames(links, self.fetcher)
        offered = cpu_builds(filenames, frozenset(target.tags()))
        names = {wheel.name for wheel in found} - self.request.held.keys()
        builds = {name: offered[name] for name in sorted(names & set(offered))}
        if not builds:
            return found, unfitting_cpu_builds(filenames, names, target)
        said = ", ".join(f"{name} {version}" for name, version in builds.items())
        try:
            chosen = self.compilation.wheels(arguments, builds)
        except ResolutionFailed:
            return found, (f"{said} is in a wheel folder, and the other requirements do not allow it",)
        self.notes[f"{said} was taken from a wheel folder: the accelerator is cpu"] = None
        return chosen, ()

    def _use_lock(self) -> tuple[tuple[FoundWheel, ...], dict[str, tuple[str, ...]], tuple[str, ...]]:
        """The project's own lock says the versions; only what it does not know is resolved beside it."""
        held: dict[str, FoundWheel] = {}
        targets: dict[str, tuple[str, ...]] = {}
        cache: dict[tuple[str, ...], tuple[FoundWheel, ...]] = {}
        for target, requirements in self.request.requirements.items():
            if requirements.only is None:
                groups = tuple(sorted(requirements.groups))
                if groups not in cache:
                    cache[groups] = self._locked_wheels(groups)
                _merge(held, cache[groups], str(self.request.project.requirements.path))
                targets[target] = tuple(wheel.name for wheel in cache[groups])
        pins = {wheel.name: wheel.version for wheel in held.values()}
        for target, requirements in self.request.requirements.items():
            if requirements.only is not None:
                arguments = self._arguments(requirements, f"{target}.in")
                own = self.compilation.wheels(arguments, pins)
                while self.builds is not None and self.builds.build_chosen(own):
                    own = self.compilation.wheels(arguments, pins)
                _merge(held, own, target)
                targets[target] = tuple(wheel.name for wheel in own)
        return tuple(held[name] for name in sorted(held)), targets, ()

    def _locked_wheels(self, groups: tuple[str, ...]) -> tuple[FoundWheel, ...]:
        path = self.request.project.requirements.path
        if path is None:
            raise ProjectError("the project names a lock kind but no lock file")
        if self.request.project.requirements.kind is RequirementKind.PYLOCK:
            return select_wheels(
                read_pylock(path.read_text(), path.name),
                self.request.target,
                groups=groups,
                place=path.name,
                build=self._built_from_lock(path.name),
            )
        arguments = (
            *("export", "--project", str(path.parent), "--format", "pylock.toml", "--frozen"),
            *("--no-emit-project", "--no-default-groups", "--no-header"),
            *group_arguments(path.parent / "pyproject.toml", groups),
        )
        text = self.uv.run(arguments, doing=f"reading {path.name}", place=path.name)
        return select_wheels(
            read_pylock(text, path.name),
            self.request.target,
            place=path.name,
            build=self._built_from_lock(path.name),
        )

    def _built_from_lock(self, place: str) -> BuildPackage | None:
        builds = self.builds
        if builds is None or builds.builder is None:
            return None
        return lambda package, versions: builds.build_locked(package, versions, place)

    @property
    def _lines(self) -> Mapping[str, str]:
        return self.builds.lines if self.builds is not None else {}

    def _union_arguments(self) -> tuple[str, ...]:
        wanted = self.request.requirements.values()
        groups = {group for one in wanted if one.only is None for group in one.groups}
        project_too = any(one.only is None for one in wanted)
        arguments = (
            compile_arguments(self.request.project, groups, self.scratch, self._lines) if project_too else ()
        )
        only = sorted({text for one in wanted for text in one.only or ()})
        return (*arguments, *(self.compilation.written("all.in", only) if only else ()))

    def _arguments(self, requirements: TargetRequirements, filename: str) -> tuple[str, ...]:
        if requirements.only is None:
            return compile_arguments(self.request.project, requirements.groups, self.scratch, self._lines)
        return self.compilation.written(filename, requirements.only) if requirements.only else ()


def _merge(held: dict[str, FoundWheel], wheels: Iterable[FoundWheel], place: str) -> None:
    for wheel in wheels:
        known = held.setdefault(wheel.name, wheel)
        if known.sha256 != wheel.sha256:
            raise ResolutionFailed(
                f"two targets need different builds of {wheel.name}: {known.filename} and {wheel.filename}",
                place=place,
                hints=("let the groups of [image.train] and [image.serve] agree on one version",),
            )
