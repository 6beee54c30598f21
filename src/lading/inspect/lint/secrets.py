"""Which values are credentials: tokens of known form, and what ML services' variables hold. Pure."""

from __future__ import annotations

import re

from lading.project.tokens import token_in

_VARIABLES = frozenset(
    """
    HF_TOKEN HUGGING_FACE_HUB_TOKEN HUGGINGFACE_TOKEN HUGGINGFACEHUB_API_TOKEN WANDB_API_KEY KAGGLE_KEY
    OPENAI_API_KEY ANTHROPIC_API_KEY AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN MLFLOW_TRACKING_PASSWORD
    MLFLOW_TRACKING_TOKEN COMET_API_KEY NEPTUNE_API_TOKEN CLEARML_API_SECRET_KEY NGC_API_KEY
    """.split()  # noqa: SIM905 one text: these are not variables that lading reads
)
_PLACEHOLDER = re.compile(
    r"$|[$<{\[%]|.*(?:your|change|replace|example|dummy|placeholder|xxx|\*\*\*|\.\.\.|test|fake|none|null|token|key|here|empty|todo|secret|password)",
    re.IGNORECASE,
)


def secret_variable(name: str) -> bool:
    return name in _VARIABLES


def is_secret_value(name: str, value: str) -> bool:
    """A token of known form under any name, or a value of eight characters or more in a service's
    variable.
    """
    if token_in(value.encode("utf-8", "surrogatepass")):
        return True
    return secret_variable(name) and len(value) >= 8 and _PLACEHOLDER.match(value) is None
