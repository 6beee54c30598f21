"""Making a lock: everything for every accelerator and platform, resolved.

The order is Debian packages, interpreter, wheels: markers ask for the interpreter's full version.
"""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from lading.errors import ProjectError, UsageError
from lading.fetch.http import Fetcher
from lading.lock.access import open_fetcher
from lading.lock.added import Additions, ReadNeeds, TargetNeeds, find_additions
from lading.lock.base.image import FoundBase, find_base
from lading.lock.builder import WheelBuilder
from lading.lock.builds import Builds
from lading.lock.check import add_layers, check_lock, inputs_digest
from lading.lock.compiler import compiler_packages
from lading.lock.cuda import cuda_facts, needs_of
from lading.lock.debian.resolve import Suites, read_suites
from lading.lock.indexes import uv_environment
from lading.lock.interpreter import (
    base_interpreter,
    choose_base_provider,
    choose_provider,
    debian_interpreter,
    full_version,
    standalone_interpreter,
)
from lading.lock.model import (
    Lock,
    LockedBase,
    LockedCuda,
    LockedInterpreter,
    LockedSuite,
    LockedVariant,
    TargetSelection,
)
from lading.lock.packages import ResolvedPackages, resolve_debian, resolve_on_base
from lading.lock.requirements import target_requirements
from lading.lock.room import resolve_room
from lading.lock.source_fetch import SourceFetcher
from lading.lock.target import image_environment, target_environment
from lading.lock.uv import Uv
from lading.lock.wheels import ResolvedWheels, WheelRequest, resolve_wheels
from lading.oci.platform import Platform
from lading.project.accelerators import wants_gpu
from lading.project.interpreters import DEFAULT_PYTHON
from lading.project.model import CodeKind, Project
from lading.project.values import SUITES
from lading.store import Store

__all__ = ["Upgrade", "add_layers", "check_lock", "inputs_digest", "make_lock"]

Upgrade = tuple[str, ...] | Literal["all"] | None


def make_lock(
    project: Project,
    store: Store,
    environment: Mapping[str, str],
    *,
    platforms: tuple[str, ...] | None = None,
    accelerators: tuple[str, ...] | None = None,
    upgrade: Upgrade = None,
    offline: bool = False,
    previous: Lock | None = None,
    builder: WheelBuilder | None = None,
    warn: Callable[[str], None] | None = None,
    note: Callable[[str], None] | None = None,
    read_needs: ReadNeeds | None = None,
) -> Lock:
    """Resolve everything for every accelerator and platform (those of `[image]` when None).

    Wheels and standalone interpreters of `previous` are kept where nothing forbids them, but for the names in
    `upgrade`; Debian packages follow their suite. Layer digests of `previous` stay: a layer's key says what
    it is made of. Each warning goes to `warn` once, what is only worth knowing to `note`. `read_needs`
    reads what the wheels' shared objects need; without it only packages that are known by a wheel's name are
    added. `builder` makes wheels of what comes as source; None: that is refused.

    Raises BuildFailed, ProjectError, ResolutionFailed, FetchFailed, SignatureRefused, OutsideError,
    UsageError.
    """
    _check_upgrade(upgrade, previous)
    with contextlib.closing(open_fetcher(project.root, store, environment, offline=offline)) as fetcher:
        making = _Making(
            project=project,
            store=store,
            environment=environment,
            fetcher=fetcher,
            previous=previous,
            upgrade=upgrade,
            read_needs=read_needs,
            builder=builder,
        )
        variants = tuple(
            making.variant(accelerator, platform)
            for accelerator in sorted(set(accelerators or project.image.accelerators))
            for platform in sorted(set(platforms or project.image.platforms))
        )
    for warning in making.warnings:
        if warn is not None:
            warn(warning)
    for text in making.notes:
        if note is not None:
            note(text)
    return Lock(
        inputs=inputs_digest(project),
        suites=tuple(making.suites[name] for name in sorted(making.suites)),
        variants=variants,
        layers=previous.layers if previous is not None else (),
    )


def _check_upgrade(upgrade: Upgrade, previous: Lock | None) -> None:
    if upgrade is None or upgrade == "all" or previous is None:
        return
    known = {"python"}
    for variant in previous.variants:
        # Debian packages always follow their suite: naming one is right, and changes nothing more.
        known |= {wheel.name for wheel in variant.wheels} | {build.name for build in variant.builds}
        known |= {package.name for package in variant.packages}
    if unknown := sorted(set(upgrade) - known):
        raise UsageError(
            f"--upgrade {unknown[0]}: the lock has no package of this name",
            hints=("lading lock --upgrade",),
        )


