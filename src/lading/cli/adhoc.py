"""A command in an image, on the caller's streams: what `run -- CMD` and `shell` share."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lading.cli.building import BuildPrinter, build_context, build_options, record_image, with_model
from lading.cli.containers import open_engine
from lading.cli.drivers import refuse_old_driver
from lading.cli.parser import Parser, parse_count
from lading.cli.ready import Ready, question, ready_from, recall, remember
from lading.cli.session import Session
from lading.errors import UsageError

if TYPE_CHECKING:
    from lading.engine.model import Mount, RunSpec, RunStatus
    from lading.image.model import Image
    from lading.project.limits import Limits
    from lading.project.model import GpuRequest, Project


def add_container_options(parser: Parser) -> None:
    """How a container is started."""
    parser.flag("-i", "--interactive", variable="LADING_INTERACTIVE", help="pass standard input on")
    parser.flag("-t", "--tty", variable="LADING_TTY", help="give it a terminal")
    parser.option(
        "--mount",
        variable="LADING_MOUNT",
        metavar="FROM:TO[:ro]",
        repeat=True,
        help="a host folder or file inside; what is written there belongs to you",
    )
    parser.option(
        "--tmpfs",
        variable="LADING_TMPFS",
        metavar="PATH:SIZE",
        repeat=True,
        help="memory as a folder: /s:1GB",
    )
    parser.option(
        "--env", variable="LADING_ENV", metavar="NAME=VALUE", repeat=True, help="a variable for the command"
    )
    parser.option(
        "--secret",
        variable="LADING_SECRET",
        metavar="NAME",
        repeat=True,
        help="pass this variable of yours on; never written down",
    )
    parser.option(
        "--gpus",
        variable="LADING_GPUS",
        metavar="N[:SIZE]",
        convert=parse_gpus,
        help="GPUs it gets, and the least memory of each: 1, 2:40GB",
    )
    parser.flag("--network", variable="LADING_NETWORK", help="let it use the network")
    _add_limits(parser)


def _add_limits(parser: Parser) -> None:
    parser.option("--cpus", variable="LADING_CPUS", metavar="N", convert=parse_cpus, help="e.g. 1.5")
    parser.option("--memory", variable="LADING_MEMORY", metavar="SIZE", convert=parse_bytes, help="e.g. 4GB")
    parser.option(
        "--shm-size",
        variable="LADING_SHM_SIZE",
        metavar="SIZE",
        convert=parse_bytes,
        help="of /dev/shm",
    )
    parser.option(
        "--pids", variable="LADING_PIDS", metavar="N", convert=parse_count, help="processes at most"
    )
    parser.option(
        "--timeout", variable="LADING_TIMEOUT", metavar="TIME", convert=parse_seconds, help="e.g. 90s, 6h"
    )


def check_container_options(options: argparse.Namespace, session: Session) -> None:
    """Mistakes that are plain before a build of minutes. Raises UsageError."""
    for text in options.mount:
        parse_mount(text)
    for text in options.tmpfs:
        parse_tmpfs(text)
    parse_pairs(options.env, "--env")
    passed_secrets(tuple(options.secret), session)
    if options.tty and not sys.stdin.isatty():
        raise UsageError(
            "standard input is no terminal, so the command cannot have one", hints=("lading run -i -- …",)
        )


def parse_bytes(text: str) -> int:
    """Raises ArgumentTypeError."""
    from lading.project.quantity import BadQuantity, parse_size

    try:
        return parse_size(text)
    except BadQuantity as error:
        suggestion = f"; {error.suggestion}" if error.suggestion else ""
        raise argparse.ArgumentTypeError(f"{error}{suggestion}") from error


def parse_gpus(text: str) -> GpuRequest:
    """`2` or `2:40GB`. Raises ArgumentTypeError."""
    from lading.project.model import GpuRequest

    count, colon, memory = text.partition(":")
    return GpuRequest(count=parse_count(count), memory_bytes=parse_bytes(memory) if colon else None)


def parse_seconds(text: str) -> float:
    """Raises ArgumentTypeError."""
    from lading.project.quantity import BadQuantity, parse_duration

    try:
        return parse_duration(text)
    except BadQuantity as error:
        suggestion = f"; {error.suggestion}" if error.suggestion else ""
        raise argparse.ArgumentTypeError(f"{error}{suggestion}") from error


def parse_cpus(text: str) -> float:
    """Raises ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 100_000:
        raise argparse.ArgumentTypeError(f"`{text}` is no number of processors; e.g. 2 or 0.5")
    return value


