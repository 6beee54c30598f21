"""YAML as nodes that know their place, by PyYAML's composer. Pure.

A text that is no plain YAML (a Helm template, say) has no documents: rules stay silent about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class NotYaml(Exception):
    """The text is not plain YAML; the argument says where."""


@dataclass(frozen=True, slots=True)
class Value:
    """A node: `start` is its offset, `end` where it ends (not meant for blocks); `flow` whether it is written
    with brackets; `shared` whether other places have it too, by an alias, or it has a tag or an anchor before
    it: then no edit is for it alone.
    """

    data: Any
    start: int
    column: int = 0
    flow: bool = False
    quoted: bool = False
    shared: bool = False
    keys: Mapping[str, int] = field(default_factory=dict)
    """Of a mapping: the offset of each key."""
    items: tuple[Value, ...] = ()
    members: Mapping[str, Value] = field(default_factory=dict)
    end: int = 0
    line_end: int = 0
    """Where the line of `end` ends: before its end of line."""

    def get(self, *path: str) -> Value | None:
        found: Value | None = self
        for name in path:
            found = found.members.get(name) if found is not None else None
        return found

    def text(self, *path: str) -> str | None:
        found = self.get(*path)
        return found.data if found is not None and isinstance(found.data, str) else None

    def walk(self) -> Iterator[Value]:
        yield self
        for child in (*self.items, *self.members.values()):
            yield from child.walk()


def read_yaml(text: str) -> tuple[Value, ...]:
    """The documents of the file that are mappings. Raises NotYaml."""
    try:
        nodes = [node for node in yaml.compose_all(_blank_mark(text), Loader=_Loader) if node is not None]
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise NotYaml(
            f"line {mark.line + 1 - text.startswith(chr(0xFEFF))}" if mark else str(error)
        ) from error
    marks = _Marks(text, _aliased(nodes))
    return tuple(_value(node, {}, marks) for node in nodes if isinstance(node, MappingNode))


@dataclass(frozen=True, slots=True)
class _Marks:
    """What a node does not say of itself."""

    text: str
    aliased: frozenset[int]

    def line_end(self, at: int) -> int:
        end = self.text.find("\n", at)
        end = len(self.text) if end < 0 else end
        return end - self.text.startswith("\r", end - 1, end)

    def shared(self, node: Node) -> bool:
        return (
            id(node) in self.aliased or self.text[node.start_mark.index : node.start_mark.index + 1] in "&!*"
        )


def _aliased(nodes: Iterable[Node]) -> frozenset[int]:
    """Nodes that stand in several places."""
    seen: set[int] = set()
    again: set[int] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            again.add(id(node))
            continue
        seen.add(id(node))
        if isinstance(node, MappingNode):
            waiting += [part for pair in node.value for part in pair]
        elif isinstance(node, SequenceNode):
            waiting += node.value
    return frozenset(again)


def _blank_mark(text: str) -> str:
    """A byte order mark is not counted by the parser; an end of line in its place is."""
    return "\n" + text[1:] if text.startswith("\ufeff") else text


def _value(node: Node, seen: dict[int, Value], marks: _Marks, *, shared: bool = False) -> Value:
    """Anchors are one node with many uses; one that holds itself is cut off."""
    if id(node) in seen:
        return seen[id(node)]
    shared = shared or marks.shared(node)
    place = (node.start_mark.index, node.start_mark.column)
    seen[id(node)] = Value(None, *place)
    if isinstance(node, MappingNode):
        made = _mapping(node, seen, marks, shared)
    elif isinstance(node, SequenceNode):
        items = tuple(_value(item, seen, marks, shared=shared) for item in node.value)
        data = [item.data for item in items]
        made = Value(data, *place, flow=bool(node.flow_style), shared=shared, items=items)
    else:
        assert isinstance(node, ScalarNode)
        made = Value(_scalar(node), *place, quoted=bool(node.style), shared=shared)
    end = node.end_mark.index
    made = replace(made, end=end, line_end=marks.line_end(end))
    seen[id(node)] = made
    return made


def _mapping(node: MappingNode, seen: dict[int, Value], marks: _Marks, shared: bool) -> Value:
    keys: dict[str, int] = {}
    members: dict[str, Value] = {}
    merged: dict[str, Value] = {}
    for key, child in node.value:
        value = _value(child, seen, marks, shared=shared)
        if key.tag == "tag:yaml.org,2002:merge":
            for source in value.items or (value,):
                merged = {**source.members, **merged}
        elif isinstance(key, ScalarNode):
            keys[key.value] = key.start_mark.index
            members[key.value] = value
    members = {**merged, **members}
    return Value(
        {name: member.data for name, member in members.items()},
        node.start_mark.index,
        node.start_mark.column,
        flow=bool(node.flow_style),
        shared=shared,
        keys=keys,
        members=members,
    )


def _scalar(node: ScalarNode) -> Any:
    """null is None, true and false are bool; every other scalar stays the text that was written."""
    if node.tag == "tag:yaml.org,2002:null":
        return None
    if node.tag == "tag:yaml.org,2002:bool":
        return node.value.lower() in {"true", "yes", "on"}
    return node.value
