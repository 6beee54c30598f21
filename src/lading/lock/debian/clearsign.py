"""Splits a clear-signed document into the text and its detached signature, strictly (RFC 9580, section 7).

Pure. A verifier and a parser that disagree about where the signed text begins is a hole that was used
before, so this splitter accepts one form only: one signed block, nothing before it, nothing after it. The
verifier then checks exactly the text that is returned here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lading.errors import SignatureRefused

_BEGIN = b"-----BEGIN PGP SIGNED MESSAGE-----"
_SIGNATURE = b"-----BEGIN PGP SIGNATURE-----"
_END = b"-----END PGP SIGNATURE-----"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedText:
    text: bytes
    """What was signed: lines ended by a newline, but for the last (the form `gpgv SIG TEXT` expects)."""
    signature: bytes
    """The armoured signature."""


def split_clearsigned(document: bytes, *, name: str) -> SignedText:
    """Raises SignatureRefused for any other form; `name` is for the message."""

    def refuse(detail: str) -> SignatureRefused:
        return SignatureRefused(f"{name} is not one clear-signed text: {detail}", place=name)

    if b"\0" in document:
        raise refuse("it holds a zero byte")
    lines = document.replace(b"\r\n", b"\n").split(b"\n")
    if lines and lines[-1] == b"":
        lines.pop()
    if not lines or lines[0] != _BEGIN:
        raise refuse("it does not begin with a signed message")
    if any(b"\r" in line for line in lines):
        raise refuse("it holds a bare carriage return")
    try:
        blank = lines.index(b"", 1)
        signature_at = lines.index(_SIGNATURE, blank)
        end = lines.index(_END, signature_at)
    except ValueError:
        raise refuse("a part of it is missing") from None
    if any(not line.startswith(b"Hash: ") for line in lines[1:blank]):
        raise refuse("its head holds something other than `Hash:`")
    if end != len(lines) - 1:
        raise refuse("something follows the signature")
    if any(line.startswith(b"-----") for line in lines[signature_at + 1 : end]):
        raise refuse("its signature holds another block")
    return SignedText(
        text=b"\n".join(_unescape(lines[blank + 1 : signature_at], refuse)),
        signature=b"\n".join([*lines[signature_at:], b""]),
    )


def _unescape(lines: list[bytes], refuse: Callable[[str], SignatureRefused]) -> list[bytes]:
    text = []
    for line in lines:
        if line.startswith(b"- "):
            line = line[2:]
        elif line.startswith(b"-"):
            raise refuse("a line of the text begins with an unescaped dash")
        text.append(line.rstrip(b" \t"))
    return text
