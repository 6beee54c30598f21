"""Paths that two layers of an image both hold: the upper one's file stays, and that is said aloud.

Debian's layers replace each other's state files on purpose and are not looked at. A file where another layer
has a folder cannot be stacked and is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from lading.errors import ProjectError
from lading.image.layer.contents import layer_index
from lading.image.layer.tree import EntryKind
from lading.image.model import LayerRecord
from lading.image.spec import LayerSpec, WheelsLayer
from lading.oci.json import canonical_json
from lading.store import Store

_RULE = 1
"""Raised when the same layers would be judged or described otherwise; part of each record's key."""


def find_conflicts(
    store: Store, specs: Sequence[LayerSpec], records: Sequence[LayerRecord]
) -> tuple[str, ...]:
    """One warning a pair of layers that differ in some file; kept, since it takes reading all their indexes.

    `records` are what `specs` came out as. Raises ProjectError for file against folder.
    """
    pairs = zip(specs, records, strict=True)
    wheels = [(spec, record) for spec, record in pairs if isinstance(spec, WheelsLayer)]
    identity = [_RULE, [[spec.key, spec.title] for spec, _ in wheels]]
    key = hashlib.sha256(canonical_json(identity)).hexdigest()
    known = store.conflicts.get(key)
    if known is not None:
        return tuple(known["warnings"])
    warnings = _clashes(store, [spec for spec, _ in wheels])
    if all(store.indexes.has(spec.key) for spec, _ in wheels):
        layers = [{"digest": record.digest} for _, record in wheels]
        store.conflicts.put(key, {"layers": layers, "warnings": list(warnings)})
    return warnings


def _clashes(store: Store, specs: Sequence[WheelsLayer]) -> tuple[str, ...]:
    seen: dict[str, tuple[int, EntryKind, str]] = {}
    clashes: dict[tuple[int, int], list[str]] = {}
    for number, spec in enumerate(specs):
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
