"""Takes secrets and persons out of text before it leaves the machine. Pure.

Two nets: values that are known to be secret, in every form in which programs print them; and forms in which
anybody's secrets appear (headers, URLs, assignments, tokens, keys, netrc). It would rather take a harmless
word than leave a secret. Knows no file and no environment.
"""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote, quote_plus, unquote

from lading.project.tokens import FORMATS

MARK = "[redacted]"
IS_SET = "[set]"
"""What stands for a variable whose value is nobody's business."""
_SHORTEST_ANYWHERE = 4
"""A shorter secret is taken out only as a whole word: in the middle of words it would be everywhere."""
_SHORTEST_ENCODED = 6
_SECRET_WORDS = (
    r"secret|passwo?r?d|passphrase|pwd|api[_.-]?key|apikey|access[_.-]?key|private[_.-]?key|account[_.-]?key"
    r"|credentials?|token(?!s\b|s[_-]|iz)|auth(?!or)|signature|session[_.-]?id|cookie|bearer"
)
_VALUE = r"""(?:"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[^\s,;&"'<>})\]]+)"""
NOT_SECRET_VALUES = frozenset({"", "0", "1", "true", "false", "yes", "no", "on", "off", "none", "null"})
_ENVIRONMENT_NAME = re.compile(
    r"(?:^|_)(?:TOKENS?|SECRETS?|PASS(?:WORD|WD|PHRASE)?|PWD|KEYS?|APIKEY|CREDENTIALS?|CREDS|AUTH|PAT|COOKIE|DSN|SAS"
    r"|SIGNATURE|PRIVATE|LICENSE)(?:_|$)"
)
_HARMLESS_NAMES = frozenset({"PWD", "OLDPWD"})

