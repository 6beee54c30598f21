"""What a FROM names: an image that lading puts together itself, or one that stays the base. Pure.

Judged by the repository's name, whichever registry or mirror it comes from, and by its tag. Nothing is asked
of a registry: what cannot be told from the name stays the base.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lading.oci.reference import Reference
from lading.project.values import PYTHONS, SUITES

_UBUNTU_PYTHON = {
    "20.04": "3.8", "focal": "3.8", "22.04": "3.10", "jammy": "3.10", "24.04": "3.12", "noble": "3.12",
}  # fmt: skip
_OLD_SUITES = {"buster": "3.7", "bullseye": "3.9"}
_DEBIAN_RELEASES = {"10": "buster", "11": "bullseye", "12": "bookworm", "13": "trixie"}
_CONDA = ("miniconda3", "miniconda", "anaconda3", "miniforge3", "mambaforge", "micromamba", "condaforge")
_ON_UBUNTU = frozenset(
    ("pytorch", "tensorflow", "jupyter", "huggingface", "vllm", "rocm", "rapidsai", "nvidia")
)
"""Who makes images on Ubuntu, to which Debian's packages cannot be added."""
_PYTHON_TAG = re.compile(r"(?:^|[^0-9.])(3\.\d{1,2})(?:\.\d+)?(?:[^0-9.]|$)")
_CUDA_TAG = re.compile(r"^(\d{2})\.(\d{1,2})(?:\.\d+)?-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """`kept` is the image to name as base; None where lading makes its own Debian."""

    said: str
    kept: str | None = None
    suite: str | None = None
    python: str | None = None
    """As the image has it, supported here or not."""
    has_python: bool = False
    cuda: str | None = None
    """`cu124`: an image of NVIDIA's CUDA libraries."""
    family: str = "debian"
    """debian, ubuntu, alpine, other: whose packages it has."""
    entrypoint: tuple[str, ...] = ()
    is_minimal: bool = False
    starts_something: bool = False
    """It may have an entrypoint or command of its own, which only its config tells."""
    is_full: bool = False
    """It has compilers, Git and much else that a slim image lacks."""
    problem: str | None = None
    """Why it cannot be what it was."""


def supported_python(version: str) -> str:
    """`version`, or the nearest that lading has."""
    if version in PYTHONS:
        return version
    minor = int(version.split(".")[1])
    return PYTHONS[0] if minor < int(PYTHONS[0].split(".")[1]) else PYTHONS[-1]


def read_base(image: str) -> Base:
    """`image` as it stands in FROM, variables filled in."""
    if image == "scratch":
        return Base(said=image, problem="scratch has no C library, which wheels need")
    try:
        reference = Reference.parse(image)
    except ValueError as error:
        return Base(said=image, problem=f"it is no image: {error}")
    repository, tag = reference.repository, reference.tag or ""
    parts = repository.split("/")
    name, owner = parts[-1], parts[-2] if len(parts) > 1 else ""
    if name == "python" or (owner == "uv" and name.startswith("python")):
        return _official_python(image, tag)
    if owner == "astral-sh" and name == "uv":
        return _official_python(image, tag.removeprefix("python") if tag.startswith("python") else tag)
    if name in _CONDA or any(part in _CONDA for part in parts):
        return Base(said=image, has_python=True)
    if name == "cuda" and owner == "nvidia":
        return _cuda(image, reference, tag)
    if name in ("debian", "ubuntu", "alpine"):
        return _distribution(image, name, tag)
    if owner == "distroless" or parts[0] == "distroless":
        return _distroless(image, name)
    return _kept(image, reference)


def _official_python(image: str, tag: str) -> Base:
    match = _PYTHON_TAG.search(f" {tag} ")
    suite = _suite_in(tag)
    if "alpine" in tag:
        return Base(said=image, python=match[1] if match else None, has_python=True, family="alpine")
    is_full = "slim" not in tag and "uv" not in image.split("/")[-1].partition(":")[0]
    python = match[1] if match else None
    return Base(said=image, python=python, has_python=True, suite=suite, is_full=is_full)


def _suite_in(tag: str) -> str | None:
    words = re.split(r"[^a-z0-9]+", tag)
    return next((word for word in words if word in SUITES), None)


def _cuda(image: str, reference: Reference, tag: str) -> Base:
    match = _CUDA_TAG.match(tag)
    ubuntu = re.search(r"ubuntu(\d\d\.\d\d)", tag)
    return Base(
        said=image,
        kept=_pinned(reference),
        cuda=f"cu{match[1]}{match[2][0]}" if match and len(match[2]) == 1 else "cuda",
        python=_UBUNTU_PYTHON.get(ubuntu[1]) if ubuntu else None,
        family="ubuntu" if ubuntu else "other",
    )


def _distribution(image: str, name: str, tag: str) -> Base:
    if name == "alpine":
        return Base(said=image, family="alpine")
    if name == "ubuntu":
        return Base(said=image, family="ubuntu", python=_UBUNTU_PYTHON.get(tag.partition("-")[0], "3.12"))
    words = re.split(r"[^a-z0-9]+", tag)
    suite = next((_DEBIAN_RELEASES.get(word, word) for word in words if word), None)
    if suite in SUITES:
        return Base(said=image, suite=suite, python=SUITES[suite])
    if suite in _OLD_SUITES:
        return Base(said=image, suite="bookworm", python=_OLD_SUITES[suite], problem=f"{suite} is too old")
    return Base(said=image)


def _distroless(image: str, name: str) -> Base:
    match = re.search(r"debian(\d+)", name)
    suite = _DEBIAN_RELEASES.get(match[1]) if match else None
    has_python = name.startswith("python3")
    return Base(
        said=image,
        suite=suite if suite in SUITES else None,
        python=SUITES.get(suite or "") if has_python else None,
        has_python=has_python,
        is_minimal=True,
        entrypoint=("python",) if has_python else (),
    )


def _kept(image: str, reference: Reference) -> Base:
    on_ubuntu = reference.registry == "nvcr.io" or bool(
        _ON_UBUNTU.intersection(reference.repository.split("/"))
    )
    return Base(
        said=image,
        kept=_pinned(reference),
        has_python=True,
        family="ubuntu" if on_ubuntu else "other",
        starts_something=True,
    )


def _pinned(reference: Reference) -> str:
    """Without a tag Docker means `latest`; lading wants it said."""
    unsaid = reference.tag is None and reference.digest is None
    return f"{reference.name}:latest" if unsaid else reference.qualified
