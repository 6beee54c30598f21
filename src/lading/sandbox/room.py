"""The image that a wheel is built in: an ordinary image, planned from the job's locked values."""

from __future__ import annotations

import os
from collections.abc import Mapping

from lading.image.build import BuildRequest, build
from lading.image.model import Image
from lading.image.plan import Plan, PlanInputs, make_plan
from lading.image.request import BuildContext
from lading.image.target import open_sources_at
from lading.lock.builder import BuildJob, BuildRoom
from lading.lock.model import LOCK_FORMAT, Lock, LockedVariant, TargetSelection
from lading.oci.digest import Digest
from lading.project.model import ImageSettings

TARGET = "build"
EPOCH = "315619200"
"""1980-01-02, as everything in an image is: what archives and compilers are told the time is."""


def room_plan(room: BuildRoom) -> Plan:
    """Pure. The compilers come last, so that the layers below are those of every image of this Python."""
    variant = LockedVariant(
        accelerator="cpu",
        platform=room.platform,
        interpreter=room.interpreter,
        packages=room.packages,
        wheels=room.wheels,
        targets={
            TARGET: TargetSelection(
                wheels=tuple(wheel.name for wheel in room.wheels),
                packages=tuple(package.name for package in room.packages),
            )
        },
        base=room.image,
    )
    return make_plan(
        PlanInputs(
            project="build",
            target=TARGET,
            tag="build:room",
            settings=ImageSettings(python=room.python, base=room.base, apt=("compilers",), bytecode=False),
            variant=variant,
            code=None,
            runtime=None,
            cmd=("python",),
        )
    )


def room_image(job: BuildJob, context: BuildContext) -> Image:
    """The image of the job's room, in the store. Raises what building an image raises."""
    plan = room_plan(job.room)
    request = BuildRequest(
        plan=plan,
        lock=Lock(format=LOCK_FORMAT, inputs="0" * 64, suites=(), variants=()),
        lock_digest=Digest.of(b""),
        workers=len(os.sched_getaffinity(0)),
    )
    with open_sources_at(job.folder, job.find_links, context, offline=job.offline) as sources:
        return build(request, context.store, sources, context.environment, context.listener)


def room_environment(image: Image, variables: Mapping[str, str]) -> dict[str, str]:
    """Exactly what a backend sees: nothing of the host, and nothing that differs between two builds.

    A base image may say which compilers are its own.
    """
    return {
        "CC": "gcc",
        "CXX": "g++",
        **dict(image.config.env),
        "HOME": "/build/home",
        "TMPDIR": "/build/tmp",
        "TZ": "UTC",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "SOURCE_DATE_EPOCH": EPOCH,
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        **variables,
    }
