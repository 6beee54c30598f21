"""The image that wheels are built in, but for the build requirements: base, interpreter, compilers.

Over a registry image the room stands on that image: with its Python, what that holds, and its compilers where
it has them. What a Debian one lacks comes from its own suite; nothing is added to other distributions.
"""

from __future__ import annotations

from dataclasses import replace

from lading.errors import ProjectError
from lading.lock.base.image import FoundBase
from lading.lock.builder import BuildRoom
from lading.lock.debian.resolve import Suites
from lading.lock.model import LockedBase, LockedInterpreter, LockedPackage
from lading.lock.packages import resolve_debian, resolve_on_base
from lading.oci.platform import Platform
from lading.project.config import find_package
from lading.project.model import ImageSettings, Project
from lading.project.values import SUITES

COMPILERS = ("g++", "gcc", "gfortran", "libc6-dev", "make", "patch")
_SHELL = ("bash", "coreutils", "dash", "diffutils", "findutils", "grep", "gzip", "mawk", "sed", "tar")
"""What every Debian has and its compilers count on; images without a shell have none of it."""
_TARGET = "build"


def resolve_room(
    project: Project,
    suites: Suites | None,
    platform: Platform,
    interpreter: LockedInterpreter,
    base: FoundBase | None,
    locked_base: LockedBase | None,
) -> BuildRoom:
    """One for all builds of a project: what `[image.build.NAME] apt` names is in it too.

    `suites` are None over a base of another distribution than Debian. Raises what resolving Debian packages
    raises, and ProjectError.
    """
    wanted = {name for settings in project.builds.values() for name in settings.apt}
    if base is None:
        assert suites is not None, "a Debian base has its suite"
        packages = _debian_packages(project, suites, interpreter, wanted)
    elif suites is None:
        _refuse_packages(project, base, wanted)
        packages = ()
    else:
        needed = {*COMPILERS, *_SHELL, *_base_headers(interpreter, base), *wanted}
        packages = resolve_on_base(_asking(project, needed), suites, base, added={}).packages
    return BuildRoom(
        base=project.image.base,
        python=interpreter.version,
        platform=str(platform),
        interpreter=interpreter,
        packages=packages,
        wheels=(),
        image=locked_base,
    )


def _debian_packages(
    project: Project, suites: Suites, interpreter: LockedInterpreter, wanted: set[str]
) -> tuple[LockedPackage, ...]:
    headers = {f"python{interpreter.version}-dev"} if interpreter.provider == "debian" else set()
    asking = _asking(project, {*COMPILERS, *headers, *wanted})
    return resolve_debian(asking, suites, provider=interpreter.provider, added={}).packages


def _asking(project: Project, names: set[str]) -> Project:
    settings: ImageSettings = replace(project.image, apt=tuple(sorted(names)), flavour="standard")
    return replace(project, targets={_TARGET: settings})


def _base_headers(interpreter: LockedInterpreter, base: FoundBase) -> set[str]:
    """The package with the headers of the base's Python, where it is the suite's own and has none."""
    python = base.probe.python
    if interpreter.provider != "base" or python is None or python.has_headers:
        return set()
    _, _, suite = base.locked.distribution.partition(" ")
    is_suites_own = SUITES.get(suite) == python.version and python.executable.startswith("/usr/bin/")
    return {f"python{python.version}-dev"} if is_suites_own else set()


def _refuse_packages(project: Project, base: FoundBase, wanted: set[str]) -> None:
    """Raises ProjectError for `[image.build.NAME] apt` over a base that is not Debian's."""
    if not wanted:
        return
    name = min(wanted)
    raise ProjectError(
        f"the build of a package asks for {name}, and packages are added only to a base made of Debian"
        f" {' or '.join(SUITES)}; {base.locked.reference} is"
        f" {base.locked.distribution or 'of no distribution that it names'}",
        place=find_package(project.root, name) or str(project.config_path or project.root),
        hints=(
            f"choose a base that has {name} already, or a Debian one",
            "or give the wheel: export UV_FIND_LINKS=/folder/of/wheels",
        ),
    )
