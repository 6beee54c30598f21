"""What the commands that need an image share: options, the project, and the words while a build goes on."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lading.cli.format import format_count, format_seconds, format_size
from lading.cli.parser import Parser, closest, parse_count
from lading.cli.session import Session
from lading.errors import ProjectError, UsageError

if TYPE_CHECKING:
    from lading.cli.report import Phase, Printer
    from lading.image.model import Image, LayerRecord
    from lading.image.request import BuildContext, BuildOptions
    from lading.image.spec import LayerSpec
    from lading.lock.builder import BuildJob, BuiltWheel
    from lading.project.model import Project


def add_folder(parser: Parser) -> None:
    parser.add_argument("folder", nargs="?", default=".", metavar="DIR", help="project folder (default .)")


def add_build_options(parser: Parser, *, target: bool = True, platforms: bool = False) -> None:
    """What decides which image is meant, and how it comes to be; `platforms`: several may be meant."""
    if target:
        parser.option(
            "--target", variable="LADING_TARGET", metavar="NAME", default="train", help="train, serve or dev"
        )
    parser.option(
        "--accelerator",
        variable="LADING_ACCELERATOR",
        metavar="NAME",
        convert=parse_accelerator,
        help="cpu, cuda or a CUDA release such as cu126; default: the project's first",
    )
    parser.option(
        "--platform",
        variable="LADING_PLATFORM",
        metavar="OS/ARCH[,…]" if platforms else "OS/ARCH",
        convert=parse_platforms if platforms else parse_platform,
        help="linux/amd64 or linux/arm64"
        + (", or both apart by a comma" if platforms else "")
        + "; default: this host's, if the project names it",
    )
    parser.flag("--locked", variable="LADING_LOCKED", help="fail with exit code 4 when the lock does not fit")
    parser.flag("--offline", variable="LADING_OFFLINE", help="use what is on this machine, fetch nothing")
    parser.option(
        "--workers",
        variable="LADING_WORKERS",
        metavar="N",
        convert=parse_count,
        help="processes that write layers; default: one a processor",
    )
    parser.option(
        "--layers-from",
        variable="LADING_LAYERS_FROM",
        metavar="HOST/REPOSITORY",
        repeat=True,
        convert=parse_repository,
        help="take layers that the lock names from there, by digest, before any is made",
    )
    parser.flag("--no-bytecode", variable="LADING_NO_BYTECODE", help="leave compiled bytecode out")
    parser.option(
        "--lenient-wheel",
        variable="LADING_LENIENT_WHEEL",
        metavar="NAME",
        repeat=True,
        help="accept this wheel although its RECORD is wrong, with a warning",
    )
    add_source_options(parser)


def parse_accelerator(text: str) -> str:
    """`cpu`, `cuda`, `cu126`. Raises ArgumentTypeError."""
    from lading.project.accelerators import SAYS, is_accelerator

    if not is_accelerator(text):
        raise argparse.ArgumentTypeError(f"`{text}` is not {SAYS}")
    return text


def parse_platform(text: str) -> str:
    """`linux/amd64`. Raises ArgumentTypeError."""
    from lading.oci.platform import Platform

    try:
        return str(Platform.parse(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def parse_platforms(text: str) -> str:
    """`linux/amd64,linux/arm64`, each once. Raises ArgumentTypeError."""
    words = [parse_platform(word.strip()) for word in text.split(",")]
    return ",".join(dict.fromkeys(words))


def parse_repository(text: str) -> str:
    """`registry.example/team/digits`. Raises ArgumentTypeError."""
    from lading.image.lenders import parse_lender

    try:
        return parse_lender(text).name
    except UsageError as error:
        raise argparse.ArgumentTypeError(error.message) from error


def check_target(project: Project, target: str) -> None:
    """Before anything is resolved. Raises UsageError."""
    if target not in project.targets:
        near = closest(target, project.targets)
        known = ", ".join(project.targets)
        raise UsageError(
            f"there is no target `{target}`; there are {known}",
            hints=(f"lading build --target {near or next(iter(project.targets))}",),
        )


def open_project(folder: str, session: Session, *, scan_credentials: bool = True) -> Project:
    """Raises ConfigError with all problems, CredentialFound, ProjectError."""
    from lading.project.load import load_project

    check_folder(folder, session)
    return load_project(Path(folder), environment=session.environment, scan_credentials=scan_credentials)


def check_folder(folder: str, session: Session) -> None:
    """Before anything in it is walked or written: whether it is a project's. Raises ProjectError."""
    from lading.project.name import is_project, project_above

    root = Path(folder)
    command = {"push": "push REFERENCE", "export": "export dockerfile"}.get(session.command, session.command)
    if not root.is_dir():
        raise ProjectError(
            f"{folder} is not a folder", place=folder, hints=(f"lading {command} PROJECT_FOLDER",)
        )
    root = root.absolute()
    if session.command == "init" or is_project(root):  # init makes a folder a project
        return
    above = project_above(root)
    raise ProjectError(
        f"{root} is no project: no requirements.txt, pyproject.toml, train.py or lading.toml is there",
        place=str(root),
        hints=(f"lading {command} {os.path.relpath(above) if above else 'PROJECT_FOLDER'}",),
    )


