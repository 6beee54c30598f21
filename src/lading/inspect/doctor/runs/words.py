"""What a run printed, as evidence: lines, and the Python exceptions among them. Pure.

Many logs hold errors that killed nothing: a warning, a retry, a handled exception. So a match says where it
stands: in the last exception or the last lines (`late`), or somewhere before. Knows no cause.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

LATE_LINES = 30
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07")
_RANK = re.compile(r"^\[?(?:rank|default)\d+\]?: ?")
_SYNTAX_ERROR_LINES = 6
_HEADER = re.compile(r"^\s*(?:Original )?Traceback \(most recent call last\):\s*$")
_FRAME = re.compile(r'^\s*File "([^"]+)", line (\d+)(?:, in (.+))?$')
_RAISED = re.compile(r"^([A-Za-z_][\w.]*)(?::(?: (.*))?)?$")
_CHAIN = (
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
)
_LONGEST_LINE = 2000
_LONGEST_MESSAGE_LINES = 60
LAUNCHERS = frozenset(
    {"ChildFailedError", "ProcessRaisedException", "ProcessExitedException", "SpawnException"}
)
"""What launchers raise when one of their processes failed: it says nothing of the reason."""
_LIBRARIES = ("/site-packages/", "/dist-packages/", "/lib/python", "<frozen ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    path: str
    line: int
    function: str = ""

    @property
    def is_library(self) -> bool:
        return any(mark in self.path for mark in _LIBRARIES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """One traceback: what was raised, and through which frames, the innermost last."""

    kind: str
    """Without its module: `ModuleNotFoundError`."""
    message: str
    frames: tuple[Frame, ...]
    start: int
    """Index of its first line."""
    end: int

    @property
    def place(self) -> Frame | None:
        """The innermost frame of the project's own code; else the innermost of all."""
        own = [frame for frame in self.frames if not frame.is_library]
        return own[-1] if own else (self.frames[-1] if self.frames else None)

    def __str__(self) -> str:
        first = self.message.split("\n", 1)[0]
        return f"{self.kind}: {first}" if first else self.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A line that matched."""

    match: re.Match[str]
    line: str
    index: int
    is_numbered: bool
    late: bool

    @property
    def proof(self) -> str:
        where = f"log line {self.index + 1}" if self.is_numbered else "log"
        return f"{where}: {self.line.strip()[:300]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """Cleaned lines of a log, and its exceptions in order."""

    lines: tuple[str, ...] = ()
    raised: tuple[Raised, ...] = ()
    is_whole: bool = True
    """False where the middle was left out: the numbers of lines are not known then."""
    _late: int = field(default=0, repr=False)
    _found: dict[re.Pattern[str], Said | None] = field(default_factory=dict, repr=False, compare=False)
    """Causes that are neighbours ask the same things."""

    @property
    def last(self) -> Raised | None:
        """The last exception; a launcher's own only where there is no other."""
        own = [raised for raised in self.raised if raised.kind not in LAUNCHERS]
        return (own or list(self.raised))[-1] if self.raised else None

    def find(self, pattern: re.Pattern[str]) -> Said | None:
        """The last line that matches."""
        if pattern not in self._found:
            self._found[pattern] = self._search(pattern)
        return self._found[pattern]

    def _search(self, pattern: re.Pattern[str]) -> Said | None:
        for index in range(len(self.lines) - 1, -1, -1):
            match = pattern.search(self.lines[index])
            if match is not None:
                late = index >= self._late
                return Said(
                    match=match, line=self.lines[index], index=index, is_numbered=self.is_whole, late=late
                )
        return None

    def has(self, pattern: re.Pattern[str]) -> bool:
        return self.find(pattern) is not None


def read_words(text: str, *, is_whole: bool = True) -> Words:
    """`text` is the log or its end; terminal colours, progress bars and rank prefixes are taken off."""
    lines = tuple(_clean(line) for line in text.split("\n"))
    raised = tuple(_exceptions(lines))
    return Words(lines=lines, raised=raised, is_whole=is_whole, _late=_late_from(lines, raised))


def _clean(line: str) -> str:
    line = _ANSI.sub("", line.rstrip("\r\n"))
    line = line.rpartition("\r")[2]
    return _RANK.sub("", line)[:_LONGEST_LINE]


def _exceptions(lines: tuple[str, ...]) -> Iterator[Raised]:
    at = 0
    while at < len(lines):
        found = None
        if _HEADER.match(lines[at]):
            found = _read_exception(lines, at)
        elif _FRAME.match(lines[at]):
            found = _read_syntax_error(lines, at)
        if found is not None:
            yield found
        at = found.end if found is not None else at + 1


def _read_exception(lines: tuple[str, ...], start: int) -> Raised | None:
    indent = len(lines[start]) - len(lines[start].lstrip())
    frames = []
    at = start + 1
    while at < len(lines):
        line = lines[at][indent:] if lines[at][:indent].isspace() or not indent else lines[at]
        if frame := _FRAME.match(line):
            frames.append(Frame(path=frame[1], line=int(frame[2]), function=frame[3] or ""))
        elif line and not line.startswith(" "):
            break
        at += 1
    if at == len(lines):
        return None
    first = _RAISED.match(lines[at].strip())
    if first is None or not frames:
        return None
    message = [first[2] or ""]
    end = at + 1
    while end < len(lines) and end - at < _LONGEST_MESSAGE_LINES and _goes_on(lines, end):
        message.append(lines[end])
        end += 1
    return Raised(
        kind=first[1].rpartition(".")[2],
        message="\n".join(message).strip(),
        frames=tuple(frames),
        start=start,
        end=end,
    )


def _read_syntax_error(lines: tuple[str, ...], start: int) -> Raised | None:
    """Of the program itself, which is told without a traceback: its file, the line, a mark, the error."""
    frame = _FRAME.match(lines[start])
    for at in range(start + 1, min(start + _SYNTAX_ERROR_LINES, len(lines))):
        raised = _RAISED.match(lines[at].strip())
        if frame and raised and raised[1] in ("SyntaxError", "IndentationError", "TabError"):
            place = Frame(path=frame[1], line=int(frame[2]), function=frame[3] or "")
            return Raised(kind=raised[1], message=raised[2] or "", frames=(place,), start=start, end=at + 1)
    return None


def _goes_on(lines: tuple[str, ...], at: int) -> bool:
    """A message may have several lines; it ends at the next traceback, chain or blank line."""
    line = lines[at]
    return bool(line.strip()) and not _HEADER.match(line) and line.strip() not in _CHAIN


def _late_from(lines: tuple[str, ...], raised: tuple[Raised, ...]) -> int:
    """The first line of what the run said last: the last exception with those it came from, or LATE_LINES."""
    count = len(lines)
    while count and not lines[count - 1].strip():
        count -= 1
    late = max(0, count - LATE_LINES)
    if not raised:
        return late
    if raised[-1].kind in LAUNCHERS:
        return min(late, raised[0].start)
    start = raised[-1].start
    for before, after in zip(reversed(raised[:-1]), reversed(raised), strict=False):
        between = "\n".join(lines[before.end : after.start])
        if after.start != start or not (any(words in between for words in _CHAIN) or not between.strip()):
            break
        start = before.start
    return min(late, start) if count - raised[-1].end < LATE_LINES else late
