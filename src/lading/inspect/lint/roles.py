"""What a container, a stage or a file is for: it trains, serves, or is for developers. Pure.

Rules ask for the role where a thing is right for one and wrong for another: a notebook needs no drain, a
training job no probes. What nothing tells has no role, and such rules are silent about it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum


class Role(Enum):
    """`RELEASE` is said of what leaves the team: it goes together with another role."""

    TRAIN = "train"
    SERVE = "serve"
    DEV = "dev"
    RELEASE = "release"


_NAMES = {
    Role.TRAIN: frozenset({"train", "trainer", "training", "finetune"}),
    Role.SERVE: frozenset({"serve", "server", "serving", "inference", "predict", "predictor"}),
    Role.DEV: frozenset(
        """
        dev develop development devel test tests testing lint ci docs doc build notebook notebooks jupyter
        """.split()  # noqa: SIM905
    ),
    Role.RELEASE: frozenset({"release", "prod", "production"}),
}
_TRAINERS = frozenset({"torchrun", "deepspeed", "horovodrun", "colossalai", "accelerate", "axolotl"})
_TRAINING_MODULES = frozenset(
    {"torch.distributed.run", "torch.distributed.launch", "accelerate.commands.launch"}
)
_TRAINING_SCRIPT = re.compile(
    r"(?:pre_?)?train(?:er|ing)?|(?:pre_?)?train(?:er|ing)?_\w+|\w+_train|fine_?tun(?:e|ing)(?:_\w+)?|run_(?:clm|mlm|sft)"
)
_SERVERS = frozenset(
    """
    uvicorn gunicorn hypercorn tritonserver tensorflow_model_server text-generation-launcher
    text-embeddings-router torchserve mlserver bentoml
    """.split()  # noqa: SIM905
)
_SERVER_MODULES = frozenset(
    {"uvicorn", "gunicorn", "hypercorn", "vllm.entrypoints.openai.api_server", "sglang.launch_server"}
)
_NOTEBOOKS = frozenset(
    {"jupyter", "jupyter-lab", "jupyter-notebook", "start-notebook.sh", "start-notebook.py", "code-server"}
)
_SERVER_IMAGES = frozenset(
    """
    vllm/vllm-openai huggingface/text-generation-inference huggingface/text-embeddings-inference
    lmsysorg/sglang tensorflow/serving nvidia/tritonserver pytorch/torchserve
    """.split()  # noqa: SIM905
)
_LARGE_MODEL = frozenset({"vllm/vllm-openai", "huggingface/text-generation-inference", "lmsysorg/sglang"})


def roles_of_name(name: str) -> frozenset[Role]:
    """Of a stage or a file, by a word in its name: `Dockerfile.dev`, `serve`, `requirements-train.txt`."""
    words = set(re.split(r"[^a-z0-9]+", name.lower()))
    return frozenset(role for role, known in _NAMES.items() if words & known)


def is_for_developers(folder: str) -> bool:
    """Whether a folder's whole name says it: `docs`, `tests`, `ci`."""
    return folder.lower() in _NAMES[Role.DEV]


def role_of_command(words: Sequence[str]) -> Role | None:
    """Of one command: the program, or what Python is to run."""
    words = list(words)
    if not words:
        return None
    program, rest = words[0].rpartition("/")[2], words[1:]
    if program in {"exec", "tini", "dumb-init", "nohup"} and rest:
        return role_of_command([word for word in rest if word != "--"])
    if program in {"uv", "poetry", "conda", "micromamba"} and rest[:1] == ["run"]:
        return role_of_command(rest[1:])
    if program in _TRAINERS and (program != "accelerate" or "launch" in rest):
        return Role.TRAIN
    if program in _SERVERS or (program in {"vllm", "ollama"} and "serve" in rest[:1]):
        return Role.SERVE
    if program == "mlflow" and rest[:2] == ["models", "serve"]:
        return Role.SERVE
    if program in _NOTEBOOKS or program == "tensorboard":
        return Role.DEV
    if program in {"mpirun", "mpiexec"}:
        return Role.TRAIN if any(_is_training(word) for word in rest) else None
    if re.fullmatch(r"python(?:3(?:\.\d+)?)?", program):
        return _role_of_python(rest)
    return Role.TRAIN if program.endswith(".py") and _is_training(program) else None


def _role_of_python(words: list[str]) -> Role | None:
    while words and words[0].startswith("-") and words[0] not in {"-m", "-c"}:
        words = words[1:]
    if not words or words[0] == "-c":
        return None
    if words[0] == "-m":
        module = words[1] if len(words) > 1 else ""
        if module in _SERVER_MODULES:
            return Role.SERVE
        if module in {"notebook", "jupyterlab", "jupyter", "tensorboard.main"}:
            return Role.DEV
        known = module in _TRAINING_MODULES or _TRAINING_SCRIPT.fullmatch(module.rpartition(".")[2])
        return Role.TRAIN if known else None
    return Role.TRAIN if _is_training(words[0]) else None


def _is_training(word: str) -> bool:
    name = word.rpartition("/")[2]
    return name.endswith(".py") and _TRAINING_SCRIPT.fullmatch(name.removesuffix(".py")) is not None


def plain_image(image: str) -> str:
    """The last two parts of a repository, without registry, tag and digest: `vllm/vllm-openai`."""
    repository = image.partition("@")[0]
    head, colon, tag = repository.rpartition(":")
    if colon and "/" not in tag:
        repository = head
    return "/".join(repository.split("/")[-2:])


def role_of_image(image: str) -> Role | None:
    """Of images that everyone uses for one thing."""
    name = plain_image(image)
    if name in _SERVER_IMAGES:
        return Role.SERVE
    return Role.DEV if name.startswith(("jupyter/", "kubeflownotebookswg/")) else None


def serves_large_models(image: str, words: Sequence[str]) -> bool:
    """Whether a known server of language models starts, which reads gigabytes before it answers."""
    if plain_image(image) in _LARGE_MODEL:
        return True
    started = " ".join(words[:4])
    return role_of_command(words) is Role.SERVE and any(
        name in started
        for name in (
            "vllm serve",
            "vllm.entrypoints.openai",
            "sglang.launch_server",
            "text-generation-launcher",
        )
    )
