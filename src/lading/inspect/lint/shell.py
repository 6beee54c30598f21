"""The commands of a shell text, by tree-sitter's Bash grammar. Knows no Dockerfile.

A word whose value the text does not decide (variables, substitutions, globs) is not `literal`: rules leave
it alone.
The parser is the extra `lint`; without it `load_parser` says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from lading.errors import UsageError

if TYPE_CHECKING:
    from tree_sitter import Node, Parser


@dataclass(frozen=True, slots=True)
class ShellWord:
    value: str
    start: int
    literal: bool


@dataclass(frozen=True, slots=True)
class ShellCommand:
    """`background`: the offset of the `&` after it, else None."""

    words: tuple[ShellWord, ...]
    start: int
    end: int
    background: int | None = None

    @property
    def values(self) -> tuple[str, ...]:
        return tuple(word.value for word in self.words)


@dataclass(frozen=True, slots=True)
class ShellText:
    """`understood` is false where the grammar gave up somewhere: what was found then may be wrong."""

    commands: tuple[ShellCommand, ...]
    understood: bool


@lru_cache(maxsize=1)
def load_parser() -> Parser:
    """Raises UsageError when the extra is not installed."""
    try:
        import tree_sitter_bash
        from tree_sitter import Language, Parser
    except ImportError as error:
        raise UsageError(
            f"reading the commands of a shell needs a parser that is not installed: {error.name}",
            hints=("pip install 'lading[lint]'",),
        ) from error
    return Parser(Language(tree_sitter_bash.language()))


@lru_cache(maxsize=4096)
def read_shell(text: str) -> ShellText:
    """Every simple command in `text`, in order. Offsets count characters."""
    ascii_text = "".join(character if character < "\x80" else "x" for character in text)
    root = load_parser().parse(ascii_text.encode()).root_node
    return ShellText(tuple(_commands(root, text)), not root.has_error)


def _commands(node: Node, text: str) -> Iterator[ShellCommand]:
    if node.type == "command":
        after = node.next_sibling
        parent = node.parent
        while (
            after is None
            and parent is not None
            and parent.type in {"list", "redirected_statement", "pipeline"}
        ):
            after, parent = parent.next_sibling, parent.parent
        background = after.start_byte if after is not None and after.type == "&" else None
        words = tuple(_words(node, text))
        if words:
            yield ShellCommand(words, node.start_byte, node.end_byte, background)
    for child in node.children:
        yield from _commands(child, text)


def _words(command: Node, text: str) -> Iterator[ShellWord]:
    for child in command.named_children:
        if child.type in {"variable_assignment", "file_redirect", "herestring_redirect", "heredoc_redirect"}:
            continue
        written = text[child.start_byte : child.end_byte]
        if child.type == "command_name" and child.named_children:
            child = child.named_children[0]
        yield ShellWord(*_value(child, written), literal=_literal(child, written))


def _value(node: Node, written: str) -> tuple[str, int]:
    if node.type in {"string", "raw_string"}:
        return written[1:-1], node.start_byte
    return written, node.start_byte


def _literal(node: Node, written: str) -> bool:
    if node.type == "raw_string":
        return True
    if node.type == "string":
        return all(child.type in {'"', "string_content"} for child in node.children)
    return node.type in {"word", "number"} and not set(written) & set("*?[\\")
