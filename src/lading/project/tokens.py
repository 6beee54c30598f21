"""What credentials look like as text. Pure.

Formats are the issuers' published ones. Only forms with a fixed prefix and enough random characters count:
a hash, a UUID or a lock file never looks like one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFormat:
    """`marks` are literal byte strings of which one must occur; the expression `form` then decides."""

    title: str
    marks: tuple[bytes, ...]
    form: bytes
    flags: int = 0


def _format(title: str, marks: str, form: str) -> TokenFormat:
    return TokenFormat(
        title=title,
        marks=tuple(mark.encode() for mark in marks.split()),
        form=rb"(?<![A-Za-z0-9_])(?:" + form.encode() + rb")(?![A-Za-z0-9_])",
    )


_PRIVATE_KEY = TokenFormat(
    title="private key",
    marks=(b"PRIVATE KEY",),
    # A header alone is a constant in somebody's parser; a key has its base64 text after it.
    form=rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----.{0,300}?[A-Za-z0-9+/]{40}",
    flags=re.DOTALL,
)

FORMATS = (
    _PRIVATE_KEY,
    _format("Hugging Face token", "hf_", r"hf_[A-Za-z0-9]{34,40}"),
    _format("GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_[A-Za-z0-9]{36,}"),
    _format("GitHub token", "github_pat_", r"github_pat_[A-Za-z0-9]{20,}_[A-Za-z0-9]{20,}"),
    _format("AWS access key", "AKIA ASIA", r"(?:AKIA|ASIA)[A-Z2-7]{16}"),
    _format("OpenAI key", "sk-", r"sk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_]{40,}[A-Za-z0-9_-]*"),
    _format("Anthropic key", "sk-ant-", r"sk-ant-[a-z0-9]+-[A-Za-z0-9_-]{40,}"),
    _format("Slack token", "xox", r"xox[abeoprs]-[A-Za-z0-9-]{20,}"),
    _format("GitLab token", "glpat-", r"glpat-[A-Za-z0-9_-]{20,}"),
    _format("Google API key", "AIza", r"AIza[A-Za-z0-9_-]{35}"),
    _format("npm token", "npm_", r"npm_[A-Za-z0-9]{36}"),
    _format("PyPI token", "pypi-AgE", r"pypi-AgE[A-Za-z0-9_-]{50,}"),
    _format("Docker Hub token", "dckr_pat_", r"dckr_pat_[A-Za-z0-9_-]{20,}"),
)
_MARKS = tuple((mark, token_format) for token_format in FORMATS for mark in token_format.marks)
_FEWEST_DIFFERENT_CHARACTERS = 10
"""Random tokens have more; `hf_xxxxxxxx…` in a manual has fewer."""


def token_in(content: bytes) -> tuple[str, int] | None:
    """What looks like a credential in `content`, and on which line; None when nothing does."""
    for token_format in _marked(content):
        # Compiled only now: nearly no file gets here, and every start would pay for it.
        for match in re.finditer(token_format.form, content, token_format.flags):
            token = match.group()
            if len(set(token)) >= _FEWEST_DIFFERENT_CHARACTERS and b"EXAMPLE" not in token:
                return token_format.title, content.count(b"\n", 0, match.start()) + 1
    return None


def _marked(content: bytes) -> list[TokenFormat]:
    return [token_format for mark, token_format in _MARKS if mark in content]


def without_userinfo(url: str) -> str:
    """`url` with user name and password taken out, for messages and records."""
    return re.sub(r"(?<=://)[^/\s]*@", "", url)


def has_userinfo(url: str) -> bool:
    return without_userinfo(url) != url
