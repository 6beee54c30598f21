"""Platforms as OCI, Debian, Python wheels and uv name them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, order=True)
class Platform:
    """An operating system and architecture in OCI's (Go's) words: `linux/amd64`, `linux/arm64`."""

    os: str
    architecture: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError for a platform lading cannot build for."""
        os, _, architecture = text.partition("/")
        if os != "linux" or architecture not in _MACHINES:
            known = ", ".join(f"linux/{name}" for name in _MACHINES)
            raise ValueError(f"unknown platform {text!r}; known: {known}")
        return cls(os, architecture)

    @property
    def machine(self) -> str:
        """The kernel's and the wheels' word: `x86_64`, `aarch64`."""
        return _MACHINES[self.architecture]

    @property
    def debian_architecture(self) -> str:
        """Debian uses OCI's words for both."""
        return self.architecture

    @property
    def multiarch(self) -> str:
        """Debian's library folder name, `x86_64-linux-gnu`."""
        return f"{self.machine}-linux-gnu"

    def __str__(self) -> str:
        return f"{self.os}/{self.architecture}"


_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


def host_platform(machine: str) -> Platform:
    """The platform of a host whose `uname -m` says `machine`. Raises ValueError where unknown."""
    for architecture, name in _MACHINES.items():
        if machine in (name, architecture):
            return Platform("linux", architecture)
    raise ValueError(f"unknown machine {machine!r}")
