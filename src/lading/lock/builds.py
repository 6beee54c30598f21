"""Source becomes wheels while a variant is resolved: what must be built, in which room, once.

uv never builds. What it lacks a wheel of gets stand-ins (see source_list); what it then chooses is built by
the WheelBuilder, and uv resolves again with the true wheel. Build requirements are resolved the same way, one
storey down. Must not know how a sandbox is made.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from lading.errors import ProjectError, ResolutionFailed
from lading.lock.build_needs import known_needs
from lading.lock.builder import BuildJob, BuildRoom, BuiltWheel, MoreRequirements, WheelBuilder
from lading.lock.indexes import find_links
from lading.lock.model import LockedBuild, LockedPackage, LockedSource, LockedWheel
from lading.lock.pylock import FoundWheel
from lading.lock.requirements import TargetRequirements
from lading.lock.source_fetch import FetchedSource, SourceFetcher
from lading.lock.source_files import build_backend, source_name, source_texts
from lading.lock.source_list import SourceFile, offered_sources, write_stand_in
from lading.lock.target import TargetEnvironment
from lading.project.model import DirectReference, Project, SourceBuild

if TYPE_CHECKING:
    from packaging.pylock import Package

    from lading.lock.base.image import FoundBase
    from lading.lock.uv import Uv
    from lading.lock.wheels import ResolvedWheels, WheelRequest

_PENDING = "0+pending"
"""Version of a stand-in for what is known by its place and not by its version."""

Resolve = Callable[["WheelRequest", "Builds"], "ResolvedWheels"]


@dataclass(slots=True, kw_only=True)
class Ledger:
    """What has been built for one variant, shared by all storeys."""

    builds: dict[str, LockedBuild] = field(default_factory=dict)
    """By sha256 of the wheel."""
    packages: tuple[LockedPackage, ...] = ()
    """Of the room, once anything was built."""


@dataclass(slots=True, kw_only=True)
class Builds:
    """One storey: the wheels that one resolution needs built. `links` is the folder uv finds them in."""

    project: Project
    target: TargetEnvironment
    accelerator: str
    builder: WheelBuilder | None
    sources: SourceFetcher
    room: Callable[[], BuildRoom]
    """The image without build requirements; resolved when first asked for."""
    resolve: Resolve
    links: Path
    previous: Mapping[str, LockedBuild]
    """Of an earlier lock, by name: Git stays at its commit, build requirements at their versions."""
    made: Ledger = field(default_factory=Ledger)
    base: FoundBase | None = None
    """A registry image whose Python builds; what it holds is there while they do."""
    above: tuple[str, ...] = ()
    """What is being built, outermost first."""
    offered: dict[str, dict[str, SourceFile]] = field(default_factory=dict)
    pending: dict[str, tuple[FetchedSource, Mapping[str, str]]] = field(default_factory=dict)
    """Direct references that wait for the versions of what they need."""
    overrides: dict[str, str] = field(default_factory=dict)
    """Name → what uv reads in place of every requirement of that name."""
    constraints: dict[str, str] = field(default_factory=dict)
    """Versions that something was built against."""
    built: dict[str, BuiltWheel] = field(default_factory=dict)

    lines: dict[str, str] = field(default_factory=dict)
    """Requirement lines without a name → the name that their source says."""

    def take_direct(self) -> None:
        """Fetch every direct reference; build what needs no version of anything else."""
        for reference in self.project.requirements.direct:
            self._take(reference)

    def _take(self, reference: DirectReference) -> None:
        place = reference.place or reference.location
        if reference.location.endswith(".whl"):
            self._take_wheel(reference)
            return
        before = self.previous.get(reference.name or "")
        same = before is not None and (before.source.kind, before.source.reference) == (
            "git",
            reference.reference,
        )
        fetched = self.sources.direct(
            reference, before.source.digest if before is not None and same else None
        )
        texts = source_texts(fetched.path, reference.subdirectory, place)
        name = reference.name or source_name(texts, place)
        if name is None:
            raise ProjectError(
                f"nothing in {fetched.locked.location} says the name of its distribution without running it",
                place=place,
                hints=(f"write the name before it: NAME @ {fetched.locked.location}",),
            )
        if reference.line:
            self.lines[reference.line] = name
        if self._needs(name):
            self.pending[name] = fetched, texts
            path = write_stand_in(self.links, name, _PENDING)
            self.overrides[name] = f"{name} @ {path.as_uri()}"
        else:
            self._build(name, fetched, texts, {}, place)
            self.overrides[name] = f"{name} @ {self._path(name).as_uri()}"

    def _take_wheel(self, reference: DirectReference) -> None:
        """A wheel by URL or path: fetched into the store; there is nothing to build."""
        from packaging.utils import InvalidWheelFilename, parse_wheel_filename

        filename = reference.location.rpartition("/")[2]
        try:
            name = str(parse_wheel_filename(filename)[0])
        except InvalidWheelFilename as error:
            raise ProjectError(str(error), place=reference.place) from error
        kind = "url" if reference.kind == "url" else "path"
        fetched = self.sources.archive(kind, filename, reference.location, reference.sha256, None)
        shutil.copyfile(fetched.path, self.links / filename)
        if reference.line:
            self.lines[reference.line] = name
        self.overrides[name] = f"{name} @ {(self.links / filename).as_uri()}"

    def offer(self, name: str, uv: Uv) -> bool:
        """Put stand-ins for the source archives of `name` where uv finds them; False where there are none."""
        name = canonicalize_name(name)
        if self.builder is None or name in self.offered or name in self.overrides:
            return False
        requirements = self.project.requirements
        places = (*requirements.find_links, *find_links(self.sources.environment))
        arguments = [word for url in requirements.index_urls[:1] for word in ("--index-url", url)] + [
            word for url in requirements.index_urls[1:] for word in ("--extra-index-url", url)
        ]
        if requirements.kind.value == "pyproject":
            arguments = []  # uv reads [tool.uv] itself
        found = offered_sources(name, places, arguments, uv=uv, fetcher=self.sources.fetcher)
        self.offered[name] = found
        for source in found.values():
            write_stand_in(self.links, name, source.version, source.requires_python)
        return bool(found)

    def build_chosen(self, found: tuple[FoundWheel, ...]) -> bool:
        """Build what `found` has only stand-ins of; whether anything was: then uv must look again."""
        versions = {wheel.name: wheel.version for wheel in found}
        chosen = [
            name for name in versions if name not in self.built and name in {*self.offered, *self.pending}
        ]
        for name in chosen:
            needs = {need: self._version_of(need, name, versions) for need in self._needs(name)}
            if name in self.pending:
                fetched, texts = self.pending.pop(name)
                place = fetched.locked.location
            else:
                source = self.offered[name].get(versions[name])
                if source is None:
                    continue  # a wheel after all
                fetched = self.sources.archive("sdist", source.filename, source.url, source.sha256, None)
                texts, place = source_texts(fetched.path, None, source.filename), source.filename
            for stand_in in self.links.glob(f"{name.replace('-', '_')}-*.whl"):
                stand_in.unlink()
            self._build(name, fetched, texts, needs, place)
            self.constraints.update(needs)
            if name in self.overrides:
                self.overrides[name] = f"{name} @ {self._path(name).as_uri()}"
        return bool(chosen)

    def build_locked(self, package: Package, versions: Mapping[str, str], place: str) -> FoundWheel:
        """The wheel of a package that a uv.lock or pylock.toml has as source. Raises ResolutionFailed."""
        name = str(package.name)
        if name not in self.built:
            if package.vcs is not None:
                reference = DirectReference(
                    kind="git",
                    location=str(package.vcs.url),
                    reference=package.vcs.requested_revision,
                    subdirectory=package.vcs.subdirectory,
                )
                fetched = self.sources.direct(reference, package.vcs.commit_id)
            elif package.directory is not None:
                path = (self.sources.root / package.directory.path).resolve()
                fetched = self.sources.direct(
                    DirectReference(
                        kind="path", location=str(path), subdirectory=package.directory.subdirectory
                    )
                )
            elif (archive := package.archive or package.sdist) is not None:
                url = str(archive.url or archive.path)
                filename = url.partition("#")[0].rpartition("/")[2]
                kind = "sdist" if package.sdist is not None else "url"
                sha256 = archive.hashes.get("sha256")
                fetched = self.sources.archive(kind, filename, url, sha256, None)
            else:
                raise ResolutionFailed(f"{place} does not say where {name} comes from", place=place)
            texts = source_texts(fetched.path, fetched.locked.subdirectory, place)
            needs = {need: self._version_of(need, name, versions) for need in self._needs(name)}
            self._build(name, fetched, texts, needs, place)
        return self.found(name)

    def found(self, name: str) -> FoundWheel:
        built = self.built[name]
        return FoundWheel(
            name=built.name,
            version=built.version,
            filename=built.filename,
            sha256=built.sha256,
            size_bytes=built.size_bytes,
            url=None,
        )

    def _path(self, name: str) -> Path:
        return self.links / self.built[name].filename

    def _settings(self, name: str) -> SourceBuild:
        return self.project.builds.get(name, SourceBuild())

    def _needs(self, name: str) -> tuple[str, ...]:
        return self._settings(name).needs or known_needs(name)

    def _version_of(self, need: str, name: str, versions: Mapping[str, str]) -> str:
        held = self.base.locked.held if self.base is not None else {}
        wanted = canonicalize_name(need)
        version = held.get(wanted) or versions.get(wanted)
        if version is None:
            raise ResolutionFailed(
                f"{name} needs {need} while it is built, and the project does not depend on {need}",
                place=self.project.requirements.path.name if self.project.requirements.path else None,
                hints=(f"add {need} to the requirements",),
            )
        return version

    def _build(
        self,
        name: str,
        fetched: FetchedSource,
        texts: Mapping[str, str],
        needs: Mapping[str, str],
        place: str,
    ) -> None:
        if self.builder is None:
            raise ResolutionFailed(
                f"{name} has to be built from source, which this command does not do",
                place=place,
                hints=("lading lock",),
            )
        if name in self.above:
            circle = " → ".join((*self.above[self.above.index(name) :], name))
            raise ResolutionFailed(
                f"{circle}: each is needed to build the one before, and none has a wheel",
                place=place,
                hints=(f"give {name} as a wheel: export UV_FIND_LINKS=/folder/of/wheels",),
            )
        backend = build_backend(texts, place)
        requirements = backend.requires
        for _ in range(4):
            wheels = self.requirements_of(name, requirements, needs)
            job = BuildJob(
                name=name,
                source_digest=fetched.locked.digest,
                path=fetched.path,
                files=fetched.files,
                subdirectory=fetched.locked.subdirectory or "",
                backend=backend,
                room=replace(self.room(), wheels=wheels),
                settings=self._settings(name),
                variables=version_variables(texts),
                folder=self.project.root,
                find_links=self.project.requirements.find_links,
                offline=self.sources.fetcher.offline,
            )
            try:
                built = self.builder.build(job)
                break
            except MoreRequirements as more:
                requirements = (*requirements, *more.requirements)
        else:
            raise ResolutionFailed(f"the backend of {name} asks for ever more requirements", place=place)
        if canonicalize_name(built.name) != name:
            raise ProjectError(f"{place} was to be {name}, and built {built.name}", place=place)
        shutil.copyfile(built.path, self.links / built.filename)
        self.built[name] = built
        self.made.packages = job.room.packages
        self.made.builds[built.sha256] = locked_build(
            name, built, fetched.locked, job.backend.name, job.backend.path, wheels
        )

    def lock_project(self, wheels: tuple[LockedWheel, ...]) -> None:
        """Lock what the project's own wheel is built with; the wheel itself changes with its code."""
        root, name = self.project.root, canonicalize_name(self.project.name)
        texts = source_texts(root, None, "the project")
        backend = build_backend(texts, "the project")
        versions = {wheel.name: wheel.version for wheel in wheels}
        needs = {need: self._version_of(need, name, versions) for need in self._needs(name)}
        # What a setup.py adds in setup_requires is known only by running it: written down, it is there.
        requirements = (*backend.requires, *_wheel_for_old(backend.requires))
        found = self.requirements_of(name, requirements, needs)
        source = LockedSource(kind="project", location=".", digest="0" * 64)
        self.made.packages = self.room().packages
        self.made.builds["project"] = locked_build(name, None, source, backend.name, backend.path, found)

    def requirements_of(
        self, name: str, requirements: tuple[str, ...], needs: Mapping[str, str]
    ) -> tuple[LockedWheel, ...]:
        """The wheels that must be importable while `name` is built."""
        from lading.lock.wheels import WheelRequest  # it is what calls us

        lines = (*requirements, *(f"{need}=={version}" for need, version in needs.items()))
        if not lines:
            return ()
        before = self.previous.get(name)
        held = self.base.locked.held if self.base is not None else {}
        locked = {wheel.name: wheel.version for wheel in before.wheels} if before is not None else {}
        request = WheelRequest(
            project=self.project,
            target=self.target,
            accelerator=self.accelerator,
            requirements={"build": TargetRequirements(only=lines)},
            kept={**locked, **held},
            known_sizes={},
            base=self.base,
            is_for_build=True,
        )
        below = replace(
            self,
            links=self.links / f"for-{len(list(self.links.glob('for-*')))}",
            above=(*self.above, name),
            offered={},
            pending={},
            overrides={},
            constraints={},
            built={},
            lines={},
        )
        below.links.mkdir()
        return self.resolve(request, below).wheels


