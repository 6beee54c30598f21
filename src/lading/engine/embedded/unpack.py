"""Write a layer's members below one folder, and nowhere else.

Every name is reached by folder descriptors opened with O_NOFOLLOW; a link inside the layer is followed within
the layer's own root only. Ownership is ignored: all files are the caller's. Set-uid and set-gid bits are
dropped (a store must not hold another user's set-uid program). Whiteouts become what overlayfs reads.
"""

from __future__ import annotations

import errno
import os
import stat

from lading.engine.embedded.layer_stream import LayerStream
from lading.engine.embedded.rootpath import open_folder_inside
from lading.engine.embedded.tar import Entry, Kind, entries, padded
from lading.oci.tar_header import TarRefused

OPAQUE_ATTRIBUTE = "user.overlay.opaque"
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_OPEN_FOLDERS = 64
_MAX_ENTRIES = 4_000_000
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Unpacker:
    """Writes members into an empty folder. Raises TarRefused for a member that breaks a rule, OSError."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._folders: dict[str, int] = {"": root}
        self._seen: set[str] = set()
        self._folder_facts: dict[str, tuple[int, int]] = {}
        self.file_count = 0
        self.size_bytes = 0

    def unpack(self, stream: LayerStream) -> None:
        """All members of `stream`, to its verified end."""
        try:
            for entry in entries(stream):
                self._take(entry, stream)
            stream.finish()
            self._settle_folders()
        finally:
            self._close_folders()

    def _take(self, entry: Entry, stream: LayerStream) -> None:
        if entry.path in self._seen:
            raise TarRefused("tar-duplicate", f"{entry.path!r} is in the layer twice")
        if len(self._seen) >= _MAX_ENTRIES:
            raise TarRefused("layer-bomb", f"the layer has more than {_MAX_ENTRIES} members")
        self._seen.add(entry.path)
        folder, _, name = entry.path.rpartition("/")
        if not entry.path:
            self._folder_facts[""] = (entry.mode, entry.mtime_nanoseconds)
            return
        try:
            parent = self._folder(folder)
            if name.startswith(_WHITEOUT):
                self._white_out(parent, name, entry, stream)
            else:
                self._create(parent, name, entry, stream)
        except FileExistsError:
            raise TarRefused(
                "tar-duplicate", f"{entry.path!r} is in the layer twice, through a link"
            ) from None
        except (NotADirectoryError, FileNotFoundError) as error:
            raise TarRefused("tar-path", f"{entry.path!r} lies below what is no folder") from error
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise TarRefused("tar-path", f"{entry.path!r} lies below a loop of links") from error

    def _create(self, parent: int, name: str, entry: Entry, stream: LayerStream) -> None:
        if entry.kind is Kind.REGULAR:
            self._write_file(parent, name, entry, stream)
        elif entry.kind is Kind.DIRECTORY:
            self._make_folder(parent, name, entry)
        elif entry.kind is Kind.SYMLINK:
            os.symlink(entry.link_target, name, dir_fd=parent)
            self._set_time(parent, name, entry)
        elif entry.kind is Kind.HARDLINK:
            self._link(parent, name, entry)
        else:
            os.mkfifo(name, entry.mode, dir_fd=parent)
        self.file_count += 1

    def _write_file(self, parent: int, name: str, entry: Entry, stream: LayerStream) -> None:
        descriptor = os.open(name, _CREATE, 0o600, dir_fd=parent)
        try:
            for piece in stream.pieces(entry.size_bytes):
                while piece:
                    piece = piece[os.write(descriptor, piece) :]
            stream.skip(padded(entry.size_bytes) - entry.size_bytes)
            os.fchmod(descriptor, entry.mode)
            os.utime(descriptor, ns=(entry.mtime_nanoseconds, entry.mtime_nanoseconds))
        finally:
            os.close(descriptor)
        self.size_bytes += entry.size_bytes

    def _make_folder(self, parent: int, name: str, entry: Entry) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
        except FileExistsError:
            # Made on the way to an earlier member; anything but a real folder is a clash.
            if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                raise
        self._folder_facts[entry.path] = (entry.mode, entry.mtime_nanoseconds)

    def _link(self, parent: int, name: str, entry: Entry) -> None:
        folder, _, target = entry.link_target.rpartition("/")
        source = self._folder(folder, create=False)
        if stat.S_ISDIR(os.stat(target, dir_fd=source, follow_symlinks=False).st_mode):
            raise TarRefused("tar-link", f"{entry.path!r} is a hard link to a folder")
        os.link(target, name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)

    def _white_out(self, parent: int, name: str, entry: Entry, stream: LayerStream) -> None:
        stream.skip(padded(entry.size_bytes))
        if name == _OPAQUE:
            descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=parent)
            try:
                os.setxattr(descriptor, OPAQUE_ATTRIBUTE, b"y")
            finally:
                os.close(descriptor)
            return
        hidden = name[len(_WHITEOUT) :]
        if hidden in ("", ".", "..") or hidden.startswith(_WHITEOUT):
            raise TarRefused("tar-whiteout", f"{entry.path!r} is no whiteout of a file")
        os.mknod(hidden, stat.S_IFCHR | 0o600, 0, dir_fd=parent)

    def _set_time(self, parent: int, name: str, entry: Entry) -> None:
        times = (entry.mtime_nanoseconds, entry.mtime_nanoseconds)
        os.utime(name, ns=times, dir_fd=parent, follow_symlinks=False)

    def _folder(self, path: str, *, create: bool = True) -> int:
        """A descriptor that stays the unpacker's. Parents the layer does not name are made, mode 755."""
        known = self._folders.get(path)
        if known is not None:
            return known
        if len(self._folders) >= _OPEN_FOLDERS:
            self._close_folders()
        descriptor = open_folder_inside(self._root, path, create=create)
        self._folders[path] = descriptor
        return descriptor

    def _close_folders(self) -> None:
        for path, descriptor in self._folders.items():
            if path:
                os.close(descriptor)
        self._folders = {"": self._root}

    def _settle_folders(self) -> None:
        # Deepest first: a folder may be read-only, and writing below it changes its time.
        for path in sorted(self._folder_facts, key=lambda text: text.count("/"), reverse=True):
            mode, nanoseconds = self._folder_facts[path]
            walked = open_folder_inside(self._root, path)
            try:
                descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=walked)
            finally:
                os.close(walked)
            try:
                os.fchmod(descriptor, mode)
                os.utime(descriptor, ns=(nanoseconds, nanoseconds))
            finally:
                os.close(descriptor)
