"""The folder that a Dockerfile builds from, looked at once: its names, and what says what is installed.

Follows .dockerignore as Docker does. Reads no other file, runs nothing, writes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from lading.convert.importing.copying import is_requirements
from lading.convert.importing.model import Context
from lading.convert.importing.requirements import MARK
from lading.errors import ProjectError
from lading.project.ignore import Pattern, decide, dockerignore_patterns
from lading.project.load import detect_project

_LARGEST_TEXT_BYTES = 8_000_000
_MOST_NAMES = 200_000
_NEVER = frozenset((".git", "__pycache__", "node_modules", ".venv"))


def read_context(root: Path, dockerfile: Path | None, environment: Mapping[str, str]) -> Context:
    """What is in `root`. Raises ProjectError for a folder that cannot be read."""
    rules = _rules(root, dockerfile)
    paths: set[str] = set()
    texts: dict[str, str] = {}
    _folder(root, "", dockerignore_patterns(rules), paths, texts)
    executables = {path for path in paths if not path.endswith("/") and os.access(root / path, os.X_OK)}
    project = detect_project(root, environment=environment)
    path = project.requirements.path
    found = path.relative_to(project.root).as_posix() if path is not None else None
    if found is not None and found not in texts:
        texts[found] = _text(root / found)
    if found is not None and texts[found].startswith(MARK):  # of an earlier import
        found = None
    made = {name for name, text in texts.items() if text.startswith(MARK)}
    return Context(
        paths=frozenset(paths - made),
        executables=frozenset(executables),
        texts={name: text for name, text in texts.items() if name not in made},
        requirements=found,
        groups=frozenset(_groups(texts.get("pyproject.toml", ""))),
        names=frozenset(project.requirements.names),
        ignore_rules=tuple(_as_lading_rules(rules)),
        has_lading_rules=_has_own_rules(root),
    )


def _rules(root: Path, dockerfile: Path | None) -> str:
    names = [root / ".dockerignore"]
    if dockerfile is not None:
        names.insert(0, dockerfile.with_name(f"{dockerfile.name}.dockerignore"))
    return next((_text(path) for path in names if path.is_file()), "")


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_TEXT_BYTES).decode("utf-8", "replace")
    except OSError as error:
        raise ProjectError(f"{path} cannot be read: {error.strerror}", place=str(path)) from error


def _folder(
    root: Path, folder: str, rules: tuple[Pattern, ...], paths: set[str], texts: dict[str, str]
) -> None:
    try:
        with os.scandir(root / folder) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
    except OSError as error:
        raise ProjectError(
            f"{root / folder} cannot be read: {error.strerror}", place=folder or "."
        ) from error
    returns = any(rule.negated for rule in rules)
    for entry in entries:
        if entry.name in _NEVER or len(paths) >= _MOST_NAMES:
            continue
        path = f"{folder}/{entry.name}" if folder else entry.name
        is_folder = entry.is_dir(follow_symlinks=False)
        ignored = decide(rules, path, is_folder) is True
        if is_folder and (not ignored or returns):
            before = len(paths)
            _folder(root, path, _inside(rules, path, ignored=ignored), paths, texts)
            if not ignored or len(paths) > before:
                paths.add(f"{path}/")
        elif not is_folder and not ignored:
            paths.add(path)
            if is_requirements(path) and entry.is_file() and entry.stat().st_size <= _LARGEST_TEXT_BYTES:
                texts[path] = _text(root / path)


def _inside(rules: tuple[Pattern, ...], path: str, *, ignored: bool) -> tuple[Pattern, ...]:
    """What is in an ignored folder is ignored too, until a later rule takes it back."""
    if not ignored:
        return rules
    return (Pattern(f"{path}/**", anchored=True), *(rule for rule in rules if rule.negated))


def _groups(pyproject: str) -> list[str]:
    import tomllib

    try:
        document = tomllib.loads(pyproject)
    except tomllib.TOMLDecodeError:
        return []
    extras = document.get("project", {}).get("optional-dependencies", {})
    groups = document.get("dependency-groups", {})
    return [name for table in (extras, groups) if isinstance(table, dict) for name in table]


def _as_lading_rules(rules: str) -> list[str]:
    """.dockerignore in the grammar of .ladingignore: its patterns all begin at the top."""
    lines = []
    for line in rules.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        taken_back = line.startswith("!")
        line = line[taken_back:].strip().removeprefix("./").strip("/")
        if line:
            lines.append(f"{'!' if taken_back else ''}{line if line.startswith('**') else f'/{line}'}")
    return lines


def _has_own_rules(root: Path) -> bool:
    path = root / ".ladingignore"
    return path.is_file() and not _text(path).startswith(MARK)
