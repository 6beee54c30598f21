"""What need not be in an image, and exactly what leaving it out saves. Pure.

A saving names members; what it saves unpacked is their headers, payloads and padding, to the byte, and packed
their share of the stored bytes. A member stands in one saving only, so savings add up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from lading.inspect.explain.places import ballast_of, cache_of
from lading.inspect.image.merge import Merged
from lading.inspect.image.model import ImageEvidence, Member, MemberKind, Where

_LEAST_BYTES = 100_000
_LEAST_DUPLICATE_BYTES = 64 << 10
_NOTES = {
    "hidden": "delete it in the step that makes it, or never write it: later layers only hide it",
    "duplicate": "keep one and make the others links: hard ones in its layer, symbolic ones in others",
    "cache": "leave it out in the step that fills it",
    "ballast": "nothing at run time reads it as a rule; check your own use",
    "bytecode": "start-up gets slower: Python compiles at each start then",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    kind: str
    title: str
    members: tuple[Where, ...]
    size_bytes: int
    packed_bytes: int
    """Share of the bytes as stored; exact where layers are plain or have members of their own."""

    @property
    def advice(self) -> str:
        return _NOTES[self.kind]


def find_savings(image: ImageEvidence, merged: Merged) -> tuple[Saving, ...]:
    """Largest first."""
    groups: dict[tuple[str, str], list[Where]] = defaultdict(list)
    taken: set[Where] = set()
    for where, member in _files(image):
        key = _kind(where, member, merged)
        if key is not None:
            groups[key].append(where)
            taken.add(where)
    for where in _duplicates(image, merged, taken):
        groups["duplicate", "same content twice"].append(where)
    savings = [_saving(image, kind, title, wheres) for (kind, title), wheres in groups.items()]
    kept = [saving for saving in savings if saving.size_bytes >= _LEAST_BYTES]
    return tuple(sorted(kept, key=lambda saving: (-saving.size_bytes, saving.title)))


def _files(image: ImageEvidence) -> Iterator[tuple[Where, Member]]:
    for number, layer in enumerate(image.layers):
        for index, member in enumerate(layer.members):
            if member.kind is MemberKind.FILE:
                yield Where(number, index), member


def _kind(where: Where, member: Member, merged: Merged) -> tuple[str, str] | None:
    gone = merged.gone.get(where)
    if gone is not None:
        return "hidden", f"files {gone[0]} by later layers"
    if (cache := cache_of(member.path)) is not None:
        return "cache", cache
    if (ballast := ballast_of(member.path)) is not None:
        return "ballast", ballast
    if member.path.endswith(".pyc"):
        return "bytecode", "bytecode"
    return None


def _duplicates(image: ImageEvidence, merged: Merged, taken: set[Where]) -> Iterator[Where]:
    """All but the first of each content; only their payload and padding go, a link's header stays."""
    first: dict[str, Where] = {}
    for where, member in _files(image):
        if member.size_bytes < _LEAST_DUPLICATE_BYTES or where in taken or where in merged.gone:
            continue
        if member.sha256 in first:
            yield where
        first.setdefault(member.sha256, where)


def _saving(image: ImageEvidence, kind: str, title: str, wheres: list[Where]) -> Saving:
    members = [image.member(where) for where in wheres]
    size_bytes = sum(member.total_bytes for member in members)
    packed_bytes = sum(member.packed_total_bytes for member in members)
    if kind == "duplicate":
        size_bytes -= sum(member.header_bytes for member in members)
        packed_bytes -= sum(member.packed_header_bytes for member in members)
    return Saving(
        kind=kind, title=title, members=tuple(wheres), size_bytes=size_bytes, packed_bytes=packed_bytes
    )
