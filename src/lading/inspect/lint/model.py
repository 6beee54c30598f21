"""What a rule finds, and what a rule is: values only. Pure; knows no format and no file."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Severity(IntEnum):
    """How bad a finding is. `OFF` is no finding at all."""

    OFF = 0
    INFO = 1
    WARNING = 2
    ERROR = 3

    @property
    def label(self) -> str:
        return self.name.lower()

    @classmethod
    def of(cls, label: str) -> Severity:
        """Raises ValueError for a word that is no severity."""
        try:
            return cls[label.upper()]
        except KeyError:
            raise ValueError(f"{label!r} is not one of error, warning, info, off") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Replace the characters `start` to `end` of the file by `text`."""

    start: int
    end: int
    text: str
    beside: str = ""
    """Another file, as a path from the folder of the one with the finding; it need not exist yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """What a rule yields: where (offsets in the file), what is wrong, and the edits that mend it."""

    start: int
    message: str
    edits: tuple[Edit, ...] = ()
    path: str = ""
    """Of a built image: the file in it, and then `start` is a line, or 0."""
    layer: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One spot, with its rule and place. Lines and columns count from 1."""

    rule: str
    severity: Severity
    path: str
    line: int
    column: int
    message: str
    edits: tuple[Edit, ...] = ()
    image: str = ""
    """`path` is a file in this image, and empty where the image itself is meant."""
    layer: int | None = None

    @property
    def place(self) -> str:
        if self.image:
            layer = f" (layer {self.layer})" if self.layer is not None else ""
            return f"{self.image}{f' {self.path}' if self.path else ''}{layer}"
        return f"{self.path}:{self.line}:{self.column}"

    @property
    def key(self) -> str:
        """What stays the same when lines above it come and go: a baseline holds these."""
        return f"{self.path}\t{self.rule}\t{self.message}"
