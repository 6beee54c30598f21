"""A copy of a tree of requirement files without the lines that mean the project itself (`-e .`).

uv would treat the project as a package to install; its code enters the image another way, so only its
dependencies are wanted here. Everything else stays as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

_PROJECT = re.compile(r"^\s*(?:(?:-e|--editable)[\s=]*\S*?|\.)(?:\[(?P<extras>[^\]]*)\])?\s*(?:#.*)?$")
_PATH_OPTION = re.compile(
    r"^(?P<option>\s*(?:-r|--requirement|-c|--constraint|-f|--find-links))(?P<between>[\s=]*)(?P<value>\S.*?)\s*$"
)
_FILES = ("-r", "--requirement", "-c", "--constraint")


def copy_without_project(
    path: Path,
    scratch: Path,
    names: Mapping[str, str] = MappingProxyType({}),
    text: str | None = None,
) -> tuple[Path, tuple[str, ...]]:
    """The copy of `path` in `scratch`, with all it includes, and the extras of the project it asked for.

    `names` are lines that say only where something is, and the name that stands in their place. `text` is
    given where `path` says the same in another form.
    """
    extras: set[str] = set()
    copied = _copy(path, scratch, {}, extras, names, text)
    return copied, tuple(sorted(extras))


def _copy(
    path: Path,
    scratch: Path,
    done: dict[Path, Path],
    extras: set[str],
    names: Mapping[str, str],
    text: str | None = None,
) -> Path:
    if path in done:
        return done[path]
    name = path.name if text is None else f"{path.stem}.txt"  # uv goes by the name
    copied = done[path] = scratch / f"{len(done)}-{name}"
    lines = []
    for line in (path.read_text("utf-8-sig") if text is None else text).splitlines():
        bare = re.sub(r"(^|\s)#.*$", "", line).strip()
        if bare in names:
            wanted = re.search(r"\[[^\]]*\]$", bare)
            lines.append(f"{names[bare]}{wanted[0] if wanted else ''}")
        elif match := _PROJECT.match(line):
            extras |= {extra.strip() for extra in (match["extras"] or "").split(",") if extra.strip()}
        elif match := _PATH_OPTION.match(line):
            lines.append(_moved(match, path, scratch, done, extras, names))
        else:
            lines.append(line)
    copied.write_text("\n".join(lines) + "\n")
    return copied


def _moved(
    match: re.Match[str],
    path: Path,
    scratch: Path,
    done: dict[Path, Path],
    extras: set[str],
    names: Mapping[str, str],
) -> str:
    """A line that names a file or folder, relative to `path`, as it reads from the scratch folder."""
    value = re.sub(r"\s+#.*$", "", match["value"]).strip("'\"")
    if "://" not in value:
        target = (path.parent / value).resolve()
        included = match["option"].strip() in _FILES
        value = str(_copy(target, scratch, done, extras, names) if included else target)
    return f"{match['option']} {value}"
