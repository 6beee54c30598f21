"""A fetcher that may read what the project's indexes offer."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lading.fetch.http import Fetcher
from lading.lock.indexes import index_credentials
from lading.store import Store


def open_fetcher(
    folder: Path, store: Store, environment: Mapping[str, str], *, offline: bool = False
) -> Fetcher:
    """A fetcher with the credentials of every index that `environment` or the project in `folder` names.

    The caller closes it.
    """
    return Fetcher(
        staging=store.staging,
        environment=environment,
        offline=offline,
        credentials=index_credentials(environment, dict(_declared_indexes(folder))),
    )


def _declared_indexes(folder: Path) -> Iterator[tuple[str, str]]:
    """Name and URL of each `[[tool.uv.index]]` or `[[index]]`; what cannot be read is uv's to report."""
    for filename, keys in (("pyproject.toml", ("tool", "uv")), ("uv.toml", ())):
        try:
            table: Any = tomllib.loads((folder / filename).read_text("utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
            continue
        for key in keys:
            table = table.get(key, {}) if isinstance(table, dict) else {}
        indexes = table.get("index", []) if isinstance(table, dict) else []
        for index in indexes if isinstance(indexes, list) else []:
            if isinstance(index, dict) and isinstance(index.get("url"), str):
                yield str(index.get("name", "")), index["url"]
