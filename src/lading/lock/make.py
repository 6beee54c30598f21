"""Making a lock: everything for every accelerator and platform, resolved.

The order is Debian packages, interpreter, wheels: markers ask for the interpreter's full version.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from lading.errors import ProjectError, UsageError
from lading.fetch.http import Fetcher
from lading.lock.access import open_fetcher
from lading.lock.check import add_layers, check_lock, inputs_digest
from lading.lock.compiler import compiler_packages
from lading.lock.cuda import cuda_facts, needs_of
from lading.lock.indexes import uv_environment
from lading.lock.interpreter import (
    choose_provider,
    debian_interpreter,
    full_version,
    standalone_interpreter,
)
from lading.lock.model import (
    AddedPackage,
    Lock,
    LockedCuda,
    LockedInterpreter,
    LockedSuite,
    LockedVariant,
    TargetSelection,
)
from lading.lock.packages import ResolvedPackages, resolve_debian
from lading.lock.requirements import target_requirements
from lading.lock.target import target_environment
from lading.lock.uv import Uv
from lading.lock.wheels import ResolvedWheels, WheelRequest, resolve_wheels
from lading.oci.platform import Platform
from lading.project.accelerators import wants_gpu
from lading.project.model import Project
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
    warn: Callable[[str], None] | None = None,
) -> Lock:
    """Resolve everything for every accelerator and platform (those of `[image]` when None).

    Wheels and standalone interpreters of `previous` are kept where nothing forbids them, but for the names in
    `upgrade`; Debian packages follow their suite. Layer digests of `previous` stay: a layer's key says what
    it is made of. Each warning goes to `warn` once.

    Raises ProjectError, ResolutionFailed, FetchFailed, SignatureRefused, OutsideError, UsageError.
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
        )
        variants = tuple(
            making.variant(accelerator, platform)
            for accelerator in sorted(set(accelerators or project.image.accelerators))
            for platform in sorted(set(platforms or project.image.platforms))
        )
    for warning in making.warnings:
        if warn is not None:
            warn(warning)
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
        known |= {wheel.name for wheel in variant.wheels}
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
    warnings: dict[str, None] = field(default_factory=dict)
    """A set that keeps its order."""
    suites: dict[str, LockedSuite] = field(default_factory=dict)

    def variant(self, accelerator: str, platform_name: str) -> LockedVariant:
        project = self.project
        platform = Platform.parse(platform_name)
        provider = choose_provider(project.image)
        packages = self._packages(platform, provider, ())
        interpreter = self._interpreter(accelerator, platform, provider, packages)
        request = WheelRequest(
            project=project,
            target=target_environment(project.image.base, full_version(interpreter), platform),
            accelerator=accelerator,
            requirements=target_requirements(project, accelerator),
            kept=self._kept(accelerator, platform_name),
            known_sizes=self._known_sizes(),
        )
        wheels = resolve_wheels(request, store=self.store, fetcher=self.fetcher, environment=self.environment)
        self.warnings.update(dict.fromkeys(wheels.warnings))
        added = compiler_packages(project, accelerator, interpreter, dict(wheels.targets))
        if added:
            packages = self._packages(platform, provider, added)
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
            added=added,
        )

    def _packages(
        self, platform: Platform, provider: str, added: tuple[AddedPackage, ...]
    ) -> ResolvedPackages:
        _, _, suite = self.project.image.base.partition(":")
        packages = resolve_debian(
            self.project,
            platform,
            suite=suite,
            provider=provider,
            store=self.store,
            environment=self.environment,
            offline=self.fetcher.offline,
            added={
                target: tuple(one.name for one in added if target in one.targets)
                for target in self.project.targets
            },
        )
        self.warnings.update(dict.fromkeys(packages.warnings))
        for suite_seen in packages.suites:
            known = self.suites.setdefault(suite_seen.suite, suite_seen)
            if known.codename != suite_seen.codename:
                raise ProjectError(f"the mirror's {suite_seen.suite} changed its codename while locking")
        return packages

    def _interpreter(
        self, accelerator: str, platform: Platform, provider: str, packages: ResolvedPackages
    ) -> LockedInterpreter:
        python = self.project.image.python
        if provider == "debian":
            return debian_interpreter(python, packages.packages)
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