def image_for(project: Project, target: str, options: argparse.Namespace, session: Session) -> Image:
    """The image of a target, built when it is not there; quiet when it is."""
    from lading.image.target import build_target

    refuse_old_driver(project, target, options, session)
    context = build_context(session, options)
    choices = with_model(build_options(options, target=target), project, session)
    image = build_target(project, context, choices)
    if not image.reused:
        assert isinstance(context.listener, BuildPrinter)
        context.listener.table(image)
        record_image(session, image)
    return image


def run_ready(
    ready: Ready, command: tuple[str, ...] | None, options: argparse.Namespace, session: Session
) -> int:
    """Run `command` (the image's own where None) to its end on our streams; its exit code."""
    spec = container_spec(ready, command, options, session)
    session.flush()
    status = _attend(spec, options, session)
    if session.as_json:
        session.document(
            {
                "type": "command",
                "exit_status": status.exit_status,
                "level": status.level.value if status.level else None,
                "enforced_by": dict(status.enforced_by),
                "out_of_memory": status.out_of_memory,
                "timed_out": status.timed_out,
                "wall_seconds": status.wall_seconds,
                "peak_memory_bytes": status.peak_memory_bytes,
            }
        )
    if status.out_of_memory:
        session.printer.warn("the command was killed at its memory limit")
    if status.timed_out:
        session.printer.warn("the command was stopped at its timeout")
    if status.left_behind and not options.tty:
        from lading.run.leavings import thrown_away

        session.printer.warn(f"{thrown_away(status.left_behind)}; outputs are kept of tasks alone")
    if session.verbosity >= 1:
        session.printer.detail(f"level {status.level}, limits {dict(status.enforced_by)}")
    return status.exit_status if status.exit_status is not None else 1


def _attend(spec: RunSpec, options: argparse.Namespace, session: Session) -> RunStatus:
    engine = open_engine(session)
    stdout = 2 if session.as_json else 1
    if options.interactive or options.tty:
        return engine.run_attached(spec, stdout=stdout)
    with open("/dev/null", "rb") as nothing:
        return engine.run_attached(spec, stdin=nothing.fileno(), stdout=stdout)


def find_ready(options: argparse.Namespace, session: Session) -> Ready:
    """The image of `[DIR] [NAME]`: remembered where nothing has changed, else built.

    Raises what loading, locking and building raise.
    """
    if options.gpus is not None:
        open_engine(session).check_gpus(options.gpus, place="--gpus")
    names = ("accelerator", "platform", "locked", "offline", "no_bytecode", "lenient_wheel")
    key = question(options.words, {name: getattr(options, name) for name in names}, session.environment)
    known = recall(session.store, key)
    if known is not None:
        return known
    from lading.cli.named import find_target

    project, name = find_target(options.words, session)
    task = project.tasks.get(name) if name is not None else None
    if task is not None and task.gpus is not None and options.gpus is None:
        open_engine(session).check_gpus(task.gpus, place=f"{project.config_path}: {task.name}.gpus")
    image = image_for(project, task.target if task is not None else name or "train", options, session)
    ready = ready_from(project, image, name)
    if project.root == Path.cwd() or (options.words and "/" in options.words[0]):
        remember(session.store, key, ready, project)
    return ready


