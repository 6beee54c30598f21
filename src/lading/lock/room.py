"""The image that wheels are built in, but for the build requirements: base, interpreter, compilers."""

from __future__ import annotations

from dataclasses import replace

from lading.errors import ResolutionFailed
from lading.lock.base.image import FoundBase
from lading.lock.builder import BuildRoom
from lading.lock.debian.resolve import Suites
from lading.lock.model import LockedInterpreter
from lading.lock.packages import resolve_debian
from lading.oci.platform import Platform
from lading.project.model import Project

COMPILERS = ("g++", "gcc", "gfortran", "libc6-dev", "make", "patch")
_TARGET = "build"


def resolve_room(
    project: Project,
    suites: Suites | None,
    platform: Platform,
    interpreter: LockedInterpreter,
    base: FoundBase | None,
) -> BuildRoom:
    """One for all builds of a project: what `[image.build.NAME] apt` names is in it too. Raises what
    resolving Debian packages raises."""
    if base is not None or suites is None:
        raise ResolutionFailed(
            f"something has to be built from source, and over the base {project.image.base} lading has no"
            " compilers to build with",
            place=str(project.config_path or project.root),
            hints=(
                'base = "debian:bookworm" in [image], or another suite',
                "or give it as a wheel: export UV_FIND_LINKS=/folder/of/wheels",
            ),
        )
    python = interpreter.version
    wanted = {name for settings in project.builds.values() for name in settings.apt}
    headers = {f"python{python}-dev"} if interpreter.provider == "debian" else set()
    settings = replace(project.image, apt=tuple(sorted({*COMPILERS, *headers, *wanted})), flavour="standard")
    packages = resolve_debian(
        replace(project, targets={_TARGET: settings}), suites, provider=interpreter.provider, added={}
    )
    return BuildRoom(
        base=project.image.base,
        python=python,
        platform=str(platform),
        interpreter=interpreter,
        packages=packages.packages,
        wheels=(),
    )
