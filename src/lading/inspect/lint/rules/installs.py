"""Rules about what pip and conda put into a Dockerfile's image. Pure but for the files they ask for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from lading.inspect.lint.dockerfile import Dockerfile, Stage
from lading.inspect.lint.model import Edit, Severity, Spot
from lading.inspect.lint.rule import Kind, rule
from lading.inspect.lint.rules.context import requirement_files, requirement_lines
from lading.inspect.lint.rules.scripts import (
    RunCommand,
    final_stage,
    has_option,
    pip_arguments,
    pip_installs,
    run_commands,
)
from lading.inspect.lint.rules.stages import settings
from lading.inspect.lint.surroundings import Surroundings

_TORCH_FAMILY = frozenset({"torch", "torchvision", "torchaudio"})
_CPU_WORD = re.compile(r"(?:^|[._-])cpu(?:$|[._-])", re.IGNORECASE)
_CPU_PACKAGES = frozenset({"tensorflow-cpu", "faiss-cpu", "intel-extension-for-pytorch", "dgl-cpu"})
_INDEX_OPTIONS = (
    "-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--index", "--default-index",
    "--torch-backend", "--no-index", "--no-deps",
)  # fmt: skip
_INDEX_VARIABLES = re.compile(r"(?:PIP|UV)_\w*(?:INDEX|FIND_LINKS|TORCH_BACKEND|CONFIG_FILE|CONSTRAINT)\w*")
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
_PUBLIC_INDEXES = frozenset(
    {
        "pypi.org", "download.pytorch.org", "pypi.nvidia.com", "pypi.ngc.nvidia.com", "data.pyg.org",
        "developer.download.nvidia.com", "pytorch-extension.intel.com", "wheels.vllm.ai", "flashinfer.ai",
        "abetlen.github.io", "storage.googleapis.com", "data.dgl.ai", "test.pypi.org"
    }
)  # fmt: skip
"""Their packages' names are taken on the default index too, or are their owner's there."""
_CONDAS = frozenset({"conda", "mamba", "micromamba"})


@rule(
    "LDD003", "torch with CUDA in an image for the CPU", Kind.DOCKERFILE, Severity.WARNING,
    "METADATA of torch 2.1 and later: it requires the nvidia packages on x86-64 Linux",
    mends=True, looks_around=True,
)  # fmt: skip
def cuda_torch_on_cpu(document: Dockerfile, around: Surroundings) -> Iterator[Spot]:
    """torch from the default index brings the CUDA libraries: two and a half gigabytes that an image for the
    CPU never reads. An image is for the CPU when its file or stage is named so (`Dockerfile.cpu`), it hides
    every GPU, or it installs a package that exists for the CPU alone, such as `faiss-cpu`.

    Bad:

        FROM python:3.12-slim AS cpu
        RUN pip install torch==2.6.0

    Good:

        FROM python:3.12-slim AS cpu
        RUN pip install --index-url https://download.pytorch.org/whl/cpu torch==2.6.0

    The mend adds the index, where the command installs torch, torchvision and torchaudio alone.
    """
    stage = final_stage(document)
    if _sets_index(document) or not _is_for_cpu(document, stage, around.name):
        return
    if any("arm64" in flag.text for flag in stage.origin.flags):
        return
    for member in document.ancestry(stage):
        for run in run_commands(member):
            installs = list(pip_installs(run))
            torch = next((install for install in installs if install.name == "torch"), None)
            if torch is None or has_option(run, *_INDEX_OPTIONS) or not _has_cuda(torch.version):
                continue
            edits: tuple[Edit, ...] = ()
            if {install.name for install in installs} <= _TORCH_FAMILY and not has_option(run, "-r", "-c"):
                at = installs[0].offset
                quoted = document.text[at - 1] in "\"'" if at else False
                at -= quoted
                edits = (Edit(start=at, end=at, text=f"--index-url {CPU_INDEX} "),)
            yield Spot(
                start=torch.offset,
                message=f"torch brings CUDA's libraries into an image for the CPU: use --index-url "
                f"{CPU_INDEX}",
                edits=edits,
            )


def _sets_index(document: Dockerfile) -> bool:
    """Whether pip's index is set by a variable, a file, or a word the command does not show."""
    return any(
        _INDEX_VARIABLES.search(entry.text) or "pip.conf" in entry.text or "pip config" in entry.text
        for entry in document.instructions
    )


def _is_for_cpu(document: Dockerfile, stage: Stage, name: str) -> bool:
    if _CPU_WORD.search(name) or (stage.name and _CPU_WORD.search(stage.name)):
        return True
    hidden = settings(document, stage).get("CUDA_VISIBLE_DEVICES")
    if hidden is not None and hidden[0].value in {"", "-1"}:
        return True
    return any(
        install.name in _CPU_PACKAGES
        for member in document.ancestry(stage)
        for run in run_commands(member)
        for install in pip_installs(run)
    )


def _has_cuda(version: str) -> bool:
    """Whether the wheel that the version text names brings CUDA: from 2.1 on, unless it says otherwise."""
    match = re.match(r"[=~><]=?=?\s*(\d+)\.(\d+)", version)
    if "+" in version or "@" in version or version.startswith("<"):
        return False
    return match is None or (int(match[1]), int(match[2])) >= (2, 1) or version.startswith(">")


