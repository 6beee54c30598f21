"""A standalone Python build (python-build-standalone's `install_only`) as a tree under /opt/python.

The archive is one top folder, `python/`, of files and symlinks. Anything else in it is refused.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

from lading.errors import PackageRefused
from lading.image.layer.tree import EntryKind, TreeEntry

ROOT = "opt/python"


def standalone_tree(archive: Path) -> dict[str, TreeEntry]:
    """path → entry, sorted, without the bytecode the archive may bring. Raises PackageRefused."""
    tree: dict[str, TreeEntry] = {}
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                path = _path(archive.name, member.name)
                if path is None or "__pycache__" in path.split("/"):
                    continue
                tree[path] = _entry(archive.name, path, member, tar)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise PackageRefused(archive.name, "archive", f"cannot be read: {error}") from error
    return dict(sorted(tree.items()))


def _path(archive: str, name: str) -> str | None:
    parts = name.rstrip("/").split("/")
    if parts[0] != "python" or any(part in ("", ".", "..") for part in parts):
        raise PackageRefused(archive, "path", f"holds {name!r}, outside of python/")
    return "/".join([ROOT, *parts[1:]]) if len(parts) > 1 else None


def _entry(archive: str, path: str, member: tarfile.TarInfo, tar: tarfile.TarFile) -> TreeEntry:
    mode = 0o755 if member.mode & 0o111 or member.isdir() else 0o644
    if member.isdir():
        return TreeEntry(path=path, kind=EntryKind.DIRECTORY, mode=mode)
    if member.issym():
        if not _stays_inside(path, member.linkname):
            raise PackageRefused(archive, "link", f"{member.name} points outside: {member.linkname}")
        return TreeEntry(path=path, kind=EntryKind.SYMLINK, mode=0o777, link_target=member.linkname)
    if not (member.isfile() or member.islnk()):
        raise PackageRefused(archive, "type", f"{member.name} is neither file, folder nor link")
    file = tar.extractfile(member)
    assert file is not None
    return TreeEntry(path=path, kind=EntryKind.FILE, mode=mode, content=file.read())


def _stays_inside(path: str, target: str) -> bool:
    if target.startswith("/"):
        return False
    depth = path.count("/") - ROOT.count("/") - 1
    for part in target.split("/"):
        depth += -1 if part == ".." else 1
        if depth < 0:
            return False
    return True
