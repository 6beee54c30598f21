"""The entries of a file tree that becomes a layer: what Debian packages, project code and links turn into.

Pure values. Paths are POSIX, relative to the image root, without leading or trailing slash.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum


class EntryKind(StrEnum):
    FILE = "file"
    DIRECTORY = "dir"
    SYMLINK = "symlink"
    HARDLINK = "hardlink"


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeEntry:
    """One path. Owner is always root unless `uid`/`gid` say otherwise; mtime is fixed by the layer writer."""

    path: str
    kind: EntryKind
    mode: int
    """Permission bits only, e.g. 0o755."""
    link_target: str | None = None
    """Symlink text, or for HARDLINK the path (relative to the image root) of an earlier FILE."""
    content: bytes | Callable[[], bytes] = field(default=b"", repr=False)
    """FILE: its bytes, or a function that reads them, so that a tree need not be in memory whole."""
    uid: int = 0
    gid: int = 0

    def read(self) -> bytes:
        """The bytes of a FILE. May read them from disk each time."""
        return self.content if isinstance(self.content, bytes) else self.content()
