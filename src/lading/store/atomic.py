"""Files that are there whole or not at all.

The order is write → size check → fsync → digest → rename → fsync of the folder (restic's and containerd's).
An fsync that fails is an error, never retried: the kernel may have dropped the pages (PostgreSQL's
"fsyncgate", 2018).
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from lading.errors import StoreError


@contextlib.contextmanager
def store_errors(doing: str, path: Path) -> Iterator[None]:
    """Turn an OSError met while `doing` something at `path` into a StoreError that says what to do."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{doing} failed: {error.strerror or error}", place=str(path), hints=_remedy(error.errno, path)
        ) from error


def _remedy(number: int | None, path: Path) -> tuple[str, ...]:
    if number in (errno.ENOSPC, errno.EDQUOT):
        return ("lading store gc", f"df -h {path.parent}")
    if number in (errno.EROFS, errno.EACCES, errno.EPERM):
        return ("export LADING_HOME=/a/folder/you/can/write",)
    if number == errno.EMFILE:
        return ("ulimit -n 4096",)
    if number == errno.EXDEV:
        return ("export LADING_HOME=/a/folder/on/one/file/system",)
    if number == errno.EIO:
        return ("lading store verify", f"df {path.parent}; dmesg | tail")
    return ()


def fsync_directory(path: Path) -> None:
    """Make a rename in `path` durable. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary_name() -> str:
    """A name no other writer has; the pid lets the collector see whose it was."""
    return f"{os.getpid()}-{secrets.token_hex(8)}"


def write_atomic(
    path: Path, content: bytes, *, staging: Path, mode: int = 0o644, durable: bool = True
) -> None:
    """Put `content` at `path` whole or not at all; `staging` is on the same file system.

    Not `durable`: a loss of power may leave the file torn or absent, so its reader must notice. The death of
    this process leaves it whole either way. Raises StoreError.
    """
    with store_errors("writing", path):
        temporary = staging / temporary_name()
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            try:
                view = memoryview(content)
                while view:
                    view = view[os.write(descriptor, view) :]
                if durable:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.rename(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if durable:
            fsync_directory(path.parent)
