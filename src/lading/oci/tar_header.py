"""The fields of a tar header, decoded strictly: what two readers could take for different values is refused.

Pure. Knows the format and no policy: which members, sizes and extended headers are allowed is decided by who
reads. Sources: POSIX.1-2017 pax, tar(5); catalogue of parser differentials CVE-2025-62518 (pax size).
"""

from __future__ import annotations

from collections.abc import Iterator

BLOCK_BYTES = 512
ZERO_BLOCK = bytes(BLOCK_BYTES)
_MOST_DIGITS = 18


class TarRefused(ValueError):
    """A rule was broken. `rule` names it; `detail` says what was found."""

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(f"{detail} [{rule}]")
        self.rule = rule
        self.detail = detail


def number(field: bytes, what: str, *, signed: bool = False) -> int:
    """An octal or base-256 field; `what` is for the message. Raises TarRefused."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big", signed=True)
        value = value if field[0] == 0xFF else value + (1 << (8 * len(field) - 1))
        if value < 0 and not signed:
            raise TarRefused("tar-number", f"a negative {what}")
        return value
    digits = field.split(b"\0", 1)[0].strip(b" ")
    if not digits:
        return 0
    if digits.strip(b"01234567"):
        raise TarRefused("tar-number", f"{what} is {digits!r}")
    return int(digits, 8)


def decimal(text: bytes) -> int:
    """A number of a pax record. Raises TarRefused."""
    if not text.isdigit() or len(text) > _MOST_DIGITS:
        raise TarRefused("tar-number", f"the number {text[:40]!r}")
    return int(text)


def verify_checksum(block: bytes) -> None:
    """Of the header `block`; some writers once summed signed bytes. Raises TarRefused."""
    claimed = number(block[148:156], "checksum")
    rest = block[:148] + block[156:]
    unsigned = sum(rest) + 8 * 32
    if claimed != unsigned and claimed != unsigned - 256 * sum(byte > 127 for byte in rest):
        raise TarRefused("tar-checksum", "a header with a wrong checksum")


def pax_records(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Key and value of each record, in order. Raises TarRefused."""
    while body:
        digits, space, _ = body.partition(b" ")
        if not space or not digits.isdigit() or len(digits) > 9:
            raise TarRefused("tar-pax", "a malformed pax record")
        record, body = body[: int(digits)], body[int(digits) :]
        if len(record) != int(digits) or not record.endswith(b"\n") or len(record) <= len(digits) + 1:
            raise TarRefused("tar-pax", "a pax record with a wrong length")
        key, equals, value = record[len(digits) + 1 : -1].partition(b"=")
        if not key or not equals:
            raise TarRefused("tar-pax", "a pax record without a key")
        yield text(key), value


def ustar_name(block: bytes) -> bytes:
    """The name in the header itself, with its prefix where it is a ustar one."""
    name = block[:100].split(b"\0", 1)[0]
    if block[257:263] == b"ustar\0" and (prefix := block[345:500].split(b"\0", 1)[0]):
        name = prefix + b"/" + name
    return name


def clean_path(raw: bytes) -> str:
    """`./a//b/` and `/a/b` as `a/b`. Raises TarRefused for `..` and NUL."""
    path = text(raw)
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise TarRefused("tar-path", f"{path!a} leaves the layer")
    return "/".join(parts)


def text(raw: bytes) -> str:
    """Bytes that are no UTF-8 as surrogates. Raises TarRefused for a NUL."""
    if b"\0" in raw:
        raise TarRefused("tar-path", f"a name with a NUL: {raw[:80]!r}")
    return raw.decode("utf-8", "surrogateescape")
