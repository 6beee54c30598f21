"""What was seen in a layer, and what is found in an image, as values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, slots=True)
class SecretSpot:
    """Where something looks like a credential; never what it is."""

    path: str
    inside: str
    """Of an archive: its member, `a.whl!b/c.py` for nested ones; else empty."""
    what: str
    line: int | None


@dataclass(frozen=True, slots=True)
class Linkage:
    """What an ELF file asks of the loader."""

    machine: str
    soname: str
    needed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFacts:
    """What the bytes of one layer's files say. Paths are as in the tar."""

    secrets: tuple[SecretSpot, ...] = ()
    startup: Mapping[str, str] = field(default_factory=dict)
    """Files that Python runs when it starts → what they are, in words."""
    pickles: tuple[str, ...] = ()
    linkages: Mapping[str, Linkage] = field(default_factory=dict)
    scripts: Mapping[str, str] = field(default_factory=dict)
    """Executable files that begin with `#!` → that line, an end of line `\\r` included."""
    capabilities: tuple[str, ...] = ()
    unsearched: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Kind of content that no secrets were looked for in → files and bytes."""


class Check(StrEnum):
    """One kind of scan."""

    SECRETS = "secrets"
    ALTERED = "altered"
    STARTUP = "startup"
    SETUID = "setuid"
    VULNERABILITIES = "vulnerabilities"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong with an image."""

    check: Check
    id: str
    """The advisory's, or the check's own."""
    message: str
    path: str = ""
    """In the image, without the first slash; empty where it is not a file."""
    layer: int | None = None
    """Counted from 1."""
    package: str = ""
    version: str = ""
    line: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    """Of an advisory: aliases, severity, score, fixed, epss."""
    allowed: str = ""
    """The reason why it may be there, where an exception says so."""

    @property
    def ids(self) -> tuple[str, ...]:
        return (self.id, *self.details.get("aliases", ()))

    @property
    def place(self) -> str:
        if not self.path:
            return f"{self.package} {self.version}".strip()
        line = f":{self.line}" if self.line is not None else ""
        layer = f" (layer {self.layer})" if self.layer is not None else ""
        return f"{self.path}{line}{layer}"