def _cuda(accelerator: str, wheels: ResolvedWheels, target: str) -> LockedCuda | None:
    """What the target's wheels ask of a host. A cpu image asks for nothing, whatever came with it."""
    if not wants_gpu(accelerator):
        return None
    held = set(wheels.targets[target])
    return needs_of((wheel for wheel in wheels.wheels if wheel.name in held), cuda_facts())


@dataclass(kw_only=True)
class _Making:
    project: Project
    store: Store
    environment: Mapping[str, str]
    fetcher: Fetcher
    previous: Lock | None
    upgrade: Upgrade
    read_needs: ReadNeeds | None
    builder: WheelBuilder | None = None
    warnings: dict[str, None] = field(default_factory=dict)
    """A set that keeps its order."""
    notes: dict[str, None] = field(default_factory=dict)
    suites: dict[str, LockedSuite] = field(default_factory=dict)
    read: dict[Platform, Suites] = field(default_factory=dict)

    def variant(self, accelerator: str, platform_name: str) -> LockedVariant:
        project = self.project
        platform = Platform.parse(platform_name)
        base = self._base(platform)
        provider = self._provider(base)
        suites = self._suites(platform, base)
        packages = self._packages(suites, provider, base, {})
        interpreter = self._interpreter(accelerator, platform, provider, packages, base)
        python = full_version(interpreter)
        request = WheelRequest(
            project=project,
            target=(
                target_environment(project.image.base, python, platform)
                if base is None
                else image_environment(base.locked.glibc_minor, python, platform)
            ),
            accelerator=accelerator,
            requirements=target_requirements(project, accelerator),
            kept=self._kept(accelerator, platform_name),
            known_sizes=self._known_sizes(),
            base=base if provider == "base" else None,
        )
        with tempfile.TemporaryDirectory(prefix="lading-builds-") as scratch:
            builds = self._builds(request, platform, interpreter, base, Path(scratch))
            wheels = self._resolve(request, builds)
            if project.code.kind is CodeKind.BUILD:
                builds.lock_project(wheels.wheels)
        decided = compiler_packages(project, accelerator, interpreter, dict(wheels.targets))
        needy = self._needy(packages, wheels, base)
        additions = Additions() if suites is None else find_additions(needy, suites, self.read_needs, decided)
        if additions.added:
            packages = self._packages(suites, provider, base, additions.by_target())
            interpreter = self._interpreter(accelerator, platform, provider, packages, base)
        self.warnings.update(dict.fromkeys((*packages.warnings, *wheels.warnings, *additions.warnings)))
        self.notes.update(dict.fromkeys(wheels.notes))
        targets = {
            target: TargetSelection(
                wheels=wheels.targets[target],
                packages=packages.targets[target],
                cuda=_cuda(accelerator, wheels, target),
            )
            for target in sorted(project.targets)
        }
        return LockedVariant(
            accelerator=accelerator,
            platform=platform_name,
            interpreter=interpreter,
            packages=packages.packages,
            wheels=wheels.wheels,
            targets=targets,
            added=additions.added,
            base=_locked_base(base, provider),
            builds=tuple(sorted(builds.made.builds.values(), key=lambda one: (one.name, one.version))),
            build_packages=builds.made.packages,
        )

    def _resolve(self, request: WheelRequest, builds: Builds) -> ResolvedWheels:
        return resolve_wheels(
            request, store=self.store, fetcher=self.fetcher, environment=self.environment, builds=builds
        )

    def _builds(
        self,
        request: WheelRequest,
        platform: Platform,
        interpreter: LockedInterpreter,
        base: FoundBase | None,
        scratch: Path,
    ) -> Builds:
        before = self.previous.variant(request.accelerator, str(platform)) if self.previous else None
        earlier = before.builds if before is not None else ()
        links = scratch / "links"
        links.mkdir()
        builds = Builds(
            project=self.project,
            target=request.target,
            accelerator=request.accelerator,
            builder=self.builder,
            sources=SourceFetcher(
                root=self.project.root,
                scratch=scratch,
                store=self.store,
                fetcher=self.fetcher,
                environment=self.environment,
            ),
            room=functools.cache(
                lambda: resolve_room(
                    self.project,
                    self._suites(platform, base),
                    platform,
                    interpreter,
                    base,
                    _locked_base(base, interpreter.provider),
                )
            ),
            resolve=self._resolve,
            links=links,
            previous={build.name: build for build in earlier if not self._is_upgraded(build.name)},
            base=request.base,
        )
        builds.take_direct()
        return builds

    def _base(self, platform: Platform) -> FoundBase | None:
        if not self.project.image.has_registry_base:
            return None
        return find_base(
            self.project.image.base,
            platform,
            store=self.store,
            environment=self.environment,
            offline=self.fetcher.offline,
        )

    def _provider(self, base: FoundBase | None) -> str:
        image = self.project.image
        if base is None:
            return choose_provider(image)
        provider = choose_base_provider(image, base.probe.python)
        if provider == "standalone" and image.interpreter != "standalone":
            found = base.probe.python
            has = f"Python {found.version}" if found is not None else "no Python"
            wanted = image.python or DEFAULT_PYTHON
            text = f"{image.base} has {has}: a standalone Python {wanted} goes on top"
            self.warnings[text] = None
        return provider

    def _packages(
        self,
        suites: Suites | None,
        provider: str,
        base: FoundBase | None,
        added: Mapping[str, tuple[str, ...]],
    ) -> ResolvedPackages:
        if base is not None:
            return resolve_on_base(self.project, suites, base, added=added)
        assert suites is not None, "a Debian base has its suite"
        return resolve_debian(self.project, suites, provider=provider, added=added)

    def _needy(
        self, packages: ResolvedPackages, wheels: ResolvedWheels, base: FoundBase | None
    ) -> tuple[TargetNeeds, ...]:
        """The targets that packages may be added to."""
        there = frozenset(base.probe.packages) if base is not None else frozenset()
        return tuple(
            TargetNeeds(
                name=name,
                wheels=tuple(wheel for wheel in wheels.wheels if wheel.name in set(wheels.targets[name])),
                packages=frozenset(packages.targets[name]) | there,
            )
            for name, settings in sorted(self.project.targets.items())
            if settings.add_packages
        )

    def _suites(self, platform: Platform, base: FoundBase | None) -> Suites | None:
        """Read once a platform: what is added must come from the index that the rest came from.

        None over a base image of another distribution.
        """
        _, _, suite = self.project.image.base.partition(":")
        if base is not None:
            distribution, _, suite = base.locked.distribution.partition(" ")
            if distribution != "debian" or suite not in SUITES:
                return None
        if platform not in self.read:
            self.read[platform] = read_suites(
                suite=suite,
                architecture=platform.debian_architecture,
                store=self.store,
                environment=self.environment,
                offline=self.fetcher.offline,
            )
        for one in self.read[platform].fetched:
            known = self.suites.setdefault(one.locked.suite, one.locked)
            if known.codename != one.locked.codename:
                raise ProjectError(f"the mirror's {one.locked.suite} changed its codename while locking")
        return self.read[platform]

    def _interpreter(
        self,
        accelerator: str,
        platform: Platform,
        provider: str,
        packages: ResolvedPackages,
        base: FoundBase | None,
    ) -> LockedInterpreter:
        python = self.project.image.python or DEFAULT_PYTHON
        if provider == "debian":
            return debian_interpreter(python, packages.packages)
        if provider == "base" and base is not None and base.probe.python is not None:
            return base_interpreter(base.probe.python, base.locked)
        before = self.previous.variant(accelerator, str(platform)) if self.previous else None
        return standalone_interpreter(
            python,
            platform,
            uv=Uv(
                folder=self.project.root,
                environment=uv_environment(self.environment, accelerator),
                offline=self.fetcher.offline,
            ),
            fetcher=self.fetcher,
            kept=before.interpreter if before and not self._is_upgraded("python") else None,
        )

    def _is_upgraded(self, name: str) -> bool:
        return self.upgrade is not None and (self.upgrade == "all" or name in self.upgrade)

    def _kept(self, accelerator: str, platform: str) -> dict[str, str]:
        before = self.previous.variant(accelerator, platform) if self.previous else None
        if before is None:
            return {}
        return {wheel.name: wheel.version for wheel in before.wheels if not self._is_upgraded(wheel.name)}

    def _known_sizes(self) -> dict[str, int]:
        variants = self.previous.variants if self.previous else ()
        return {wheel.sha256: wheel.size_bytes for variant in variants for wheel in variant.wheels}


def _locked_base(base: FoundBase | None, provider: str) -> LockedBase | None:
    """What another interpreter than the base's own does not see, it does not hold."""
    if base is None:
        return None
    return base.locked if provider == "base" else replace(base.locked, held={}, environment="")
