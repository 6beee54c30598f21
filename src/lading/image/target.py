"""From a project to an image of one of its targets: lock, plan, build. The front door of this package.

`current_lock` decides whether the lock fits, `plan_target` is what `lading plan` shows, `build_target` is
what every command that needs an image calls.
"""

from __future__ import annotations

import contextlib
import os
import platform as host
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lading.errors import LockOutOfDate, OutsideError, ProjectError, UsageError
from lading.fetch.http import Fetcher
from lading.fetch.source import ByteSource, LocalFile
from lading.image.build import BuildRequest, Elsewhere, build, lockable_layers
from lading.image.job import Sources
from lading.image.kinds.added import layers_of, plan_files
from lading.image.kinds.code import code_layer, runtime_layer
from lading.image.kinds.step import plan_inputs
from lading.image.lenders import open_lenders
from lading.image.model import Image
from lading.image.order import OWN_LAYER_BYTES
from lading.image.plan import Plan, PlanInputs, make_plan
from lading.image.request import LOCK_NAME, BakedModel, BuildContext, BuildOptions, Compression
from lading.image.spec import MODELS, STEP, FilesLayer, ProjectLayer
from lading.image.tag import image_tag
from lading.lock.access import open_fetcher
from lading.lock.check import add_layers, check_lock
from lading.lock.lockfile import lock_identity, read_lock, write_lock
from lading.lock.model import (
    Lock,
    LockedBaseLayer,
    LockedInterpreter,
    LockedPackage,
    LockedSuite,
    LockedVariant,
    LockedWheel,
)
from lading.oci.digest import Digest
from lading.oci.manifest import Descriptor
from lading.oci.platform import Platform, host_platform
from lading.oci.reference import Reference
from lading.project.model import CodeKind, ImageSettings, Project
from lading.store import Store
from lading.store.atomic import temporary_name

if TYPE_CHECKING:
    from lading.image.source_builds import WheelMaker
    from lading.lock.make import Upgrade

SERVE_COMMAND = ("python", "-m", "lading_runtime.serve")
SERVE_PORT = 8080


def current_lock(project: Project, context: BuildContext, options: BuildOptions) -> Lock:
    """The project's lock, made or renewed when it does not fit.

    Raises LockOutOfDate under `locked`, and what resolving raises.
    """
    path = project.root / LOCK_NAME
    previous = _read(path)
    reason = "there is no lading.lock" if previous is None else check_lock(project, previous)
    if previous is not None and reason is None:
        return previous
    if options.locked:
        raise LockOutOfDate(f"the lock is out of date: {reason}", place=str(path), hints=("lading lock",))
    lock = new_lock(project, context, offline=options.offline, previous=previous)
    save_lock(project, lock)
    return lock


def new_lock(
    project: Project,
    context: BuildContext,
    *,
    offline: bool,
    previous: Lock | None,
    upgrade: Upgrade = None,
) -> Lock:
    """A lock made today, with what the wheels' shared objects need; it is not saved.

    Raises what `make_lock` raises.
    """
    from lading.image.needs import read_needs
    from lading.lock.make import make_lock

    with open_sources(project, context, offline=offline) as sources:
        return make_lock(
            project,
            context.store,
            context.environment,
            offline=offline,
            previous=previous,
            upgrade=upgrade,
            builder=context.builder,
            warn=context.listener.warned,
            note=context.listener.noted,
            read_needs=lambda wheels: read_needs(wheels, store=context.store, open_wheel=sources.open_wheel),
        )


def _read(path: Path) -> Lock | None:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(f"reading the lock failed: {error}", place=str(path)) from error
    return read_lock(text, str(path))


