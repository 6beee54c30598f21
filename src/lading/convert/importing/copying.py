"""COPY and ADD: what of the build context goes where. Pure.

Source: the Dockerfile reference, COPY and ADD; globs are Go's filepath.Match.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lading.convert.importing.model import Context

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_REQUIREMENTS = re.compile(
    r"(?:.*/)?(?:(?:requirements|constraints)[^/]*\.(?:txt|in|lock)|requirements/?|pyproject\.toml|uv\.lock"
    r"|poetry\.lock|Pipfile(?:\.lock)?|environment[^/]*\.ya?ml|conda[^/]*\.ya?ml|pylock[^/]*\.toml|setup\.(?:py|cfg)"
    r"|\.python-version|pip\.conf)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """One source of a COPY, and the path that it gets."""

    source: str
    destination: str
    is_folder: bool


def absolute(folder: str, path: str) -> str:
    """`path` as seen from `folder`, canonical."""
    joined = path if path.startswith("/") else f"{folder}/{path}"
    parts: list[str] = []
    for part in joined.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def is_requirements(source: str) -> bool:
    """Whether a file is there to say what is installed."""
    return _REQUIREMENTS.fullmatch(source) is not None


def place_sources(
    sources: list[str], destination: str, folder: str, folders: frozenset[str], context: Context
) -> tuple[list[Placed], list[str]]:
    """Where each source goes, and the sources that are not there. `folders` are known to be in the image."""
    target = absolute(folder, destination)
    found, missing = [], []
    for written in sources:
        matched = _matching(written, context)
        found += matched
        missing += [] if matched else [written]
    into = (
        destination.endswith(("/", "/.")) or destination in (".", "") or len(found) > 1 or target in folders
    )
    placed = []
    for source in found:
        is_folder = context.is_folder(source)
        name = source.rpartition("/")[2]
        inside = f"{target.rstrip('/')}/{name}" if into and not is_folder else target
        placed.append(Placed(source=source, destination=inside, is_folder=is_folder))
    return placed, missing


def _matching(written: str, context: Context) -> list[str]:
    source = absolute("/", written)[1:]
    if not re.search(r"[*?\[]", source):
        present = context.is_folder(source) or context.is_file(source)
        return [source] if present else []
    expression = re.compile(_expression(source))
    names = {path.rstrip("/") for path in context.paths}
    return sorted(name for name in names if expression.fullmatch(name))


def _expression(glob: str) -> str:
    out, at = "", 0
    while at < len(glob):
        sign = glob[at]
        end = glob.find("]", at + 2) if sign == "[" else -1
        if end > 0:
            inner = glob[at + 1 : end]
            negated = inner[:1] in "^!"
            out += f"[{'^' if negated else ''}{re.escape(inner[negated:]).replace(chr(92) + '-', '-')}]"
            at = end + 1
            continue
        out += {"*": "[^/]*", "?": "[^/]"}.get(sign) or re.escape(sign)
        at += 1
    return out


def to_context(path: str, copies: list[tuple[str, str, bool]]) -> str | None:
    """Where the context has what lies at `path` of the image; `copies` are source, destination, is_folder."""
    for source, destination, is_folder in reversed(copies):
        if path == destination:
            return source
        if is_folder and (destination == "/" or path.startswith(f"{destination}/")):
            rest = path[len(destination.rstrip("/")) + 1 :]
            return f"{source}/{rest}" if source else rest
    return None
