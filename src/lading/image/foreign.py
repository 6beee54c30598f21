"""A registry image below our layers: its files as a tree. Knows nothing of registries.

What is written over it (packages, bytecode) needs a few of its files; nothing of it is ever run but its own
interpreter, which compiles bytecode as any image's does.
"""

from __future__ import annotations

from lading.image.layer.tree import EntryKind, TreeEntry
from lading.lock.model import LockedBase
from lading.registry.stack import StackedFile, StackedKind, Wanted, read_stack
from lading.store import Store

_KINDS = {
    StackedKind.FILE: EntryKind.FILE,
    StackedKind.DIRECTORY: EntryKind.DIRECTORY,
    StackedKind.SYMLINK: EntryKind.SYMLINK,
    StackedKind.OTHER: EntryKind.FILE,
}
_STATE_BYTES = 64 << 20
_STATE = ("etc/", "var/lib/dpkg/", "usr/share/ca-certificates/")
_LIBRARIES = (
    *("libc.", "libm.", "libdl.", "libpthread.", "libutil.", "librt.", "libnsl.", "libcrypt."),
    *("libz.", "libexpat.", "libpython3", "ld-linux"),
)
"""What a `python3` is linked with, wherever it was built."""


def interpreter_tree(store: Store, base: LockedBase, executable: str) -> dict[str, TreeEntry]:
    """What running the base image's own Python takes. Raises StoreError, FetchFailed."""
    stack = read_stack(store, (layer.digest for layer in base.layers), _wants_interpreter(executable))
    return {
        path: _entry(file)
        for path, file in stack.files.items()
        if file.kind is StackedKind.SYMLINK or file.content is not None
    }


def base_tree(store: Store, base: LockedBase) -> dict[str, TreeEntry]:
    """Every path of the base image, with the bytes of what dpkg and the effects of packages read.

    The layers are in the store. Raises StoreError, FetchFailed.
    """
    stack = read_stack(store, (layer.digest for layer in base.layers), _wants_state)
    return {path: _entry(file) for path, file in stack.files.items()}


def _entry(file: StackedFile) -> TreeEntry:
    return TreeEntry(
        path=file.path,
        kind=_KINDS[file.kind],
        mode=file.mode,
        link_target=file.link_target,
        content=file.content or b"",
    )


def _wants_state(path: str, size_bytes: int) -> bool:
    return path.startswith(_STATE) and size_bytes <= _STATE_BYTES


def _wants_interpreter(executable: str) -> Wanted:
    prefix, _, name = executable.strip("/").partition("/bin/")
    library = f"{prefix}/lib/{name}/"

    def wanted(path: str, size_bytes: int) -> bool:
        if path == f"{prefix}/bin/{name}":
            return True
        if path.startswith(library):
            inside = path[len(library) :]
            return inside.endswith((".py", ".so")) and not inside.startswith(("site-packages/", "test/"))
        return path.rpartition("/")[2].startswith(_LIBRARIES)

    return wanted
