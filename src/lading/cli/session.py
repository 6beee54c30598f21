"""What a command is given besides its options: streams, environment, and how to speak.

Standard output is data; everything else goes to standard error. With `--json` the data is one JSON document,
or JSON Lines with a `type`; an error is then a document of type `error` on standard output too, so that a
program reads one stream.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO

from lading.errors import OutsideError

if TYPE_CHECKING:
    from lading.cli.report import Printer
    from lading.store import Store


@dataclass(kw_only=True)
class Session:
    environment: Mapping[str, str]
    stdout: TextIO
    stderr: TextIO
    command: str = ""
    """The command that was chosen."""
    as_json: bool = False
    verbosity: int = 0
    """-1 quiet, 0 normal, 1 and 2 verbose."""

    @cached_property
    def printer(self) -> Printer:
        from lading.cli.report import Printer

        return Printer(
            stream=self.stderr,
            verbosity=self.verbosity,
            colour=wants_colour(self.stderr, self.environment),
            live=is_live(self.stderr, self.environment),
            output=getattr(self.stderr, "buffer", None),
        )

    @cached_property
    def store(self) -> Store:
        """Opened on first use. Raises StoreError."""
        from lading.store import Store

        return Store.open(self.environment)

    def line(self, text: str = "") -> None:
        """One line of data."""
        self.write(text + "\n")

    def document(self, value: Any) -> None:
        """One JSON document on one line."""
        self.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")

    def write(self, text: str) -> None:
        """Raises OutsideError when standard output cannot take it, BrokenPipeError when nobody reads."""
        with _output_errors():
            self.stdout.write(text)

    def flush(self) -> None:
        """As `write`."""
        with _output_errors():
            self.stdout.flush()


@contextlib.contextmanager
def _output_errors() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutsideError(f"writing standard output failed: {error.strerror}") from error


def wants_colour(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """NO_COLOR (any value but empty) and TERM=dumb say no; FORCE_COLOR says yes; else a terminal."""
    if environment.get("NO_COLOR") or environment.get("TERM") == "dumb":
        return False
    return bool(environment.get("FORCE_COLOR")) or stream.isatty()


def is_live(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether a progress line can be drawn over itself."""
    return stream.isatty() and environment.get("TERM") != "dumb" and not environment.get("CI")
