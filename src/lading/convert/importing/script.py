"""The text of a RUN as parts: simple commands whose words are decided, and what is more than that. Pure.

The shell is parsed by tree-sitter (the extra `lint`), never run. A part that is no simple command keeps its
text, so that it can become a step as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lading.convert.importing.words import Values, variable_at
from lading.inspect.lint.shell import load_parser

if TYPE_CHECKING:
    from tree_sitter import Node

_SPECIAL = frozenset("0123456789?@*#!-$")
_QUIET = re.compile(r"\d*>+\s*/dev/null|\d*>&\s*[012-]|&>\s*/dev/null")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One command between `&&`, `;` and line ends."""

    text: str
    words: tuple[str, ...] | None = None
    """Of a simple command, as the shell would see them; None for a pipeline, a loop, unknown variables."""
    assignments: Mapping[str, str] = field(default_factory=dict)
    """Variables set before the command, or by a part that is only that."""
    is_whole: bool = True
    """False where the shell's grammar gave up."""


def read_script(text: str, values: Values) -> tuple[Part, ...]:
    """The parts of `text` in order; `values` are what ARG and ENV have set."""
    plain = "".join(character if character < "\x80" else "x" for character in text)
    root = load_parser().parse(plain.encode()).root_node
    if root.has_error:
        return (Part(text=text.strip(), is_whole=False),)
    if any(child.type == "&" for child in _all(root)):
        return (Part(text=text.strip()),)
    known = dict(values)
    parts: list[Part] = []
    for statement in _statements(root.named_children):
        part = _part(statement, text, known)
        for name, value in part.assignments.items():
            if not part.words or part.words[0] == "export":
                known[name] = value
        parts.append(part)
    return tuple(parts)


@dataclass(frozen=True, slots=True)
class _Statement:
    """A node, and what stands around it: redirections, `|| true`."""

    node: Node
    whole: Node
    redirects: tuple[Node, ...] = ()
    begin: int | None = None
    """Where its text begins, where that is not the whole's beginning."""


def _all(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _all(child)


def _statements(nodes: Iterable[Node]) -> Iterator[_Statement]:
    for node in nodes:
        if node.type == "comment":
            continue
        if node.type == "list" and _joined_by(node) == "&&":
            yield from _statements(node.named_children)
        elif node.type == "list" and _is_harmless(node):
            yield _Statement(node.named_children[0], node)
        elif node.type == "redirected_statement":
            yield from _redirected(node)
        else:
            yield _Statement(node, node)


def _redirected(node: Node) -> Iterator[_Statement]:
    """A redirection belongs to the last command of `a && b > file`, wherever the grammar puts it."""
    body, *redirects = node.named_children
    if body.type != "list" or _joined_by(body) != "&&":
        yield _Statement(body, node, tuple(redirects))
        return
    *before, last = [child for child in body.named_children if child.type != "comment"]
    yield from _statements(before)
    yield _Statement(last, node, tuple(redirects), begin=last.start_byte)


def _joined_by(node: Node) -> str:
    return next((child.type for child in node.children if not child.is_named), "")


def _is_harmless(node: Node) -> bool:
    """`command || true`"""
    is_alternative = _joined_by(node) == "||" and node.named_children[0].type == "command"
    return is_alternative and node.named_children[-1].text in (b"true", b":")


def _part(statement: _Statement, text: str, values: dict[str, str | None]) -> Part:
    node, whole = statement.node, statement.whole
    begin = whole.start_byte if statement.begin is None else statement.begin
    written = text[begin : whole.end_byte]
    if not all(_QUIET.fullmatch(text[r.start_byte : r.end_byte].strip()) for r in statement.redirects):
        return Part(text=written)
    if node.type == "command":
        return _command(node, written, text, values)
    if node.type in ("variable_assignment", "variable_assignments"):
        found = [node] if node.type == "variable_assignment" else node.named_children
        return Part(text=written, words=(), assignments=_assigned(found, text, values))
    if node.type == "declaration_command" and written.startswith("export"):
        found = [child for child in node.named_children if child.type == "variable_assignment"]
        return Part(text=written, words=("export",), assignments=_assigned(found, text, values))
    return Part(text=written)


def _command(node: Node, written: str, text: str, values: dict[str, str | None]) -> Part:
    words: list[str] = []
    before = [child for child in node.named_children if child.type == "variable_assignment"]
    for child in node.named_children:
        if child.type == "variable_assignment":
            continue
        if "redirect" in child.type:
            if _QUIET.fullmatch(text[child.start_byte : child.end_byte].strip()):
                continue
            return Part(text=written)
        if child.type == "command_name" and child.named_children:
            child = child.named_children[0]
        value = _value(child, text, values)
        if value is None:
            return Part(text=written)
        words.append(value)
    return Part(text=written, words=tuple(words), assignments=_assigned(before, text, values))


def _assigned(nodes: list[Node], text: str, values: Mapping[str, str | None]) -> dict[str, str]:
    found = {}
    for node in nodes:
        value = node.child_by_field_name("value")
        name = node.child_by_field_name("name")
        said = "" if value is None else _value(value, text, values)
        if name is not None and said is not None:
            found[text[name.start_byte : name.end_byte]] = said
    return found


def _value(node: Node, text: str, values: Mapping[str, str | None]) -> str | None:
    """What the shell would make of a word; None where only running it would tell."""
    written = text[node.start_byte : node.end_byte]
    if node.type in ("word", "number"):
        return re.sub(r"\\(.)", r"\1", written, flags=re.DOTALL)
    if node.type == "raw_string":
        return written[1:-1]
    if node.type == "string":
        return _quoted(written[1:-1], values)
    if node.type == "concatenation":
        pieces = [_value(child, text, values) for child in node.children]
        return None if None in pieces else "".join(piece or "" for piece in pieces)
    if node.type in ("simple_expansion", "expansion"):
        found = variable_at(written, 1, values)
        return found[0] if found is not None and found[1] == len(written) else None
    return None if node.is_named else written


def _quoted(text: str, values: Mapping[str, str | None]) -> str | None:
    out: list[str] = []
    at = 0
    while at < len(text):
        sign = text[at]
        if sign == "\\" and at + 1 < len(text):
            out.append(text[at + 1] if text[at + 1] in '"\\$`' else text[at : at + 2])
            at += 2
        elif sign == "`" or text.startswith("$(", at):
            return None
        elif sign == "$":
            found = variable_at(text, at + 1, values)
            if found is None or text[at + 1 : at + 2] in _SPECIAL:
                return None
            out.append(found[0])
            at = found[1]
        else:
            out.append(sign)
            at += 1
    return "".join(out)
