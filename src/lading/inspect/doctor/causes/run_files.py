"""Runs that failed at files: a full disk, too many open, closed, absent. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lading.errors import OutsideError
from lading.inspect.doctor.causes.run_memory import shm_full
from lading.inspect.doctor.causes.run_models import model_permission
from lading.inspect.doctor.model import Sign
from lading.inspect.doctor.runs.evidence import RunEvidence, size
from lading.inspect.doctor.runs.register import death, said, told

_DISK_FULL = re.compile(
    r"No space left on device|\[Errno 28\]|Disk quota exceeded|\[Errno 122\]|database or disk is full"
    r"|enforce fail at inline_container\.cc:\d+\] \. unexpected pos"
)
"""The last is what torch.save says of it."""
_OPEN_FILES = re.compile(r"Too many open files|\[Errno 24\]|received 0 items of ancdata")
_READ_ONLY = re.compile(r"Read-only file system(?:: '([^']+)')?")
_DENIED = re.compile(r"PermissionError: \[Errno (?:13|1)\] [\w ]+(?:: '([^']+)')?|\bPermission denied\b")
_CACHE = re.compile(
    r"Permission denied: '(/\.[\w/.]+|/nonexistent[^']*|/root/[^']*)'|no locator available for file"
)
_ABSENT = re.compile(
    r"(?:FileNotFoundError|NotADirectoryError): \[Errno (?:2|20)\] [\w ]+: b?['\"]([^'\"]+)"
    r"|FileNotFoundError: (?:File )?['\"]?([\w./-]+)|can't open file '([^']+)'"
    r"|NO_SUCHFILE.*Load model from (\S+) failed|LocalEntryNotFoundError"
)
_HUB = re.compile(r"LocalEntryNotFoundError|huggingface\.co")


@death(
    "run-disk-full",
    "The disk was full",
    "write(2): ENOSPC, EDQUOT",
    exit_status=OutsideError.exit_status,
)
def disk_full(run: RunEvidence) -> Iterator[Sign]:
    """Nothing could be written any more, or the user's quota was used up. Checkpoints are the usual reason:
    each holds the optimiser too, two or three times the model.

    /dev/shm has a page of its own; the samples say how much was free on the store's disk.

    Mend: `lading store gc` frees what nothing uses; keep fewer checkpoints; move the store with
    `LADING_HOME`.
    """
    match = said(run, _DISK_FULL)
    if match is None or any(True for _ in shm_full(run)):
        return
    free = run.seen.least_free_disk_bytes
    yield from told(
        run, match, "lading store gc", f"least space free: {size(free)}" if free is not None else ""
    )


@death("run-open-files", "Too many files were open", "getrlimit(2): RLIMIT_NOFILE")
def open_files(run: RunEvidence) -> Iterator[Sign]:
    """Each process may hold so many files, sockets and shared tensors open; lading raises the limit to 65,536
    where the host's hard limit allows. Data loaders that pass tensors by descriptor use one for each: torch
    says `received 0 items of ancdata` then.

    Mend: close what is opened (`with open(…)`), or
    `torch.multiprocessing.set_sharing_strategy("file_system")`; raise the host's hard limit (`ulimit -Hn`).
    """
    yield from told(run, said(run, _OPEN_FILES), "ulimit -Hn")


@death("run-read-only", "It wrote where nothing may be written", "docs/guides/tasks.md: outputs")
def read_only(run: RunEvidence) -> Iterator[Sign]:
    """Inputs are read-only, with `--dev` the working tree is, too, and at level chroot all but /tmp.

    Mend: write results to `$LADING_OUTPUTS`, what the next run needs to `$LADING_CHECKPOINTS`, the rest to
    `$TMPDIR`.
    """
    match = said(run, _READ_ONLY)
    where = f"{match.match[1]} cannot be written" if match is not None and match.match[1] else ""
    yield from told(run, match, "lading logs " + run.task, where, "write below $LADING_OUTPUTS or $TMPDIR")


@death("run-cache-folder", "A library wants a cache folder it may not write", "docs/guides/tasks.md: caches")
def cache_folder(run: RunEvidence) -> Iterator[Sign]:
    """The container's user has no home of its own, and something ignores `HOME` and `XDG_CACHE_HOME`, which
    lading sets to folders for any user, or the task set them to another place.

    Mend: point the library's own variable below `$TMPDIR`, under `env` of the task.
    """
    yield from told(run, said(run, _CACHE), run.again("--env XDG_CACHE_HOME=/tmp/cache"))


@death("run-permission", "A file or folder may not be used", "open(2): EACCES, EPERM")
def permission(run: RunEvidence) -> Iterator[Sign]:
    """The container runs as the image's user without any capability. Files of mounts and inputs keep their
    own rights; at levels below namespaces nothing of the image is for writing.

    Mend: write below `$LADING_OUTPUTS`; `chmod -R a+rX` what a mount shows.
    """
    match = said(run, _DENIED)
    if match is None or run.words.has(_CACHE) or any(True for _ in model_permission(run)):
        return
    if run.exit_status == 126:
        return
    yield from told(run, match, f"ls -ld {match.match[1] or '.'}")


@death("run-file-missing", "A file is not there in the container", "open(2): ENOENT")
def file_missing(run: RunEvidence) -> Iterator[Sign]:
    """The path is one of your machine, relative to another folder than `/app`, left out of the image
    (`.ladingignore`, data folders), or an input that the task does not name.

    Mend: make it a `[data]` input and read `$LADING_INPUTS/NAME`; `lading plan -v` lists the files of the
    image.
    """
    match = said(run, _ABSENT)
    if match is None or run.words.has(_HUB):
        return
    name = next((group for group in match.match.groups() if group), "")
    yield from told(run, match, "lading plan -v", f"looked for {name}" if name else "")