def container_spec(
    ready: Ready, command: tuple[str, ...] | None, options: argparse.Namespace, session: Session
) -> RunSpec:
    """What the engine is asked to run. Raises UsageError for a mount, variable or secret that is none."""
    from lading.engine.model import ImageLayer, Mount, RunSpec
    from lading.oci.digest import DiffId, Digest
    from lading.project.limits import Limits
    from lading.project.model import GpuRequest

    environment = {**ready.env, "HOME": "/tmp", **ready.task_env}
    mounts = [parse_mount(text) for text in options.mount]
    if options.dev:
        mounts.append(Mount(source=Path(ready.root), target="/app", read_only=True))
        environment["PYTHONPATH"] = ready.dev_path
    return RunSpec(
        run_id=os.urandom(6).hex(),
        layers=tuple(
            ImageLayer(digest=Digest(digest), diff_id=DiffId(diff_id), size_bytes=size_bytes)
            for digest, diff_id, size_bytes in ready.layers
        ),
        command=command or tuple(ready.command),
        env=environment | parse_pairs(options.env, "--env"),
        secrets=passed_secrets((*ready.secrets, *options.secret), session),
        working_dir=ready.working_dir,
        user=ready.user,
        mounts=tuple(mounts),
        tmpfs=dict(parse_tmpfs(text) for text in options.tmpfs),
        # The working tree is mounted read-only: no folder can be made in it.
        folders=() if options.dev else tuple(ready.folders),
        network=options.network or ready.network,
        limits=limits_over(Limits(**ready.limits), options),
        terminal=options.tty,
        gpus=options.gpus or (GpuRequest(**ready.gpus) if ready.gpus is not None else None),
    )


def limits_over(limits: Limits, options: argparse.Namespace) -> Limits:
    """`limits` with what the command line says instead."""
    given = {
        "cpus": options.cpus,
        "memory_bytes": options.memory,
        "shm_bytes": options.shm_size,
        "pids": options.pids,
        "timeout_seconds": options.timeout,
    }
    return replace(limits, **{name: value for name, value in given.items() if value is not None})


def parse_pairs(texts: list[str], option: str) -> dict[str, str]:
    """`NAME=VALUE` words as a mapping. Raises UsageError."""
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"`{option} {text}` is not NAME=VALUE", hints=("lading run --help",))
        pairs[name] = value
    return pairs


def passed_secrets(names: tuple[str, ...], session: Session) -> dict[str, str]:
    """Raises UsageError naming those that are not in the environment."""
    missing = [name for name in names if name not in session.environment]
    if missing:
        raise UsageError(
            f"not in the environment: {', '.join(missing)}",
            hints=tuple(f"export {name}=…" for name in missing),
        )
    return {name: session.environment[name] for name in names}


def parse_mount(text: str) -> Mount:
    """`FROM:TO` or `FROM:TO:ro`. Raises UsageError."""
    from lading.engine.model import Mount

    parts = text.split(":")
    read_only = len(parts) == 3 and parts[2] == "ro"
    if len(parts) not in (2, 3) or (len(parts) == 3 and parts[2] not in ("ro", "rw")) or not parts[0]:
        raise UsageError(f"`--mount {text}` is not FROM:TO or FROM:TO:ro", hints=("lading run --help",))
    source = Path(parts[0]).expanduser().absolute()
    if not parts[1].startswith("/"):
        raise UsageError(f"`--mount {text}`: {parts[1]!r} is not an absolute path inside the container")
    if not source.exists():
        raise UsageError(f"`--mount {text}`: there is no {source}", hints=(f"mkdir -p {source}",))
    return Mount(source=source, target=parts[1], read_only=read_only)


def parse_tmpfs(text: str) -> tuple[str, int]:
    """`PATH:SIZE`. Raises UsageError."""
    path, _, size = text.rpartition(":")
    if not path.startswith("/"):
        raise UsageError(f"`--tmpfs {text}` is not PATH:SIZE", hints=("lading run --help",))
    try:
        return path, parse_bytes(size)
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"`--tmpfs {text}`: {error}") from error
