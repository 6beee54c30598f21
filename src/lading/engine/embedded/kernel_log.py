"""What the kernel logged about a run: who was killed for memory, what crashed where, which GPU failed.

Reads /dev/kmsg, which many hosts keep for root. The choice of lines is pure.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator

_RECORD_BYTES = 8192
_MOST_RECORDS = 50_000
_MOST_LINES = 20
_SLACK_SECONDS = 1.0
_ABOUT_MEMORY = re.compile(r"oom-kill:|[Oo]ut of memory: Killed process")
_ABOUT_CRASH = re.compile(r"segfault at|traps: |general protection|trap invalid opcode")
_ABOUT_HARDWARE = re.compile(r"NVRM: Xid|NVRM: .*fallen off the bus|Hardware Error|I/O error, dev ")
_PROCESS = re.compile(r"\[(\d+)\]|pid=(\d+)|process (\d+)")


def kernel_lines(since_seconds: float, pids: Collection[int], first_pid: int) -> tuple[str, ...]:
    """Lines logged since `since_seconds` (of the monotonic clock); none where the log may not be read."""
    return relevant_lines(_records(), since_seconds, pids, first_pid)


def relevant_lines(
    records: Iterable[str], since_seconds: float, pids: Collection[int], first_pid: int
) -> tuple[str, ...]:
    """Of `records` as /dev/kmsg gives them: what names one of `pids`, or a process that began after
    `first_pid`; what says that the whole host was short of memory; what hardware complained of. Pure.
    """
    found = []
    for record in records:
        head, _, text = record.partition(";")
        fields = head.split(",")
        if (
            len(fields) < 3
            or not fields[2].isdigit()
            or int(fields[2]) / 1e6 < since_seconds - _SLACK_SECONDS
        ):
            continue
        line = text.split("\n", 1)[0]
        if _ABOUT_HARDWARE.search(line) or (
            (_ABOUT_MEMORY.search(line) or _ABOUT_CRASH.search(line))
            and ("constraint=CONSTRAINT_NONE" in line or _is_about(line, pids, first_pid))
        ):
            found.append(line[:500])
    return tuple(found[-_MOST_LINES:])


def _is_about(line: str, pids: Collection[int], first_pid: int) -> bool:
    numbers = (int(next(filter(None, groups))) for groups in _PROCESS.findall(line))
    return any(number in pids or number >= first_pid for number in numbers)


def _records() -> Iterator[str]:
    try:
        descriptor = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        for _ in range(_MOST_RECORDS):
            try:
                yield os.read(descriptor, _RECORD_BYTES).decode("utf-8", "replace")
            except BrokenPipeError:  # the record was overwritten before it was read: the next one follows
                continue
            except OSError:
                return
    finally:
        os.close(descriptor)