_AS_GIVEN = "as given"


def build_options(
    options: argparse.Namespace, *, target: str | None = None, platform: str | None = _AS_GIVEN
) -> BuildOptions:
    """`platform`: one of those that were given."""
    from lading.image.request import BuildOptions, Compression

    return BuildOptions(
        target=target or options.target,
        accelerator=options.accelerator,
        platform=options.platform if platform == _AS_GIVEN else platform,
        bytecode=False if options.no_bytecode else None,
        locked=options.locked,
        offline=options.offline,
        workers=options.workers,
        lenient=frozenset(name.lower().replace("_", "-") for name in options.lenient_wheel),
        compression=Compression(getattr(options, "compression", "gzip")),
        layers_from=tuple(options.layers_from),
    )


def add_source_options(parser: Parser) -> None:
    parser.flag(
        "--allow-unisolated-builds",
        variable="LADING_ALLOW_UNISOLATED_BUILDS",
        help="build source packages even where the host cannot keep them apart",
    )


def with_model(choices: BuildOptions, project: Project, session: Session) -> BuildOptions:
    """`choices` with the model that `[serve] bake` puts into a serve image. Raises ProjectError for none."""
    if choices.target != "serve" or project.serve is None or not project.serve.bake:
        return choices
    from dataclasses import replace

    from lading.run.ledger import Ledger
    from lading.serve.bake import baked_model

    with Ledger.open(session.store) as ledger:
        model = baked_model(project, session.store, ledger)
    assert model is not None, "bake is on"
    session.printer.note(f"  model       {model.reference} goes into the image")
    return replace(choices, model=model)


def build_context(session: Session, options: argparse.Namespace) -> BuildContext:
    from lading.image.request import BuildContext
    from lading.sandbox.steps import EmbeddedSteps

    return BuildContext(
        store=session.store,
        environment=session.environment,
        listener=BuildPrinter(session.printer),
        builder=_LazyBuilder(session, allow_unisolated=options.allow_unisolated_builds),
        steps=EmbeddedSteps(session.environment),
    )


class _LazyBuilder:
    """A sandbox that is imported only when something really has to be built: few projects have source."""

    def __init__(self, session: Session, *, allow_unisolated: bool) -> None:
        self._session = session
        self._allow_unisolated = allow_unisolated

    def build(self, job: BuildJob) -> BuiltWheel:
        """As WheelBuilder.build."""
        from lading.image.request import BuildContext
        from lading.sandbox.builder import Sandbox

        context = BuildContext(
            store=self._session.store,
            environment=self._session.environment,
            listener=BuildPrinter(self._session.printer),
        )
        say = self._session.printer.note
        return Sandbox(context, allow_unisolated=self._allow_unisolated, say=say).build(job)


