"""Every byte on one line: groups of packages and places, what is hidden, and the archives' own bytes. Pure.

The lines add up to the uncompressed bytes of all layers, and in their second column to the bytes as stored.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from lading.inspect.explain.packages import Packages
from lading.inspect.explain.places import group_of
from lading.inspect.image.merge import Merged
from lading.inspect.image.model import ImageEvidence, Member, Where

GROUPS = {
    "python": "Python packages",
    "deb": "Debian packages",
    "conda": "conda packages",
    "apk": "Alpine packages",
    "rpm": "RPM packages",
}
HIDDEN = "hidden by later layers"
FRAMES = "archive headers and padding"


@dataclass(slots=True)
class Line:
    """A node of the tree; its sums are those of what is below it."""

    name: str
    size_bytes: int = 0
    packed_bytes: int = 0
    file_count: int = 0
    children: dict[str, Line] = field(default_factory=dict)

    def child(self, name: str) -> Line:
        return self.children.setdefault(name, Line(name))

    def sorted(self) -> list[Line]:
        return sorted(self.children.values(), key=lambda line: (-line.size_bytes, line.name))


def make_account(image: ImageEvidence, merged: Merged, packages: Packages) -> Line:
    """The whole tree: image, groups, packages or places, files."""
    root = Line(image.name)
    frames: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for number, layer in enumerate(image.layers):
        for index, member in enumerate(layer.members):
            frames["headers"][0] += member.header_bytes
            frames["headers"][1] += member.packed_header_bytes
            frames["padding"][0] += member.padding_bytes
            frames["padding"][1] += member.packed_padding_bytes
            if member.size_bytes or member.packed_size_bytes:
                path = line_of(member, Where(number, index), merged, packages)
                _add(root, [*path, member.path], member.size_bytes, member.packed_size_bytes, 1)
        frames["ends of archives"][0] += layer.end_bytes
        frames["ends of archives"][1] += layer.packed_end_bytes
    for name, (size_bytes, packed_bytes) in frames.items():
        _add(root, [FRAMES, name], size_bytes, packed_bytes, 0)
    return root


def line_of(member: Member, where: Where, merged: Merged, packages: Packages) -> tuple[str, str]:
    """Group and name of the line that a member's payload stands on."""
    owner = packages.owner(member.path)
    if owner is not None:
        group, name = GROUPS[owner.kind], owner.label
    else:
        group, name = group_of(member.path, member.size_bytes)
    if (gone := merged.gone.get(where)) is not None:
        return HIDDEN, f"{gone[0]} in layer {gone[1] + 1}: {name}"
    return group, name


def _add(root: Line, path: list[str], size_bytes: int, packed_bytes: int, files: int) -> None:
    line = root
    for name in ["", *path]:
        line = line.child(name) if name else line
        line.size_bytes += size_bytes
        line.packed_bytes += packed_bytes
        line.file_count += files
