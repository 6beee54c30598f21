"""A Dockerfile as instructions and stages, every character of which knows its offset in the file. Pure.

The grammar is BuildKit's: parser directives, `# escape`, continuation lines with comments and empty lines
between
them, heredocs, JSON and shell forms, flags. Own code because BuildKit's parser keeps lines, not offsets, and
has no
wheel for arm64 Linux; the tests compare the two.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*$")
_HEREDOC = re.compile(r"\d*<<(-?)([\"']?)([A-Za-z0-9_.]+)\2")
_VARIABLE = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:?[-+])([^}]*))?\})")
_KEYWORDS = frozenset(
    {
        "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL",
        "MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"
    }
)  # fmt: skip


class NotADockerfile(Exception):
    """The text does not follow the grammar; the argument says where and why."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word as written, quotes and all, and where it begins in the instruction's text."""

    text: str
    start: int

    @property
    def value(self) -> str:
        """Without the quotes around it."""
        quoted = len(self.text) > 1 and self.text[0] == self.text[-1] and self.text[0] in "\"'"
        return self.text[1:-1] if quoted else self.text


@dataclass(frozen=True, slots=True)
class Heredoc:
    """`start` is the offset of `content` in the file."""

    name: str
    content: str
    start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """`text` is what BuildKit sees: continuation marks and comments are gone. `pieces` lead back to the
    file.
    """

    keyword: str
    text: str
    body_start: int
    pieces: tuple[tuple[int, int], ...]
    """Offset in `text`, offset in the file; ascending."""
    flags: tuple[Word, ...] = ()
    heredocs: tuple[Heredoc, ...] = ()

    @property
    def body(self) -> str:
        return self.text[self.body_start :]

    @property
    def start(self) -> int:
        return self.offset(0)

    def offset(self, at: int) -> int:
        """Where the character `at` of `text` stands in the file."""
        begin, raw = next(piece for piece in reversed(self.pieces) if piece[0] <= at)
        return raw + at - begin

    @property
    def json_words(self) -> tuple[str, ...] | None:
        """The exec form; None for the shell form."""
        body = self.body.strip()
        if not body.startswith("["):
            return None
        try:
            words = json.loads(body)
        except ValueError:
            return None
        return tuple(words) if all(isinstance(word, str) for word in words) else None

    @property
    def words(self) -> tuple[Word, ...]:
        return tuple(split_words(self.text, self.body_start))

    @property
    def pairs(self) -> tuple[tuple[str, Word], ...]:
        """NAME and value of ENV, LABEL and ARG; a value that is absent (`ARG NAME`) is no pair."""
        words = self.words
        if self.keyword != "ARG" and words and "=" not in words[0].text:
            rest = words[1].start if len(words) > 1 else len(self.text)
            return ((words[0].text, Word(self.text[rest:].strip(), rest)),)
        split = [(word, *word.text.partition("=")) for word in words]
        return tuple(
            (name, Word(value, word.start + len(name) + 1)) for word, name, equals, value in split if equals
        )


@dataclass(slots=True, kw_only=True)
class Stage:
    """From one FROM to the next. `image` has the ARGs before the first FROM filled in; None when it
    cannot be known.
    """

    origin: Instruction
    image: str | None
    name: str | None
    instructions: list[Instruction] = field(default_factory=list)

    def all(self, *keywords: str) -> Iterator[Instruction]:
        return (entry for entry in self.instructions if entry.keyword in keywords)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dockerfile:
    text: str
    directives: Mapping[str, str]
    instructions: tuple[Instruction, ...]
    stages: tuple[Stage, ...]

    def ancestry(self, stage: Stage) -> tuple[Stage, ...]:
        """The stage and those it is built from in this file, the nearest first."""
        line = [stage]
        named = {other.name.lower(): other for other in self.stages if other.name}
        while (image := line[-1].image) and image.lower() in named:
            above = named[image.lower()]
            if self.stages.index(above) >= self.stages.index(line[-1]):
                break
            line.append(above)
        return tuple(line)

    def base(self, stage: Stage) -> str | None:
        """The registry's image at the root of the stage."""
        return self.ancestry(stage)[-1].image


def split_words(text: str, start: int = 0) -> Iterator[Word]:
    """Words apart by blanks; quotes hold one together, a backslash takes the next character with it."""
    at, length = start, len(text)
    while at < length:
        if text[at].isspace():
            at += 1
            continue
        begin, quote = at, ""
        while at < length and (quote or not text[at].isspace()):
            if text[at] == "\\" and quote != "'":
                at += 1
            elif quote:
                quote = "" if text[at] == quote else quote
            elif text[at] in "\"'":
                quote = text[at]
            at += 1
        at = min(at, length)
        yield Word(text[begin:at], begin)


