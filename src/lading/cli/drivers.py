"""Image and driver: what the commands say, warn and refuse, before a byte of a wheel is fetched."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lading.cli.building import build_context, build_options
from lading.cli.parser import Parser
from lading.cli.session import Session
from lading.errors import ProjectError

if TYPE_CHECKING:
    from lading.lock.model import LockedCuda
    from lading.project.model import Project


def add_required_driver(parser: Parser) -> None:
    parser.option(
        "--require-driver",
        variable="LADING_REQUIRE_DRIVER",
        metavar="VERSION",
        convert=parse_driver,
        help="refuse an image that NVIDIA's driver of this version (535, 535.104.05) cannot run",
    )


def parse_driver(text: str) -> str:
    """Raises ArgumentTypeError."""
    import re

    if re.fullmatch(r"\d{3,4}(\.\d+){0,2}", text) is None:
        raise argparse.ArgumentTypeError(f"`{text}` is no version of NVIDIA's driver; e.g. 535 or 535.104.05")
    return text


def locked_cuda(
    project: Project, target: str, options: argparse.Namespace, session: Session
) -> LockedCuda | None:
    """The CUDA of what is to be built; None for CPU images. Makes a lock that is missing: only metadata."""
    from lading.image.target import current_lock, locked_variant
    from lading.project.accelerators import wants_gpu

    choices = build_options(options, target=target)
    if not wants_gpu(choices.accelerator or project.image.accelerators[0]):
        return None
    lock = current_lock(project, build_context(session, options), choices)
    return locked_variant(project, lock, choices).targets[target].cuda


def host_driver(session: Session) -> str | None:
    from lading.engine.nvidia import driver_version, nvidia_root

    return driver_version(nvidia_root(session.environment))


def refuse_old_driver(project: Project, target: str, options: argparse.Namespace, session: Session) -> None:
    """For an image that is to run on this host. Raises EngineError where its driver is too old for it; a host
    without a driver runs it on the CPU.
    """
    cuda = locked_cuda(project, target, options, session)
    if cuda is None:
        return
    from lading.engine.driver_needs import refuse_old_driver as refuse
    from lading.lock.cuda import cuda_facts

    refuse(cuda, host_driver(session), cuda_facts(), place=str(project.root / "lading.lock"))
    _warn_of_old_gpus(cuda, session)


def check_driver(cuda: LockedCuda | None, options: argparse.Namespace, session: Session) -> None:
    """For an image that is to run somewhere: ProjectError where --require-driver names a host too old for it,
    a word where this host is.
    """
    if cuda is None:
        return
    from lading.engine.driver_needs import driver_remedies, is_too_old
    from lading.lock.cuda import cuda_facts

    required, here = options.require_driver, host_driver(session)
    said = f"the image is of CUDA {cuda.version}, which needs driver {cuda.driver} or later"
    if required is not None and is_too_old(cuda, required):
        raise ProjectError(
            f"{said}; --require-driver says {required}",
            place="lading.lock",
            hints=driver_remedies(cuda, required, cuda_facts())[:-1],
        )
    if required is None and is_too_old(cuda, here):
        session.printer.warn(f"{said}; this host has {here}, and could not run it")
    elif required is None:
        _warn_of_old_gpus(cuda, session)


def _warn_of_old_gpus(cuda: LockedCuda, session: Session) -> None:
    from lading.engine.driver_needs import too_old_gpus
    from lading.engine.nvidia import find_gpus, nvidia_root

    if cuda.capabilities:
        for said in too_old_gpus(cuda, find_gpus(nvidia_root(session.environment)).gpus):
            session.printer.warn(said)
