"""What reading a stage collects, before it is known where code will lie. Pure."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lading.convert.importing.bases import Base
from lading.convert.importing.model import Fate
from lading.convert.importing.system_commands import System
from lading.convert.importing.wanted import Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An outcome in the making. `topic` is `python`, `apt` or `folder` where it tells of packages or of a
    folder made: what becomes of these is known only later."""

    line: int
    instruction: str
    fate: Fate
    became: str
    topic: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """A file or folder of the context, and where an image has it."""

    line: int
    instruction: str
    source: str
    """POSIX, relative; empty: the context itself."""
    destination: str
    """Of the file or folder itself."""
    is_folder: bool
    mode: int | None = None
    is_requirements: bool = False
    """Read for what is installed, such as requirements.txt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftStep:
    line: int
    instruction: str
    parts: tuple[tuple[str, bool], ...]
    """Lines, and whether each does something; `cd` and `export` only set up what follows."""
    folder: str
    """Where it runs, in the Dockerfile's image."""
    values: Mapping[str, str | None]
    """Variables it may use: name → value, None where nobody knows it."""
    secrets: tuple[str, ...] = ()
    shell: tuple[str, ...] = ()
    """Another shell than sh."""
    network: bool | None = None
    """None: judged by the command."""

    @property
    def text(self) -> str:
        return "\n".join(text for text, _ in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """ENTRYPOINT, CMD or a health check's command."""

    line: int
    instruction: str
    words: tuple[str, ...] = ()
    shell: str | None = None
    """The shell form's text."""
    with_shell: tuple[str, ...] = ("/bin/sh", "-c")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A value and the instruction that said it."""

    value: str
    line: int
    instruction: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    start: Start | None
    """None: NONE."""
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Draft:
    """A stage as far as it has been read."""

    name: str
    base: Base
    wanted: Wanted = field(default_factory=Wanted)
    above: tuple[str, ...] = ()
    """Stages that it goes on from."""
    packages_from: dict[str, None] = field(default_factory=dict)
    """Stages whose Python packages are copied into this one, also through another."""
    system: System = field(default_factory=System)
    copies: list[Copied] = field(default_factory=list)
    written: list[tuple[Row, str, str]] = field(default_factory=list)
    """Heredocs of COPY: row, destination, content."""
    fetched: list[tuple[Row, str, str, str]] = field(default_factory=list)
    """ADD of a URL with a checksum: row, URL, sha256, destination."""
    steps: list[DraftStep] = field(default_factory=list)
    env: dict[str, Said] = field(default_factory=dict)
    path: dict[str, Said] = field(default_factory=dict)
    """Folders put before PATH."""
    labels: dict[str, Said] = field(default_factory=dict)
    ports: dict[str, Said] = field(default_factory=dict)
    values: dict[str, str | None] = field(default_factory=dict)
    """ARG and ENV at this point."""
    workdir: Said | None = None
    user: Said | None = None
    stop_signal: Said | None = None
    entrypoint: Start | None = None
    command: Start | None = None
    health: Health | None = None
    shell: tuple[str, ...] = ()
    rows: list[Row] = field(default_factory=list)

    def continued(self, name: str) -> Draft:
        """As a stage that begins from this one finds it; ARGs end with their stage."""
        twin = copy.deepcopy(self)
        kept = {key: value for key, value in twin.values.items() if key in twin.env or key == "PATH"}
        return replace(twin, name=name, above=(*self.above, self.name), values=kept)
