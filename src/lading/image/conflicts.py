"""Paths that two layers of an image both hold: the upper one's file stays, and that is said aloud.

Debian's layers replace each other's state files on purpose and are not looked at. A file where another layer
has a folder cannot be stacked and is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from lading.errors import ProjectError
from lading.image.layer.contents import layer_index
from lading.image.layer.tree import EntryKind
from lading.image.spec import LayerSpec, WheelsLayer
from lading.store import Store


def find_conflicts(store: Store, specs: Sequence[LayerSpec]) -> tuple[str, ...]:
    """One warning a pair of layers that differ in some file. Raises ProjectError for file against folder."""
    seen: dict[str, tuple[int, EntryKind, str]] = {}
    clashes: dict[tuple[int, int], list[str]] = {}
    for number, spec in enumerate(specs):
        if not isinstance(spec, WheelsLayer):
            continue
        for entry in layer_index(store, spec.key) or ():
            before = seen.get(entry.path)
            if before is not None:
                lower, kind, content = before
                if (kind is EntryKind.DIRECTORY) != (entry.kind is EntryKind.DIRECTORY):
                    raise ProjectError(
                        f"/{entry.path} is a folder in one of {specs[lower].title} and {spec.title}, "
                        "a file in the other: they cannot be installed together",
                        hints=("pin another version of one of them",),
                    )
                if content != entry.content:
                    clashes.setdefault((lower, number), []).append(entry.path)
            seen[entry.path] = number, entry.kind, entry.content
    return tuple(
        f"{specs[lower].title} and {specs[upper].title} both hold /{paths[0]}"
        + (f" and {len(paths) - 1} more files" if len(paths) > 1 else "")
        + f" with other bytes; {specs[upper].title}'s stay"
        for (lower, upper), paths in clashes.items()
    )
