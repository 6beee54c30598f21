"""From a key of a TOML document to the line it stands on. Pure.

`tomllib` forgets where things were; errors need `lading.toml:12`. This reads text that `tomllib` has already
accepted, so it only has to find its way (toml.io v1.0.0), never to judge.
"""

from __future__ import annotations

import re
import tomllib

KeyPath = tuple[str | int, ...]

_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\n]*")
_STRINGS = (
    re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}', re.DOTALL),
    re.compile(r"'''.*?'{3,5}", re.DOTALL),
    re.compile(r'"(?:[^"\\]|\\.)*"'),
    re.compile(r"'[^']*'"),
)


class KeyLines:
    """The lines of every key, table header and array element of one valid TOML text."""

    def __init__(self, text: str) -> None:
        self._text = text.replace("\r\n", "\n")
        self._at = 0
        self._counted_to, self._line_there = 0, 1
        self._lines: dict[KeyPath, int] = {(): 1}
        self._array_lengths: dict[KeyPath, int] = {}
        self._document()

    def line(self, path: KeyPath) -> int:
        """The line of `path`, or of the nearest table around it that is written."""
        while path not in self._lines:
            path = path[:-1]
        return self._lines[path]

    def _document(self) -> None:
        table: KeyPath = ()
        self._skip_space()
        while self._at < len(self._text):
            if self._text.startswith("[", self._at):
                table = self._header()
            else:
                self._pair(table)
            self._skip_space()

    def _header(self) -> KeyPath:
        start = self._at
        is_array = self._text.startswith("[[", self._at)
        self._at += 2 if is_array else 1
        names = self._key()
        self._at += 2 if is_array else 1
        path: KeyPath = ()
        for name in names[:-1]:
            path = self._inside((*path, name), start)
        path = (*path, names[-1])
        if is_array:
            self._note(path, start)
            index = self._array_lengths.get(path, 0)
            self._array_lengths[path] = index + 1
            path = (*path, index)
        self._lines[path] = self._line_at(start)
        return path

    def _inside(self, path: KeyPath, start: int) -> KeyPath:
        self._note(path, start)
        length = self._array_lengths.get(path)
        return path if length is None else (*path, length - 1)

    def _pair(self, table: KeyPath) -> None:
        start = self._at
        path = table
        for name in self._key():
            path = (*path, name)
            self._note(path, start)
        self._at += 1  # the equals sign
        self._value(path)

    def _key(self) -> list[str]:
        names = []
        while True:
            self._skip_space()
            if match := _BARE_KEY.match(self._text, self._at):
                names.append(match.group())
                self._at = match.end()
            else:
                start = self._at
                self._string()
                names.append(tomllib.loads(f"key = {self._text[start : self._at]}")["key"])
            self._skip_space()
            if not self._text.startswith(".", self._at):
                return names
            self._at += 1

    def _value(self, path: KeyPath) -> None:
        self._skip_space()
        opening = self._text[self._at]
        if opening in "[{":
            self._at += 1
            self._members(path, "]" if opening == "[" else "}")
        elif opening in "\"'":
            self._string()
        else:
            match = _SCALAR.match(self._text, self._at)
            self._at = match.end() if match else self._at

    def _members(self, path: KeyPath, closing: str) -> None:
        index = 0
        self._skip_space()
        while not self._text.startswith(closing, self._at):
            if closing == "]":
                self._note((*path, index), self._at)
                self._value((*path, index))
            else:
                self._pair(path)
            index += 1
            self._skip_space()
            if self._text.startswith(",", self._at):
                self._at += 1
                self._skip_space()
        self._at += 1

    def _string(self) -> None:
        for form in _STRINGS:
            if match := form.match(self._text, self._at):
                self._at = match.end()
                return
        raise ValueError(f"no string at offset {self._at}")

    def _skip_space(self) -> None:
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _note(self, path: KeyPath, start: int) -> None:
        self._lines.setdefault(path, self._line_at(start))

    def _line_at(self, offset: int) -> int:
        if offset < self._counted_to:
            return self._text.count("\n", 0, offset) + 1
        self._line_there += self._text.count("\n", self._counted_to, offset)
        self._counted_to = offset
        return self._line_there
