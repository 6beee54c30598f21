"""Layer specs: what each layer is to hold, said completely enough that its key decides its bytes.

Pure. Two specs with one key give one layer, on any machine (the laws are in docs/internals/laws.md). A spec
names files by sha256; it must not know where their bytes come from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lading.image.layer.recipe import recipe_digest
from lading.image.model import LayerRecord
from lading.lock.model import (
    LockedBase,
    LockedBaseLayer,
    LockedInterpreter,
    LockedPackage,
    LockedWheel,
)
from lading.oci.json import canonical_json

VENV = "opt/venv"
CODE = "app"
RUNTIME = "opt/lading"
MODELS = "models"
BYTECODE_RULE = 1
"""Raised when the same modules would compile to other bytes (image.python)."""
STEP_RULE = 1
"""Raised when the same command would leave another tree: what it sees, what of its changes is kept."""
STEP, OPEN_STEP = "step", "open-step"
EFFECTS_RULE = 1
"""Raised when the same Debian packages would unpack to another tree (image.debian)."""


def _key(kind: str, identity: Mapping[str, Any]) -> str:
    document = {"recipe": recipe_digest(), "kind": kind, **identity}
    return hashlib.sha256(canonical_json(document)).hexdigest()


def _package_rows(packages: tuple[LockedPackage, ...]) -> list[list[str]]:
    return [[p.name, p.version, p.architecture, p.sha256] for p in packages]


def _wheel_rows(wheels: tuple[LockedWheel, ...], lenient: frozenset[str]) -> list[list[Any]]:
    return [[w.filename, w.sha256, w.name in lenient] for w in wheels]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagesLayer:
    """Debian packages unpacked over those of the layers `below`, with their effects.

    With `interpreter` the layer holds that Python and the bytecode of its standard library too.
    """

    kind: str
    """`base`, `interpreter` or `apt`."""
    title: str
    below: tuple[LockedPackage, ...]
    packages: tuple[LockedPackage, ...]
    flavour: str
    interpreter: LockedInterpreter | None = None

    @property
    def key(self) -> str:
        return _key(
            self.kind,
            {
                "below": _package_rows(self.below),
                "packages": _package_rows(self.packages),
                "flavour": self.flavour,
                "interpreter": self.interpreter.build if self.interpreter else None,
                "rules": [EFFECTS_RULE, BYTECODE_RULE],
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignLayer:
    """A layer of a registry image that is the base: taken as it is, never written here."""

    kind: str
    title: str
    layer: LockedBaseLayer
    reference: str
    """Where it can be had."""

    @property
    def key(self) -> str:
        return _key(self.kind, {"digest": self.layer.digest, "diff_id": self.layer.diff_id})

    @property
    def record(self) -> LayerRecord:
        """What is known of it unseen: its name and its size."""
        return LayerRecord(
            key=self.key,
            kind=self.kind,
            title=self.title,
            digest=self.layer.digest,
            diff_id=self.layer.diff_id,
            size_bytes=self.layer.size_bytes,
            unpacked_bytes=0,
            file_count=0,
            media_type=self.layer.media_type,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedPackagesLayer:
    """Debian packages unpacked over a registry image."""

    kind: str
    title: str
    base: LockedBase
    packages: tuple[LockedPackage, ...]
    flavour: str

    @property
    def key(self) -> str:
        identity = {"base": self.base.digest, "packages": _package_rows(self.packages)}
        return _key(self.kind, {**identity, "flavour": self.flavour, "rules": [EFFECTS_RULE]})


@dataclass(frozen=True, slots=True, kw_only=True)
class StandaloneLayer:
    """A relocatable Python build (python-build-standalone) under /usr/local, with its bytecode."""

    kind: str
    title: str
    interpreter: LockedInterpreter

    @property
    def key(self) -> str:
        identity = {"build": self.interpreter.build, "sha256": self.interpreter.sha256}
        return _key(self.kind, {**identity, "rules": [BYTECODE_RULE]})


@dataclass(frozen=True, slots=True, kw_only=True)
class VenvLayer:
    """`pyvenv.cfg` and the links to the interpreter."""

    kind: str
    title: str
    python_version: str
    executable: str
    sees_base: bool = False
    """The packages of the interpreter below can be imported too."""
    environment: str = ""
    """And those of this virtual environment of the base image."""

    @property
    def key(self) -> str:
        identity: dict[str, Any] = {"python": self.python_version, "executable": self.executable}
        if self.sees_base:
            identity |= {"sees_base": True, "environment": self.environment}
        return _key(self.kind, identity)


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelsLayer:
    """One large wheel (`wheel`) or all the small ones (`tail`), installed under `VENV`."""

    kind: str
    title: str
    wheels: tuple[LockedWheel, ...]
    python_version: str
    lenient: frozenset[str] = frozenset()

    @property
    def key(self) -> str:
        return _key(
            self.kind,
            {"wheels": _wheel_rows(self.wheels, self.lenient), "prefix": VENV, "python": self.python_version},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BytecodeLayer:
    """What `interpreter` compiles the modules of `sources` to."""

    kind: str
    title: str
    sources: tuple[WheelsLayer, ...]
    """The layers that hold the modules; of two modules with one path the later layer's is compiled."""
    interpreter: LockedInterpreter
    toolchain: tuple[LockedPackage, ...]
    """Packages that hold the interpreter and all it needs to run; empty for a standalone build."""
    base: LockedBase | None = None
    """The image that holds the interpreter, where a base image does."""

    @property
    def key(self) -> str:
        sources = [spec.key for spec in self.sources]
        identity = {"sources": sources, "interpreter": self.interpreter.build, "rule": BYTECODE_RULE}
        return _key(self.kind, identity)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFile:
    """A file of the project, the store or lading's runtime, as it was when the plan was made."""

    path: str
    """In the image, POSIX, relative to the root."""
    mode: int
    size_bytes: int
    sha256: str | None
    link_target: str | None = None
    source: str = ""
    """On the host, or an http(s) URL; no part of the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesLayer:
    """Files as they are; `generated` are small ones made here.

    `code` is the project's, `runtime` what serves its models, `files` what `[[image.files]]` names, `model` a
    baked model. The last two are streamed, and stored where they would not compress.
    """

    kind: str
    title: str
    files: tuple[PlannedFile, ...]
    generated: tuple[tuple[str, int, bytes], ...] = ()
    """(path, mode, content)"""

    @property
    def key(self) -> str:
        return _key(
            self.kind,
            {
                "files": [[f.path, f.mode, f.sha256, f.link_target] for f in self.files],
                "generated": [
                    [path, mode, hashlib.sha256(content).hexdigest()]
                    for path, mode, content in self.generated
                ],
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectLayer:
    """The code of a project that must be built: its files under `CODE`, its wheel installed under `VENV`.

    `wheel_inputs` says all that the wheel is made from, so that a plan needs no build. A package that the
    wheel installs is not under `CODE` too: there, without its extensions, it would be found first.
    """

    kind: str
    title: str
    files: tuple[PlannedFile, ...]
    wheel_inputs: str
    python_version: str

    @property
    def key(self) -> str:
        return _key(
            "project",
            {
                "files": [[f.path, f.mode, f.sha256, f.link_target] for f in self.files],
                "wheel": self.wheel_inputs,
                "prefix": VENV,
                "python": self.python_version,
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLayer:
    """What a shell command changes in the image of the layers below it."""

    kind: str
    """`step`, or `open-step` with the network: that one cannot be promised to come out the same again."""
    title: str
    number: int
    """From 1, in the order written."""
    below: tuple[str, ...]
    """Keys of all layers below, lowest first."""
    run: str
    env: tuple[tuple[str, str], ...]
    inputs: tuple[PlannedFile, ...]
    secrets: tuple[str, ...]
    """Names only."""
    platform: str
    place: str = ""
    """Where it is written, for messages; no part of the key."""

    @property
    def network(self) -> bool:
        return self.kind == OPEN_STEP

    @property
    def key(self) -> str:
        return _key(
            self.kind,
            {
                "below": list(self.below),
                "run": self.run,
                "env": [list(pair) for pair in self.env],
                "inputs": [[f.path, f.mode, f.sha256, f.link_target] for f in self.inputs],
                "secrets": sorted(self.secrets),
                "rule": STEP_RULE,
            },
        )


LayerSpec = (
    PackagesLayer
    | ForeignLayer
    | AddedPackagesLayer
    | StandaloneLayer
    | VenvLayer
    | WheelsLayer
    | BytecodeLayer
    | FilesLayer
    | ProjectLayer
    | StepLayer
)
