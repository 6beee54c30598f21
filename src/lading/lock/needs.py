"""What the shared objects of wheels need, and which of it the wheels themselves do not have. Pure.

A shared object names what it needs by soname. The loader finds it in the folders that the object names, in
the system's, or already loaded by somebody else; here a name counts as found when any wheel of the same image
has a file of that name. What is left is the system's to give.

Not every file counts. An object under a folder of plugins is opened by its library when somebody asks for
that very ability, and half of Qt's plugins want a desktop: their needs are not the image's. So the walk
starts at the files that Python or a `ctypes` call opens, and follows what these need.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

_OPENED_ON_DEMAND = frozenset({"plugins", "qml"})
"""Folders of Qt and those that follow it: what lies below is opened when it is asked for, not on import."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedObject:
    """One ELF file of a wheel. `path` is as in the archive."""

    path: str
    soname: str | None
    needed: tuple[str, ...]

    def as_json(self) -> list[Any]:
        return [self.path, self.soname, list(self.needed)]

    @classmethod
    def from_json(cls, row: Any) -> SharedObject:
        path, soname, needed = row
        return cls(path=path, soname=soname, needed=tuple(needed))

    @property
    def names(self) -> frozenset[str]:
        """What others may call it by."""
        return frozenset({PurePosixPath(self.path).name, self.soname or ""} - {""})


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Need:
    """`wheel` needs `soname` for its file `path`."""

    soname: str
    wheel: str
    path: str

    def __str__(self) -> str:
        return f"{self.wheel} needs {self.soname} ({self.path})"


def outside_needs(wheels: Mapping[str, Iterable[SharedObject]]) -> tuple[Need, ...]:
    """The needs that no file of `wheels` (name → its shared objects) meets, sorted; one of each."""
    held = {wheel: tuple(objects) for wheel, objects in wheels.items()}
    inside = {name for objects in held.values() for item in objects for name in item.names}
    found: dict[tuple[str, str], Need] = {}
    for wheel, objects in sorted(held.items()):
        for item in _loaded(objects):
            for soname in item.needed:
                if soname not in inside:
                    need = Need(soname=soname, wheel=wheel, path=item.path)
                    found[soname, wheel] = min(found.get((soname, wheel), need), need)
    return tuple(sorted(found.values()))


def _loaded(objects: tuple[SharedObject, ...]) -> Iterator[SharedObject]:
    """The objects that importing may load: extension modules, what nobody names, and all that these need."""
    by_name = {name: item for item in objects for name in item.names}
    named = {name for item in objects for name in item.needed}
    waiting = [
        item
        for item in objects
        if not _is_on_demand(item) and (_is_extension_module(item) or not item.names & named)
    ]
    seen: set[str] = set()
    while waiting:
        item = waiting.pop()
        if item.path not in seen:
            seen.add(item.path)
            yield item
            waiting.extend(by_name[name] for name in item.needed if name in by_name)


def _is_on_demand(item: SharedObject) -> bool:
    return not _OPENED_ON_DEMAND.isdisjoint(PurePosixPath(item.path).parts[:-1])


def _is_extension_module(item: SharedObject) -> bool:
    """`_core.cpython-311-x86_64-linux-gnu.so`, `cv2.abi3.so`; a plain `x.so` may be one too."""
    name = PurePosixPath(item.path).name
    return (
        ".cpython-" in name
        or name.endswith(".abi3.so")
        or (name.endswith(".so") and not name.startswith("lib"))
    )