_FORMS: tuple[tuple[str, re.Pattern[str], str], ...] = (
    (
        "private keys",
        re.compile(
            r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?"
            r"(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)",
            re.DOTALL,
        ),
        MARK,
    ),
    (
        "private keys",
        re.compile(
            r"(?:[A-Za-z0-9+/=]{16,}\s+)*[A-Za-z0-9+/=]+\s+-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
        ),
        MARK,
    ),
    (
        "headers",
        re.compile(
            r"""((?:proxy-)?authorization|x-[\w-]*(?:key|token|auth|secret)[\w-]*|private-token|(?:set-)?cookie)"""
            r"""(["']?\s*[:=]\s*)(?:"[^"\n]*"|'[^'\n]*'|[^\n]*)""",
            re.IGNORECASE,
        ),
        rf"\1\2{MARK}",
    ),
    (
        "headers",
        re.compile(r"\b(Bearer|Basic|Token|Negotiate|Digest) +[A-Za-z0-9._~+/=:-]{6,}"),
        rf"\1 {MARK}",
    ),
    ("passwords in URLs", re.compile(r"(?<=://)[^/\s\"'<>]*@"), f"{MARK}@"),
    (
        "parameters of URLs",
        re.compile(
            rf"([?&](?:[\w.%-]*(?:{_SECRET_WORDS})[\w.%-]*|sig|key|code|x-(?:amz|goog)-[\w-]+|sv|se|jwt)=)[^&\s\"'<>]*",
            re.IGNORECASE,
        ),
        rf"\1{MARK}",
    ),
    (
        "options",
        re.compile(rf"(--?[\w-]*(?:{_SECRET_WORDS})[\w-]*[ =]+){_VALUE}", re.IGNORECASE),
        rf"\1{MARK}",
    ),
    ("options", re.compile(r"((?:curl|wget|http)\b[^\n]*?\s(?:-u|--user)[ =]?)\S+"), rf"\1{MARK}"),
    (
        "assignments",
        re.compile(
            rf"""((?<![A-Za-z0-9])[\w.-]*(?:{_SECRET_WORDS})[\w.-]*\\?["']?\]?\s*(?::=|=>|[:=])\s*\\?)(?![\[{{]){_VALUE}""",
            re.IGNORECASE,
        ),
        rf"\1{MARK}",
    ),
    ("netrc", re.compile(r"(\blogin\s+\S+\s+password\s+)\S+", re.IGNORECASE), rf"\1{MARK}"),
    (
        "netrc",
        re.compile(r"^(\s*(?:password|account)\s+)\S+\s*$", re.IGNORECASE | re.MULTILINE),
        rf"\1{MARK}",
    ),
    ("tokens", re.compile(r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)?"), MARK),
    (
        "tokens",
        re.compile(
            r"\b(?:hf_|gh[pousr]_|github_pat_|glpat-|sk-|sk_live_|sk_test_|rk_live_|xox[abeoprs]-|npm_|pypi-|dckr_pat_"
            r"|AKIA|ASIA|AIza|ya29\.|r8_|nvapi-|wandb_v1_|dop_v1_|glsa_|AGE-SECRET-KEY-1|hvs\.|s3cr3t-)[A-Za-z0-9_.-]{8,}"
        ),
        MARK,
    ),
)
_MAIL = re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b")
_HOMES = re.compile(r"(/home/|/Users/|/export/home/)[^/\s:\"']+")
_COMMON_NAMES = frozenset(
    {"root", "user", "ubuntu", "debian", "lading", "nobody", "runner", "admin", "app", "home"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Redacted:
    text: str
    counts: Mapping[str, int]
    """What was taken out, by kind."""


@dataclass(frozen=True, kw_only=True)
class Redactor:
    """What is known of this machine and its user; `text` and `document` take it out."""

    secrets: tuple[str, ...] = ()
    homes: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()

    def text(self, text: str) -> Redacted:
        counts: Counter[str] = Counter()
        for kind, pattern, replacement in self._patterns:
            text, count = pattern.subn(replacement, text)
            counts[kind] += count
        return Redacted(text=text, counts={kind: count for kind, count in sorted(counts.items()) if count})

    def document(self, value: Any) -> Any:
        """`value` with every text in it redacted: escapes of JSON could hide a secret from the whole."""
        if isinstance(value, str):
            return self.text(value).text
        if isinstance(value, Mapping):
            return {self.text(str(key)).text: self._member(str(key), inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.document(inner) for inner in value]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value if self.text(str(value)).text == str(value) else MARK
        return value

    def _member(self, key: str, value: Any) -> Any:
        if isinstance(value, str) and is_secret_name(key) and value.lower() not in NOT_SECRET_VALUES:
            return value if value == IS_SET else MARK
        return self.document(value)

    def without_known(self, text: str) -> str:
        """Known secrets alone are taken out, as of words of our own: a secret may be one of them."""
        for pattern in self._known:
            text = pattern.sub(MARK, text)
        return text

    def leaks(self, content: bytes) -> bool:
        """Whether a known secret is still in `content`, in any form: what must never be."""
        return any(pattern.search(content.decode("utf-8", "replace")) for pattern in self._known)

    @cached_property
    def _known(self) -> tuple[re.Pattern[str], ...]:
        forms = sorted(
            {form for secret in self.secrets for form in secret_forms(secret)}, key=len, reverse=True
        )
        long = [re.escape(form) for form in forms if len(form) >= _SHORTEST_ANYWHERE]
        short = [rf"(?<!\w){re.escape(form)}(?!\w)" for form in forms if 0 < len(form) < _SHORTEST_ANYWHERE]
        return (re.compile("|".join((*long, *short))),) if forms else ()

    @cached_property
    def _patterns(self) -> tuple[tuple[str, re.Pattern[str], str], ...]:
        found = [("known secrets", pattern, MARK) for pattern in self._known]
        found += _FORMS
        found += [
            ("tokens", re.compile(token.form.decode(), re.DOTALL if token.flags else 0), MARK)
            for token in FORMATS
        ]
        for home in sorted(filter(_is_telling, self.homes), key=len, reverse=True):
            found.append(("home folders", re.compile(rf"{re.escape(home)}(?![\w.-])"), "~"))
        found.append(("home folders", _HOMES, r"\1[user]"))
        found.append(("mail addresses", _MAIL, "[address]"))
        for kind, names, mark in (("user names", self.users, "[user]"), ("host names", self.hosts, "[host]")):
            for name in sorted(names, key=len, reverse=True):
                if len(name) > 1 and name.lower() not in _COMMON_NAMES and name != "localhost":
                    found.append(
                        (kind, re.compile(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])"), mark)
                    )
        return tuple(found)


def _is_telling(home: str) -> bool:
    return home.startswith("/") and len(home) > 1


def is_secret_name(name: str) -> bool:
    """Whether a variable or key of this name mostly holds a secret: `HF_TOKEN`, `db.password`."""
    upper = re.sub(r"[^A-Za-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)).upper()
    return upper not in _HARMLESS_NAMES and _ENVIRONMENT_NAME.search(upper) is not None


def secrets_in(environment: Mapping[str, str], also: Iterable[str] = ()) -> tuple[str, ...]:
    """Values of variables that hold secrets by their name or by what they look like. `also` are names that
    were declared secret.
    """
    declared = frozenset(also)
    found: list[str] = []
    for name, value in environment.items():
        if name in declared or (is_secret_name(name) and value.strip().lower() not in NOT_SECRET_VALUES):
            found.append(value)
        found += _passwords_of(value)
    return tuple(dict.fromkeys(value for value in found if value.strip()))


def _passwords_of(text: str) -> Iterator[str]:
    """Of the URLs in a value, which a program may print apart from them."""
    for match in re.finditer(r"://([^/\s@]*):([^/\s]*)@", text):
        yield match[2]


def secret_forms(secret: str) -> Iterator[str]:
    """How programs print it: as it is, escaped, quoted, encoded, a line at a time."""
    lines = (line.strip() for line in secret.splitlines())
    values = {secret, secret.strip(), unquote(secret)}
    values |= {line for line in lines if len(line) >= _SHORTEST_ANYWHERE}
    for value in filter(None, values):
        yield value
        for escaped in _escapes(value):
            yield escaped
            yield from _escapes(escaped)  # a document in a document
        yield quote(value, safe="")
        yield quote(value)
        yield quote_plus(value)
        raw = value.encode("utf-8", "surrogateescape")
        if len(raw) >= _SHORTEST_ENCODED:
            yield raw.hex()
            yield raw.hex().upper()
            yield from _base64_forms(raw)


def _escapes(value: str) -> tuple[str, ...]:
    return json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1]


def _base64_forms(raw: bytes) -> Iterator[str]:
    """The characters that stand for `raw` wherever it begins in what is encoded: `user:SECRET`, for one."""
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw).decode()
        start = (before * 8 + 5) // 6
        whole = (before + len(raw)) * 8 // 6
        inner = encoded[start:whole]
        if len(inner) >= _SHORTEST_ENCODED:
            yield inner
            yield inner.replace("+", "-").replace("/", "_")
