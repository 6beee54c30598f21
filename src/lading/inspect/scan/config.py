"""Credentials in what an image says of itself: variables, labels, history, commands. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from lading.inspect.lint.secrets import is_secret_value, looks_secret, secret_name
from lading.inspect.scan.model import Check, Finding
from lading.inspect.scan.search import words_for
from lading.project.tokens import token_in

_ASSIGNED = re.compile(r"""(?:^|[\s|;&(])([A-Za-z_][A-Za-z0-9_]*)=("[^"]*"|'[^']*'|[^\s;&|)]*)""")
_ENV = re.compile(r"^\s*(?:/bin/sh -c #\(nop\)\s+)?(?:ENV|ARG)\s+(.*)$", re.DOTALL)
_URL = re.compile(r"\w://[^/\s:@\"']*:([^/\s@\"']+)@")
_BEARER = re.compile(r"(?i)authorization:\s*(?:bearer|basic|token)\s+([A-Za-z0-9._~+/=-]{12,})")


def find_config_secrets(config: Mapping[str, Any]) -> Iterator[Finding]:
    """`config` is the whole config document; what it says may be of any form."""
    run = config.get("config")
    run = run if isinstance(run, dict) else {}
    for entry in _texts(run.get("Env")):
        name, _, value = entry.partition("=")
        if words := _words_for_value(name, value):
            yield _finding("env", name, words)
    labels = run.get("Labels")
    for name, value in (labels if isinstance(labels, dict) else {}).items():
        if isinstance(value, str) and (words := _words_for_value(name, value)):
            yield _finding("label", name, words)
    for key in ("Cmd", "Entrypoint", "Shell", "OnBuild"):
        if words := _words_for_text(" ".join(_texts(run.get(key)))):
            yield _finding("command", key, words)
    health = run.get("Healthcheck")
    if isinstance(health, dict) and (words := _words_for_text(" ".join(_texts(health.get("Test"))))):
        yield _finding("command", "Healthcheck", words)
    for number, entry in enumerate(config.get("history") or (), 1):
        if isinstance(entry, dict):
            for key in ("created_by", "comment", "author"):
                if words := _words_for_text(str(entry.get(key) or "")):
                    yield _finding("history", f"entry {number}", words)
                    break
    if words := _words_for_text(str(config.get("author") or "")):
        yield _finding("config", "author", words)


def _finding(part: str, name: str, words: str) -> Finding:
    return Finding(
        check=Check.SECRETS,
        id="secret",
        message=f"{words}; everybody who pulls the image can read it",
        path=f"config: {part} {name}",
        details={"inside": "", "hidden": ""},
    )


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _words_for_value(name: str, value: str) -> str:
    if token := token_in(value.encode("utf-8", "surrogatepass")):
        return words_for(token[0])
    if is_secret_value(name, value) or (secret_name(name) and looks_secret(value)):
        return "has the value of a secret"
    return _words_for_text(value)


def _words_for_text(text: str) -> str:
    """Of a command or a value."""
    if token := token_in(text.encode("utf-8", "surrogatepass")):
        return words_for(token[0])
    for name, value in _assignments(text):
        plain = value.strip("\"'")
        if is_secret_value(name, plain) or (secret_name(name) and looks_secret(plain)):
            return f"gives {name} the value of a secret"
    if any(looks_secret(match[1]) for match in _BEARER.finditer(text)):
        return "holds an authorization"
    if any(looks_secret(match[1]) for match in _URL.finditer(text)):
        return "holds a URL with a password"
    return ""


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    yield from ((match[1], match[2]) for match in _ASSIGNED.finditer(text))
    if (env := _ENV.match(text)) and "=" not in env[1].split(" ", 1)[0]:
        name, _, value = env[1].partition(" ")
        yield name, value
