"""What became of each member: seen in the image, rewritten or deleted by a later layer. Pure.

Whiteouts of a layer act on the layers below it alone (image-spec layer.md), wherever they stand in its tar.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from lading.inspect.image.model import LayerEvidence, Member, MemberKind, Where

_MOST_LINKS = 40


class Fate(StrEnum):
    SEEN = "seen"
    REWRITTEN = "rewritten"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """The image's tree, and the fate of every member of every layer."""

    seen: dict[str, Where]
    """By path."""
    gone: dict[Where, tuple[Fate, int]]
    """What is not seen, and the layer that hid it."""
    links: dict[str, str]
    """Symbolic links that are seen, for resolving paths."""


@dataclass(slots=True)
class _Node:
    where: Where | None = None
    member: Member | None = None
    children: dict[str, _Node] = field(default_factory=dict)


def merge_layers(layers: Sequence[LayerEvidence]) -> Merged:
    """Oldest layer first."""
    merging = _Merging()
    for number, layer in enumerate(layers):
        merging.layer(number, layer)
    seen = dict(_walk(merging.root, ""))
    for link, target in merging.hardlinks.items():
        if link not in merging.gone and merging.gone.get(target) is not None:
            del merging.gone[target]  # its bytes are still there under the link's name
    links = {
        path: layers[where.layer].members[where.member].link_target
        for path, where in seen.items()
        if layers[where.layer].members[where.member].kind is MemberKind.SYMLINK
    }
    return Merged(seen=seen, gone=merging.gone, links=links)


class _Merging:
    def __init__(self) -> None:
        self.root = _Node()
        self.gone: dict[Where, tuple[Fate, int]] = {}
        self.hardlinks: dict[Where, Where] = {}

    def layer(self, number: int, layer: LayerEvidence) -> None:
        for member in layer.members:
            if member.kind is MemberKind.WHITEOUT:
                self._delete(member.path, number)
            elif member.kind is MemberKind.OPAQUE:
                self._empty(member.path, number)
        for index, member in enumerate(layer.members):
            if member.kind not in (MemberKind.WHITEOUT, MemberKind.OPAQUE):
                self._put(Where(number, index), member)

    def _put(self, where: Where, member: Member) -> None:
        if not member.path:
            return
        folder, _, name = member.path.rpartition("/")
        node = self._folder(folder).children.setdefault(name, _Node())
        if node.where is not None:
            self.gone[node.where] = Fate.REWRITTEN, where.layer
        if member.kind is not MemberKind.DIRECTORY:
            self._hide_below(node, where.layer)
        if member.kind is MemberKind.HARDLINK:
            target = self._find(member.link_target)
            if target is not None and target.where is not None:
                self.hardlinks[where] = self.hardlinks.get(target.where, target.where)
        node.where, node.member = where, member

    def _folder(self, path: str) -> _Node:
        """The node of a folder, links to folders followed as whoever unpacks does."""
        node, done, links = self.root, [""], 0
        todo = path.split("/")[::-1] if path else []
        while todo:
            part = todo.pop()
            if part in ("", "."):
                continue
            if part == "..":
                done = done[:-1] or [""]
                node = self._at(done)
                continue
            child = node.children.setdefault(part, _Node())
            if child.member is not None and child.member.kind is MemberKind.SYMLINK and links < _MOST_LINKS:
                links += 1
                if child.member.link_target.startswith("/"):
                    node, done = self.root, [""]
                todo.extend(child.member.link_target.split("/")[::-1])
                continue
            node = child
            done.append(part)
        return node

    def _at(self, parts: list[str]) -> _Node:
        node = self.root
        for part in parts:
            if part:
                node = node.children.setdefault(part, _Node())
        return node

    def _find(self, path: str) -> _Node | None:
        folder, _, name = path.rpartition("/")
        return self._folder(folder).children.get(name)

    def _delete(self, path: str, layer: int) -> None:
        folder, _, name = path.rpartition("/")
        node = self._folder(folder).children.pop(name, None)
        if node is not None:
            if node.where is not None:
                self.gone[node.where] = Fate.DELETED, layer
            self._hide_below(node, layer)

    def _empty(self, path: str, layer: int) -> None:
        self._hide_below(self._folder(path), layer)

    def _hide_below(self, node: _Node, layer: int) -> None:
        waiting = list(node.children.values())
        node.children = {}
        while waiting:
            child = waiting.pop()
            if child.where is not None:
                self.gone[child.where] = Fate.DELETED, layer
            waiting.extend(child.children.values())


def _walk(node: _Node, prefix: str) -> Iterator[tuple[str, Where]]:
    waiting = [(prefix, node)]
    while waiting:
        path, current = waiting.pop()
        if current.where is not None:
            yield path, current.where
        base = f"{path}/" if path else ""
        waiting.extend((base + name, child) for name, child in current.children.items())