def expand(text: str, values: Mapping[str, str | None]) -> str | None:
    """`text` with its variables; None when one has no known value."""
    unknown = False

    def replace(match: re.Match[str]) -> str:
        nonlocal unknown
        value = values.get(match[1] or match[2])
        if match[3] and match[3].endswith("-") and not value:
            return match[4]
        if match[3] and match[3].endswith("+"):
            return match[4] if value else ""
        unknown = unknown or value is None
        return value or ""

    expanded = _VARIABLE.sub(replace, text)
    return None if unknown or "$" in expanded else expanded


def read_dockerfile(text: str) -> Dockerfile:
    """Raises NotADockerfile."""
    lines = _lines(text)
    directives = _directives(lines)
    escape = directives.get("escape", "\\")
    instructions = tuple(_instructions(lines, "`" if escape == "`" else "\\"))
    return Dockerfile(
        text=text, directives=directives, instructions=instructions, stages=tuple(_stages(instructions))
    )


def _lines(text: str) -> list[tuple[int, str]]:
    """Offset and line without its end. A byte order mark belongs to no line."""
    found, at = [], 1 if text.startswith("\ufeff") else 0
    for line in text[at:].split("\n"):
        found.append((at, line.removesuffix("\r")))
        at += len(line) + 1
    return found


def _directives(lines: list[tuple[int, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for _, line in lines:
        match = _DIRECTIVE.match(line.strip())
        if (
            match is None
            or match[1].lower() not in {"syntax", "escape", "check"}
            or match[1].lower() in found
        ):
            break
        found[match[1].lower()] = match[2]
    return found


def _instructions(lines: list[tuple[int, str]], escape: str) -> Iterator[Instruction]:
    mark = re.escape(escape)
    continues = re.compile(rf"(?:(?<=[^{mark}])|^){mark}[ \t]*$")
    at = 0
    while at < len(lines):
        start, line = lines[at]
        stripped = line.lstrip()
        at += 1
        if not stripped or stripped.startswith("#"):
            continue
        pieces, parts, length = [], [], 0
        start += len(line) - len(stripped)
        line = stripped
        while True:
            match = continues.search(line)
            part = line[: match.start()] if match else line
            pieces.append((length, start))
            parts.append(part)
            length += len(part)
            if match is None:
                break
            while at < len(lines) and (not lines[at][1].strip() or lines[at][1].lstrip().startswith("#")):
                at += 1
            if at == len(lines):
                break
            start, line = lines[at]
            at += 1
        instruction = _instruction("".join(parts), tuple(pieces))
        heredocs = []
        if instruction.keyword in {"RUN", "COPY", "ADD"} and instruction.json_words is None:
            for word in instruction.words:
                if match := _HEREDOC.fullmatch(word.text):
                    at, heredoc = _heredoc(lines, at, match)
                    heredocs.append(heredoc)
        yield _instruction(instruction.text, instruction.pieces, tuple(heredocs))


def _heredoc(lines: list[tuple[int, str]], at: int, match: re.Match[str]) -> tuple[int, Heredoc]:
    begin, content = at, []
    while at < len(lines):
        line = lines[at][1]
        at += 1
        if (line.lstrip("\t") if match[1] else line) == match[3]:
            break
        content.append(line + "\n")
    else:
        raise NotADockerfile(f"line {begin}: the heredoc {match[3]} does not end")
    return at, Heredoc(match[3], "".join(content), lines[begin][0])


def _instruction(
    text: str, pieces: tuple[tuple[int, int], ...], heredocs: tuple[Heredoc, ...] = ()
) -> Instruction:
    match = re.match(r"[^\s]+\s*", text)
    assert match is not None  # an instruction begins with a character that is no blank
    keyword = match[0].strip().upper()
    if keyword not in _KEYWORDS:
        raise NotADockerfile(f"{match[0].strip()[:40]!r} is no instruction")
    flags, body = [], match.end()
    if keyword in {"FROM", "RUN", "COPY", "ADD", "HEALTHCHECK"}:
        for word in split_words(text, body):
            if not word.text.startswith("--") or word.text == "--":
                break
            flags.append(word)
            body = word.start + len(word.text)
            body += len(text[body:]) - len(text[body:].lstrip())
    return Instruction(
        keyword=keyword, text=text, body_start=body, pieces=pieces, flags=tuple(flags), heredocs=heredocs
    )


def _stages(instructions: tuple[Instruction, ...]) -> Iterator[Stage]:
    values: dict[str, str | None] = {}
    stage: Stage | None = None
    for entry in instructions:
        if entry.keyword == "FROM":
            if stage is not None:
                yield stage
            words = entry.words
            if not words:
                raise NotADockerfile("FROM names no image")
            named = len(words) == 3 and words[1].text.lower() == "as"
            stage = Stage(
                origin=entry, image=expand(words[0].value, values), name=words[2].text if named else None
            )
        elif stage is not None:
            stage.instructions.append(entry)
        elif entry.keyword == "ARG":
            for name, value in entry.pairs:
                values[name] = expand(value.value, values)
        else:
            raise NotADockerfile(f"{entry.keyword} stands before the first FROM")
    if stage is None:
        raise NotADockerfile("it has no FROM")
    yield stage
