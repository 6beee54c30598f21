"""Remove a folder that a container may have filled: unreadable folders, deep trees, links to anywhere.

Never follows a link, never leaves the folder. Small on purpose: shutil costs 15 ms to import.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(path: Path) -> None:
    """Gone, or already gone. Raises OSError for what cannot be removed."""
    try:
        parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        _remove(parent, path.name)
    finally:
        os.close(parent)


def _remove(parent: int, name: str) -> None:
    try:
        mode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(mode):
        os.unlink(name, dir_fd=parent)
        return
    if mode & 0o700 != 0o700:
        os.chmod(name, 0o700, dir_fd=parent)
    folder = os.open(name, _OPEN, dir_fd=parent)
    try:
        for entry in os.listdir(folder):
            _remove(folder, entry)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=parent)
