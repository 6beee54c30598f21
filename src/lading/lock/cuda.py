"""The CUDA that a set of wheels brings, and what it asks of driver and GPU. Pure but for `cuda_facts`.

The facts are rows of data/cuda.toml, each with its source and day. The driver is not in an image: an image of
CUDA 13 needs a host with driver 580 or later, whatever the host's own toolkit is. What is needed is the most
that any wheel asks for. A CUDA release runs on the driver of its major version's first (minor version
compatibility); below the driver it was shipped with some features may be missing.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from packaging.version import InvalidVersion, Version

from lading.lock.model import LockedCuda

_LOCAL = re.compile(r"\+(?:[a-z0-9.]*\.)?cu(?P<major>\d\d)(?P<minor>\d)\b")
_SUFFIX = re.compile(r"^(?:nvidia-.*-cu|cupy-cuda|jax-cuda)(?P<major>\d\d)(?:x|-plugin|-pjrt)?$")
_RUNTIME = re.compile(r"^(?:nvidia-cuda-runtime(?:-cu\d\d)?|cuda-toolkit)$")
_SAME_VERSION = ("nvidia-cuda-nvrtc", "nvidia-cuda-cupti", "nvidia-nvjitlink")
"""Libraries of CUDA 13 without a suffix whose version is CUDA's."""


class Wheel(Protocol):
    """What is looked at of a wheel."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CudaFacts:
    """The rows of data/cuda.toml by kind."""

    rows: Mapping[str, tuple[Mapping[str, Any], ...]]

    def of(self, kind: str) -> tuple[Mapping[str, Any], ...]:
        return self.rows.get(kind, ())

    def driver_floor(self, major: int) -> str | None:
        """Of a CUDA major version; None for one that is not known."""
        return next((row["driver"] for row in self.of("driver_floor") if row["cuda_major"] == major), None)

    def bundled_driver(self, release: str) -> str | None:
        """The driver that shipped with CUDA `release` (`12.8`)."""
        rows = self.of("bundled_driver")
        return next((row["driver"] for row in rows if _release(row["toolkit"]) == release), None)

    def default_cuda(self, torch: str) -> str | None:
        """The CUDA release of the default build of `torch` (a public version); None where none is known."""
        rows = self.of("torch")
        return next((_release(row["cuda"]) for row in rows if row["version"] == torch), None)

    def newest_torch(self, major: int) -> str | None:
        """The newest torch whose default build is of this CUDA major version."""
        fitting = [row["version"] for row in self.of("torch") if row["cuda"].startswith(f"{major}.")]
        return max(fitting, key=Version, default=None)

    def build_capabilities(self, release: str, torch: str) -> tuple[str, ...]:
        """What PyTorch's build of `torch` for CUDA `release` has code for; empty where it is not known."""
        for row in self.of("torch_build"):
            if row["build"] != f"cu{release.replace('.', '')}":
                continue
            after = "from_torch" not in row or Version(torch) >= Version(row["from_torch"])
            if after and ("before_torch" not in row or Version(torch) < Version(row["before_torch"])):
                return tuple(row["capabilities"])
        return ()

    def toolkit_capabilities(self, release: str) -> tuple[str, ...]:
        """The architectures that CUDA `release` can make code for."""
        wanted = Version(release)
        return tuple(
            row["capability"]
            for row in self.of("architecture")
            if Version(row.get("first_cuda", "0")) <= wanted <= Version(row.get("last_cuda", "999"))
        )


@functools.cache
def cuda_facts() -> CudaFacts:
    """Reads the data file once."""
    import tomllib
    from importlib.resources import files

    document = tomllib.loads(files("lading.lock").joinpath("data/cuda.toml").read_text(encoding="utf-8"))
    return CudaFacts(rows={kind: tuple(rows) for kind, rows in document.items() if kind != "source"})


def cuda_evidence(wheels: Iterable[Wheel]) -> dict[int, str]:
    """CUDA major version → the first wheel, by name, that is of it, as words: `nvidia-cudnn-cu12`."""
    found: dict[int, str] = {}
    for wheel in sorted(wheels, key=lambda one: one.name):
        for major, words in _evidence(wheel):
            found.setdefault(major, words)
    return dict(sorted(found.items()))


def _evidence(wheel: Wheel) -> Iterator[tuple[int, str]]:
    if match := _LOCAL.search(wheel.version):
        yield int(match["major"]), f"{wheel.name} {wheel.version}"
    elif match := _SUFFIX.match(wheel.name):
        yield int(match["major"]), wheel.name
    elif _RUNTIME.match(wheel.name) or wheel.name in _SAME_VERSION:
        yield Version(wheel.version).major, f"{wheel.name} {wheel.version}"


def build_release(version: str) -> str | None:
    """`12.6` of a version `2.9.1+cu126`; None where no build is named."""
    match = _LOCAL.search(version)
    return f"{match['major']}.{match['minor']}" if match else None


def cuda_release_of(wheels: Iterable[Wheel]) -> str | None:
    """`12.8`: the newest CUDA release among the wheels; `12` where only a major version is known."""
    held = tuple(wheels)
    releases = {_release(wheel.version) for wheel in held if _RUNTIME.match(wheel.name)}
    releases |= {release for wheel in held if (release := build_release(wheel.version))}
    majors = {str(major) for major in cuda_evidence(held)}
    return max(releases | majors, key=lambda text: (Version(text), "." in text), default=None)


def needs_of(wheels: Iterable[Wheel], facts: CudaFacts) -> LockedCuda | None:
    """What an image of `wheels` asks of its host; None without CUDA, or with one that no row speaks of."""
    held = tuple(wheels)
    release = cuda_release_of(held)
    if release is None:
        return None
    floor = facts.driver_floor(Version(release).major)
    if floor is None:
        return None
    torch = next((wheel.version for wheel in held if wheel.name == "torch"), None)
    capabilities: tuple[str, ...] = ()
    if torch is not None:
        capabilities = facts.build_capabilities(release, torch.partition("+")[0])
    elif "." in release:
        capabilities = facts.toolkit_capabilities(release)
    return LockedCuda(
        version=release,
        driver=floor,
        full_driver=facts.bundled_driver(release),
        capabilities=capabilities,
    )


def is_driver_enough(driver: str, floor: str) -> bool:
    """Whether `driver` (`535.104.05`) is `floor` or later. Raises ValueError for what is no version."""
    try:
        return Version(driver) >= Version(floor)
    except InvalidVersion as error:
        raise ValueError(f"{driver!r} is no version of a driver") from error


def _release(version: str) -> str:
    return ".".join(version.split(".")[:2])
