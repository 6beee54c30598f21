"""The values that describe a project. Pure: reading files and guessing happen elsewhere in this package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from lading.project.limits import Limits


class RequirementKind(StrEnum):
    NONE = "none"
    REQUIREMENTS = "requirements"  # requirements.txt, with what it includes
    PYPROJECT = "pyproject"  # PEP 621 [project].dependencies
    UV_LOCK = "uv.lock"  # used as it is, never re-resolved
    PYLOCK = "pylock.toml"  # used as it is, never re-resolved (PEP 751)
    CONDA = "environment.yml"  # conda's, translated into requirement lines


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectReference:
    """A requirement that says where it comes from: Git, a URL, or a folder or archive here."""

    kind: str
    """`git`, `url` or `path`."""
    location: str
    """URL without fragment or revision, or an absolute path."""
    name: str | None = None
    """Normalized; None where only the source itself says."""
    reference: str | None = None
    """git: branch, tag or commit."""
    subdirectory: str | None = None
    sha256: str | None = None
    line: str = ""
    """As it stands in the requirements file, without comment; empty where `name` is enough to find it."""
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemNeed:
    """A dependency of an `environment.yml` that is no Python package."""

    name: str
    packages: tuple[str, ...]
    """Debian packages with the same programs."""
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaEnvironment:
    """What an `environment.yml` says, in the words of pip, and what has none."""

    lines: tuple[str, ...] = ()
    """Of a requirements file; paths in them are relative to the environment.yml."""
    names: tuple[str, ...] = ()
    """Conda's, lower-case."""
    python: str | None = None
    """Specifiers of its `python`."""
    python_words: str = ""
    """As written: `python=3.11 in environment.yml`."""
    python_place: str = ""
    accelerator: str | None = None
    accelerator_because: str = ""
    system: tuple[SystemNeed, ...] = ()
    variables: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Environment variables: value, and where it stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """Where the project's Python dependencies are written."""

    kind: RequirementKind
    path: Path | None
    """Absolute path of the main file; None for kind NONE."""
    included: tuple[Path, ...] = ()
    """Absolute paths of every file reached by -r and -c, in first-seen order."""
    requires_python: str | None = None
    names: tuple[str, ...] = ()
    """Normalized names of the direct dependencies, for detection only; markers ignored."""
    groups: tuple[str, ...] = ()
    """Extras and dependency groups the file defines."""
    find_links: tuple[str, ...] = ()
    """Extra wheel folders the project declares: absolute paths or URLs without credentials."""
    index_urls: tuple[str, ...] = ()
    """Indexes the project declares, first the main one; URLs without credentials."""
    includes_project: bool = False
    """A line `-e .` was there: the resolver leaves it out and adds the project's own dependencies."""
    ignored: tuple[Path, ...] = ()
    """Other requirement files that were seen and not used."""
    direct: tuple[DirectReference, ...] = ()
    """In the order they stand; each is built or fetched before anything is resolved."""
    conda: CondaEnvironment | None = None
    """Given for kind CONDA, and for no other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """`[[image.files]]`: a file or folder that enters the image, where the user says."""

    source: str
    """Project-relative path, or an http(s) URL."""
    destination: str
    """Absolute path in the image, canonical."""
    mode: int | None = None
    """Of files; None: as the source is."""
    sha256: str | None = None
    place: str = field(default="", compare=False)
    """`lading.toml:12`, for messages."""

    @property
    def is_remote(self) -> bool:
        return "://" in self.source


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageStep:
    """`[[image.step]]`: a shell command whose changes are one layer."""

    run: str
    env: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    """Project-relative files and folders that it sees."""
    network: bool = False
    secrets: tuple[str, ...] = ()
    """Names of environment variables that it is given; never stored."""
    place: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """`[image] healthcheck`, in Docker's terms; what is None is Docker's own default."""

    command: tuple[str, ...]
    interval_seconds: float | None = None
    timeout_seconds: float | None = None
    start_seconds: float | None = None
    retries: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSettings:
    """`[image]`, and `[image.TARGET]` laid over it."""

    python: str
    """`3.11`: the minor version; empty: whatever the base image has."""
    base: str
    """`debian:bookworm`: the suite; else an image of a registry, `host/name:tag`."""
    accelerators: tuple[str, ...] = ("cpu",)
    platforms: tuple[str, ...] = ("linux/amd64",)
    apt: tuple[str, ...] = ()
    add_packages: bool = True
    """Debian packages that the wheels ask for are added to `apt`."""
    env: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    flavour: str = "standard"
    """`standard`, or `minimal`: no shell."""
    bytecode: bool = True
    interpreter: str = "auto"
    """Provider of Python: `auto`, `debian`, `standalone`, `base`."""
    user: str = "1000:1000"
    labels: Mapping[str, str] = field(default_factory=dict)
    files: tuple[ImageFile, ...] = ()
    steps: tuple[ImageStep, ...] = ()
    only: tuple[str, ...] | None = None
    """The target holds just these packages and what they need, instead of all the project's; None: all."""
    max_size: int | None = None
    """Bytes the image's layers may have at most, packed."""
    max_growth: int | None = None
    """Bytes by which it may outgrow the last build of its target."""
    conda: Mapping[str, str | bool] = field(default_factory=dict)
    """Conda package → its name on the Python index, or False to leave it out."""
    layers_from: tuple[str, ...] = ()
    """Repositories, `HOST/REPOSITORY`, that layers in the lock are taken from."""
    requirements: str | None = None
    """Project-relative path of the file to use; None: the one that is detected."""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] | None = None
    """None: what the target starts by itself."""
    workdir: str | None = None
    """None: where the code is."""
    ports: tuple[str, ...] = ()
    """`8000/tcp`."""
    stop_signal: str | None = None
    healthcheck: HealthCheck | None = None

    @property
    def has_registry_base(self) -> bool:
        """Whether `base` names an image of a registry, and not a Debian suite."""
        return not self.base.startswith("debian:") or "/" in self.base


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceBuild:
    """`[image.build.NAME]`: how the wheel of one distribution is built."""

    needs: tuple[str, ...] = ()
    """Distributions in their locked version that must be importable while it builds: `torch`."""
    apt: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    memory_bytes: int | None = None
    timeout_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedSecret:
    """A file that looks like a credential and may enter the image, until `expires` (ISO date)."""

    path: str
    """Project-relative; `*` stands for any characters."""
    reason: str
    expires: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuRequest:
    count: int
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A table with `run`: something to execute in an image."""

    name: str
    run: str
    """The command line, `{name}` standing for parameters. Run by `sh -c` only when it needs a shell."""
    target: str = "train"
    params: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    """name → `data:NAME`, `task:NAME` or a path."""
    outputs: str = "out"
    """Project-relative folder that the collected outputs are also linked into."""
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    """Names of environment variables passed at run time; never hashed, stored or logged."""
    gate: str | None = None
    network: bool = False
    limits: Limits = field(default_factory=Limits)
    gpus: GpuRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    model: str
    """A task's name, a project-relative path, or `model:NAME@ALIAS`."""
    bake: bool = False
    """Put the model into the serve image, instead of mounting it."""
    sample: str | None = None
    """Project-relative path of a JSON request that is replayed before any traffic."""
    host: str = "127.0.0.1"
    port: int = 0
    """0: any free port."""
    grace_seconds: float = 10.0
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSource:
    name: str
    source: str
    """Project-relative path or URL."""
    sha256: str | None = None


