"""hadolint beside the own rules: a few of its processes for all files, its ids kept, its false alarms taken
out.

Runs while the caller does other work. Knows how hadolint is called and what it prints; what of it is wrong
for ML files is said in `hadolint_doubts`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lading.errors import OutsideError, UsageError
from lading.inspect.lint.dockerfile import Dockerfile, NotADockerfile, read_dockerfile
from lading.inspect.lint.hadolint_doubts import has_doubts, is_doubtful, readable_for_hadolint
from lading.inspect.lint.model import Finding, Severity

CANNOT_PARSE = "DL1000"
_LEVELS = {
    "error": Severity.ERROR,
    "warning": Severity.WARNING,
    "info": Severity.INFO,
    "style": Severity.INFO,
}
_FEWEST_FILES_A_PROCESS = 25
_MOST_PROCESSES = 4
_LONGEST_ARGUMENTS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """One finding as hadolint says it."""

    path: str
    line: int
    code: str
    level: str
    message: str

    def finding(self, severity: Severity) -> Finding:
        message = " ".join(self.message.split())
        return Finding(
            rule=self.code, severity=severity, path=self.path, line=self.line, column=1, message=message
        )


class Hadolint:
    """Started with files, asked for what it found later. Use it in a `with`."""

    def __init__(self, paths: Iterable[Path]) -> None:
        """Raises UsageError when hadolint is not installed."""
        program = find_program()
        self.unread: list[tuple[str, str]] = []
        """Files that it could not read, with the reason."""
        self._folder = tempfile.TemporaryDirectory(prefix="lading-lint-")
        self._copies: dict[str, tuple[str, tuple[int, ...]]] = {}
        """Of a copy: the path of the file it stands for, and the line of each of its lines there."""
        given = [self._readable(path) for path in paths if path.is_file() and os.access(path, os.R_OK)]
        self._pool = ThreadPoolExecutor(_MOST_PROCESSES, thread_name_prefix="hadolint")
        self._waiting: list[Future[list[Remark]]] = [
            self._pool.submit(run_hadolint, program, part) for part in _parts(given)
        ]

    def __enter__(self) -> Hadolint:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._folder.cleanup()

    def remarks(self, texts: Mapping[str, str]) -> Iterator[tuple[Remark, Severity]]:
        """What it says of the files whose texts are given, each with its level; fills `unread`. Raises
        OutsideError.
        """
        documents: dict[str, Dockerfile | None] = {}
        for remark in (self._original(remark) for future in self._waiting for remark in future.result()):
            if remark.path not in texts:
                continue
            if remark.code == CANNOT_PARSE:
                reason = f"line {remark.line}: {remark.message.splitlines()[0]}"
                self.unread.append((remark.path, f"hadolint cannot parse it: {reason}"))
                continue
            if has_doubts(remark.code) and remark.path not in documents:
                documents[remark.path] = _document(texts[remark.path])
            if not is_doubtful(remark.code, remark.line, documents.get(remark.path)):
                yield remark, _LEVELS.get(remark.level, Severity.INFO)

    def _readable(self, path: Path) -> str:
        """The file itself, or a copy of it that hadolint's grammar knows."""
        content = path.read_bytes()
        document = _document(content.decode("utf-8", "replace")) if b"<<" in content else None
        if document is None or not any(entry.heredocs for entry in document.instructions):
            return str(path)
        text, lines = readable_for_hadolint(document)
        copy = Path(self._folder.name, str(len(self._copies)))
        copy.write_text(text, encoding="utf-8", newline="")
        self._copies[str(copy)] = str(path), lines
        return str(copy)

    def _original(self, remark: Remark) -> Remark:
        if remark.path not in self._copies:
            return remark
        path, lines = self._copies[remark.path]
        return replace(remark, path=path, line=lines[min(max(remark.line, 1), len(lines)) - 1])


def find_program() -> str:
    """hadolint of the environment that lading runs in, or the one in the search path."""
    beside = Path(sys.executable).parent / "hadolint"
    program = str(beside) if beside.is_file() else shutil.which("hadolint")
    if program is None:
        raise UsageError("hadolint is asked for and not installed", hints=("pip install 'lading[hadolint]'",))
    return program


def run_hadolint(program: str, paths: Sequence[str]) -> list[Remark]:
    """One process for all paths. Raises OutsideError."""
    command = [program, "--no-fail", "--no-color", "--format", "json", "--", *paths]
    try:
        ended = subprocess.run(command, capture_output=True, check=False)
        said: Any = json.loads(ended.stdout) if ended.returncode == 0 else None
    except OSError as error:
        raise OutsideError(f"hadolint cannot be started: {error.strerror}", place=program) from error
    except ValueError as error:
        raise OutsideError(f"hadolint's output is no JSON: {error}", place=program) from error
    if said is None:
        reason = (ended.stderr.decode("utf-8", "replace").strip().splitlines() or ["it says nothing"])[0]
        raise OutsideError(
            f"hadolint ended with {ended.returncode}: {reason}",
            place=program,
            hints=(f"{program} --version",),
        )
    return [
        Remark(
            path=str(entry["file"]), line=int(entry["line"]), code=str(entry["code"]),
            level=str(entry["level"]), message=str(entry["message"]),
        )
        for entry in said
    ]  # fmt: skip


def _parts(paths: Sequence[str]) -> Iterator[Sequence[str]]:
    """One part a processor, and none longer than a command line may be."""
    processes = max(
        1, min(_MOST_PROCESSES, len(os.sched_getaffinity(0)), len(paths) // _FEWEST_FILES_A_PROCESS)
    )
    for number in range(processes):
        part: list[str] = []
        length = 0
        for path in paths[number::processes]:
            if length + len(path) > _LONGEST_ARGUMENTS:
                yield part
                part, length = [], 0
            part.append(path)
            length += len(path) + 1
        if part:
            yield part


def _document(text: str) -> Dockerfile | None:
    try:
        return read_dockerfile(text)
    except NotADockerfile:
        return None
