"""The image's interpreter, runnable on the host: its files in a folder of the store.

No container is needed: the image's dynamic loader starts the image's Python with the image's libraries, so
the bytecode is right to the exact build, whatever Python the host has. A standalone build has no loader and
is made for every glibc: the host's starts it. For an image of another platform the files are those of the
same release for this host (image.python.native).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lading.errors import PackageRefused
from lading.image.layer.tree import EntryKind, TreeEntry
from lading.image.spec import BYTECODE_RULE
from lading.oci.platform import Platform
from lading.store import Store
from lading.store.atomic import store_errors, temporary_name

_LOADERS = {
    "x86_64": "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
    "aarch64": "usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """How to start the interpreter: argv without the script, and its whole environment."""

    command: tuple[str, ...]
    environment: Mapping[str, str]


def prepare_toolchain(
    store: Store, name: str, tree: Mapping[str, TreeEntry], *, executable: str, platform: Platform
) -> Toolchain:
    """Write what running `executable` (`/usr/bin/python3.11`) takes from `tree` into the store, once.

    `name` is 64 hex digits that decide the tree; `platform` is the tree's, and this host runs it.
    """
    folder = store.root / "toolchains" / f"{name}-{BYTECODE_RULE}"
    python = executable.lstrip("/")
    prefix, _, _ = python.partition("/bin/")
    if not folder.is_dir():
        _write(store, folder, _selected(tree, python, platform))
    loader = folder / _LOADERS[platform.machine]
    program: tuple[str, ...] = (f"{folder}/{python}", "-S", "-s", "-W", "ignore")
    libraries = f"{folder}/{prefix}/lib"
    if loader.exists():
        words = (str(loader), "--library-path", f"{folder}/usr/lib/{platform.multiarch}:{libraries}")
        program, own = (*words, *program), dict[str, str]()
    else:
        own = {"LD_LIBRARY_PATH": libraries}  # a standalone build brings all but a C library, and takes any
    return Toolchain(
        command=program,
        environment={
            **own,
            "PYTHONHOME": f"{folder}/{prefix}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
            "LC_ALL": "C.UTF-8",
        },
    )


def _selected(
    tree: Mapping[str, TreeEntry], python: str, platform: Platform
) -> Iterable[tuple[str, TreeEntry]]:
    """The interpreter, the loader, shared libraries, the standard library's modules and its codecs."""
    if python not in tree:
        raise PackageRefused(python, "no-interpreter", "the locked packages hold no such interpreter")
    prefix, _, name = python.partition("/bin/")
    library = f"{prefix}/lib/{name}/"
    shared = f"usr/lib/{platform.multiarch}/"
    for place, entry in tree.items():
        # Older bases have no merged /usr; what is needed is put where a merged one has it.
        path = f"usr/{place}" if place.startswith((f"lib/{platform.multiarch}/", "lib64/")) else place
        in_library = path.startswith(library) and path.endswith(".py")
        in_shared = path.startswith(shared) and "/" not in path[len(shared) :] and ".so" in path
        is_codec = path.startswith(
            (f"{library}lib-dynload/_codecs_", f"{library}lib-dynload/_multibytecodec")
        )
        in_prefix = path.startswith(f"{prefix}/lib/libpython")
        if path == python or in_library or is_codec or in_shared or in_prefix:
            yield path, entry


def _write(store: Store, folder: Path, entries: Iterable[tuple[str, TreeEntry]]) -> None:
    staging = store.staging / temporary_name()
    with store_errors("preparing the interpreter", folder):
        for path, entry in entries:
            target = staging / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if entry.kind is EntryKind.FILE:
                target.write_bytes(entry.read())
                target.chmod(entry.mode)
            elif entry.kind is EntryKind.SYMLINK and "/" not in (entry.link_target or "/"):
                target.symlink_to(entry.link_target or "")
        folder.parent.mkdir(exist_ok=True)
        try:
            os.sync()
            staging.rename(folder)
        except OSError:
            shutil.rmtree(staging)
            if not folder.is_dir():  # another build was first: its copy is as good
                raise