class CodeKind(StrEnum):
    FOLDER = "folder"  # copied as it is to /app
    PURE = "pure"  # installable without running anything: importable as if installed
    BUILD = "build"  # needs its build backend: built once in a sandbox


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeFile:
    """One file of the project that enters the image. `path` is POSIX, relative to the root."""

    path: str
    size_bytes: int
    executable: bool
    link_target: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    kind: CodeKind
    files: tuple[CodeFile, ...]
    """Sorted by path; ignore rules already applied."""
    packages: Mapping[str, str] = field(default_factory=dict)
    """For PURE: import root inside the project → `site-packages` relative folder, e.g. `src/pkg` → `pkg`."""
    scripts: Mapping[str, str] = field(default_factory=dict)
    """Console scripts: name → `module:function`."""
    entry_points: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Further entry point groups for the generated .dist-info: group → name → object reference."""
    distribution: tuple[str, str] | None = None
    """Name and version for the generated .dist-info, or None for a plain folder."""
    because: str = ""
    """Why it is of this kind; for BUILD what the build backend is needed for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was detected, and why; `lading plan` prints them."""

    what: str
    value: str
    because: str
    missing: bool = False
    """Something that is named and not there: a run would fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    root: Path
    name: str
    version: str | None
    config_path: Path | None
    """lading.toml or pyproject.toml, absolute; None when nothing was written."""
    image: ImageSettings
    targets: Mapping[str, ImageSettings]
    """Always has `train`, `serve` and `dev`."""
    tasks: Mapping[str, Task]
    serve: ServeSettings | None
    data: Mapping[str, DataSource]
    requirements: Requirements
    code: Code
    frameworks: tuple[str, ...]
    """Normalized names of the ML frameworks among the requirements: torch, scikit-learn, …"""
    findings: tuple[Finding, ...]
    allowed_secrets: tuple[AllowedSecret, ...] = ()
    builds: Mapping[str, SourceBuild] = field(default_factory=dict)
    """By normalized name."""
