"""Three kinds of sha256 that look alike and must never be confused.

`Digest` names the bytes of a blob as stored and sent (compressed); `DiffId` names a layer's uncompressed
tar; `ChainId` names a stack of layers. All print as `sha256:<64 lower-case hex>` (image-spec descriptor.md).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Self

_FORM = re.compile(r"sha256:[0-9a-f]{64}")


class _Sha256(str):
    __slots__ = ()

    def __new__(cls, value: str) -> Self:
        """Raises ValueError for anything but `sha256:` and 64 lower-case hex digits."""
        if _FORM.fullmatch(value) is None:
            raise ValueError(f"not a sha256 digest: {value!r}")
        return super().__new__(cls, value)

    @classmethod
    def from_hex(cls, value: str) -> Self:
        return cls(f"sha256:{value}")

    @classmethod
    def of(cls, content: bytes) -> Self:
        return cls.from_hex(hashlib.sha256(content).hexdigest())

    @property
    def hex(self) -> str:
        return self[7:]

    @property
    def short(self) -> str:
        """For people: `sha256:3bec7c38a63e`."""
        return self[:19]


class Digest(_Sha256):
    """The sha256 of a blob's stored bytes."""


class DiffId(_Sha256):
    """The sha256 of a layer's uncompressed tar."""


class ChainId(_Sha256):
    """The sha256 that names a stack of layers, oldest first (image-spec config.md, "Layer ChainID")."""


def chain_id(diff_ids: Iterable[DiffId]) -> ChainId | None:
    """The chain ID of layers given oldest first; None for no layer."""
    chain: ChainId | None = None
    for diff_id in diff_ids:
        chain = ChainId(diff_id) if chain is None else ChainId.of(f"{chain} {diff_id}".encode())
    return chain
