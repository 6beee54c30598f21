"""Dependencies that Poetry and Pipenv keep in forms of their own, as lines of a requirements file. Pure.

Sources: Poetry's manual, "Dependency specification"; the Pipfile.lock format. Versions are the locks' own
where a lock is there.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lading.project.requirement_lines import normalized


def poetry_lines(
    pyproject: str, lock: str | None, groups: Iterable[str]
) -> tuple[list[str], list[str], list[str]]:
    """Requirement lines, constraints (what the lock holds), and what could not be written as either."""
    poetry = _table(_table(_read(pyproject), "tool"), "poetry")
    locked = _locked(lock)
    wanted = [_table(poetry, "dependencies")]
    wanted += [_table(_table(_table(poetry, "group"), name), "dependencies") for name in groups]
    asked = {normalized(name) for extra in groups for name in _strings(_table(poetry, "extras").get(extra))}
    lines: list[str] = []
    lost: list[str] = []
    for name, said in (item for table in wanted for item in table.items()):
        if name == "python":
            continue
        for entry in said if isinstance(said, list) else [said]:
            if isinstance(entry, dict) and entry.get("optional") and normalized(name) not in asked:
                continue
            line = _line(name, entry, locked)
            (lines if line is not None else lost).append(line if line is not None else name)
    constraints = [f"{name}=={version}" for name, version in sorted(locked.items())]
    return lines, constraints, lost


def poetry_python(pyproject: str) -> str | None:
    """The minor version that `python = "^3.11"` begins with."""
    said = _table(_table(_table(_read(pyproject), "tool"), "poetry"), "dependencies").get("python")
    match = re.search(r"3\.\d+", said) if isinstance(said, str) else None
    return match[0] if match else None


def pipenv_lines(lock: str) -> list[str]:
    """What the `default` part of a Pipfile.lock holds. Empty where it is none."""
    try:
        document = json.loads(lock)
    except ValueError:
        return []
    lines = []
    for name, entry in _table(document, "default").items():
        if not isinstance(entry, dict):
            continue
        extras = f"[{','.join(_strings(entry.get('extras')))}]" if entry.get("extras") else ""
        marker = f" ; {entry['markers']}" if isinstance(entry.get("markers"), str) else ""
        if isinstance(git := entry.get("git"), str):
            reference = f"@{entry['ref']}" if isinstance(entry.get("ref"), str) else ""
            lines.append(f"{name}{extras} @ git+{git.removeprefix('git+')}{reference}{marker}")
        elif isinstance(version := entry.get("version"), str):
            lines.append(f"{name}{extras}{version}{marker}")
    return lines


def _read(text: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}


def _table(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = parent.get(name) if isinstance(parent, dict) else None
    return found if isinstance(found, dict) else {}


def _strings(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _locked(lock: str | None) -> dict[str, str]:
    """Name → version; a name that is there in two versions is left to the resolver."""
    found: dict[str, str] = {}
    twice: set[str] = set()
    packages = _read(lock or "").get("package", [])
    for package in packages if isinstance(packages, list) else []:
        name, version = package.get("name"), package.get("version")
        if not isinstance(name, str) or not isinstance(version, str) or "source" in package:
            continue
        twice |= {normalized(name)} if normalized(name) in found else set()
        found[normalized(name)] = version
    return {name: version for name, version in found.items() if name not in twice}


def _line(name: str, entry: object, locked: Mapping[str, str]) -> str | None:
    if isinstance(entry, str):
        return _versioned(name, entry, "", locked)
    if not isinstance(entry, dict):
        return None
    extras = f"[{','.join(_strings(entry.get('extras')))}]" if entry.get("extras") else ""
    marker = _marker(entry)
    if isinstance(git := entry.get("git"), str):
        reference = next(
            (entry[key] for key in ("rev", "tag", "branch") if isinstance(entry.get(key), str)), ""
        )
        folder = (
            f"#subdirectory={entry['subdirectory']}" if isinstance(entry.get("subdirectory"), str) else ""
        )
        return f"{name}{extras} @ git+{git}{reference and f'@{reference}'}{folder}{marker}"
    if isinstance(url := entry.get("url"), str):
        return f"{name}{extras} @ {url}{marker}"
    if isinstance(path := entry.get("path"), str):
        return f"./{path.removeprefix('./')}{extras}" if not path.startswith(("/", "..")) else None
    version = entry.get("version", "*")
    return _versioned(name + extras, version, marker, locked) if isinstance(version, str) else None


def _marker(entry: Mapping[str, Any]) -> str:
    parts = [f"({entry['markers']})"] if isinstance(entry.get("markers"), str) else []
    if isinstance(entry.get("platform"), str):
        parts.append(f"sys_platform == '{entry['platform']}'")
    if isinstance(entry.get("python"), str) and (specifier := specifiers(entry["python"])):
        for one in specifier.split(","):
            match = re.fullmatch(r"([<>=!~]+)(.+)", one)
            parts += [f"python_version {match[1]} '{match[2]}'"] if match else []
    return f" ; {' and '.join(parts)}" if parts else ""


def _versioned(name: str, version: str, marker: str, locked: Mapping[str, str]) -> str | None:
    held = locked.get(normalized(name.partition("[")[0]))
    if held is not None:
        return f"{name}=={held}{marker}"
    found = specifiers(version)
    return None if found is None else f"{name}{found}{marker}"


def specifiers(version: str) -> str | None:
    """Poetry's `^1.2`, `~1.2`, `>=1,<2` as PEP 440 has them; empty for any, None for what has no form."""
    if "||" in version:
        return None
    found = [_specifier(part) for part in re.split(r"\s*,\s*|\s+(?=[<>=!~^])", version.strip())]
    return None if None in found else ",".join(part for part in found if part)


def _specifier(part: str) -> str | None:
    part = part.strip()
    if part in ("", "*"):
        return ""
    match = re.fullmatch(r"(\^|~|~=|==|!=|<=|>=|<|>|=)?\s*(\d+(?:\.\d+)*)((?:\.\*)|[A-Za-z0-9.+-]*)", part)
    if match is None:
        return None
    sign, number, rest = match[1] or "", match[2], match[3]
    numbers = [int(one) for one in number.split(".")]
    if sign == "^":
        return f">={number}{rest},<{'.'.join(map(str, _after_caret(numbers)))}"
    if sign == "~":
        upper = [numbers[0] + 1] if len(numbers) == 1 else [numbers[0], numbers[1] + 1]
        return f">={number}{rest},<{'.'.join(map(str, upper))}"
    return f"{'==' if sign in ('', '=') else sign}{number}{rest}"


def _after_caret(numbers: list[int]) -> Iterator[int]:
    at = next((index for index, one in enumerate(numbers) if one), len(numbers) - 1)
    yield from numbers[:at]
    yield numbers[at] + 1
