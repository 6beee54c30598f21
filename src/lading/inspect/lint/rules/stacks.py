"""Rules about what is in an image that starts something else. They ask for requirements files."""

from __future__ import annotations

from collections.abc import Iterator

from lading.inspect.lint.dockerfile import Dockerfile
from lading.inspect.lint.model import Severity, Spot
from lading.inspect.lint.rule import Kind, rule
from lading.inspect.lint.rules.context import packages, requirement_files, requirement_names
from lading.inspect.lint.rules.scripts import RunCommand, final_stage, pip_installs, run_commands
from lading.inspect.lint.rules.stages import NO_SETTINGS, Start, base_name, start
from lading.inspect.lint.surroundings import Surroundings

_DEVELOPMENT = frozenset(
    {
        "jupyter", "jupyterlab", "notebook", "pytest", "pytest-cov", "debugpy", "ipdb", "pudb", "black",
        "ruff",
        "flake8", "mypy", "pylint", "pre-commit", "isort"
    }
)  # fmt: skip
_NAMED_FOR_DEVELOPMENT = (
    "dev",
    "test",
    "debug",
    "notebook",
    "jupyter",
    "lab",
    "local",
    "ci",
    "lint",
    "research",
)
_COMPILERS = frozenset(
    {"build-essential", "gcc", "g++", "cmake", "ninja-build", "clang", "gfortran", "make", "gcc-multilib"}
)
_COMPILE_LATER = frozenset(
    {
        "torch", "vllm", "sglang", "deepspeed", "triton", "flash-attn", "xformers", "cupy", "numba", "jax",
        "tensorflow", "pymc", "pytensor", "theano", "pystan", "cmdstanpy", "prophet", "tilelang", "cffi",
        "flashinfer-python", "bitsandbytes", "cython", "torchao", "unsloth", "litellm"
    }
)  # fmt: skip
_TRAINING = frozenset(
    {"pytorch-lightning", "lightning", "deepspeed", "horovod", "optuna", "wandb", "tensorboard", "hydra-core"}
)
_APT = frozenset({"apt-get", "apt", "aptitude"})


@rule(
    "LDD024", "Tools of development in what is started", Kind.DOCKERFILE, Severity.WARNING,
    "docs.docker.com/build/building/best-practices: don't install unnecessary packages", looks_around=True,
)  # fmt: skip
def development_tools(document: Dockerfile, around: Surroundings) -> Iterator[Spot]:
    """Notebooks, test runners and debuggers bring dozens of packages, each to be patched, and a shell for
    whoever gets in. Said of an image that starts a server or a script, and not of one that is named for
    development.

    Bad:

        RUN pip install fastapi pytest jupyterlab
        CMD ["uvicorn", "app:app"]

    Good:

        RUN pip install fastapi
        CMD ["uvicorn", "app:app"]
    """
    found, stage = start(document), final_stage(document)
    if found is None or not _is_production(found) or _is_for_development(stage.name, around.name):
        return
    for member in document.ancestry(stage):
        if _is_for_development(member.name, ""):
            continue
        for run in run_commands(member):
            tools = [install for install in pip_installs(run) if install.name in _DEVELOPMENT]
            if tools:
                names = ", ".join(sorted({tool.name for tool in tools}))
                yield Spot(
                    start=tools[0].offset,
                    message=f"{names} in an image that starts {found.program}: install them in a stage of "
                    f"their own",
                )


def _is_production(found: Start) -> bool:
    return found.serves or (found.program == "python" and "test" not in found.words[0].lower())


def _is_for_development(*names: str | None) -> bool:
    words = {
        word for name in names if name for word in name.lower().replace("_", "-").replace(".", "-").split("-")
    }
    return bool(words & set(_NAMED_FOR_DEVELOPMENT))


@rule(
    "LDD025", "Compilers in the final image", Kind.DOCKERFILE, Severity.WARNING,
    "docs.docker.com/build/building/multi-stage", looks_around=True,
)  # fmt: skip
def left_compilers(document: Dockerfile, around: Surroundings) -> Iterator[Spot]:
    """A compiler is hundreds of megabytes that a server never calls, and the first thing an intruder asks
    for. Said of an image that starts a Python server and where every package is known: one that may compile
    when it runs (torch, numba, vllm …) or comes from a file that is not beside the Dockerfile keeps the
    rule silent.

    Bad:

        FROM python:3.12-slim
        RUN apt-get update && apt-get install -y build-essential
        RUN pip install lightgbm uvicorn
        CMD ["uvicorn", "app:app"]

    Good:

        FROM python:3.12 AS build
        RUN pip wheel -w /wheels lightgbm uvicorn
        FROM python:3.12-slim
        RUN --mount=type=bind,from=build,source=/wheels,target=/wheels pip install /wheels/*.whl
        CMD ["uvicorn", "app:app"]
    """
    found, stage = start(document), final_stage(document)
    if found is None or not found.serves or base_name(document, stage)[0] not in NO_SETTINGS:
        return
    held = packages(document, stage, around)
    if not held.complete or held.names & _COMPILE_LATER:
        return
    for member in document.ancestry(stage):
        commands = list(run_commands(member))
        removed = {word for run in commands for word in run.values if _removes(run)}
        if (
            any(run.values[1:2] == ("autoremove",) or "autoremove" in run.values for run in commands)
            and removed
        ):
            continue
        for run in commands:
            left = [word for word in _apt_packages(run) if word in _COMPILERS and word not in removed]
            if left:
                yield Spot(
                    start=run.offset,
                    message=f"{', '.join(left)} stay in an image that starts {found.program}: "
                    "compile in a stage before",
                )


def _apt_packages(run: RunCommand) -> list[str]:
    if run.values[0] not in _APT or "install" not in run.values:
        return []
    words = run.values[run.values.index("install") + 1 :]
    return [word.partition("=")[0].partition(":")[0] for word in words if not word.startswith("-")]


def _removes(run: RunCommand) -> bool:
    return run.values[0] in _APT and bool({"purge", "remove", "autoremove"} & set(run.values))


@rule(
    "LDD026", "Training and serving in one image", Kind.DOCKERFILE, Severity.INFO,
    "docs.docker.com/build/building/best-practices: decouple applications", looks_around=True,
)  # fmt: skip
def two_stacks(document: Dockerfile, around: Surroundings) -> Iterator[Spot]:
    """What training needs is most of the image, and a server loads none of it: it starts later on a new
    machine and has more to patch. Two targets of one Dockerfile share what they have in common.

    Bad:

        RUN pip install optuna wandb uvicorn fastapi
        CMD ["uvicorn", "app:app"]

    Good:

        FROM base AS serve
        RUN pip install uvicorn fastapi
        CMD ["uvicorn", "app:app"]
    """
    found, stage = start(document), final_stage(document)
    if found is None or not found.serves:
        return
    for member in document.ancestry(stage):
        for run in run_commands(member):
            names = {install.name: install.offset for install in pip_installs(run)}
            for file in requirement_files(document, member, around):
                if file.run == run:
                    listed = requirement_names(file.text) if file.text is not None else None
                    names.update(dict.fromkeys(listed or (), run.offset))
            training = sorted(_TRAINING & names.keys())
            if training:
                yield Spot(
                    start=names[training[0]],
                    message=f"{', '.join(training)} belong to training, and the image serves: give each "
                    f"its target",
                )
