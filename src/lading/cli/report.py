"""What is said while work goes on: one progress line a phase on a terminal, quiet lines without one.

All of it goes to standard error. Colour never carries meaning alone. Safe to call from several threads.
"""

from __future__ import annotations

import shutil
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self, TextIO

from lading.cli.format import format_seconds, format_size

if TYPE_CHECKING:
    from lading.run.report import Step

_REDRAW_SECONDS = 0.1
_RED, _YELLOW, _CYAN, _BOLD, _DIM, _PLAIN = (
    "\x1b[31m",
    "\x1b[33m",
    "\x1b[36m",
    "\x1b[1m",
    "\x1b[2m",
    "\x1b[0m",
)


class Printer:
    """Prints notes and phases to `stream`; the user's own output to `output`.

    `live`: a line may be drawn over itself.
    """

    def __init__(
        self,
        *,
        stream: TextIO,
        verbosity: int = 0,
        colour: bool = False,
        live: bool = False,
        output: BinaryIO | None = None,
    ) -> None:
        self._stream = stream
        self._output = output
        self._verbosity = verbosity
        self._colour = colour
        self._live = live
        self._drawn = False
        self._lock = threading.RLock()

    @property
    def verbose(self) -> bool:
        """Whether details are wanted: -v."""
        return self._verbosity >= 1

    def note(self, text: str) -> None:
        """Something worth knowing; silent under -q."""
        if self._verbosity >= 0:
            self._write(text)

    def detail(self, text: str) -> None:
        """Only under -v."""
        if self._verbosity >= 1:
            self._write(self._paint(text, _DIM))

    def warn(self, text: str) -> None:
        """Also under -q."""
        self._write(f"{self._paint('warning', _YELLOW)}: {text}")

    def error(self, message: str, place: str | None, hints: tuple[str, ...]) -> None:
        """What failed, where, and what to do next."""
        self._write(f"{self._paint('error', _RED)}: {message}")
        if place is not None and place not in message:
            self._write(f"  at {place}")
        for hint in dict.fromkeys(hints):
            self._write(f"{self._paint('hint', _CYAN)}: {hint}")

    def progress(self, title: str, total_bytes: int | None = None) -> Phase:
        """A stretch of work whose bytes are counted; use as a context manager."""
        return Phase(self, title, total_bytes)

    # What follows is lading.run.report.Reporter.

    def phase(self, name: str) -> None:
        """A phase begins."""
        self.draw(f"{name} …")

    def line(self, text: str) -> None:
        self.note(text)

    def warning(self, text: str) -> None:
        self.warn(text)

    def send_output_to(self, stream: TextIO) -> None:
        """Where the user's own output goes from now on."""
        stream.flush()
        self._output = getattr(stream, "buffer", None)

    def output(self, data: bytes) -> None:
        """What the user's own code printed, as it is."""
        with self._lock:
            self.clear()
            if self._output is not None:
                self._output.write(data)
                self._output.flush()

    def finished(self, step: Step) -> None:
        """One line: the phase, its time, its bytes, and what was remarkable."""
        parts = [f"{step.name:<14}", format_seconds(step.seconds).rjust(9)]
        parts.append(format_size(step.size_bytes).rjust(7) if step.size_bytes else " " * 7)
        parts.append(step.note or ("reused" if step.reused else ""))
        self.note("  ".join(parts).rstrip())

    def draw(self, text: str) -> None:
        """Replace the progress line; nothing without a terminal."""
        if not self._live or self._verbosity < 0:
            return
        width = shutil.get_terminal_size().columns - 1
        with self._lock:
            self._stream.write(f"\r\x1b[K{text[:width]}")
            self._stream.flush()
            self._drawn = True

    def clear(self) -> None:
        """Take the progress line away."""
        with self._lock:
            if self._drawn:
                self._stream.write("\r\x1b[K")
                self._stream.flush()
                self._drawn = False

    def _write(self, text: str) -> None:
        with self._lock:
            self.clear()
            self._stream.write(text + "\n")
            self._stream.flush()

    def _paint(self, text: str, colour: str) -> str:
        return f"{colour}{text}{_PLAIN}" if self._colour else text


class Phase:
    """One progress line: title, bytes, rate, time left. Without a terminal, one line at its end."""

    def __init__(self, printer: Printer, title: str, total_bytes: int | None) -> None:
        self._printer = printer
        self._title = title
        self._total_bytes = total_bytes
        self._done_bytes = 0
        self._started = time.monotonic()
        self._drawn_at = 0.0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._printer.draw(self._title)
        return self

    def advance(self, size_bytes: int) -> None:
        """`size_bytes` more are done."""
        now = time.monotonic()
        with self._lock:
            self._done_bytes += size_bytes
            if now - self._drawn_at < _REDRAW_SECONDS:
                return
            self._drawn_at = now
        self._printer.draw(
            progress_line(self._title, self._done_bytes, self._total_bytes, now - self._started)
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._printer.clear()
        if kind is None:
            seconds = time.monotonic() - self._started
            size = f"{format_size(self._done_bytes)}, " if self._done_bytes else ""
            self._printer.note(f"{self._title}: {size}{format_seconds(seconds)}")


def progress_line(title: str, done_bytes: int, total_bytes: int | None, seconds: float) -> str:
    """`fetching wheels  12 MB of 41 MB  8.0 MB/s  4 s left`. Pure."""
    rate = done_bytes / seconds if seconds > 0 else 0.0
    parts = [title, format_size(done_bytes)]
    if total_bytes:
        parts[1] += f" of {format_size(total_bytes)}"
    if rate:
        parts.append(f"{format_size(rate)}/s")
    if rate and total_bytes and total_bytes > done_bytes:
        parts.append(f"{format_seconds((total_bytes - done_bytes) / rate)} left")
    return "  ".join(parts)
