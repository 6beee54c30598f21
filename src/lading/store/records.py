"""Small JSON facts by key: which layer a recipe came out as, which image a plan came out as.

A record is a cache: it may always be thrown away and made again. It carries its own checksum, so that a torn
or flipped one reads as absent, never as wrong.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lading.oci.json import canonical_json
from lading.store.atomic import write_atomic


class Records:
    """One folder of records. A key is 64 hex digits.

    `durable`: a record that is there after a loss of power is whole, so that `has` may be believed.
    """

    def __init__(self, root: Path, kind: str, *, mode: int = 0o644, durable: bool = False) -> None:
        self._mode = mode
        self._durable = durable
        self._folder = root / "records" / kind
        self._staging = root / "staging"

    def path(self, key: str) -> Path:
        return self._folder / f"{key}.json"

    def get(self, key: str) -> Any | None:
        """The record's value, or None when absent or damaged."""
        try:
            content = self.path(key).read_bytes()
        except FileNotFoundError:
            return None
        checksum, _, body = content.partition(b"\n")
        if hashlib.sha256(body).hexdigest().encode() != checksum:
            return None
        return json.loads(body)

    def has(self, key: str) -> bool:
        return self.path(key).exists()

    def put(self, key: str, value: Any) -> None:
        body = canonical_json(value)
        content = hashlib.sha256(body).hexdigest().encode() + b"\n" + body
        # A cache that notices damage need not wait for the disk: a build writes a hundred of these.
        write_atomic(self.path(key), content, staging=self._staging, mode=self._mode, durable=self._durable)

    def keys(self) -> Iterator[str]:
        if self._folder.is_dir():
            for path in sorted(self._folder.iterdir()):
                yield path.stem

    def remove(self, key: str) -> None:
        self.path(key).unlink(missing_ok=True)
