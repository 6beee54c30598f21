"""The name people read: `digits:1.4.0-g3f2a1c-cpu`. Never `latest`, and no part of the image itself."""

from __future__ import annotations

import re
from pathlib import Path

from lading.project.model import Project

_ALLOWED = re.compile(r"[^A-Za-z0-9_.-]+")
_APART = re.compile(r"[^a-z0-9]+")


def image_tag(project: Project, target: str, accelerator: str) -> str:
    """NAME[-TARGET]:VERSION[-gREVISION]-ACCELERATOR; the train target is the project's plain name."""
    name = image_name(project.name if target == "train" else f"{project.name}-{target}")
    revision = git_revision(project.root)
    parts = [project.version or "0", *([f"g{revision[:7]}"] if revision else []), accelerator]
    return f"{name}:{_ALLOWED.sub('-', '-'.join(parts))[:128]}"


def image_name(name: str) -> str:
    """`name` as registries write it, the way PEP 503 writes a package's: `Spiral-Net_2` is `spiral-net-2`."""
    return _APART.sub("-", name.lower()).strip("-")


def git_revision(root: Path) -> str | None:
    """The commit that is checked out at `root` or above, read without running git; None where unknown."""
    for folder in (root, *root.parents):
        git = folder / ".git"
        if git.is_dir():
            return _head(git)
        if git.is_file():  # a worktree or submodule: `gitdir: PATH`
            _, _, path = git.read_text().strip().partition("gitdir: ")
            return _head((folder / path).resolve())
    return None


def _head(git: Path) -> str | None:
    try:
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        common = git
        if (git / "commondir").is_file():
            common = (git / (git / "commondir").read_text().strip()).resolve()
        for folder in (git, common):
            if (folder / name).is_file():
                return (folder / name).read_text().strip()
        for line in (common / "packed-refs").read_text().splitlines():
            if line.endswith(f" {name}"):
                return line.split(" ", 1)[0]
    except (OSError, UnicodeDecodeError):
        pass
    return None