def _wheel_for_old(requires: tuple[str, ...]) -> tuple[str, ...]:
    """setuptools before 70.1 asks for `wheel` only once it runs."""
    return ("wheel",) if any(text.lower().startswith("setuptools") for text in requires) else ()


def locked_build(
    name: str,
    built: BuiltWheel | None,
    source: LockedSource,
    backend: str,
    backend_path: tuple[str, ...],
    wheels: tuple[LockedWheel, ...],
) -> LockedBuild:
    return LockedBuild(
        name=name,
        version=built.version if built is not None else "",
        sha256=built.sha256 if built is not None else None,
        isolation=built.isolation if built is not None else "",
        source=source,
        backend=backend,
        backend_path=backend_path,
        wheels=wheels,
    )


def version_variables(texts: Mapping[str, str]) -> dict[str, str]:
    """Sources without their history: what setuptools-scm and its kin would have read from it."""
    from email.parser import HeaderParser

    version = HeaderParser().parsestr(texts.get("PKG-INFO", "")).get("Version") or "0"
    if not any(word in texts.get("pyproject.toml", "") + texts.get("setup.py", "") for word in _SCM):
        return {}
    return {"SETUPTOOLS_SCM_PRETEND_VERSION": str(version), "PBR_VERSION": str(version)}


_SCM = ("setuptools-scm", "setuptools_scm", "hatch-vcs", "pdm-backend", "pbr")
