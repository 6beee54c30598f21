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
    r"$|[$<{\[%]|.*(?:your|change|replace|example|dummy|placeholder|xxx|\*\*\*|\.\.\.|test|fake|none|null|token|key|here|empty|require|todo|secret|password)",
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


_CREDENTIAL_NAME = re.compile(
    r"(?:.*_)?(?:TOKEN|PASSWORD|PASSWD|SECRET|CREDENTIALS?|API_?KEY|(?:SECRET|ACCESS|PRIVATE)_KEY)(?:_ID)?",
    re.IGNORECASE,
)
_OF_A_TOKENIZER = re.compile(
    r"(?:.*_)?(?:BOS|EOS|PAD|UNK|SEP|CLS|MASK|STOP|START|END|SPECIAL|IMAGE)_TOKEN", re.IGNORECASE
)
_NO_CREDENTIAL = re.compile(
    r"[<\[%|]|.*(?:[\s$*{}<>]|\.\.\.|://|xxx|your|change|replace|example|sample|dummy|placeholder|test|fake|none|null"
    r"|here|empty|require|todo|insert|insecure|default|demo|local|build|dev)|[a-z][a-z+._-]*:|[/~.]|projects/",
    re.IGNORECASE,
)
"""Placeholders, references to where a credential is kept, paths."""
_NAME_OF_ONE = re.compile(r"(?:[a-z]+|v?\d+)(?:[-_](?:[a-z]+|v?\d+))+", re.IGNORECASE)
"""Words and versions, `app-v1-secret`: what a store of secrets calls it."""
_USUAL_WORDS = re.compile(
    r"password|passwd|pass|secret|token|api|key|admin|minio|postgres|mysql|redis|root|user|guest|my|pwd",
    re.IGNORECASE,
)


def secret_variable(name: str) -> bool:
    return name in _VARIABLES


def named_credential(name: str) -> bool:
    """Whether a variable of that name is one whose value nobody writes down."""
    return secret_variable(name) or _CREDENTIAL_NAME.fullmatch(name) is not None


def is_credential(name: str, value: str) -> bool:
    """A secret value, or under a credential's name one that mixes letters and digits. A word with a number
    behind it (`password123`, `airflow2024`) stands in for what is set later.
    """
    if is_secret_value(name, value):
        return True
    if not named_credential(name) or _OF_A_TOKENIZER.fullmatch(name) or _NOT_THE_SECRET.search(name):
        return False
    if len(value) < 8 or _NO_CREDENTIAL.match(value):
        return False
    runs = re.findall("[A-Za-z]+|[0-9]+", re.sub("[^A-Za-z0-9]", "", value))
    return len(runs) >= 3 and len(_USUAL_WORDS.sub("", value)) >= 6 and not _NAME_OF_ONE.fullmatch(value)


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
