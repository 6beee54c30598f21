"""What differs between two images: packages, files, config, layers, what they ask of a driver. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lading.inspect.explain.account import GROUPS
from lading.inspect.explain.explanation import Explanation, shown
from lading.inspect.image.model import MemberKind

SCHEMA = 1
_FIELDS = (
    "Env",
    "Entrypoint",
    "Cmd",
    "User",
    "WorkingDir",
    "ExposedPorts",
    "Volumes",
    "Labels",
    "StopSignal",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageChange:
    kind: str
    name: str
    before: str | None
    after: str | None
    size_bytes: int
    """How many more payload bytes it has now, unpacked."""

    def __str__(self) -> str:
        if self.before is None:
            return f"{self.name} {self.after} added"
        if self.after is None:
            return f"{self.name} {self.before} removed"
        return (
            f"{self.name} {self.before} → {self.after}"
            if self.before != self.after
            else f"{self.name} {self.after} changed"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDifference:
    before: Explanation
    after: Explanation
    packages: tuple[PackageChange, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    config: tuple[tuple[str, Any, Any], ...]
    """Key, before, after; one a variable and label."""
    shared_layers: int
    """That both have as equal diff IDs, wherever they stand."""
    shared_prefix: int
    """From the oldest on: what engines that key by chain share."""

    @property
    def is_empty(self) -> bool:
        return not (self.packages or self.added or self.removed or self.changed or self.config)

    @property
    def growth_bytes(self) -> int:
        """As stored where both are compressed where they were found, else unpacked."""
        return self.measured(self.after) - self.measured(self.before)

    def measured(self, which: Explanation) -> int:
        both = self.before.image.is_packed and self.after.image.is_packed
        return which.image.packed_bytes if both else which.image.unpacked_bytes

    def as_json(self) -> dict[str, Any]:
        return {
            "type": "difference",
            "schema": SCHEMA,
            "before": _side(self.before),
            "after": _side(self.after),
            "growth_bytes": self.growth_bytes,
            "packages": [
                {
                    "kind": change.kind,
                    "name": shown(change.name),
                    "before": change.before,
                    "after": change.after,
                    "size_bytes": change.size_bytes,
                }
                for change in self.packages
            ],
            "files": {
                "added": [shown(path) for path in self.added],
                "removed": [shown(path) for path in self.removed],
                "changed": [shown(path) for path in self.changed],
            },
            "config": [{"key": key, "before": before, "after": after} for key, before, after in self.config],
            "layers": {"shared": self.shared_layers, "shared_prefix": self.shared_prefix},
        }  # fmt: skip


def compare_images(before: Explanation, after: Explanation) -> ImageDifference:
    then, now = _files(before), _files(after)
    old = [layer.diff_id for layer in before.image.layers]
    new = [layer.diff_id for layer in after.image.layers]
    prefix = next(
        (n for n, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]),
        min(len(old), len(new)),
    )
    return ImageDifference(
        before=before,
        after=after,
        packages=_packages(before, after),
        added=tuple(sorted(now.keys() - then.keys())),
        removed=tuple(sorted(then.keys() - now.keys())),
        changed=tuple(sorted(path for path in then.keys() & now.keys() if then[path] != now[path])),
        config=_config(before.image.config, after.image.config),
        shared_layers=len(set(old) & set(new)),
        shared_prefix=prefix,
    )


def _side(side: Explanation) -> dict[str, Any]:
    image = side.image
    return {
        "name": image.name,
        "digest": image.digest,
        "platform": image.platform,
        "unpacked_bytes": image.unpacked_bytes,
        "packed_bytes": image.packed_bytes,
        "layers": len(image.layers),
        "cuda": side.gpu.cuda,
        "driver": side.gpu.driver,
    }


def _files(side: Explanation) -> dict[str, tuple[Any, ...]]:
    """By path, what makes two files equal: not their times."""
    found = {}
    for path, where in side.merged.seen.items():
        member = side.image.member(where)
        kind, sha256, size = member.kind, member.sha256, member.size_bytes
        if kind is MemberKind.HARDLINK and (target := side.merged.seen.get(member.link_target)):
            first = side.image.member(target)
            kind, sha256, size = first.kind, first.sha256, first.size_bytes
        link = member.link_target if kind is MemberKind.SYMLINK else ""
        found[path] = (kind, member.mode, member.uid, member.gid, size, sha256, link)
    return found


def _packages(before: Explanation, after: Explanation) -> tuple[PackageChange, ...]:
    then, now = _held(before), _held(after)
    changes = [
        PackageChange(
            kind=key[0],
            name=key[1],
            before=then[key][0] if key in then else None,
            after=now[key][0] if key in now else None,
            size_bytes=now.get(key, ("", 0))[1] - then.get(key, ("", 0))[1],
        )
        for key in {**then, **now}
        if then.get(key) != now.get(key)
    ]
    return tuple(sorted(changes, key=lambda change: (-abs(change.size_bytes), change.name)))


def _held(side: Explanation) -> dict[tuple[str, str], tuple[str, int]]:
    held = {}
    for package in side.packages.packages:
        if not package.gone:
            group = side.account.children.get(GROUPS[package.kind])
            line = group.children.get(package.label) if group else None
            held[package.kind, package.name] = package.version, line.size_bytes if line else 0
    return held


def _config(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[tuple[str, Any, Any], ...]:
    changes = []
    then, now = before.get("config") or {}, after.get("config") or {}
    for key in _FIELDS:
        for name, old, new in _values(key, then.get(key), now.get(key)):
            if old != new:
                changes.append((name, old, new))
    if (before.get("os"), before.get("architecture")) != (after.get("os"), after.get("architecture")):
        changes.append(("platform", before.get("architecture"), after.get("architecture")))
    return tuple(changes)


def _values(key: str, old: Any, new: Any) -> list[tuple[str, Any, Any]]:
    if key == "Env":
        old, new = (dict(str(item).partition("=")[::2] for item in side or ()) for side in (old, new))
    if isinstance(old or {}, dict) and isinstance(new or {}, dict) and key in ("Env", "Labels"):
        return [
            (f"{key} {name}", (old or {}).get(name), (new or {}).get(name))
            for name in sorted({**(old or {}), **(new or {})})
        ]
    return [(key, old or None, new or None)]
