"""Where things of a Dockerfile's image lie in lading's: code under /app, packages under /opt/venv. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lading.convert.importing.draft import Copied

CODE = "/app"
VENV = "/opt/venv"
_NO_ROOT = (
    "",
    "/",
    "/tmp",
    "/usr",
    "/usr/local",
    "/usr/local/bin",
    "/etc",
    "/bin",
    "/usr/bin",
    "/var",
    "/run",
)
_SYSTEM = frozenset(
    {
        "bin", "boot", "dev", "etc", "home", "lib", "lib64", "media", "mnt", "opt", "proc", "root", "run",
        "sbin", "srv", "sys", "tmp", "usr", "var",
    }
)  # fmt: skip
_CONDA = r"/opt/(?:mini|mamba|ana)?(?:conda|forge|mamba)\d?(?:/envs/[\w.-]+)?"
_END = r"(?=$|[/\s\"';:,)\]}=|&>])"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    root: str | None
    """Folder of the image that corresponds to the build context; None: nothing does."""
    moved: Mapping[str, str] = field(default_factory=dict)
    """Path in the Dockerfile's image → here, longest first."""
    in_steps: Mapping[str, str] = field(default_factory=dict)
    """Copies that are not under the root: path → where a step sees them."""
    has_conda: bool = False

    def folder(self, path: str) -> str:
        """As `rewrite`, for what is surely a folder, and so may be the root of the image."""
        return CODE if path == "/" == self.root else self.rewrite(path)

    def rewrite(self, text: str) -> str:
        """`text` with the paths in it as lading has them."""
        return _replace(text, self.moved, conda=self.has_conda)

    def in_step(self, text: str) -> str:
        """As `rewrite`, for a command that sees the context's files under /app."""
        return _replace(text, {**self.moved, **self.in_steps}, conda=self.has_conda)

    def of(self, path: str) -> str:
        """A path in lading's image; merged /usr."""
        here = self.rewrite(path)
        first = here.split("/")[1] if here.startswith("/") else ""
        return f"/usr{here}" if first in ("bin", "sbin", "lib", "lib64") else here


def _replace(text: str, moved: Mapping[str, str], *, conda: bool) -> str:
    known = sorted(moved, key=len, reverse=True)
    names = [re.escape(path) for path in known]
    if conda:
        names.append(_CONDA)
    if not names:
        return text
    expression = re.compile(rf"(?<![\w.\-/])(?:{'|'.join(names)}){_END}")
    return expression.sub(lambda match: moved.get(match[0], VENV), text)


def find_places(
    copies: Iterable[Copied],
    workdir: str | None,
    prefixes: Iterable[str],
    *,
    paths: Iterable[str],
    has_conda: bool,
) -> Places:
    """The folder that most copies agree on is where the code is. `paths` are those of the context."""
    copies = list(copies)
    root = _root(copies, workdir)
    moved = {
        prefix: VENV for prefix in prefixes if prefix not in ("/", root) and not prefix.startswith("/usr")
    }
    if root == "/":  # of what lies there, only what the context brings moves along
        names = top_names(paths) - _SYSTEM
        moved = {**{f"/{name}": f"{CODE}/{name}" for name in names}, **moved}
    elif root is not None:
        moved[root] = CODE
    in_steps = {
        one.destination: f"{CODE}/{one.source}" if one.source else CODE
        for one in copies
        if one.destination not in ("/", root) and not is_code(one, root)
    }
    return Places(root=root, moved=moved, in_steps=in_steps, has_conda=has_conda)


def is_code(one: Copied, root: str | None) -> bool:
    """Whether a copy lies where the project's folder, as /app, has it anyway."""
    if root is None:
        return False
    return one.destination == (f"{root.rstrip('/')}/{one.source}" if one.source else root)


def top_names(paths: Iterable[str]) -> set[str]:
    """What lies at the top of the context."""
    return {path.partition("/")[0] for path in paths} - {""}


def system_names(paths: Iterable[str]) -> list[str]:
    """Those of them that have the names of a system's own folders."""
    return sorted(top_names(paths) & _SYSTEM)


def _root(copies: list[Copied], workdir: str | None) -> str | None:
    if not copies:
        return None
    votes: Counter[str] = Counter()
    for one in copies:
        candidate = _candidate(one)
        if candidate not in _NO_ROOT or (candidate == "/" and not one.source):
            votes[candidate] += 10_000 if not one.source else 1 if one.is_requirements else 10
    if workdir is not None and workdir not in _NO_ROOT:
        inside = any(f"{one.destination}/".startswith(f"{workdir}/") for one in copies)
        votes[workdir] += 1000 if inside else 5
    best = max(votes.values(), default=0)
    return next((root for root, count in votes.items() if count == best), None)


def _candidate(one: Copied) -> str:
    """The root under which the copy would lie as it does in the context; empty for none."""
    if not one.source:
        return one.destination
    suffix = f"/{one.source}"
    return one.destination.removesuffix(suffix) if one.destination.endswith(suffix) else ""
