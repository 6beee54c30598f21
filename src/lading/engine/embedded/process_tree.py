"""Who descends from a process and how much memory they hold, read from /proc. A race shows as less."""

from __future__ import annotations

import contextlib
import os
import signal

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def start_ticks(pid: int) -> int | None:
    """When the process began, in clock ticks since boot; with the number it names one process for ever."""
    fields = _stat_fields(pid)
    return int(fields[19]) if fields else None


def _stat_fields(pid: int) -> list[bytes] | None:
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            content = file.read(1024)
    except OSError:
        return None
    # The name, in parentheses, may hold anything; what follows the last one is regular (proc(5)).
    return content[content.rfind(b")") + 2 :].split()


def descendants(root: int) -> list[int]:
    """Children, their children and so on, parents first; without `root` itself."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = _stat_fields(int(name))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(name))
    found: list[int] = []
    pending = [root]
    while pending:
        below = children.get(pending.pop(), [])
        found += below
        pending += below
    return found


def memory_bytes(pids: list[int]) -> int:
    """Anonymous memory of all, and the largest share of shared memory, which they have in common."""
    anonymous = shared = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/status", "rb", buffering=0) as file:
                content = file.read(4096)
        except OSError:
            continue
        anonymous += _kibibytes(content, b"RssAnon:") << 10
        shared = max(shared, _kibibytes(content, b"RssShmem:") << 10)
    return anonymous + shared


def _kibibytes(content: bytes, label: bytes) -> int:
    start = content.find(label)
    return int(content[start + len(label) :].split(None, 1)[0]) if start >= 0 else 0


def kill_descendants(root: int) -> None:
    """SIGKILL to all below `root`, again until none is new: a fork may race the first look."""
    done: set[int] = set()
    while new := [pid for pid in descendants(root) if pid not in done]:
        for pid in new:
            done.add(pid)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def host_memory_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * _PAGE_BYTES
