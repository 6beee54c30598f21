"""Rules about bases, commands, secrets and what a Dockerfile starts. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from posixpath import normpath

from lading.inspect.lint.dockerfile import Dockerfile
from lading.inspect.lint.model import Edit, Severity, Spot
from lading.inspect.lint.rule import Kind, rule
from lading.inspect.lint.rules.scripts import (
    final_stage,
    has_option,
    image_name,
    is_python,
    pip_installs,
    run_commands,
    start_words,
)
from lading.inspect.lint.secrets import is_credential, secret_variable

_OLDEST_PYTHON = (3, 10)
"""3.9 ended in October 2025 (PEP 596)."""
_ENDED = re.compile(r"(2|3)\.(\d+)(?:$|[.-])")
_NO_MUSL_WHEEL = frozenset(
    {
        "torch", "torchvision", "torchaudio", "tensorflow", "tensorflow-cpu", "onnxruntime-gpu", "vllm"
    }
)  # fmt: skip
_FLOATING = frozenset(
    {
        "latest-gpu", "latest-devel", "latest-gpu-jupyter", "latest-jupyter", "nightly", "nightly-gpu",
        "devel", "edge"
    }
)  # fmt: skip
_PACKAGE_CACHES = ("apt-get", "pip", "pip3", "conda", "mamba")


@rule(
    "LDD007", "Python past its end of life", Kind.DOCKERFILE, Severity.WARNING,
    "devguide.python.org/versions: 3.9 ended in October 2025",
)  # fmt: skip
def ended_python(document: Dockerfile) -> Iterator[Spot]:
    """It gets no security fixes, and new releases of torch and others have no wheels for it.

    Bad:

        FROM python:3.7-slim

    Good:

        FROM python:3.12-slim
    """
    for stage in document.stages:
        repository, tag = image_name(stage.image) if stage.image else ("", "")
        match = _ENDED.match(tag)
        if repository == "python" and match and (int(match[1]), int(match[2])) < _OLDEST_PYTHON:
            yield Spot(
                start=stage.origin.start,
                message=f"Python {match[1]}.{match[2]} gets no security fixes any more; the "
                "oldest that does is 3.10",
            )


@rule(
    "LDD008", "Wheels that exist for glibc alone, on Alpine", Kind.DOCKERFILE, Severity.ERROR,
    "the files on PyPI: torch, tensorflow, vllm and onnxruntime-gpu have no musllinux wheel",
)  # fmt: skip
def glibc_on_alpine(document: Dockerfile) -> Iterator[Spot]:
    """Alpine has musl. These packages have neither a wheel for it nor a source distribution pip can
    build: the install fails.

    Bad:

        FROM python:3.12-alpine
        RUN pip install torch

    Good:

        FROM python:3.12-slim
        RUN pip install torch
    """
    for stage in document.stages:
        base = document.base(stage)
        repository, tag = image_name(base) if base else ("", "")
        if repository != "alpine" and not (repository == "python" and "alpine" in tag):
            continue
        for run in run_commands(stage):
            if has_option(run, "--platform", "-f", "--find-links", "-i", "--index-url", "--extra-index-url"):
                continue
            for install in pip_installs(run):
                if install.name in _NO_MUSL_WHEEL and "@" not in install.version:
                    yield Spot(
                        start=install.offset,
                        message=f"{install.name} has no wheel for Alpine's musl: use a Debian base",
                    )


@rule(
    "LDD009", "A single & between commands", Kind.DOCKERFILE, Severity.ERROR,
    "POSIX shell: `a & b` starts a in the background and goes on at once", mends=True,
)  # fmt: skip
def single_ampersand(document: Dockerfile) -> Iterator[Spot]:
    """`a & b` starts `a` in the background, does not wait for it, and forgets whether it failed. The
    layer may be written while it still runs. Said only of package managers, whose end is always wanted.

    Bad:

        RUN apt-get update & apt-get install -y git

    Good:

        RUN apt-get update && apt-get install -y git

    The mend writes `&&`.
    """
    for stage in document.stages:
        for run in run_commands(stage):
            at, name = run.command.background, run.values[0].rpartition("/")[2]
            if at is None or name not in _PACKAGE_CACHES or run.instruction.heredocs:
                continue
            if "wait" in {word.strip(";") for word in run.instruction.body.split()}:
                continue
            place = run.instruction.offset(run.instruction.body_start + at)
            yield Spot(
                start=place,
                message=f"`&` runs {name} in the background and ignores its failure: write `&&`",
                edits=(Edit(start=place, end=place + 1, text="&&"),),
            )


@rule(
    "LDD016", "A credential in the image", Kind.DOCKERFILE, Severity.ERROR,
    "docs.docker.com/build/building/secrets: ENV and ARG stay in the image's history",
)  # fmt: skip
def ml_secret(document: Dockerfile) -> Iterator[Spot]:
    """A value of ENV or ARG stays readable in the image's config and history for everyone who can pull
    it. Said of tokens of known form, of variables of ML services, and of others that a password, token or
    key names, with a value that is no placeholder.

    Bad:

        ENV HF_TOKEN=hf_…

    Good:

        RUN --mount=type=secret,id=hf_token HF_TOKEN=$(cat /run/secrets/hf_token) python fetch.py
    """
    arguments: set[str] = set()
    for entry in document.instructions:
        if entry.keyword == "ARG":
            arguments.update(word.value.partition("=")[0] for word in entry.words)
        elif entry.keyword != "ENV":
            continue
        for name, value in entry.pairs:
            if is_credential(name, value.value):
                yield Spot(
                    start=entry.offset(value.start) if value.text else entry.start,
                    message=f"{name} holds a credential that stays in the image's history: give "
                    "it when building "
                    "with --mount=type=secret, or when running",
                )
            elif (
                entry.keyword == "ENV"
                and name in arguments
                and secret_variable(name)
                and value.value.strip("${}") == name
            ):
                yield Spot(
                    start=entry.start,
                    message=f"ENV {name} keeps the build argument's value in the image: use "
                    "--mount=type=secret",
                )


@rule(
    "LDD019", "A development server is what the image starts", Kind.DOCKERFILE, Severity.WARNING,
    "Flask and Uvicorn: their documentation on deployment",
)  # fmt: skip
def development_server(document: Dockerfile) -> Iterator[Spot]:
    """`flask run` is Flask's development server; `--reload` starts a file watcher and one worker. Said
    of the final stage alone, and not where a name says that it is for development.

    Bad:

        CMD ["uvicorn", "app:app", "--reload"]

    Good:

        CMD ["uvicorn", "app:app", "--host", "0.0.0.0"]
    """
    stage = final_stage(document)
    if stage.name and re.search(r"dev|debug|test|local", stage.name, re.IGNORECASE):
        return
    for entry in stage.all("CMD", "ENTRYPOINT"):
        words = start_words(entry)
        program = words[0].rpartition("/")[2] if words else ""
        if is_python(program) and words[1:2] == ("-m",):
            words = words[2:]
            program = words[0] if words else ""
        if program == "flask" and "run" in words[1:]:
            yield Spot(
                start=entry.start, message="`flask run` is a development server: start gunicorn or waitress"
            )
        elif program in {"uvicorn", "gunicorn", "hypercorn"} and "--reload" in words:
            yield Spot(
                start=entry.start, message=f"`{program} --reload` watches files and is for development alone"
            )


@rule(
    "LDD023", "An empty word in what the image starts", Kind.DOCKERFILE, Severity.ERROR,
    "execve(2): an empty argument is passed on as one",
)  # fmt: skip
def empty_start(document: Dockerfile) -> Iterator[Spot]:
    """Python takes an empty argument as the name of a script and ends at once.

    Bad:

        ENTRYPOINT ["python", ""]

    Good:

        ENTRYPOINT ["python", "serve.py"]
    """
    for entry in final_stage(document).all("CMD", "ENTRYPOINT"):
        words = entry.json_words
        if words and (
            not words[0].strip() or (is_python(words[0]) and len(words) == 2 and not words[1].strip())
        ):
            yield Spot(
                start=entry.start,
                message=f"{entry.keyword} starts with an empty word, and so nothing can start",
            )


@rule(
    "LDD034", "WORKDIR in a kernel file system", Kind.DOCKERFILE, Severity.ERROR, "CVE-2024-21626",
)  # fmt: skip
def kernel_folder(document: Dockerfile) -> Iterator[Spot]:
    """/proc, /sys and /dev are the kernel's: nothing is kept there, and runc before 1.1.12 let
    `WORKDIR /proc/self/fd/N` out of the container.

    Bad:

        WORKDIR /proc/self/fd/8

    Good:

        WORKDIR /app
    """
    for entry in document.instructions:
        if entry.keyword != "WORKDIR":
            continue
        for path in (word.value for word in entry.words[:1]):
            top = normpath(path).lstrip("/").split("/")[0] if path.startswith("/") else ""
            if top in {"proc", "sys", "dev"}:
                yield Spot(
                    start=entry.start, message=f"{entry.keyword} {path} lies in a file system of the kernel"
                )


@rule(
    "LDD037", "TorchServe is no longer maintained", Kind.DOCKERFILE, Severity.WARNING, "pytorch/serve#3396",
)  # fmt: skip
def torchserve(document: Dockerfile) -> Iterator[Spot]:
    """Its README says so since 2025: no planned updates, bug fixes, features or security patches.

    Bad:

        FROM pytorch/torchserve:0.12.0-cpu

    Good:

        RUN pip install litserve
    """
    for stage in document.stages:
        if stage.image and image_name(stage.image)[0] == "pytorch/torchserve":
            yield Spot(start=stage.origin.start, message="pytorch/torchserve gets no fixes any more")
        for run in run_commands(stage):
            for install in pip_installs(run):
                if install.name == "torchserve":
                    yield Spot(start=install.offset, message="torchserve gets no fixes any more")


@rule(
    "LDD040", "A tag that moves", Kind.DOCKERFILE, Severity.WARNING,
    "hub.docker.com: such a tag names another image after each release",
)  # fmt: skip
def floating_tag(document: Dockerfile) -> Iterator[Spot]:
    """`latest-gpu` or `nightly` is another image next week: the build that worked cannot be made again.
    `latest` itself is hadolint's DL3007.

    Bad:

        FROM tensorflow/tensorflow:latest-gpu

    Good:

        FROM tensorflow/tensorflow:2.19.0-gpu
    """
    for stage in document.stages:
        if stage.image and "@" not in stage.image and image_name(stage.image)[1] in _FLOATING:
            yield Spot(
                start=stage.origin.start, message=f"{stage.image} names another image after each release"
            )