@rule(
    "LDD011", "Requirements that are not pinned", Kind.DOCKERFILE, Severity.WARNING,
    "pip.pypa.io/en/stable/topics/repeatable-installs", looks_around=True,
)  # fmt: skip
def loose_requirements(document: Dockerfile, around: Surroundings) -> Iterator[Spot]:
    """Another version of one dependency next week, and the image that worked cannot be built again. Said when
    the requirements file lies beside the Dockerfile and a line of it has no exact version; silent with a
    constraints file.

    Bad:

        torch>=2.2
        numpy

    Good: `uv pip compile --generate-hashes requirements.in -o requirements.txt` wrote

        numpy==2.2.1 --hash=sha256:…
    """
    constrained = any(
        re.search(r"PIP_CONSTRAINT|UV_CONSTRAINT", entry.text) for entry in document.instructions
    )
    for stage in document.stages:
        for file in requirement_files(document, stage, around):
            if file.text is None or constrained or has_option(file.run, "-c", "--constraint", "--no-deps"):
                continue
            if re.search(r"^\s*(?:-c|--constraint)\b", file.text, re.MULTILINE):
                continue
            loose = [entry.name for entry in requirement_lines(file.text) if entry and not _is_exact(entry)]
            if loose:
                more = f" and {len(loose) - 1} more" if len(loose) > 1 else ""
                yield Spot(
                    start=file.run.offset,
                    message=f"{file.path} does not pin {loose[0]}{more}: "
                    f"uv pip compile --generate-hashes, and install what it writes",
                )


def _is_exact(requirement: object) -> bool:
    text = str(requirement)
    specifiers = getattr(requirement, "specifier", ())
    return "@" in text.partition(";")[0] or any(
        part.operator in {"==", "==="} and not part.version.endswith("*") for part in specifiers
    )


@rule(
    "LDD027", "conda's downloads stay in the layer", Kind.DOCKERFILE, Severity.WARNING,
    "docs.conda.io: conda clean; what a later RUN removes stays in the layer below", mends=True,
)  # fmt: skip
def conda_leftovers(document: Dockerfile) -> Iterator[Spot]:
    """conda keeps every archive it downloaded and a second copy of what it unpacked, often gigabytes. Only
    the same RUN can take them out of the layer.

    Bad:

        RUN conda install -y pytorch

    Good:

        RUN conda install -y pytorch && conda clean -afy

    The mend adds `&& conda clean -afy`, where the RUN is one plain command.
    """
    for stage in document.ancestry(final_stage(document)):
        by_entry: dict[int, list[RunCommand]] = {}
        for run in run_commands(stage):
            by_entry.setdefault(id(run.instruction), []).append(run)
        for commands in by_entry.values():
            installs = [run for run in commands if _conda_installs(run.values)]
            entry = commands[0].instruction
            if not installs or any(_conda_cleans(run.values) for run in commands):
                continue
            if any("type=cache" in flag.text for flag in entry.flags) or re.search(
                r"rm\s+-\w*r\w*\s[^&;]*pkgs|CONDA_PKGS_DIRS", entry.text
            ):
                continue
            program = installs[0].values[0].rpartition("/")[2]
            clean = "micromamba clean --all --yes" if program == "micromamba" else "conda clean -afy"
            edits: tuple[Edit, ...] = ()
            body = entry.body.rstrip()
            if len(commands) == 1 and not entry.heredocs and not set(body) & set(";|#&<>()"):
                at = entry.offset(entry.body_start + len(body) - 1) + 1
                edits = (Edit(start=at, end=at, text=f" && {clean}"),)
            yield Spot(
                start=installs[0].offset,
                message=f"what {program} downloaded stays in the layer: end the RUN with `&& {clean}`",
                edits=edits,
            )


def _conda_installs(values: tuple[str, ...]) -> bool:
    words = [word for word in values[1:] if not word.startswith("-")]
    return values[0].rpartition("/")[2] in _CONDAS and (
        words[:1] in (["install"], ["create"], ["update"])
        or words[:2] in (["env", "create"], ["env", "update"])
    )


def _conda_cleans(values: tuple[str, ...]) -> bool:
    return values[0].rpartition("/")[2] in _CONDAS and "clean" in values[1:]


@rule(
    "LDD035", "A second index without hashes", Kind.DOCKERFILE, Severity.WARNING,
    "pip's documentation of --extra-index-url: unsafe; the torchtriton packages of December 2022",
)  # fmt: skip
def second_index(document: Dockerfile) -> Iterator[Spot]:
    """pip takes the highest version from any index: who puts a package of your private name on the public one
    runs code in your build. Said of `--extra-index-url` with an index that is not a well-known public one;
    silent with --require-hashes, and for uv, which keeps to the first index that has the name.

    Bad:

        RUN pip install --extra-index-url https://pypi.acme.example/simple acme-features

    Good:

        RUN pip install --index-url https://pypi.acme.example/simple acme-features
    """
    for stage in document.stages:
        for run in run_commands(stage):
            begin = pip_arguments(run.values)
            if begin is None or run.values[0] == "uv" or has_option(run, "--require-hashes", "--no-deps"):
                continue
            for at, word in enumerate(run.values):
                name, equals, url = word.partition("=")
                if name != "--extra-index-url":
                    continue
                url = url if equals else " ".join(run.values[at + 1 : at + 2])
                host = urlsplit(url).hostname if "$" not in url else None
                if host and not any(host == known or host.endswith(f".{known}") for known in _PUBLIC_INDEXES):
                    place = run.command.words[at].start - run.command.start + run.offset
                    yield Spot(
                        start=place,
                        message=f"a package of the same name on the public index can replace one of {host}: "
                        "use --index-url, or --require-hashes",
                    )
