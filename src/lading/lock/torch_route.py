"""Telling uv to take PyTorch's builds, and nothing else, from one index.

uv pins a package to an index by the sources of a project file; they hold for the whole resolution. So a small
project that depends on the builds is resolved with the user's own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from lading.fetch.address import split_credentials
from lading.fetch.transport import HttpStatus
from lading.lock.frameworks import TORCH_ECOSYSTEM
from lading.lock.links import linked_wheels

if TYPE_CHECKING:
    from lading.fetch.http import Fetcher

_INDEX_NAME = "lading-torch"


def routed(names: Iterable[str], index: str, fetcher: Fetcher) -> frozenset[str]:
    """Those of `names` that PyTorch builds and that `index` offers. Asks the index; raises FetchFailed."""
    return frozenset(name for name in set(names) & TORCH_ECOSYSTEM if _offered(name, index, fetcher))


def _offered(name: str, index: str, fetcher: Fetcher) -> bool:
    address, _ = split_credentials(index)
    try:
        return any(linked_wheels(f"{address}/{name}/", fetcher))
    except HttpStatus as error:
        if error.status in (403, 404):  # 403 is how a bucket says that there is no such page
            return False
        raise


def write_route(folder: Path, names: Iterable[str], index: str) -> str:
    """A project file for uv that wants `names` from `index` alone; its path."""
    wanted = sorted(names)
    lines = [
        "[project]",
        'name = "lading-torch-builds"',
        'version = "0"',
        f"dependencies = {json.dumps(wanted)}",
        "[tool.uv.sources]",
        *(f'{name} = {{ index = "{_INDEX_NAME}" }}' for name in wanted),
        "[[tool.uv.index]]",
        f'name = "{_INDEX_NAME}"',
        f"url = {json.dumps(index)}",
        "explicit = true",
    ]
    place = folder / "torch"
    place.mkdir(exist_ok=True)
    path = place / "pyproject.toml"
    path.write_text("\n".join(lines) + "\n")
    return str(path)
