"""Which folder is the store: `LADING_HOME`, else XDG's data folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lading.errors import UsageError


def store_root(environment: Mapping[str, str]) -> Path:
    """Absolute. Raises UsageError where neither LADING_HOME, XDG_DATA_HOME nor HOME says."""
    if home := environment.get("LADING_HOME"):
        return Path(home).absolute()
    if data := environment.get("XDG_DATA_HOME"):
        return Path(data).absolute() / "lading"
    if user := environment.get("HOME"):
        return Path(user).absolute() / ".local/share/lading"
    raise UsageError("no folder for the store: HOME is not set", hints=("export LADING_HOME=/path/to/store",))
