"""Locks between processes: flock on files.

A lock's file may be removed by who holds it, and by nobody else. The kernel drops a dead holder's lock, so
there is no stale lock to break. A store on a file system without flock is refused with a word about it, never
used unlocked.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from lading.errors import StoreError
from lading.store.atomic import store_errors


@contextlib.contextmanager
def file_lock(path: Path, *, shared: bool = False, blocking: bool = True) -> Iterator[bool]:
    """Hold the lock at `path`. Yields False only when `blocking` is off and another holds it.

    Raises StoreError where the file system cannot lock.
    """
    with contextlib.ExitStack() as stack:
        while True:
            descriptor = _opened(path)
            stack.callback(os.close, descriptor)
            if not _locked(descriptor, path, shared=shared, blocking=blocking):
                yield False
                return
            if _is_still(path, descriptor):
                break  # else: removed while this waited, and whoever comes next makes another
        yield True


def _opened(path: Path) -> int:
    with store_errors("opening a lock", path):
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


def _locked(descriptor: int, path: Path, *, shared: bool, blocking: bool) -> bool:
    operation = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if blocking else fcntl.LOCK_NB)
    try:
        fcntl.flock(descriptor, operation)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN) and not blocking:
            return False
        raise StoreError(
            f"locking failed: {error.strerror}; the store needs a file system with flock",
            place=str(path),
            hints=("export LADING_HOME=/a/folder/on/a/local/disk",),
        ) from error
    return True


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