def save_lock(project: Project, lock: Lock) -> None:
    """Write lading.lock whole or not at all. Raises ProjectError where the folder cannot be written."""
    path = project.root / LOCK_NAME
    temporary = path.with_name(f".{LOCK_NAME}.{temporary_name()}")
    try:
        temporary.write_text(write_lock(lock), encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise ProjectError(
            f"writing lading.lock failed: {error.strerror}",
            place=str(path),
            hints=(f"chmod u+w {project.root}",),
        ) from error


def plan_target(project: Project, lock: Lock, options: BuildOptions) -> Plan:
    """The plan of one target. Raises ProjectError or UsageError for a target the project or lock lacks."""
    settings = _settings(project, options)
    variant = locked_variant(project, lock, options)
    serves = options.target == "serve" and settings.only is not None
    model = options.model if options.target == "serve" else None
    code: FilesLayer | ProjectLayer = code_layer(project, variant.interpreter.version)
    if project.code.kind is CodeKind.BUILD and isinstance(code, FilesLayer) and not serves:
        from lading.image.source_builds import project_layer

        code = project_layer(project, variant, code)
    return make_plan(
        PlanInputs(
            project=project.name,
            target=options.target,
            tag=image_tag(project, options.target, variant.accelerator),
            settings=settings,
            variant=variant,
            code=None if serves else code,
            runtime=runtime_layer() if serves else None,
            cmd=serve_command(model) if serves else ("python",),
            lenient=options.lenient,
            step_inputs=tuple(plan_inputs(project.root, step) for step in settings.steps),
            files=plan_files(project.root, settings.files),
            model=layers_of(model.files, kind="model") if model is not None else (),
        )
    )


def locked_variant(project: Project, lock: Lock, options: BuildOptions) -> LockedVariant:
    """What the lock holds for the accelerator and platform that are built. Raises UsageError for nothing."""
    accelerator = options.accelerator or project.image.accelerators[0]
    platform = str(_platform(project, options))
    variant = lock.variant(accelerator, platform)
    if variant is None:
        held = ", ".join(f"{v.accelerator} on {v.platform}" for v in lock.variants)
        raise UsageError(
            f"nothing is locked for {accelerator} on {platform}; the lock holds {held}",
            hints=("name it under [image] accelerator or platform, then: lading lock",),
        )
    return variant


def serve_command(model: BakedModel | None) -> tuple[str, ...]:
    """What a serve image starts with: with its own model it needs no more than a port."""
    if model is None:
        return SERVE_COMMAND
    named = ("--model", f"/{MODELS}/{model.name}", "--name", model.name, "--version", model.version)
    return (*SERVE_COMMAND, *named, "--host", "0.0.0.0", "--port", str(SERVE_PORT))


def _settings(project: Project, options: BuildOptions) -> ImageSettings:
    settings = project.targets.get(options.target)
    if settings is None:
        known = ", ".join(project.targets)
        raise UsageError(f"there is no target {options.target!r}; there are {known}")
    return settings if options.bytecode is None else replace(settings, bytecode=options.bytecode)


def _platform(project: Project, options: BuildOptions) -> Platform:
    if options.platform is not None:
        try:
            return Platform.parse(options.platform)
        except ValueError as error:
            raise UsageError(str(error)) from error
    try:
        ours = host_platform(host.machine())
    except ValueError as error:
        raise OutsideError(str(error)) from error
    return ours if str(ours) in project.image.platforms else Platform.parse(project.image.platforms[0])


def build_target(
    project: Project,
    context: BuildContext,
    options: BuildOptions,
    *,
    proof: bool = False,
    elsewhere: Elsewhere | None = None,
) -> Image:
    """The image of one target, in the store but for layers `elsewhere`, and the lock kept up to date."""
    lock = current_lock(project, context, options)
    plan = plan_target(project, lock, options)
    maker = _wheel_maker(project, lock, context, options)
    lenders = open_lenders(
        (*options.layers_from, *project.image.layers_from),
        context.store,
        context.environment,
        offline=options.offline,
        warn=context.listener.warned,
    )
    with (
        lenders as open_to_us,
        open_sources(project, context, offline=options.offline, suites=lock.suites) as opened,
    ):
        request = BuildRequest(
            plan=plan,
            lock=lock,
            lock_digest=lock_identity(lock),
            workers=options.workers or len(os.sched_getaffinity(0)),
            compression=options.compression,
            locked=options.locked,
            elsewhere=elsewhere if options.compression is Compression.GZIP and not proof else None,
            lenders=open_to_us,
            prepare=maker.prepare if maker is not None else lambda missing: None,
        )
        sources = replace(opened, project_wheel=maker.project_locked if maker is not None else None)
        image = build(request, context.store, sources, context.environment, context.listener)
        if proof:
            from lading.image.prove import prove

            prove(image, request, context.store, sources, context.environment, context.listener)
    if options.compression is not Compression.GZIP:
        return image
    renewed = _with_layers(project, lock, image)
    if renewed != lock and not options.locked:
        try:
            save_lock(project, renewed)
        except ProjectError as error:  # the image is good; only its layers are not noted in the lock
            context.listener.warned(f"{error.message}; --locked leaves it alone")
    return image


def _wheel_maker(
    project: Project, lock: Lock, context: BuildContext, options: BuildOptions
) -> WheelMaker | None:
    """None where nothing was locked as built from source, which is most projects."""
    variant = locked_variant(project, lock, options)
    if not variant.builds:
        return None
    from lading.image.source_builds import WheelMaker

    return WheelMaker(project, variant, context, offline=options.offline)


def _with_layers(project: Project, lock: Lock, image: Image) -> Lock:
    """The lock with this image's layers, and without those that nothing it locks is made of any more."""
    built = lockable_layers(image.layers)
    kept = {layer.key for layer in built}
    for variant in lock.variants:
        for target in variant.targets.keys() & project.targets.keys():
            inputs = PlanInputs(
                project=project.name,
                target=target,
                tag="",
                settings=project.targets[target],
                variant=variant,
                code=None,
                runtime=None,
                cmd=(),
                step_inputs=tuple(plan_inputs(project.root, s) for s in project.targets[target].steps),
            )
            kept |= {spec.key for spec in make_plan(inputs).layers}
    # A step may come out otherwise, which was said: the newer layer is the one that is there.
    steps = {layer.key for layer in built if layer.kind == STEP}
    before = replace(lock, layers=tuple(layer for layer in lock.layers if layer.key not in steps))
    renewed = add_layers(before, built)
    return replace(renewed, layers=tuple(layer for layer in renewed.layers if layer.key in kept))


def open_sources(
    project: Project, context: BuildContext, *, offline: bool, suites: tuple[LockedSuite, ...] = ()
) -> contextlib.AbstractContextManager[Sources]:
    """Where this project's bytes come from, for as long as the context is held.

    `suites` say when packages that the mirror may have dropped were locked.
    """
    find_links = project.requirements.find_links
    return open_sources_at(project.root, find_links, context, offline=offline, suites=suites)


@contextlib.contextmanager
def open_sources_at(
    folder: Path,
    find_links: tuple[str, ...],
    context: BuildContext,
    *,
    offline: bool,
    suites: tuple[LockedSuite, ...] = (),
) -> Iterator[Sources]:
    """As `open_sources`, for what `folder` and its wheel folders configure."""
    store, environment = context.store, context.environment
    fetcher = open_fetcher(folder, store, environment, offline=offline)

    def wheel_source(wheel: LockedWheel) -> ByteSource:
        from lading.lock.sources import open_wheel

        source = open_wheel(
            wheel,
            store=store,
            fetcher=fetcher,
            environment=environment,
            folder=folder,
            project_find_links=find_links,
        )
        if isinstance(source, LocalFile) or wheel.size_bytes >= OWN_LAYER_BYTES:
            return source
        return _kept(store, wheel, source)

    def packages(wanted: tuple[LockedPackage, ...]) -> Mapping[str, Path]:
        from lading.lock.debian import fetch_packages

        return fetch_packages(wanted, store=store, environment=environment, offline=offline, suites=suites)

    def standalone(interpreter: LockedInterpreter) -> Path:
        return _standalone(store, fetcher, interpreter)

    def layers(reference: str, wanted: tuple[LockedBaseLayer, ...]) -> None:
        from lading.registry.pull import fetch_layers

        missing = [layer for layer in wanted if store.blobs.size_bytes(layer.digest) != layer.size_bytes]
        if missing:
            blobs = [
                Descriptor(media_type=layer.media_type, digest=layer.digest, size_bytes=layer.size_bytes)
                for layer in missing
            ]
            fetch_layers(Reference.parse(reference), blobs, store, environment, offline=offline)

    try:
        yield Sources(
            open_wheel=wheel_source,
            fetch_packages=packages,
            fetch_standalone=standalone,
            fetch_layers=layers,
            fetch_file=lambda url, sha256: _fetched(store, fetcher, url, sha256),
            steps=context.steps,
        )
    finally:
        fetcher.close()


def _kept(store: Store, wheel: LockedWheel, source: ByteSource) -> ByteSource:
    """A small wheel is read again whenever the tail changes, so it stays in the store."""
    digest = Digest.from_hex(wheel.sha256)
    try:
        with store.blobs.writer() as blob:
            blob.write(source.read(0, wheel.size_bytes))
            blob.commit(digest)
    finally:
        source.close()
    return LocalFile(store.blobs.path(digest))


def _fetched(store: Store, fetcher: Fetcher, url: str, sha256: str) -> Path:
    """The file at `url`, in the store, verified."""
    path = store.blobs.path(Digest.from_hex(sha256))
    if not store.blobs.has_intact(Digest.from_hex(sha256)):
        path.parent.mkdir(parents=True, exist_ok=True)
        fetcher.download(url, path, sha256=sha256)
    return path


def _standalone(store: Store, fetcher: Fetcher, interpreter: LockedInterpreter) -> Path:
    """The archive of a standalone Python, in the store, verified."""
    if interpreter.sha256 is None or interpreter.url is None:
        raise ProjectError(
            f"the lock does not say where {interpreter.build} comes from", hints=("lading lock --upgrade",)
        )
    path = store.blobs.path(Digest.from_hex(interpreter.sha256))
    if not store.blobs.has_intact(Digest.from_hex(interpreter.sha256)):
        fetcher.download(interpreter.url, path, sha256=interpreter.sha256, size_bytes=interpreter.size_bytes)
    return path