def record_image(session: Session, image: Image) -> None:
    """Write the image down, so that the collector keeps it."""
    from lading.run.ledger import Ledger

    with Ledger.open(session.store) as ledger:
        ledger.add_image(image)


class BuildPrinter:
    """Tells people how a build goes on: lading.image.build.BuildListener."""

    def __init__(self, printer: Printer) -> None:
        self._printer = printer
        self._phase: Phase | None = None
        self.written_layers: dict[str, float] = {}
        """Key of each layer that was written → seconds it took."""
        self.taken_layers: set[str] = set()

    def started(self, layers: Sequence[LayerSpec], missing: Sequence[LayerSpec], total_bytes: int) -> None:
        if missing:
            title = f"writing {format_count(len(missing), 'layer')}"
            # What is counted is unpacked, what is known beforehand is packed: no total that would be passed.
            self._phase = self._printer.progress(title)

    def progress(self, unpacked_bytes: int) -> None:
        if self._phase is not None and unpacked_bytes:
            self._phase.advance(unpacked_bytes)

    def warned(self, text: str) -> None:
        self._printer.warn(text)

    def noted(self, text: str) -> None:
        self._printer.note(text)

    def written(self, record: LayerRecord, seconds: float) -> None:
        self.written_layers[record.key] = seconds

    def taking(self, layers: int, size_bytes: int) -> None:
        self._phase = self._printer.progress(f"taking {format_count(layers, 'layer')}", size_bytes)

    def taken(self, record: LayerRecord, seconds: float) -> None:
        self.taken_layers.add(record.key)

    def table(self, image: Image, *, closing: bool = True) -> None:
        """A line for each layer that was written, one for all others (-v: each); `closing`: then the sum."""
        self._printer.clear()
        titles = [layer.title.removeprefix(f"{layer.kind} ").removeprefix("of ") for layer in image.layers]
        width = min(48, max((len(title) for title in titles), default=0))
        folded: dict[str, int] = {}
        for layer, title in zip(image.layers, titles, strict=True):
            seconds = self.written_layers.get(layer.key)
            known = "in registry" if layer.digest in image.absent else "reused"
            known = "taken" if layer.key in self.taken_layers else known
            if seconds is None and not self._printer.verbose:
                folded[known] = folded.get(known, 0) + 1
                continue
            state = known if seconds is None else f"written  {format_seconds(seconds)}"
            title = title if len(title) <= width else f"{title[: width - 1]}…"
            kind = f"{layer.kind:<11}"
            self._printer.note(f"  {kind} {title:<{width}} {format_size(layer.size_bytes):>7}  {state}")
        if folded:
            parts = [f"{format_count(count, 'layer')} {known}" for known, count in folded.items()]
            self._printer.note(f"  {', '.join(parts)}")
        if closing or self._printer.verbose:
            self._printer.note(self._sum(image))
        self._warn(image)
        self.written_layers, self.taken_layers = {}, set()  # the next image of this build has its own

    def _warn(self, image: Image) -> None:
        """What is wrong with a layer is said when it is written, later only under -v."""
        reused = [layer for layer in image.layers if layer.key not in self.written_layers]
        known = {warning for layer in reused for warning in layer.warnings}
        for warning in image.warnings:
            if image.reused or warning in known:
                self._printer.detail(f"warning: {warning}")
            else:
                self._printer.warn(warning)

    def _sum(self, image: Image) -> str:
        size = format_size(sum(layer.size_bytes for layer in image.layers))
        unpacked = format_size(sum(layer.unpacked_bytes for layer in image.layers))
        written = len(self.written_layers)
        how = f"{written} written" if written else "all reused"
        if taken := sum(layer.key in self.taken_layers for layer in image.layers):
            how = f"{taken} taken" + (f", {written} written" if written else "")
        if image.absent:
            how += f", {len(image.absent)} only in the registry"
        else:
            size += f", {unpacked} unpacked"
        count = format_count(len(image.layers), "layer")
        return f"  {image.tag}  {count} ({how}), {size}, {format_seconds(image.seconds)}"
