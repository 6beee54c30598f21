"""Wheels that a build lacks and nobody serves: built again from the lock, and the project's own.

What is built again must come out as it was locked. Runs right before layers are written, in the building
process, so that wheels are in the store when workers want them.
"""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lading.errors import DigestMismatch, FetchFailed, ProjectError
from lading.image.request import BuildContext
from lading.image.spec import FilesLayer, LayerSpec, ProjectLayer, WheelsLayer
from lading.lock.access import open_fetcher
from lading.lock.builder import BuildBackend, BuildJob, BuildRoom, BuiltWheel, WheelBuilder
from lading.lock.builds import version_variables
from lading.lock.indexes import find_links, local_folders
from lading.lock.model import LockedBuild, LockedVariant, LockedWheel
from lading.lock.source_fetch import FetchedSource, SourceFetcher
from lading.lock.source_files import source_texts
from lading.oci.digest import Digest
from lading.oci.json import canonical_json
from lading.project.model import DirectReference, Project, SourceBuild

_DOCUMENTS = ("README", "CHANGELOG", "LICENSE", "LICENCE", "COPYING", "NOTICE", "AUTHORS")
"""Files that a backend looks for and whose content no image depends on: it sees them empty."""


class WheelMaker:
    """Makes what `variant` has built wheels of, when somebody needs one that is not in the store."""

    def __init__(
        self, project: Project, variant: LockedVariant, context: BuildContext, *, offline: bool
    ) -> None:
        self._project = project
        self._variant = variant
        self._context = context
        self._offline = offline
        self._by_sha256 = {build.sha256: build for build in variant.builds if build.sha256 is not None}
        self._project_wheel: BuiltWheel | None = None

    def prepare(self, missing: Sequence[LayerSpec]) -> None:
        """Before `missing` are written. Raises BuildFailed, DigestMismatch, FetchFailed, ProjectError."""
        for spec in missing:
            if isinstance(spec, ProjectLayer):
                self._build_project()
            elif isinstance(spec, WheelsLayer):
                for wheel in spec.wheels:
                    self._ensure(wheel)

    def project_locked(self) -> LockedWheel:
        """The project's own wheel, as a wheel of the lock would be; in the store."""
        if self._project_wheel is None:
            self._build_project()
        built = self._project_wheel
        assert built is not None, "it was just built"
        return LockedWheel(
            name=built.name,
            version=built.version,
            filename=built.filename,
            sha256=built.sha256,
            size_bytes=built.size_bytes,
        )

    def _ensure(self, wheel: LockedWheel) -> None:
        build = self._by_sha256.get(wheel.sha256)
        if build is None or self._context.store.blobs.has_intact(Digest.from_hex(wheel.sha256)):
            return
        places = (*self._project.requirements.find_links, *find_links(self._context.environment))
        if any((folder / wheel.filename).is_file() for folder in local_folders(places)):
            return  # opening it checks its sha256
        with self._fetched(build) as fetched:
            texts = source_texts(fetched.path, build.source.subdirectory, build.source.location)
            built = self._builder(build.name).build(
                replace(
                    self._job(build, fetched.locked.digest, fetched.path),
                    files=fetched.files,
                    variables=version_variables(texts),
                )
            )
        if built.sha256 != build.sha256:
            raise DigestMismatch(
                f"{build.name} {build.version} was built again and came out as sha256 {built.sha256},"
                f" the lock says {build.sha256}: its build is not reproducible",
                place="lading.lock",
                hints=(
                    f"lading lock --upgrade {build.name}",
                    "or keep the wheel in a folder and name it: export UV_FIND_LINKS=/folder/of/wheels",
                ),
            )

    def _build_project(self) -> None:
        build = next((one for one in self._variant.builds if one.source.kind == "project"), None)
        if build is None:
            raise ProjectError(
                "the lock does not say what the project itself is built with", hints=("lading lock",)
            )
        root = self._project.root
        texts = source_texts(root, None, "the project")
        self._project_wheel = self._builder(build.name).build(
            replace(
                self._job(build, project_digest(self._project, build, self._variant), root),
                files=tuple(file.path for file in self._project.code.files if file.link_target is None),
                empty_files=_documents(root, {file.path for file in self._project.code.files}),
                variables=version_variables(texts),
            )
        )

    def _builder(self, name: str) -> WheelBuilder:
        if self._context.builder is None:
            raise ProjectError(f"{name} has to be built from source, which this command does not do")
        return self._context.builder

    def _job(self, build: LockedBuild, digest: str, path: Path) -> BuildJob:
        for wheel in build.wheels:
            self._ensure(wheel)
        image = self._project.image
        return BuildJob(
            name=build.name,
            source_digest=digest,
            path=path,
            subdirectory=build.source.subdirectory or "",
            backend=BuildBackend(requires=(), name=build.backend, path=build.backend_path),
            room=BuildRoom(
                base=image.base,
                python=self._variant.interpreter.version,
                platform=self._variant.platform,
                interpreter=self._variant.interpreter,
                packages=self._variant.build_packages,
                wheels=build.wheels,
                image=self._variant.base,
            ),
            settings=self._project.builds.get(build.name, SourceBuild()),
            folder=self._project.root,
            find_links=self._project.requirements.find_links,
            offline=self._offline,
        )

    @contextlib.contextmanager
    def _fetched(self, build: LockedBuild) -> Iterator[FetchedSource]:
        """The very source that was locked. Raises FetchFailed, DigestMismatch, ProjectError."""
        source, project, context = build.source, self._project, self._context
        fetcher = open_fetcher(project.root, context.store, context.environment, offline=self._offline)
        with (
            contextlib.closing(fetcher),
            tempfile.TemporaryDirectory(prefix="lading-source-") as scratch,
        ):
            sources = SourceFetcher(
                root=project.root,
                scratch=Path(scratch),
                store=context.store,
                fetcher=fetcher,
                environment=context.environment,
            )
            if source.kind in ("sdist", "url"):
                url = source.url or (
                    source.location if source.kind == "url" else self._local(source.location)
                )
                fetched = sources.archive(
                    source.kind, source.location, url, source.digest, source.subdirectory
                )
            else:
                here = "://" not in source.location
                place = str(project.root / source.location) if here else source.location
                reference = DirectReference(
                    kind=source.kind,
                    location=place,
                    reference=source.reference,
                    subdirectory=source.subdirectory,
                )
                fetched = sources.direct(reference, source.digest if source.kind == "git" else None)
            if fetched.locked.digest != source.digest:
                raise ProjectError(
                    f"{source.location} changed since {build.name} was locked",
                    place=source.location,
                    hints=("lading lock",),
                )
            yield fetched

    def _local(self, filename: str) -> str:
        places = (*self._project.requirements.find_links, *find_links(self._context.environment))
        for folder in local_folders(places):
            if (folder / filename).is_file():
                return (folder / filename).as_uri()
        raise FetchFailed(
            f"{filename} is in no wheel folder any more",
            place=filename,
            hints=("name its folder: export UV_FIND_LINKS=/folder",),
        )


