"""The lock as values. Identity of a file is name, version, file name, sha256 and size; a URL is a hint.

Pure. Must not know how anything is fetched or installed. The file form is `lading.lock` (see lockfile.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lading.oci.digest import DiffId, Digest

LOCK_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedWheel:
    """One wheel file. `sha256` is 64 hex digits."""

    name: str
    """Normalized (PEP 503)."""
    version: str
    filename: str
    sha256: str
    size_bytes: int
    url: str | None = None
    """Where it was seen; no credentials, never `file:`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedPackage:
    """One Debian binary package."""

    name: str
    version: str
    architecture: str
    """`amd64`, `arm64` or `all`."""
    filename: str
    """`pool/main/…/x.deb`, relative to the mirror."""
    sha256: str
    size_bytes: int
    suite: str
    """The suite whose index named it: `bookworm`, `bookworm-security`."""
    role: str = "base"
    """Which layer holds it: `base`, `interpreter` or `apt`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedSuite:
    """One signed index as last accepted. `date` (RFC 2822, as signed) guards against rollback."""

    suite: str
    codename: str
    date: str
    release_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedInterpreter:
    """The Python that an image runs. `build` names it exactly: bytecode depends on it."""

    provider: str
    """`debian`, `standalone` or `base`."""
    version: str
    """`3.11`."""
    build: str
    """`3.11.2-6+deb12u6`, or the standalone release's key."""
    executable: str
    """`/usr/bin/python3.11`."""
    packages: tuple[str, ...] = ()
    """debian: names of the packages that make up the interpreter layer."""
    url: str | None = None
    sha256: str | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedPackage:
    """A Debian package that nobody wrote down: something in the wheels of `targets` asks for it."""

    name: str
    because: str
    """`opencv-python needs libGL.so.1 (cv2/cv2.abi3.so)`."""
    targets: tuple[str, ...]
    """Sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedBaseLayer:
    """A layer of somebody else's image, taken as it is."""

    digest: Digest
    diff_id: DiffId
    size_bytes: int
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedBase:
    """A registry image under all other layers, and what was found in it when it was locked."""

    reference: str
    """`registry/repository:tag`, as asked for."""
    digest: Digest
    """Of the manifest for the variant's platform."""
    layers: tuple[LockedBaseLayer, ...]
    """Oldest first."""
    env: Mapping[str, str]
    distribution: str
    """`debian bookworm`, as its os-release says; empty where it says nothing."""
    glibc_minor: int
    """36 for glibc 2.36."""
    held: Mapping[str, str]
    """Python distributions that its interpreter sees: normalized name → version. Never installed twice."""
    environment: str = ""
    """The virtual environment that its `python3` belongs to, `/venv`; empty: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedSource:
    """What a wheel was built from; never a path of one machine, never credentials."""

    kind: str
    """`sdist`, `url`, `git`, `path`, or `project` for the project itself."""
    location: str
    """File name of an sdist, a URL, or a path relative to the project."""
    digest: str
    """sha256 hex of the archive or of the folder's files; of `git` the commit."""
    url: str | None = None
    """sdist: where it was seen."""
    reference: str | None = None
    """git: the branch or tag that was asked for."""
    subdirectory: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedBuild:
    """A wheel that was built here, and all it takes to build it again."""

    name: str
    version: str
    """Empty for the project itself, whose wheel changes with its code and is not locked."""
    sha256: str | None
    """Of the wheel."""
    isolation: str
    source: LockedSource
    backend: str
    backend_path: tuple[str, ...]
    wheels: tuple[LockedWheel, ...]
    """Build requirements, sorted by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedVariant:
    """Everything for one accelerator on one platform."""

    accelerator: str
    platform: str
    interpreter: LockedInterpreter
    packages: tuple[LockedPackage, ...]
    """Base and interpreter packages of every target, sorted by name."""
    wheels: tuple[LockedWheel, ...]
    """Wheels of every target, sorted by name; one version of each."""
    targets: Mapping[str, TargetSelection]
    base: LockedBase | None = None
    """None: the base is made of Debian packages."""
    added: tuple[AddedPackage, ...] = ()
    """Why some of `packages` are there, sorted by name; their own needs are in `packages` alone."""
    builds: tuple[LockedBuild, ...] = ()
    """Sorted by name; also of build requirements that had to be built."""
    build_packages: tuple[LockedPackage, ...] = ()
    """Base, interpreter and compilers of the image that `builds` are made in."""

    def added_to(self, target: str) -> tuple[AddedPackage, ...]:
        return tuple(one for one in self.added if target in one.targets)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedCuda:
    """The CUDA that a target's wheels bring, and what it asks of a host. Locked, because images say it in
    labels: facts that lading learns later must not change an image."""

    version: str
    """`12.8`, or `12` where the wheels tell no more."""
    driver: str
    """The oldest driver that runs it: `525`."""
    full_driver: str | None = None
    """The driver it was shipped with; below it some features may be missing."""
    capabilities: tuple[str, ...] = ()
    """Compute capabilities that the wheels have code for; empty where that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSelection:
    """Which of a variant's packages and wheels one target holds: sorted names."""

    wheels: tuple[str, ...]
    packages: tuple[str, ...]
    cuda: LockedCuda | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedLayer:
    """What one layer came out as in the first trusted build. `key` is the LayerSpec's."""

    key: str
    kind: str
    digest: Digest
    diff_id: DiffId
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    format: int = LOCK_FORMAT
    inputs: str
    """sha256 hex over everything that resolution depended on; differs → the lock is out of date."""
    suites: tuple[LockedSuite, ...]
    variants: tuple[LockedVariant, ...]
    layers: tuple[LockedLayer, ...] = field(default=())
    """Sorted by key."""

    def variant(self, accelerator: str, platform: str) -> LockedVariant | None:
        for variant in self.variants:
            if (variant.accelerator, variant.platform) == (accelerator, platform):
                return variant
        return None
