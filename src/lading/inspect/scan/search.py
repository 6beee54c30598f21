"""Text searched for credentials while it passes, in blocks that overlap, so that no size is too large. Pure.

What a credential looks like is `project/tokens.py`'s to know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lading.project.tokens import may_hold_token, tokens_in, with_article

_BLOCK_BYTES = 1 << 20
_OVERLAP_BYTES = 4096
"""The longest form is shorter: a private key counts by its first line and forty characters of its text."""
_MOST_HITS = 20
_SHORTEST_BYTES, _LONGEST_BYTES = 20, 4096
_STRING_HEAD = re.compile(rb"[zZ\xfa\xda](.)|[aA\xe1\xc1](.{4})", re.DOTALL)
"""A string in bytecode has its kind and its length before it, and the length may be a letter."""
_CONTROL = re.compile(rb"[\0-\x08\x0e-\x1f]")

Hit = tuple[str, int]
"""What is to be said of it, and the line it begins on."""


class TextSearch:
    """Feed a text front to back, then `finish`."""

    def __init__(self, block_bytes: int = _BLOCK_BYTES) -> None:
        self._block_bytes = block_bytes
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._lines_before = 0
        self._found: dict[tuple[str, int], int] = {}
        """Title and offset in the whole text → line."""
        self._base = 0

    def feed(self, data: bytes | memoryview) -> None:
        self._waiting.append(bytes(data))
        self._waiting_bytes += len(data)
        if self._waiting_bytes >= self._block_bytes:
            block = b"".join(self._waiting)
            self._search(block)
            done = len(block) - _OVERLAP_BYTES
            self._lines_before += block.count(b"\n", 0, done)
            self._base += done
            self._waiting, self._waiting_bytes = [block[done:]], _OVERLAP_BYTES

    def finish(self) -> list[Hit]:
        self._search(b"".join(self._waiting))
        self._waiting = []
        return [(words_for(title), line) for (title, _), line in self._found.items()]

    def _search(self, block: bytes) -> None:
        for token in tokens_in(block):
            if len(self._found) >= _MOST_HITS:
                return
            line = self._lines_before + block.count(b"\n", 0, token.start) + 1
            self._found.setdefault((token.title, self._base + token.start), line)


def words_for(title: str) -> str:
    return f"holds what looks like {with_article(title)}"


def search_text(content: bytes) -> list[Hit]:
    search = TextSearch()
    search.feed(content)
    return search.finish()


def search_bytecode(content: bytes) -> list[str]:
    """What its constants look like; a line means nothing there."""
    if not may_hold_token(content):
        return []
    strings = b"\n".join(_strings(content))
    hits = (*search_text(content), *search_text(strings))
    return list(dict.fromkeys(words for words, _ in hits))


def _strings(content: bytes) -> Iterator[bytes]:
    """All that may be strings of letters, without what stands before them."""
    for match in _STRING_HEAD.finditer(content):
        size = int.from_bytes(match[1] or match[2] or b"", "little")
        if _SHORTEST_BYTES <= size <= min(_LONGEST_BYTES, len(content) - match.end()):
            text = content[match.end() : match.end() + size]
            if _CONTROL.search(text) is None:
                yield text


def search_wide_text(content: bytes) -> list[Hit]:
    codec = "utf-16-le" if content.startswith(b"\xff\xfe") else "utf-16-be"
    return search_text(content.decode(codec, "replace").encode("utf-8", "replace"))
