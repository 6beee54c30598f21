"""All that is said of one image, as a value and as the document that `--json` prints. Pure.

The document is a promise: fields are added, never renamed; `schema` counts what breaks that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from lading.inspect.explain.account import Line, make_account
from lading.inspect.explain.gpu import GpuSide, find_gpu_side
from lading.inspect.explain.packages import Package, Packages, find_packages
from lading.inspect.explain.savings import Saving, find_savings
from lading.inspect.image.merge import Merged, merge_layers
from lading.inspect.image.model import ImageEvidence, Packing
from lading.oci.digest import DiffId

SCHEMA = 1
GIGABIT_BYTES = 125_000_000
_SUGGESTED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    image: ImageEvidence
    merged: Merged
    packages: Packages
    account: Line
    savings: tuple[Saving, ...]
    gpu: GpuSide

    @property
    def pull_seconds(self) -> float:
        """Of the bytes as stored, at 1 Gb/s; unpacking not counted."""
        return self.image.packed_bytes / GIGABIT_BYTES

    @property
    def suggested(self) -> tuple[Saving, ...]:
        """The three largest."""
        return self.savings[:_SUGGESTED]

    def stored_bytes(self) -> dict[str, int]:
        """Bytes as stored by package or place, largest first: the bill for what the image weighs."""
        sizes: dict[str, int] = {}
        for group in self.account.sorted():
            for line in group.sorted():
                sizes[line.name] = sizes.get(line.name, 0) + line.packed_bytes
        return dict(sorted(sizes.items(), key=lambda item: (-item[1], item[0])))


def explain_image(image: ImageEvidence) -> Explanation:
    merged = merge_layers(image.layers)
    packages = find_packages(image, merged)
    return Explanation(
        image=image,
        merged=merged,
        packages=packages,
        account=make_account(image, merged, packages),
        savings=find_savings(image, merged),
        gpu=find_gpu_side(image, merged, packages),
    )


def why_here(packages: Packages, name: str) -> tuple[tuple[str, ...], ...]:
    """Shortest ways from packages that nobody requires to `name`, one a root; empty where it is not there."""
    chains: list[tuple[str, ...]] = []
    for package in packages.packages:
        if package.name == name and not package.gone:
            chains += list(_chains(packages, package))
    return tuple(sorted(set(chains), key=lambda chain: (len(chain), chain)))


def _chains(packages: Packages, package: Package) -> Iterable[tuple[str, ...]]:
    waiting: list[tuple[Package, ...]] = [(package,)]
    seen = {package.name}
    while waiting:
        chain = waiting.pop(0)
        above = [p for p in packages.required_by(chain[0]) if not p.gone]
        if not above:
            yield tuple(p.label for p in chain)
        for parent in above:
            if parent.name not in seen:
                seen.add(parent.name)
                waiting.append((parent, *chain))


def shown(text: str) -> str:
    """A path or name for people and JSON: control characters and odd bytes as escapes."""
    return "".join(
        c
        if c.isprintable()
        else f"\\x{ord(c) - 0xDC00:02x}"
        if 0xDC80 <= ord(c) <= 0xDCFF
        else ascii(c)[1:-1]
        for c in text
    )


def as_json(
    explanation: Explanation,
    *,
    with_files: bool = False,
    sharing: Mapping[DiffId, tuple[str, ...]] = MappingProxyType({}),
) -> dict[str, Any]:
    """`sharing`: other images with a layer, by its diff ID."""
    image, gpu = explanation.image, explanation.gpu
    return {
        "type": "explanation",
        "schema": SCHEMA,
        "name": image.name,
        "digest": image.digest,
        "config_digest": image.config_digest,
        "platform": image.platform,
        "unpacked_bytes": image.unpacked_bytes,
        "packed_bytes": image.packed_bytes,
        "is_packed": image.is_packed,
        "pull_seconds": round(explanation.pull_seconds, 3),
        "layers": [_layer(explanation, number, sharing) for number in range(len(image.layers))],
        "lines": [_line(line, 3 if with_files else 2) for line in explanation.account.sorted()],
        "packages": [_package(explanation.packages, p) for p in explanation.packages.packages],
        "gpu": {
            "cuda": gpu.cuda,
            "driver": gpu.driver,
            "majors": list(gpu.majors),
            "copies": [shown(words) for words in gpu.copies],
            "code": [
                {
                    "kind": code.kind,
                    "arch": code.name,
                    "count": code.count,
                    "size_bytes": code.size_bytes,
                    "packed_bytes": code.packed_bytes,
                }
                for code in gpu.code
            ],
        },
        "savings": [saving_json(explanation, saving) for saving in explanation.savings],
    }  # fmt: skip


def saving_json(explanation: Explanation, saving: Saving) -> dict[str, Any]:
    return {
        "kind": saving.kind,
        "title": saving.title,
        "size_bytes": saving.size_bytes,
        "packed_bytes": saving.packed_bytes,
        "packed_is": share_words(explanation, saving),
        "advice": saving.advice,
        "files": [
            {"layer": where.layer + 1, "path": shown(explanation.image.member(where).path)}
            for where in saving.members
        ],
    }


def share_words(explanation: Explanation, saving: Saving) -> str:
    layers = {where.layer for where in saving.members}
    is_exact = all(explanation.image.layers[n].packing is not Packing.STREAM for n in layers)
    return "exact" if is_exact else "share of the stream"


def _layer(
    explanation: Explanation, number: int, sharing: Mapping[DiffId, tuple[str, ...]]
) -> dict[str, Any]:
    layer, note = explanation.image.layers[number], explanation.image.notes[number]
    return {
        "number": number + 1,
        "digest": layer.digest,
        "diff_id": layer.diff_id,
        "created_by": shown(note.created_by),
        "media_type": note.media_type,
        "compression": layer.compression,
        "packed_bytes": layer.packed_bytes,
        "unpacked_bytes": layer.unpacked_bytes,
        "members": len(layer.members),
        "shared_with": list(sharing.get(layer.diff_id, ())),
    }


def _line(line: Line, depth: int) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": shown(line.name),
        "size_bytes": line.size_bytes,
        "packed_bytes": line.packed_bytes,
        "files": line.file_count,
    }
    if depth > 1 and line.children:
        document["lines"] = [_line(child, depth - 1) for child in line.sorted()]
    return document


def _package(packages: Packages, package: Package) -> dict[str, Any]:
    return {
        "kind": package.kind,
        "name": shown(package.name),
        "version": shown(package.version),
        "gone": package.gone,
        "requires": [shown(name) for name in package.requires],
    }
