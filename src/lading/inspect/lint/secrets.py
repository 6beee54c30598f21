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


_SECRET_WORDS = re.compile(
    r"(?:^|[_.-])(?:password|passwd|pword|secret|token|api_?key|access_?key|private_?key|credentials?)(?:$|[_.-])",
    re.IGNORECASE,
)
_NOT_THE_SECRET = re.compile(
    r"(?:file|path|dir|url|uri|name|id|env|type|version|ttl|length|size|limit|count|public.*|header|expiry|enabled"
    r"|parallelism|sha\d*|endpoint)s?$",
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


def secret_name(name: str) -> bool:
    """Whether a variable or label of this name holds a secret, as far as a name can tell."""
    return _SECRET_WORDS.search(name) is not None and _NOT_THE_SECRET.search(name) is None


def looks_secret(value: str) -> bool:
    """Whether the value under such a name is one: no placeholder, path, number or plain word."""
    if (
        len(value) < 8
        or _PLACEHOLDER.match(value) is not None
        or value.startswith(("/", "~", "http:", "https:"))
    ):
        return False
    kinds = sum(bool(re.search(form, value)) for form in ("[a-z]", "[A-Z]", "[0-9]", "[^A-Za-z0-9]"))
    return kinds >= 2 and not re.fullmatch(r"[0-9.,:_-]+|[a-z]+(?:[-_. ][a-z]+)*", value)
