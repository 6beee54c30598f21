"""What credentials look like as text. Pure.

Formats are the issuers' published ones. Only forms with a fixed prefix and enough random characters count:
a hash, a UUID or a lock file never looks like one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
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

_AWS_SECRET = _format(
    "AWS secret key",
    "ecret_access_key SECRET_ACCESS_KEY ecretAccessKey",
    r"(?:aws_|AWS_)?(?:secret_access_key|SECRET_ACCESS_KEY|[sS]ecretAccessKey)"
    r"[\"']?\s*[=:]\s*[\"']?([A-Za-z0-9/+]{40})",
)

FORMATS = (
    _PRIVATE_KEY,
    _AWS_SECRET,
    # Models and experiments.
    _format("Hugging Face token", "hf_ api_org_", r"(?:hf_|api_org_)[A-Za-z0-9]{34,40}"),
    _format("OpenAI key", "sk-", r"sk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_]{40,}[A-Za-z0-9_-]*"),
    _format("Anthropic key", "sk-ant-", r"sk-ant-[a-z0-9]+-[A-Za-z0-9_-]{40,}"),
    _format("Replicate token", "r8_", r"r8_[A-Za-z0-9]{37}"),
    _format("Groq key", "gsk_", r"gsk_[A-Za-z0-9]{52}"),
    _format("Perplexity key", "pplx-", r"pplx-[A-Za-z0-9]{48,}"),
    _format("xAI key", "xai-", r"xai-[A-Za-z0-9]{80}"),
    _format("LangSmith key", "lsv2_", r"lsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}"),
    _format("Pinecone key", "pcsk_", r"pcsk_[A-Za-z0-9]{5,6}_[A-Za-z0-9]{60,}"),
    _format("Databricks token", "dapi", r"dapi[a-f0-9]{32}(?:-\d)?"),
    _format("NVIDIA NGC key", "nvapi-", r"nvapi-[A-Za-z0-9_-]{60,}"),
    # Code and packages.
    _format("GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_[A-Za-z0-9]{36,}"),
    _format("GitHub token", "github_pat_", r"github_pat_[A-Za-z0-9]{20,}_[A-Za-z0-9]{20,}"),
    _format("GitLab token", "glpat- gldt- glrt-", r"gl(?:pat|dt|rt)-[A-Za-z0-9_-]{20,}"),
    _format("npm token", "npm_", r"npm_[A-Za-z0-9]{36}"),
    _format("PyPI token", "pypi-AgE", r"pypi-AgE[A-Za-z0-9_-]{50,}"),
    _format("RubyGems key", "rubygems_", r"rubygems_[a-f0-9]{48}"),
    _format("Docker Hub token", "dckr_pat_ dckr_oat_", r"dckr_[po]at_[A-Za-z0-9_-]{20,}"),
    _format("JFrog key", "AKCp", r"AKCp[A-Za-z0-9]{69}"),
    # Clouds and hosts.
    _format("AWS access key", "AKIA ASIA", r"(?:AKIA|ASIA)[A-Z2-7]{16}"),
    _format("Google API key", "AIza", r"AIza[A-Za-z0-9_-]{35}"),
    _format("Google OAuth secret", "GOCSPX-", r"GOCSPX-[A-Za-z0-9_-]{28}"),
    _format("Azure storage key", "AccountKey=", r"AccountKey=([A-Za-z0-9+/]{86}==)"),
    _format("Azure client secret", "8Q~", r"[A-Za-z0-9_~.]{3}8Q~[A-Za-z0-9_~.-]{34}"),
    _format("DigitalOcean token", "dop_v1_ doo_v1_ dor_v1_", r"do[por]_v1_[a-f0-9]{64}"),
    _format("Heroku key", "HRKU-AA", r"HRKU-AA[A-Za-z0-9_-]{58}"),
    _format("Vault token", "hvs. hvb.", r"hv[sb]\.[A-Za-z0-9_-]{90,}"),
    _format("Terraform token", ".atlasv1.", r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{60,}"),
    _format("Tailscale key", "tskey-", r"tskey-[a-z]+-[A-Za-z0-9]{10,}-[A-Za-z0-9]{20,}"),
    _format("Doppler token", "dp.pt. dp.st.", r"dp\.(?:pt|st)\.(?:[a-z0-9_-]{2,35}\.)?[A-Za-z0-9]{40,44}"),
    _format("Supabase token", "sbp_", r"sbp_[a-f0-9]{40}"),
    _format("age key", "AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[A-Z0-9]{58}"),
    # Messages, work, money.
    _format("Slack token", "xox", r"xox[abeoprs]-[A-Za-z0-9-]{20,}"),
    _format(
        "Slack webhook",
        "hooks.slack.com",
        r"hooks\.slack\.com/services/T[A-Z0-9]+/B[A-Z0-9]+/[A-Za-z0-9]{20,}",
    ),
    _format(
        "Discord webhook", "/api/webhooks/", r"discord(?:app)?\.com/api/webhooks/\d{15,}/[A-Za-z0-9_-]{60,}"
    ),
    _format("Telegram bot token", ":AA", r"\d{8,10}:AA[A-Za-z0-9_-]{33}"),
    _format("Stripe key", "k_live_", r"[sr]k_live_[A-Za-z0-9]{24,}"),
    _format("SendGrid key", "SG.", r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    _format("Shopify token", "shpat_ shpss_ shpca_", r"shp(?:at|ss|ca)_[a-fA-F0-9]{32}"),
    _format("Notion token", "ntn_", r"ntn_[A-Za-z0-9]{43,}"),
    _format("Linear key", "lin_api_", r"lin_api_[A-Za-z0-9]{40}"),
    _format("Atlassian token", "ATATT3", r"ATATT3[A-Za-z0-9_=-]{180,}"),
    _format("Postman key", "PMAK-", r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}"),
    _format("New Relic key", "NRAK-", r"NRAK-[A-Z0-9]{27}"),
    _format("Grafana token", "glsa_", r"glsa_[A-Za-z0-9]{32}_[a-f0-9]{8}"),
    _format("Sentry token", "sntrys_ sntryu_", r"(?:sntrys_[A-Za-z0-9+/=_-]{80,}|sntryu_[a-f0-9]{64})"),
)
_LOOSE = (_PRIVATE_KEY, _AWS_SECRET)
"""Their marks stand apart from the secret itself, so they are looked for in the whole text."""
_LOOSE_MARKS = tuple((mark, token_format) for token_format in _LOOSE for mark in token_format.marks)
_MARKS = tuple((mark, found) for found in FORMATS if found not in _LOOSE for mark in found.marks)
_SHORTEST_TOKEN = 20
_SPOKEN_WITH_AN = ("A", "O", "NV", "npm", "xAI", "age")
_BLANKS = bytes(
    byte if (chr(byte).isalnum() and byte < 128) or byte in b"_-.:/+=~" else 32 for byte in range(256)
)
"""All bytes that no token has become blanks."""
_FEWEST_DIFFERENT_CHARACTERS = 10
"""Random tokens have more; `hf_xxxxxxxx…` in a manual has fewer."""
_PUBLISHED = (
    # Azure's storage emulator has this one key everywhere; it is in its manual.
    b"Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
)


@dataclass(frozen=True, slots=True)
class Token:
    """Something of a known form; never what it is, only where: offsets of it in what was searched."""

    title: str
    start: int
    end: int


def tokens_in(content: bytes) -> Iterator[Token]:
    """What looks like a credential in `content`, in the order of FORMATS."""
    for token_format in _marked(content):
        # Compiled only now: nearly no file gets here, and every start would pay for it.
        for match in re.finditer(token_format.form, content, token_format.flags):
            token = match.group(match.lastindex or 0)
            varied = len(set(token)) >= _FEWEST_DIFFERENT_CHARACTERS
            if varied and b"EXAMPLE" not in token and token not in _PUBLISHED:
                yield Token(token_format.title, match.start(), match.end())


def _marked(content: bytes) -> Iterator[TokenFormat]:
    """Formats that may occur. One pass leaves the few long words, in which the many marks are looked for."""
    words = b"\n".join([w for w in content.translate(_BLANKS).split() if len(w) >= _SHORTEST_TOKEN])
    yield from dict.fromkeys(found for mark, found in _LOOSE_MARKS if mark in content)
    yield from dict.fromkeys(found for mark, found in _MARKS if mark in words)


def may_hold_token(content: bytes) -> bool:
    """False where `tokens_in` would find nothing, whatever stands between the letters of `content`."""
    return any(True for _ in _marked(content))


def with_article(title: str) -> str:
    """`an AWS access key`, `a GitHub token`."""
    return f"{'an' if title.startswith(_SPOKEN_WITH_AN) else 'a'} {title}"


def token_in(content: bytes) -> tuple[str, int] | None:
    """The first of `tokens_in`: what it looks like, and on which line; None when there is none."""
    for token in tokens_in(content):
        return token.title, content.count(b"\n", 0, token.start) + 1
    return None


def without_userinfo(url: str) -> str:
    """`url` with user name and password taken out, for messages and records."""
    return re.sub(r"(?<=://)[^/\s]*@", "", url)


def has_userinfo(url: str) -> bool:
    return without_userinfo(url) != url
