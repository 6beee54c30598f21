"""What a target environment is, in the words of wheels, markers and uv. Pure: never asks the host.

Sources: PEP 425, 600 (tags), PEP 508 (markers), the glibc of each Debian suite.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from packaging.markers import Environment
from packaging.tags import Tag, compatible_tags, cpython_tags

from lading.oci.platform import Platform

_GLIBC = {"bullseye": 31, "bookworm": 36, "trixie": 40, "forky": 40, "sid": 40}
"""glibc 2.N of each suite, at most 2.40: the newest that uv has a name for."""
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetEnvironment:
    """One interpreter on one platform."""

    python: str
    """`3.11`, or the full `3.11.2` when the interpreter is known."""
    platform: Platform
    glibc_minor: int

    @property
    def minor(self) -> tuple[int, int]:
        major, minor = self.python.split(".")[:2]
        return int(major), int(minor)

    @property
    def uv_platform(self) -> str:
        return f"{self.platform.machine}-manylinux_2_{self.glibc_minor}"

    def tags(self) -> tuple[Tag, ...]:
        """Every tag a wheel may have, best first."""
        abi = f"cp{self.minor[0]}{self.minor[1]}"
        platforms = list(self._platforms())
        return (
            *cpython_tags(self.minor, abis=[abi], platforms=platforms),
            *compatible_tags(self.minor, interpreter=abi, platforms=platforms),
        )

    def markers(self) -> Environment:
        """PEP 508's variables. Kernel release and version are left empty: no lock may depend on them."""
        full = self.python if self.python.count(".") > 1 else f"{self.python}.0"
        return Environment(
            implementation_name="cpython",
            implementation_version=full,
            os_name="posix",
            platform_machine=self.platform.machine,
            platform_release="",
            platform_system="Linux",
            platform_version="",
            python_full_version=full,
            platform_python_implementation="CPython",
            python_version=f"{self.minor[0]}.{self.minor[1]}",
            sys_platform="linux",
        )

    def _platforms(self) -> Iterator[str]:
        machine = self.platform.machine
        oldest = 5 if machine == "x86_64" else 17
        for minor in range(self.glibc_minor, oldest - 1, -1):
            yield f"manylinux_2_{minor}_{machine}"
            if minor in _LEGACY:
                yield f"{_LEGACY[minor]}_{machine}"
        yield f"linux_{machine}"


def target_environment(base: str, python: str, platform: Platform) -> TargetEnvironment:
    """The environment of `python` (minor or full version) on a Debian suite (`debian:bookworm`)."""
    return image_environment(_GLIBC[base.partition(":")[2]], python, platform)


def image_environment(glibc_minor: int, python: str, platform: Platform) -> TargetEnvironment:
    """The environment of `python` on a base image with glibc 2.`glibc_minor`."""
    newest = max(_GLIBC.values())
    return TargetEnvironment(python=python, platform=platform, glibc_minor=min(glibc_minor, newest))
