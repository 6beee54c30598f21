"""Walk a path inside a root folder without ever leaving it, link by link, holding a descriptor at each step.

The kernel's openat2(RESOLVE_IN_ROOT) does the same, but seccomp filters often refuse it; this walk works
everywhere, races nobody (each component is opened with O_NOFOLLOW and judged by its own descriptor) and reads
magic links such as /proc/self/fd/8 as the text they show (CVE-2024-21626).
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat

_MAX_LINKS = 40
_WALK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


def open_inside(root: int, path: str, *, create_folders: bool = False, mode: int = 0o755) -> int:
    """An O_PATH descriptor of what `path` names when `root` is `/`. The caller closes it.

    With `create_folders`, missing components are made; a dangling link is refused. Raises OSError.
    """
    trail = [os.dup(root)]
    pending = path.split("/")[::-1]
    links = 0
    try:
        while pending:
            name = pending.pop()
            if name in ("", "."):
                continue
            if name == "..":
                if len(trail) > 1:
                    os.close(trail.pop())
                continue
            step = _open_step(trail[-1], name, mode if create_folders else None)
            trail.append(step)
            kind = os.fstat(step).st_mode
            if stat.S_ISLNK(kind):
                links += 1
                if links > _MAX_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                target = os.readlink("", dir_fd=step)
                os.close(trail.pop())
                if target.startswith("/"):
                    while len(trail) > 1:
                        os.close(trail.pop())
                pending.extend(target.split("/")[::-1])
            elif any(part not in ("", ".") for part in pending) and not stat.S_ISDIR(kind):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        return trail.pop()
    finally:
        for descriptor in trail:
            os.close(descriptor)


def _open_step(parent: int, name: str, mode: int | None) -> int:
    try:
        return os.open(name, _WALK, dir_fd=parent)
    except FileNotFoundError:
        if mode is None:
            raise
    os.mkdir(name, mode, dir_fd=parent)
    return os.open(name, _WALK, dir_fd=parent)


def open_folder_inside(root: int, path: str, *, create: bool = False) -> int:
    """As `open_inside`, refusing what is no folder."""
    descriptor = open_inside(root, path, create_folders=create)
    if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    return descriptor


def open_file_inside(root: int, path: str) -> int:
    """An O_PATH descriptor of the file `path`, made empty where it is missing: something to mount on."""
    try:
        return open_inside(root, path)
    except FileNotFoundError:
        folder, _, name = path.rstrip("/").rpartition("/")
        parent = open_folder_inside(root, folder, create=True)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            os.close(os.open(name, flags, 0o644, dir_fd=parent))
            return os.open(name, _WALK, dir_fd=parent)
        finally:
            os.close(parent)


def replace_file_inside(root: int, path: str, content: bytes) -> None:
    """Put a new file at `path`; a link that stood there is replaced, not followed."""
    folder, _, name = path.rpartition("/")
    parent = open_folder_inside(root, folder, create=True)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=parent)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, 0o644, dir_fd=parent)
        try:
            os.write(descriptor, content)
        finally:
            os.close(descriptor)
    finally:
        os.close(parent)


def read_file_inside(root: int, path: str, *, limit_bytes: int) -> bytes | None:
    """The first `limit_bytes` of a regular file, or None where there is none."""
    try:
        walked = open_inside(root, path)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(walked).st_mode):
            return None
        descriptor = os.open(f"/proc/self/fd/{walked}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(descriptor, limit_bytes)
        finally:
            os.close(descriptor)
    finally:
        os.close(walked)
