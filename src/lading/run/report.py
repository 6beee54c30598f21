"""What a long operation says while it works: the seam that the command line implements.

Knows words only; must not know terminals, colours or JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One finished phase and what it cost."""

    name: str
    """`lock`, `build train`, `run train`, `gate`, `build serve`, `seal model`, `serve`, `replay`."""
    seconds: float
    size_bytes: int = 0
    """Bytes made or fetched by this step; 0 where bytes say nothing."""
    reused: bool = False
    note: str = ""
    """For people: `reused run 7f3a, 12 min old; --rerun`."""


class Reporter(Protocol):
    """Called from one thread. Methods must not raise and must not block for long."""

    def phase(self, name: str) -> None:
        """A phase begins."""
        ...

    def line(self, text: str) -> None:
        """One line from lading itself, without a newline."""
        ...

    def warning(self, text: str) -> None:
        """Something the user should know that stops nothing."""
        ...

    def output(self, data: bytes) -> None:
        """Bytes the user's own code printed, in order, cut anywhere."""
        ...

    def finished(self, step: Step) -> None:
        """A phase has ended well."""
        ...


class SilentReporter:
    """Says nothing: for callers that only want the result."""

    def phase(self, name: str) -> None: ...

    def line(self, text: str) -> None: ...

    def warning(self, text: str) -> None: ...

    def output(self, data: bytes) -> None: ...

    def finished(self, step: Step) -> None: ...
