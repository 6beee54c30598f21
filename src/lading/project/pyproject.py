"""What `pyproject.toml` says about dependencies (PEP 621, PEP 735, `[tool.uv]`). Pure.

Takes the parsed document; knows nothing of the other files a project may have.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lading.project.kinds import type_name
from lading.project.places import KeyPath
from lading.project.report import ConfigReport, did_you_mean
from lading.project.requirement_lines import (
    named_reference,
    normalized,
    requirement_name,
)
from lading.project.tokens import has_userinfo, without_userinfo


@dataclass(slots=True, kw_only=True)
class Pyproject:
    """The part of `pyproject.toml` that is about the project itself."""

    document: Mapping[str, Any]
    project: Mapping[str, Any] | None
    """`[project]`, or None when there is none."""
    uv: Mapping[str, Any] = field(default_factory=dict)
    dynamic: tuple[str, ...] = ()
    requires_python: str | None = None
    names: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    index_urls: tuple[str, ...] = ()
    declares_dependencies: bool = False
    references: list[tuple[KeyPath, str, str]] = field(default_factory=list)
    """Where it stands, name and URL of each `NAME @ URL`."""
    sources: list[tuple[KeyPath, str, Mapping[str, Any]]] = field(default_factory=list)
    """Where it stands, name and entry of each of `[tool.uv.sources]`."""


def read_pyproject(document: Mapping[str, Any], report: ConfigReport) -> Pyproject:
    """Everything needed of a parsed `pyproject.toml`; what is wrong goes to `report` (prefix empty)."""
    tool = table(document, ("tool",), report)
    uv = table(tool, ("tool", "uv"), report)
    if "project" not in document:
        return Pyproject(document=document, project=None, uv=uv)
    project = table(document, ("project",), report)
    result = Pyproject(document=document, project=project, uv=uv)
    result.dynamic = tuple(strings(project.get("dynamic", []), ("project", "dynamic"), report))
    requires_python = project.get("requires-python")
    if requires_python is not None and not isinstance(requires_python, str):
        report(("project", "requires-python"), f"must be a string, not {type_name(requires_python)}")
    else:
        result.requires_python = requires_python
    result.declares_dependencies = "dependencies" in project or "dependencies" in result.dynamic
    direct = _requirements(project.get("dependencies", []), ("project", "dependencies"), report, result)
    result.names = tuple(dict.fromkeys(direct))
    result.groups = _groups(document, project, report, result)
    _uv(result, report)
    return result


def table(parent: Mapping[str, Any], path: KeyPath, report: ConfigReport) -> Mapping[str, Any]:
    """The table `path[-1]` of `parent`, empty when absent or not a table."""
    value = parent.get(str(path[-1]), {})
    if isinstance(value, dict):
        return value
    report(path, f"must be a table, not {type_name(value)}")
    return {}


def strings(value: object, path: KeyPath, report: ConfigReport) -> list[str]:
    """The strings of an array; what is none is reported."""
    if not isinstance(value, list):
        hint = f'write ["{value}"]' if isinstance(value, str) else None
        report(path, f"must be an array of strings, not {type_name(value)}", hint)
        return []
    for index, member in enumerate(value):
        if not isinstance(member, str):
            report((*path, index), f"must be a string, not {type_name(member)}")
    return [member for member in value if isinstance(member, str)]


def _requirements(value: object, path: KeyPath, report: ConfigReport, result: Pyproject) -> list[str]:
    names = []
    if isinstance(value, dict):
        report(path, "must be an array of strings, not a table", 'write ["numpy>=2.1"]')
        return []
    for index, member in enumerate(strings(value, path, report)):
        try:
            name = requirement_name(member)
        except ValueError as error:
            report(
                (*path, index),
                f"{without_userinfo(member)!r} is not a requirement: {error}",
                "as in numpy>=2.1",
            )
            continue
        if name is None:
            name, url = named_reference(member)
            result.references.append(((*path, index), name, url))
        names.append(name)
    return names


def _groups(
    document: Mapping[str, Any], project: Mapping[str, Any], report: ConfigReport, result: Pyproject
) -> tuple[str, ...]:
    extras = table(project, ("project", "optional-dependencies"), report)
    for name, members in extras.items():
        _requirements(members, ("project", "optional-dependencies", name), report, result)
    groups = table(document, ("dependency-groups",), report)
    includes: dict[str, list[str]] = {}
    for name, members in groups.items():
        includes[normalized(name)] = _group(name, members, groups, report, result)
    for name in groups:
        if _reaches(normalized(name), normalized(name), includes, set()):
            report(("dependency-groups", name), "includes itself", "take the include-group out")
    return tuple(dict.fromkeys((*extras, *groups)))


def _group(
    name: str, members: object, groups: Mapping[str, Any], report: ConfigReport, result: Pyproject
) -> list[str]:
    path: KeyPath = ("dependency-groups", name)
    if not isinstance(members, list):
        report(path, f"must be an array, not {type_name(members)}")
        return []
    included = []
    plain: list[object] = []
    known = {normalized(group) for group in groups}
    for index, member in enumerate(members):
        if not isinstance(member, dict):
            plain.append(member)
        elif not isinstance(other := member.get("include-group"), str) or len(member) != 1:
            report((*path, index), "must be a requirement or { include-group = NAME }")
        elif normalized(other) not in known:
            report((*path, index), f"includes no group {other!r}", did_you_mean(other, groups))
        else:
            included.append(normalized(other))
    _requirements(plain, path, report, result)
    return included


def _reaches(start: str, goal: str, includes: Mapping[str, list[str]], seen: set[str]) -> bool:
    for other in includes.get(start, []):
        if other == goal:
            return True
        if other not in seen:
            seen.add(other)
            if _reaches(other, goal, includes, seen):
                return True
    return False


def _uv(result: Pyproject, report: ConfigReport) -> None:
    """`[tool.uv]`: wheel folders, indexes and sources are noted."""
    uv = result.uv
    sources = table(uv, ("tool", "uv", "sources"), report)
    for name, source in sources.items():
        for entry in source if isinstance(source, list) else [source]:
            path = ("tool", "uv", "sources", name)
            if isinstance(entry, dict):
                result.sources.append((path, normalized(name), entry))
            else:
                report(path, f"must be a table, not {type_name(entry)}")
    if "find-links" in uv:
        result.find_links = tuple(strings(uv["find-links"], ("tool", "uv", "find-links"), report))
    urls: list[str] = []
    indexes = uv.get("index", [])
    for index, entry in enumerate(indexes if isinstance(indexes, list) else [indexes]):
        url = entry.get("url") if isinstance(entry, dict) else None
        if isinstance(url, str):
            _add_index(urls, url, ("tool", "uv", "index", index, "url"), report)
        else:
            report(
                ("tool", "uv", "index"), "must be an array of tables with a url", "write [[tool.uv.index]]"
            )
    for key in ("index-url", "extra-index-url"):
        value = uv.get(key, [])
        for url in strings([value] if isinstance(value, str) else value, ("tool", "uv", key), report):
            _add_index(urls, url, ("tool", "uv", key), report)
    result.index_urls = tuple(urls)


def _add_index(urls: list[str], url: str, path: KeyPath, report: ConfigReport) -> None:
    if has_userinfo(url):
        hint = "write them to ~/.netrc, or set UV_INDEX_…_USERNAME and …_PASSWORD"
        report(path, f"credentials in the URL {without_userinfo(url)}", hint)
    urls.append(without_userinfo(url))


def pylock_names(text: str) -> tuple[str, ...]:
    """Names of the packages of a `pylock.toml`, without parsing all of a file that may be large (PEP 751)."""
    found = re.findall(r'^\[\[packages\]\]\s*\n\s*name\s*=\s*"([^"\n]+)"', text, re.MULTILINE)
    return tuple(dict.fromkeys(normalized(name) for name in found))
