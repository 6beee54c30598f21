"""A Python file as calls by their full names: `t.load` after `import torch as t` is `torch.load`. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from lading.inspect.lint.dependencies import Unparsable

WORTH_READING = ("torch", "pickle", "joblib", "trust_remote_code", "huggingface_hub")
"""A file without any of these words is not parsed: no rule says anything about it."""


@dataclass(frozen=True)
class Call:
    """`name`: the dotted name as imported; empty for what is no plain name."""

    node: ast.Call
    name: str
    in_loop: bool

    def keyword(self, name: str) -> ast.expr | None:
        return next((one.value for one in self.node.keywords if one.arg == name), None)

    def argument(self, position: int, name: str) -> ast.expr | None:
        if len(self.node.args) > position and not any(isinstance(one, ast.Starred) for one in self.node.args):
            return self.node.args[position]
        return self.keyword(name)

    @property
    def takes_more(self) -> bool:
        """Whether `**options` may say what is not seen here."""
        return any(one.arg is None for one in self.node.keywords)


@dataclass(frozen=True)
class PythonFile:
    text: str
    tree: ast.Module

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(at + 1 for at, character in enumerate(self.text) if character == "\n")]

    def offset(self, node: ast.expr) -> int:
        """In characters; `ast` counts the bytes of a line."""
        start = self._starts[node.lineno - 1]
        line = self.text[start:].partition("\n")[0]
        return start + len(line.encode("utf-8", "surrogatepass")[: node.col_offset].decode("utf-8", "ignore"))

    @cached_property
    def imported(self) -> dict[str, str]:
        """Local name → what it stands for."""
        found: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for one in node.names:
                    found[one.asname or one.name.partition(".")[0]] = (
                        one.name if one.asname else one.name.partition(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found |= {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
        return found

    @cached_property
    def calls(self) -> tuple[Call, ...]:
        return tuple(self._calls(self.tree, False))

    def _calls(self, node: ast.AST, in_loop: bool) -> Iterator[Call]:
        if isinstance(node, ast.Call):
            yield Call(node, self.name_of(node.func), in_loop)
        in_loop = in_loop or isinstance(node, ast.For | ast.While | ast.AsyncFor)
        for child in ast.iter_child_nodes(node):
            yield from self._calls(child, in_loop)

    def name_of(self, node: ast.expr) -> str:
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self.imported:
            return ".".join(["", *reversed(parts)]) if parts else ""
        return ".".join([self.imported[node.id], *reversed(parts)])

    @cached_property
    def assigned(self) -> dict[str, list[ast.expr]]:
        """Names and every value they are given anywhere in the file."""
        found: dict[str, list[ast.expr]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        found.setdefault(target.id, []).append(node.value)
        return found


def read_python(text: str) -> PythonFile:
    """Raises Unparsable."""
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape in somebody's string is theirs
            return PythonFile(text, ast.parse(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Unparsable("it is no Python of this version") from error


def is_worth_reading(text: str) -> bool:
    return any(word in text for word in WORTH_READING)


def text_of(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
