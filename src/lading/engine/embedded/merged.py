"""One folder with all of an image's files, for levels that cannot mount: hard links of the layers' trees.

    trees/merged-KEY/root/      the image's files; folders are read-only, absolute links made relative
    trees/merged-KEY/shadow/    the same, with the programs wrapped (see relocate.py)

Made once an image and shared by its runs: read-only by permission, since a file here is a file of a tree.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import Path
from typing import Any

from lading.engine.embedded.remove import remove_tree
from lading.engine.embedded.shadow import make_shadow
from lading.engine.embedded.trees import Leases, ensure_folder
from lading.engine.embedded.unpack import OPAQUE_ATTRIBUTE
from lading.store.atomic import store_errors
from lading.store.store import Store

_WRITABLE = ("tmp", "var/tmp", "dev/shm")
_DEVICES = {
    "null": (1, 3),
    "zero": (1, 5),
    "full": (1, 7),
    "random": (1, 8),
    "urandom": (1, 9),
    "tty": (5, 0),
}
_REVISION = 2


def lay_out_merged(store: Store, scratch: Path, trees: tuple[Path, ...], leases: Leases) -> Path:
    """The merged root of `trees`, uppermost first, made when it is not there; and the scratch folder."""
    names = "\n".join(tree.parent.name for tree in trees)
    key = hashlib.sha256(f"{_REVISION}\n{names}".encode()).hexdigest()[:32]

    def make(folder: Path) -> dict[str, Any]:
        # The shadow names files by absolute path: it has to know where the folder will stand.
        return _merge(folder, trees, store.root / "trees" / f"merged-{key}")

    root = ensure_folder(store, f"merged-{key}", make, leases) / "root"
    with store_errors("making a container's scratch folder", scratch):
        scratch.mkdir(parents=True, mode=0o700)
        for name in ("tmp", "home", "view"):
            (scratch / name).mkdir(mode=0o700)
    return root


def _merge(folder: Path, trees: tuple[Path, ...], final: Path) -> dict[str, Any]:
    root = folder / "root"
    root.mkdir()
    for tree in reversed(trees):
        _lay_over(tree, root, depth=0)
    for name in (*_WRITABLE, "proc", "sys"):
        (root / name).mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError):
        # A chroot has no /proc; numeric libraries at least read what the processor can do.
        (root / "proc/cpuinfo").write_bytes(Path("/proc/cpuinfo").read_bytes())
    for name, (major, minor) in _DEVICES.items():
        with contextlib.suppress(OSError):  # only root may; the process level needs none
            os.mknod(root / "dev" / name, stat.S_IFCHR | 0o666, os.makedev(major, minor))
            (root / "dev" / name).chmod(0o666)
    make_shadow(root, folder / "shadow", final)
    _close_folders(root)
    return {"layers": len(trees)}


def _lay_over(source: Path, target: Path, depth: int) -> None:
    if _is_opaque(source):
        for name in os.listdir(target):
            remove_tree(target / name)
    with os.scandir(source) as entries:
        for entry in entries:
            place = target / entry.name
            if entry.is_symlink():
                _clear(place)
                place.symlink_to(_relative(str(Path(entry.path).readlink()), depth))
            elif entry.is_dir(follow_symlinks=False):
                if place.is_symlink() or not place.is_dir():
                    _clear(place)
                    place.mkdir()
                _lay_over(Path(entry.path), place, depth + 1)
            elif _is_whiteout(entry):
                _clear(place)
            else:
                _clear(place)
                os.link(entry.path, place, follow_symlinks=False)


def _relative(link: str, depth: int) -> str:
    """An absolute link as one that means the same wherever the root stands."""
    return "../" * depth + link.lstrip("/") if link.startswith("/") else link


def _clear(place: Path) -> None:
    if place.is_symlink() or place.exists():
        remove_tree(place)


def _is_whiteout(entry: os.DirEntry[str]) -> bool:
    facts = entry.stat(follow_symlinks=False)
    return stat.S_ISCHR(facts.st_mode) and facts.st_rdev == 0


def _is_opaque(folder: Path) -> bool:
    try:
        return os.getxattr(folder, OPAQUE_ATTRIBUTE) == b"y"
    except OSError:
        return False


def _close_folders(root: Path) -> None:
    for folder, _, _ in os.walk(root, topdown=False):
        os.chmod(folder, 0o555)  # noqa: PTH101 - a path a folder would double the time
    for name in _WRITABLE:
        (root / name).chmod(0o1777)
