"""A root in the making: entries of many packages put at canonical paths, by dpkg's rules.

Pure. `/bin`, `/sbin` and `/lib*` are links into `/usr` from the start, so every path has one spelling; a
folder never replaces a link, nor a link a folder.
"""

from __future__ import annotations

import dataclasses
import itertools
import posixpath
from collections.abc import Callable, Mapping

from lading.errors import PackageRefused
from lading.image.debian.spool import PackageFile
from lading.image.layer.tree import EntryKind, TreeEntry
from lading.oci.links import resolve_links

MERGED_FOLDERS = ("bin", "sbin", "lib", "lib64")
_MOST_LINKS = 40
"""As the kernel follows at most (path_resolution(7))."""

Replaces = Callable[[str, str], bool]
"""`replaces(a, b)`: whether package `a` may take files over from package `b`."""


class Root:
    def __init__(self, base: Mapping[str, TreeEntry] | None = None) -> None:
        """Empty, or over a root that is there."""
        self.entries: dict[str, TreeEntry] = dict(base or {})
        self._owner: dict[str, str] = {}
        if base is None:
            for name in ("usr", *(f"usr/{folder}" for folder in MERGED_FOLDERS)):
                self.directory(name)
            for folder in MERGED_FOLDERS:
                self.symlink(folder, f"usr/{folder}")

    # What packages bring.

    def add(self, entry: TreeEntry, *, package: str, replaces: Replaces) -> None:
        """Raises PackageRefused where two packages bring one path, as dpkg would."""
        path = self.canonical(entry.path, package=package)
        there = self.entries.get(path)
        if entry.kind is EntryKind.DIRECTORY:
            self._add_directory(path, entry, there, package)
            return
        if there is not None and there.kind is EntryKind.DIRECTORY:
            if entry.kind is EntryKind.SYMLINK:
                return  # dpkg keeps the folder (dpkg(1), "symlinks to directories")
            raise PackageRefused(
                package, "D-kind", f"its {path!r} is a folder of {self._owner.get(path, 'another')}"
            )
        owner = self._owner.get(path)
        if there is not None and owner is not None and owner != package:
            if replaces(owner, package):
                return
            if not replaces(package, owner) and not self._same(entry, there):
                raise PackageRefused(package, "D-overwrite", f"its {path!r} also belongs to {owner}")
        target = entry.link_target
        if entry.kind is EntryKind.HARDLINK and target is not None:
            target = self.canonical(target, package=package)
        self._put(dataclasses.replace(entry, path=path, link_target=target), package)

    def _add_directory(self, path: str, entry: TreeEntry, there: TreeEntry | None, package: str) -> None:
        if there is None:
            self._put(dataclasses.replace(entry, path=path), package)
        elif there.kind is EntryKind.SYMLINK:
            target = self.resolve(path)
            known = self.entries.get(target)
            if known is None:
                self._put(dataclasses.replace(entry, path=target), package)
            elif known.kind is not EntryKind.DIRECTORY:
                raise PackageRefused(package, "D-kind", f"its folder {path!r} is a link to a file")
        elif there.kind is not EntryKind.DIRECTORY:
            raise PackageRefused(
                package, "D-kind", f"its folder {path!r} is a file of {self._owner.get(path)}"
            )

    @staticmethod
    def _same(entry: TreeEntry, there: TreeEntry) -> bool:
        if entry.kind is EntryKind.SYMLINK or there.kind is not EntryKind.FILE:
            return (entry.kind, entry.link_target) == (there.kind, there.link_target)
        return read_content(entry) == read_content(there)

    # What effects bring.

    def file(self, path: str, content: bytes, *, mode: int = 0o644, uid: int = 0, gid: int = 0) -> None:
        """Write or replace; missing folders are made."""
        self._effect(TreeEntry(path=path, kind=EntryKind.FILE, mode=mode, content=content, uid=uid, gid=gid))

    def file_if_absent(self, path: str, content: bytes, *, mode: int = 0o644, gid: int = 0) -> None:
        if path not in self:
            self.file(path, content, mode=mode, gid=gid)

    def symlink(self, path: str, target: str) -> None:
        self._effect(TreeEntry(path=path, kind=EntryKind.SYMLINK, mode=0o777, link_target=target))

    def directory(self, path: str, *, mode: int = 0o755, uid: int = 0, gid: int = 0) -> None:
        """Make it, or set the mode and owner of the one that is there."""
        self._effect(TreeEntry(path=path, kind=EntryKind.DIRECTORY, mode=mode, uid=uid, gid=gid))

    def directory_if_absent(self, path: str, *, mode: int = 0o755, gid: int = 0) -> None:
        if path not in self:
            self.directory(path, mode=mode, gid=gid)

    def remove(self, path: str) -> None:
        self.entries.pop(path, None)

    def _effect(self, entry: TreeEntry) -> None:
        path = self.canonical(entry.path, package="an effect")
        parent = posixpath.dirname(path)
        if parent and parent not in self.entries:
            self.directory(parent)
        self.entries[path] = dataclasses.replace(entry, path=path)

    # What is there.

    def __contains__(self, path: str) -> bool:
        return self.canonical(path, package="an effect") in self.entries

    def get(self, path: str) -> TreeEntry | None:
        """The entry at `path`, links in it and at its end followed; None where it leads nowhere."""
        return self.entries.get(self.resolve(path))

    def read(self, path: str) -> bytes | None:
        """The content of the file at `path`, links followed."""
        entry = self.get(path)
        return read_content(entry) if entry is not None and entry.kind is EntryKind.FILE else None

    def canonical(self, path: str, *, package: str) -> str:
        """`path` with the links among its folders followed. Raises PackageRefused for endless ones."""
        parent, _, name = path.rpartition("/")
        if not parent:
            return name
        folder = self.resolve(parent, package=package)
        return f"{folder}/{name}" if folder else name

    def resolve(self, path: str, *, package: str = "an effect") -> str:
        """Where `path` really is, every link followed inside this root; `..` at the top stays there."""
        links = itertools.count()

        def link_at(place: str) -> str | None:
            entry = self.entries.get(place)
            if entry is None or entry.kind is not EntryKind.SYMLINK or entry.link_target is None:
                return None
            if next(links) >= _MOST_LINKS:
                raise PackageRefused(package, "D-loop", f"the links in {path!r} do not end")
            return entry.link_target

        return resolve_links(path, link_at)

    def _put(self, entry: TreeEntry, package: str) -> None:
        parent = posixpath.dirname(entry.path)
        if parent and parent not in self.entries:
            self._put(TreeEntry(path=parent, kind=EntryKind.DIRECTORY, mode=0o755), package)
        self.entries[entry.path] = entry
        self._owner[entry.path] = package

    def finished(self) -> dict[str, TreeEntry]:
        """All entries sorted by path; of files with several names the first in this order holds the bytes."""
        names: dict[str, list[str]] = {}
        for path, entry in self.entries.items():
            if entry.kind is EntryKind.HARDLINK and entry.link_target is not None:
                names.setdefault(entry.link_target, []).append(path)
        result = dict(self.entries)
        for target, links in names.items():
            file = result.get(target)
            if file is None or file.kind is not EntryKind.FILE:
                raise PackageRefused(
                    self._owner.get(links[0], "?"), "D-hardlink", f"{links[0]!r} links to no file"
                )
            first = min([target, *links])
            for path in (target, *links):
                if path == first:
                    result[path] = dataclasses.replace(file, path=path)
                else:
                    result[path] = dataclasses.replace(
                        file, path=path, kind=EntryKind.HARDLINK, link_target=first, content=b""
                    )
        return {path: result[path] for path in sorted(result, key=path_order)}


def path_order(path: str) -> tuple[str, ...]:
    """Sorts parents before children, and siblings by name, whatever the locale."""
    return tuple(path.split("/"))


def read_content(entry: TreeEntry) -> bytes:
    return (
        entry.content()
        if isinstance(entry.content, PackageFile) or callable(entry.content)
        else entry.content
    )


def same_entry(left: TreeEntry | None, right: TreeEntry | None) -> bool:
    """Whether two trees hold the same thing at a path: contents of packages compare by their member."""
    return left == right


def difference(lower: Mapping[str, TreeEntry], upper: Mapping[str, TreeEntry]) -> tuple[TreeEntry, ...]:
    """What `upper` has that `lower` has not, sorted, parents first."""
    changed = {path for path, entry in upper.items() if not same_entry(lower.get(path), entry)}
    return tuple(upper[path] for path in sorted(changed, key=path_order))
