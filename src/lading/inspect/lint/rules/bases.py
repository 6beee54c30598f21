"""Rules about what a Dockerfile is built on: images, platforms, the frontend that reads it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from lading.inspect.lint.dockerfile import Dockerfile, Stage
from lading.inspect.lint.model import Severity, Spot
from lading.inspect.lint.rule import Kind, rule
from lading.inspect.lint.rules.scripts import image_name, run_commands

_CUDA = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?(?:-|$)")
_DELETED_PATCHES = frozenset(
    {
        (11, 2, 0), (11, 2, 1), (11, 3, 0), (11, 4, 0), (11, 4, 1), (11, 4, 2), (11, 5, 0), (11, 5, 1),
        (11, 6, 0), (11, 6, 1), (11, 7, 0)
    }
)  # fmt: skip
"""As NVIDIA's notice of June 2023 lists them."""
_PYTORCH_CUDA = re.compile(r"-cuda(\d+)\.(\d+)")
_TENSORFLOW = re.compile(r"(\d+)\.(\d+)\.\d+")
_FRONTENDS = ("docker/dockerfile", "docker/dockerfile-upstream")
_MACHINES = {"amd64": "x86_64", "x86_64": "x86_64", "arm64": "aarch64", "aarch64": "aarch64"}
_NAMESPACES = {"amd64": "x86_64", "arm64v8": "aarch64"}


@rule(
    "LDD005", "A CUDA image that is deleted or too old for today's GPUs", Kind.DOCKERFILE, Severity.WARNING,
    "NVIDIA's support policy: tags are deleted six months after their end; the lists of 2021 to 2023",
)  # fmt: skip
def ended_cuda(document: Dockerfile) -> Iterator[Spot]:
    """NVIDIA deletes tags of nvidia/cuda six months after their end of life: the build that worked fails one
    day. CUDA 10 knows no GPU newer than 2019; images of TensorFlow before 2.4 and of PyTorch with CUDA 10
    hold nothing else. Said of tags that are known to be gone, and of those two; never of one with a digest.

    Bad:

        FROM nvidia/cuda:11.4.2-cudnn8-runtime-ubuntu20.04

    Good:

        FROM nvidia/cuda:12.4.1-cudnn-runtime-ubuntu22.04
    """
    for stage in document.stages:
        if stage.image is None or "@" in stage.image:
            continue
        repository, tag = image_name(stage.image)
        if repository in {"nvidia/cuda", "nvcr.io/nvidia/cuda"} and _is_deleted(tag):
            yield Spot(
                start=stage.origin.start,
                message=f"{repository}:{tag} was deleted from its registry: take a tag that is supported",
            )
        match = _PYTORCH_CUDA.search(tag) if repository == "pytorch/pytorch" else None
        ended = match is not None and int(match[1]) < 11
        match = _TENSORFLOW.match(tag) if repository == "tensorflow/tensorflow" and "gpu" in tag else None
        ended = ended or (match is not None and (int(match[1]), int(match[2])) < (2, 4))
        if ended:
            yield Spot(
                start=stage.origin.start,
                message=f"{stage.image} holds CUDA 10 or older, which knows no GPU made since 2020",
            )


def _is_deleted(tag: str) -> bool:
    match = _CUDA.match(tag)
    if match is None:
        return False
    major, minor, patch = int(match[1]), int(match[2]), match[3]
    if major < 11:
        return True
    return major == 11 and (
        (patch is None and minor < 8) or (major, minor, int(patch or 0)) in _DELETED_PATCHES
    )


@rule(
    "LDD006", "A base that is not pinned by its digest", Kind.DOCKERFILE, Severity.OFF,
    "docs.docker.com/build/building/best-practices: pin base image versions",
)  # fmt: skip
def unpinned_base(document: Dockerfile) -> Iterator[Spot]:
    """A tag can be moved to other bytes; a digest cannot. That is wanted for releases, and a burden for
    anything else: the rule is off, but for files of a release (`Dockerfile.release`), or where it is asked
    for with `--severity LDD006=warning` or in `[lint.severity]`.

    Bad:

        FROM python:3.12-slim

    Good:

        FROM python:3.12-slim@sha256:…
    """
    for stage in document.stages:
        names = {other.name.lower() for other in document.stages if other.name}
        if stage.image and "@" not in stage.image and stage.image.lower() not in names | {"scratch"}:
            yield Spot(start=stage.origin.start, message=f"{stage.image} can change: pin it by its digest")


@rule(
    "LDD033", "A frontend from elsewhere reads the Dockerfile", Kind.DOCKERFILE, Severity.WARNING,
    "CVE-2026-33747; docs.docker.com/build/buildkit/frontend",
)  # fmt: skip
def foreign_frontend(document: Dockerfile) -> Iterator[Spot]:
    """`# syntax=` names an image that BuildKit runs with the whole build in its hands: it sees the context
    and the secrets, and decides what is built. One that is not Docker's own is trusted with all of it.
    Silent where a digest pins it.

    Bad:

        # syntax=someone/fast-dockerfile

    Good:

        # syntax=docker/dockerfile:1
    """
    syntax = document.directives.get("syntax", "").split()
    if not syntax or "@" in syntax[0] or "$" in syntax[0]:
        return
    repository = image_name(syntax[0])[0]
    if repository not in _FRONTENDS:
        yield Spot(
            start=document.text.index("#"),
            message=f"{syntax[0]} decides what is built: use docker/dockerfile:1, or pin it by its digest",
        )


@rule(
    "LDD036", "A wheel for another processor", Kind.DOCKERFILE, Severity.ERROR,
    "packaging.python.org: platform compatibility tags",
)  # fmt: skip
def other_processor(document: Dockerfile) -> Iterator[Spot]:
    """The stage says its platform, and a wheel that it copies or installs is for another: pip refuses it.

    Bad:

        FROM --platform=linux/arm64 python:3.12-slim
        RUN pip install https://w.example/a-1-cp312-cp312-manylinux2014_x86_64.whl

    Good:

        FROM --platform=linux/arm64 python:3.12-slim
        RUN pip install https://w.example/a-1-cp312-cp312-manylinux2014_aarch64.whl
    """
    for stage in document.stages:
        machine = _machine(stage)
        if machine is None:
            continue
        words = [
            (run.offset + word.start - run.command.start, word.value)
            for run in run_commands(stage)
            for word in run.command.words
            if run.values[0].rpartition("/")[2] in {"pip", "pip3", "uv", "python", "python3"}
        ]
        for at, word in words:
            wanted = _wheel_machine(word.rpartition("/")[2].partition("#")[0])
            if wanted is not None and wanted != machine:
                yield Spot(start=at, message=f"the wheel is for {wanted}, and this stage is for {machine}")


def _machine(stage: Stage) -> str | None:
    """The processor that the stage names itself."""
    for flag in stage.origin.flags:
        if flag.text.startswith("--platform="):
            return _MACHINES.get(flag.text.partition("=")[2].removeprefix("linux/").split("/")[0])
    return _NAMESPACES.get(stage.image.partition("/")[0]) if stage.image else None


def _wheel_machine(name: str) -> str | None:
    if not name.endswith(".whl"):
        return None
    try:
        tags = parse_wheel_filename(name)[3]
    except InvalidWheelFilename:
        return None
    machines = {
        machine for tag in tags for machine in ("x86_64", "aarch64") if tag.platform.endswith(f"_{machine}")
    }
    others = {tag.platform for tag in tags if not tag.platform.endswith(("_x86_64", "_aarch64"))}
    return machines.pop() if len(machines) == 1 and not others else None
