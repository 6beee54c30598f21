"""What a conda package's name is elsewhere. Pure but for `conda_names`, which reads the dated table.

The table is data/conda.toml; a name that is in none of its parts is taken as it is.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaName:
    """What one name means. Of `distribution`, `packages`, `instead` and `is_brought` at most one is given."""

    distribution: str | None = None
    """Name on the Python package index, with extras."""
    has_longer_versions: bool = False
    """Its wheels add a number to conda's version."""
    accelerator: str | None = None
    is_cuda: bool = False
    """Its version is CUDA's."""
    build_says_accelerator: bool = False
    packages: tuple[str, ...] = ()
    """Debian packages with the same programs."""
    instead: str | None = None
    """What to write, where there is no single answer."""
    is_brought: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaNames:
    """The table."""

    read: date
    twins: Mapping[str, str]
    longer: frozenset[str]
    accelerators: Mapping[str, str]
    cuda: frozenset[str]
    builds: frozenset[str]
    debian: Mapping[str, tuple[str, ...]]
    instead: Mapping[str, str]
    same: frozenset[str]
    brought: tuple[str, ...]
    _exact: frozenset[str] = field(init=False)
    _patterns: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_exact", frozenset(name for name in self.brought if "*" not in name))
        object.__setattr__(self, "_patterns", tuple(name for name in self.brought if "*" in name))

    def of(self, name: str) -> CondaName:
        """The meaning of `name`, lower-case."""
        if name in self.cuda:
            return CondaName(is_cuda=True)
        if name in self.debian:
            return CondaName(packages=self.debian[name])
        for pattern, words in self.instead.items():
            if fnmatchcase(name, pattern):
                return CondaName(instead=words)
        accelerator = self.accelerators.get(name)
        is_known = name in self.twins or name in self.same
        if not is_known and self._is_brought(name):
            return CondaName(is_brought=True, accelerator=accelerator)
        return CondaName(
            distribution=self.twins.get(name, name),
            has_longer_versions=name in self.longer,
            accelerator=accelerator,
            build_says_accelerator=name in self.builds,
        )

    def _is_brought(self, name: str) -> bool:
        return name in self._exact or any(fnmatchcase(name, pattern) for pattern in self._patterns)


@functools.cache
def conda_names() -> CondaNames:
    """Reads the data file once."""
    import tomllib
    from importlib.resources import files

    text = files("lading.project").joinpath("data/conda.toml").read_text(encoding="utf-8")
    document = tomllib.loads(text)
    return CondaNames(
        read=document["read"],
        twins=document["twins"],
        longer=frozenset(document["longer"]["names"]),
        accelerators=document["accelerators"],
        cuda=frozenset(document["cuda"]["names"]),
        builds=frozenset(document["builds"]["names"]),
        debian={name: tuple(packages) for name, packages in document["debian"].items()},
        instead=document["instead"],
        same=frozenset(document["same"]["names"]),
        brought=tuple(document["brought"]["names"]),
    )
