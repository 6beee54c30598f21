"""Which Debian packages a base and an interpreter are made of. Data, with the reason for each choice. Pure.

`standard` holds Debian's Essential packages (maintainer scripts of children may rely on these), and with them
dpkg and apt: `FROM our-image` + `RUN apt-get install …` works, and scanners read the same list that dpkg
does. `minimal` has no shell, no dpkg and no apt: what a server needs to start and to speak TLS. Its list of
packages is written all the same, because scanners look for it.
"""

from __future__ import annotations

from lading.errors import ProjectError
from lading.project.values import SUITES

_SUITES = {python: suite for suite, python in SUITES.items()}

_ESSENTIAL = (
    "base-files", "base-passwd", "bash", "bsdutils", "coreutils", "dash", "debianutils", "diffutils", "dpkg",
    "findutils", "grep", "gzip", "hostname", "init-system-helpers", "libc-bin", "login", "ncurses-base",
    "ncurses-bin", "perl-base", "sed", "sysvinit-utils", "tar", "util-linux",
)  # fmt: skip
_FOR_CHILDREN = (
    "apt",
    "passwd",  # useradd, in almost every Dockerfile
    "mawk",  # `awk` of base-files
    "usr-is-merged",  # else apt would want to merge what is merged
)
_FOR_MACHINE_LEARNING = (
    "ca-certificates",
    "libgomp1",  # scikit-learn, torch and most BLAS wheels load it
    "libstdc++6",
    "netbase",  # /etc/protocols and /etc/services, which getaddrinfo reads
    "tzdata",  # zoneinfo and pandas
)
_MINIMAL = ("base-files", "base-passwd", "libc6", "libgcc-s1", "media-types", *_FOR_MACHINE_LEARNING)

_SCRIPTS_ONLY = {
    "base-files": ("mawk",),
    "base-passwd": ("libdebconfclient0", "libselinux1"),  # of the program update-passwd
    "ca-certificates": ("openssl",),
    "libgcrypt20": ("perl-base",),
    "openssl-provider-legacy": ("openssl",),
}
"""Package → dependencies that only its maintainer scripts use."""

_SCRIPTS_ONLY_EVERYWHERE = frozenset({"debconf", "dpkg", "init-system-helpers", "usr-is-merged"})


def python_suite(version: str) -> str:
    """The suite whose `python3` is `version` (`3.11` → `bookworm`). Raises ProjectError where none is."""
    suite = _SUITES.get(version)
    if suite is None:
        known = ", ".join(f"{python} ({name})" for python, name in _SUITES.items())
        raise ProjectError(
            f"no Debian suite has Python {version}; known: {known}",
            hints=('set [image] interpreter = "standalone"',),
        )
    return suite


def suite_python(suite: str) -> str:
    """The Python of a suite (`trixie` → `3.13`). Raises ProjectError for a suite lading does not know."""
    for version, name in _SUITES.items():
        if name == suite:
            return version
    raise ProjectError(f"unknown Debian suite {suite!r}; known: {', '.join(_SUITES.values())}")


def base_packages(flavour: str) -> tuple[str, ...]:
    """The names that a base of `flavour` (`standard` or `minimal`) is the closure of, sorted."""
    if flavour == "minimal":
        return tuple(sorted(_MINIMAL))
    if flavour == "standard":
        return tuple(sorted((*_ESSENTIAL, *_FOR_CHILDREN, *_FOR_MACHINE_LEARNING)))
    raise ProjectError(f"unknown flavour {flavour!r}; known: standard, minimal")


def interpreter_packages(version: str) -> tuple[str, ...]:
    """The names that Debian's interpreter is the closure of: the whole standard library, no pip."""
    return ("libpython3-stdlib", "python3", f"python{version}")


def is_needed(package: str, dependency: str, flavour: str) -> bool:
    """Whether `package` brings `dependency` into a base of `flavour`.

    No maintainer script ever runs, so `minimal` leaves out what only these would have used; `standard` keeps
    it, because children of the image may run them.
    """
    if flavour != "minimal":
        return True
    return dependency not in _SCRIPTS_ONLY_EVERYWHERE and dependency not in _SCRIPTS_ONLY.get(package, ())
