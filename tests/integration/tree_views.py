"""One image as three viewers see it, and the virtual environment that uv makes of the same wheels.

A tree is a mapping of path (without leading slash) to what stands there. Knows umoci, Docker, chroot and uv;
of lading it knows the command line alone.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.process import Tool, require

Entry = tuple[str, ...]
"""("folder", mode) | ("file", mode, sha256) | ("link", target) | ("other", mode); modes in octal digits."""
Tree = Mapping[str, Entry]

VENV = "opt/venv"
OURS = "opt/ours"
MOUNTED = ("dev", "proc", "sys")
"""What every runtime mounts something of its own over; the folders count, what is in them does not."""

WALKER = """
import hashlib, json, os, stat, sys
root, found = sys.argv[1].rstrip("/") + "/", {}
for folder, folders, files in os.walk(root):
    inside = folder[len(root):]
    for name in folders + files:
        path = os.path.join(folder, name)
        status = os.lstat(path)
        mode = "%04o" % stat.S_IMODE(status.st_mode)
        if stat.S_ISLNK(status.st_mode):
            entry = ("link", os.readlink(path))
        elif stat.S_ISDIR(status.st_mode):
            entry = ("folder", mode)
        elif stat.S_ISREG(status.st_mode):
            with open(path, "rb") as file:
                entry = ("file", mode, hashlib.file_digest(file, "sha256").hexdigest())
        else:
            entry = ("other", mode)
        found[path[len(root):]] = entry
    if not inside:
        folders[:] = [name for name in folders if name not in MOUNTED]
json.dump(found, sys.stdout)
""".replace("MOUNTED", repr(MOUNTED))
"""A program for any Python ≥ 3.11: prints the tree below its argument as JSON."""


def as_tree(printed: str) -> Tree:
    document: dict[str, list[str]] = json.loads(printed)
    return {path: tuple(entry) for path, entry in document.items()}


def tree_on_disk(root: Path) -> Tree:
    """What is below `root` on this disk."""
    return as_tree(Tool(prefix=(sys.executable, "-I", "-c", WALKER))(root).stdout)


def tree_in_container(lading: Tool, project: Path) -> Tree:
    """The embedded engine's view, walked by the image's own Python inside a container."""
    return as_tree(
        lading("run", "--quiet", "--locked", "--", "python", "-IBc", WALKER, "/", cwd=project).stdout
    )


def tree_of_docker(docker: Tool, archive: Path, tag: str) -> Tree:
    """What `docker export` writes of a container that was made and never started."""
    docker("load", "--input", archive)
    container = docker("create", tag).stdout.strip()
    exported = archive.with_suffix(".export")
    docker("export", "--output", exported, container)
    docker("rm", container)
    docker("rmi", "--force", tag)
    tree = tree_in_tar(exported)
    exported.unlink()
    return tree


def tree_in_tar(path: Path) -> Tree:
    """A tar file's tree; a hard link is the file it leads to."""
    found: dict[str, Entry] = {}
    with tarfile.open(path) as tar:
        for member in tar:
            name = member.name.strip("/").removeprefix("./")
            mode = f"{member.mode & 0o7777:04o}"  # Go adds the kind
            if name in (".", "") or (name.partition("/")[0] in MOUNTED and "/" in name):
                continue
            if member.issym():
                found[name] = ("link", member.linkname)
            elif member.isdir():
                found[name] = ("folder", mode)
            elif member.islnk():
                found[name] = found[member.linkname.strip("/")]
            elif member.isreg():
                content = tar.extractfile(member)
                assert isinstance(content, io.BufferedReader)
                found[name] = ("file", mode, hashlib.file_digest(content, "sha256").hexdigest())
            else:
                found[name] = ("other", mode)
    return found


def below(tree: Tree, folder: str) -> Tree:
    """The part of a tree under `folder`, which itself is left out."""
    return {path: entry for path, entry in tree.items() if path.startswith(folder + "/")}


def without_bytecode(tree: Tree) -> Tree:
    return {path: entry for path, entry in tree.items() if "__pycache__" not in path}


def differences(expected: Tree, found: Tree) -> list[tuple[str, str]]:
    """(`missing`, `added` or `changed`, path) of each, sorted."""
    kinds = [("missing", path) for path in expected.keys() - found.keys()]
    kinds += [("added", path) for path in found.keys() - expected.keys()]
    kinds += [("changed", path) for path in expected.keys() & found.keys() if expected[path] != found[path]]
    return sorted(kinds)


_ENTER = """\
set -e
umask 022
mount --bind "$1" "$1"
cd "$1"
mkdir -p tmp/wheels tmp/tools
mount --bind "$2" tmp/wheels
mount --bind "$3" tmp/tools
mount -t proc proc proc
mount --rbind /dev dev
exec /usr/bin/env -i PATH=/usr/bin:/bin HOME=/root /usr/sbin/chroot . /bin/sh -ec "$4"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceRoot:
    """A Debian root on disk whose /opt/venv uv makes. Needs root; each command's mounts end with it."""

    root: Path
    wheels: Path

    def install(self, requirements: str) -> None:
        """A new virtual environment with exactly these wheels, umask 022, as in a Dockerfile.

        With bytecode, in the image's own form: PEP 552, unchecked. The environment that was there is
        /opt/ours from now on.
        """
        (self.root / VENV).rename(self.root / OURS)
        (self.root / "tmp").mkdir(exist_ok=True)
        (self.root / "tmp/requirements.txt").write_text(requirements)
        self._enter(
            "/tmp/tools/uv venv --quiet --offline --no-cache --python /usr/bin/python3.11 /opt/venv;"
            f"export PYC_INVALIDATION_MODE=UNCHECKED_HASH PYTHONHASHSEED=0; {_INSTALL} --compile-bytecode"
        )

    def other_code(self, ours: Mapping[str, bytes]) -> list[str]:
        """Paths of bytecode that is another program than the one uv compiled, asked of the image's Python."""
        folder = self.root / "tmp/ours"
        for path, content in ours.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        said = self._enter(f"/usr/bin/python3.11 -I -c '{_OTHER_CODE}' /tmp/ours")
        return said.splitlines()

    def tree(self, part: str = "") -> Tree:
        """All of the root, or what is below one of its folders."""
        if not part:
            return tree_on_disk(self.root)
        return {f"{part}/{path}": entry for path, entry in tree_on_disk(self.root / part).items()}

    def _enter(self, command: str) -> str:
        program = (require("unshare", "util-linux"), "--mount", "/bin/sh", "-c", _ENTER, "enter")
        tools = Path(sys.executable).parent
        return Tool(prefix=program)(self.root, self.wheels, tools, command).stdout


_OTHER_CODE = """
import marshal, pathlib, sys
ours = pathlib.Path(sys.argv[1])
for path in sorted(ours.rglob("*.pyc")):
    name = path.relative_to(ours)
    one, other = path.read_bytes(), (pathlib.Path("/") / name).read_bytes()
    if one[:16] != other[:16] or marshal.loads(one[16:]) != marshal.loads(other[16:]):
        print(name)
"""
_INSTALL = (
    "/tmp/tools/uv pip install --quiet --offline --no-cache --no-config --no-index --find-links /tmp/wheels"
    " --no-deps --require-hashes --python /opt/venv/bin/python -r /tmp/requirements.txt"
)