def project_digest(project: Project, build: LockedBuild, variant: LockedVariant) -> str:
    """sha256 hex over all that the project's own wheel is made from. Reads and hashes its files."""
    rows = []
    for file in project.code.files:
        if file.link_target is None:
            try:
                content = (project.root / file.path).read_bytes()
            except OSError as error:
                raise ProjectError(
                    f"reading {file.path} failed: {error.strerror}", place=file.path
                ) from error
            rows.append([file.path, file.executable, Digest.of(content).hex])
    settings = project.builds.get(build.name, SourceBuild())
    document: dict[str, Any] = {
        "files": rows,
        "documents": list(_documents(project.root, {file.path for file in project.code.files})),
        "backend": [build.backend, list(build.backend_path)],
        "wheels": [wheel.sha256 for wheel in build.wheels],
        "packages": [package.sha256 for package in variant.build_packages],
        "interpreter": variant.interpreter.build,
        "env": dict(settings.env),
    }
    if variant.base is not None:
        document["base"] = variant.base.digest
    return hashlib.sha256(canonical_json(document)).hexdigest()


def project_layer(project: Project, variant: LockedVariant, code: FilesLayer) -> ProjectLayer:
    """The code layer of a project that must be built. Raises ProjectError when the lock does not say how."""
    build = next((one for one in variant.builds if one.source.kind == "project"), None)
    if build is None:
        raise ProjectError(
            "the lock does not say what the project itself is built with", hints=("lading lock",)
        )
    return ProjectLayer(
        kind=code.kind,
        title=code.title,
        files=code.files,
        wheel_inputs=project_digest(project, build, variant),
        python_version=variant.interpreter.version,
    )


def _documents(root: Path, held: set[str]) -> tuple[str, ...]:
    return tuple(
        sorted(
            entry.name
            for entry in root.iterdir()
            if entry.name.upper().startswith(_DOCUMENTS) and entry.is_file() and entry.name not in held
        )
    )
