"""Where a project's dependencies are written: which file is used, and which are not.

`uv.lock` before `pylock.toml` before PEP 621 dependencies before `requirements.txt` before `environment.yml`:
what is locked is never resolved again, and what names wheels goes before what names conda's packages. But an
`environment.yml` whose `pip:` part includes requirements.txt is the larger of the two, and goes before it.
Reads files; decides nothing about versions.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lading.project.direct import BadReference, direct_reference, source_reference
from lading.project.model import DirectReference, Finding, RequirementKind, Requirements
from lading.project.pyproject import Pyproject, pylock_names
from lading.project.report import ConfigReport, Report
from lading.project.requirement_lines import RequirementLines

_OTHERS = {"Pipfile": "Pipenv", "conda-lock.yml": "a lock of conda's own packages"}
_REMEDIES = {
    "Pipfile": "pipenv requirements > requirements.txt",
    "conda-lock.yml": "conda env export --from-history > environment.yml",
}
_CONDA = ("environment.yml", "environment.yaml")
_INCLUDES = re.compile(
    r"""^\s*-\s*["']?(?:-r|--requirement)[\s=]*(?:\./)?requirements\.txt["']?\s*(?:#.*)?$""", re.MULTILINE
)


def find_requirements(
    root: Path,
    pyproject: Pyproject | None,
    environment: Mapping[str, str],
    report: Report,
    pyproject_report: ConfigReport,
    conda: Mapping[str, str | bool] = MappingProxyType({}),
    chosen: str | None = None,
) -> tuple[Requirements, tuple[Finding, ...]]:
    """The requirements of the project in `root`, and what to say about the choice.

    `conda` is `[image.conda]`: what names of an environment.yml mean. `chosen` is `[image] requirements`,
    which is there.
    """
    present = _present(root, pyproject)
    if chosen is not None:
        kind, path, because = _kind_of(chosen), root / chosen, "[image] requirements says so"
        ignored = tuple(_path(root, other) for other in present)
    elif present:
        kind, path = present[0], _path(root, present[0])
        because = _because(kind, pyproject, includes=RequirementKind.REQUIREMENTS in present)
        ignored = (*(_path(root, other) for other in present[1:]), *_second_environment(root, path))
    else:
        _only_foreign(root, pyproject, report)
        return Requirements(kind=RequirementKind.NONE, path=None), ()
    findings = [Finding(what="requirements", value=path.name, because=because)]
    findings += [
        Finding(what="requirements", value=f"{other.name} not used", because=f"{path.name} goes first")
        for other in ignored
        if other != path
    ]
    facts: dict[str, Any] = {"kind": kind, "path": path, "ignored": tuple(o for o in ignored if o != path)}
    if kind is RequirementKind.REQUIREMENTS:
        facts |= _from_lines(root, path, environment, report)
        facts["requires_python"] = pyproject.requires_python if pyproject else None
    elif kind is RequirementKind.CONDA:
        said, more = _from_environment(root, path, conda, environment, report)
        facts |= said
        facts["ignored"] = tuple(o for o in facts["ignored"] if o not in facts["included"])
        findings = [findings[0], *(f for f in findings[1:] if _is_ignored(f, facts["ignored"])), *more]
        facts["requires_python"] = pyproject.requires_python if pyproject else None
    elif kind is RequirementKind.PYLOCK:
        facts |= _from_pylock(path, report, pyproject)
    elif pyproject is not None:
        facts |= _from_pyproject(root, pyproject, pyproject_report)
    if facts.get("includes_project") and pyproject is not None:
        facts["names"] = tuple(dict.fromkeys((*facts["names"], *pyproject.names)))
    return Requirements(**facts), tuple(findings)


def _present(root: Path, pyproject: Pyproject | None) -> list[RequirementKind]:
    """Every kind that is there, the one to use first."""
    kinds = []
    if (root / "uv.lock").is_file() and pyproject is not None:
        kinds.append(RequirementKind.UV_LOCK)
    if (root / "pylock.toml").is_file():
        kinds.append(RequirementKind.PYLOCK)
    if pyproject is not None and pyproject.project is not None and pyproject.declares_dependencies:
        kinds.append(RequirementKind.PYPROJECT)
    if (root / "requirements.txt").is_file():
        kinds.append(RequirementKind.REQUIREMENTS)
    if (environment := _environment_path(root)).is_file():
        larger = kinds == [RequirementKind.REQUIREMENTS] and _includes_requirements(environment)
        kinds.insert(0 if larger else len(kinds), RequirementKind.CONDA)
    if not kinds and pyproject is not None and pyproject.project is not None:
        kinds.append(RequirementKind.PYPROJECT)
    return kinds


def _kind_of(chosen: str) -> RequirementKind:
    """What a file that `[image] requirements` names is, by its name."""
    name = chosen.rpartition("/")[2]
    if name.endswith((".yml", ".yaml")):
        return RequirementKind.CONDA
    if name.startswith("pylock.") and name.endswith(".toml"):
        return RequirementKind.PYLOCK
    kinds = {"uv.lock": RequirementKind.UV_LOCK, "pyproject.toml": RequirementKind.PYPROJECT}
    return kinds.get(name, RequirementKind.REQUIREMENTS)


def check_chosen(root: Path, chosen: str, pyproject: Pyproject | None) -> tuple[str, str] | None:
    """What is wrong with `[image] requirements`, and what to write instead; None where it can be used."""
    if not (root / chosen).is_file():
        return f"{chosen!r} is not there", f"ls {chosen}"
    kind = _kind_of(chosen)
    if kind in {RequirementKind.UV_LOCK, RequirementKind.PYPROJECT}:
        if "/" in chosen:
            return f"{chosen!r} must lie at the top of the project", "a requirements file may lie below it"
        if pyproject is None or pyproject.project is None:
            return f"{chosen!r} needs a pyproject.toml with [project]", 'requirements = "requirements.txt"'
    return None


def _environment_path(root: Path) -> Path:
    return next((root / name for name in _CONDA if (root / name).is_file()), root / _CONDA[0])


def _second_environment(root: Path, used: Path) -> tuple[Path, ...]:
    second = root / _CONDA[1]
    both = (root / _CONDA[0]).is_file() and second.is_file()
    return (second,) if both and used != second else ()


def _includes_requirements(environment: Path) -> bool:
    """Looked at as text: to read the YAML of a file that is not used would cost its parser at every start."""
    try:
        return _INCLUDES.search(environment.read_text("utf-8", "replace")) is not None
    except OSError:
        return False


def _path(root: Path, kind: RequirementKind) -> Path:
    if kind is RequirementKind.CONDA:
        return _environment_path(root)
    names = {RequirementKind.PYPROJECT: "pyproject.toml", RequirementKind.REQUIREMENTS: "requirements.txt"}
    return root / names.get(kind, kind.value)


def _because(kind: RequirementKind, pyproject: Pyproject | None, *, includes: bool) -> str:
    if kind is RequirementKind.CONDA and includes:
        return "it includes requirements.txt"
    if kind in {RequirementKind.UV_LOCK, RequirementKind.PYLOCK}:
        return "it is locked: used as it is, never resolved again"
    if kind is RequirementKind.PYPROJECT:
        declared = pyproject is not None and pyproject.declares_dependencies
        return "[project] lists the dependencies" if declared else "[project] is there, without dependencies"
    if pyproject is not None and pyproject.project is not None:
        return "[project] in pyproject.toml lists no dependencies"
    return "it is there"


def _only_foreign(root: Path, pyproject: Pyproject | None, report: Report) -> None:
    """What other tools write and lading cannot read, when there is nothing else."""
    if pyproject is not None and "poetry" in pyproject.document.get("tool", {}):
        message = "dependencies are under [tool.poetry], not in [project] (PEP 621)"
        report.add(
            "pyproject.toml",
            "project",
            message,
            "poetry export -o requirements.txt, or move them to [project]",
        )
        return
    for name, why in _OTHERS.items():
        if (root / name).is_file():
            message = f"{name} alone does not say what to install ({why})"
            report.add(name, "requirements", message, _REMEDIES[name])
            return


def _from_lines(root: Path, path: Path, environment: Mapping[str, str], report: Report) -> dict[str, Any]:
    lines = RequirementLines(root, environment, report)
    lines.read(path)
    return _facts(lines)


def _facts(lines: RequirementLines) -> dict[str, Any]:
    return {
        "included": tuple(lines.included),
        "names": tuple(lines.names),
        "find_links": tuple(dict.fromkeys(lines.find_links)),
        "index_urls": tuple(dict.fromkeys(lines.index_urls)),
        "includes_project": lines.includes_project,
        "direct": tuple(lines.direct),
    }


def _from_environment(
    root: Path, path: Path, conda: Mapping[str, str | bool], environment: Mapping[str, str], report: Report
) -> tuple[dict[str, Any], tuple[Finding, ...]]:
    from lading.project.conda.environment import read_environment  # few projects have one

    lines, found, findings = read_environment(root, path, conda, environment, report)
    return {**_facts(lines), "conda": found}, findings


def _is_ignored(finding: Finding, ignored: tuple[Path, ...]) -> bool:
    return any(finding.value == f"{path.name} not used" for path in ignored)


def _from_pylock(path: Path, report: Report, pyproject: Pyproject | None) -> dict[str, Any]:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        report.add(
            path.name,
            "requirements",
            f"cannot be read: {error}",
            "uv export --format pylock.toml -o pylock.toml",
        )
        return {}
    if not re.search(r"^lock-version\s*=", text, re.MULTILINE):
        message = "has no lock-version: it is no PEP 751 lock"
        report.add(path.name, "lock-version", message, "uv export --format pylock.toml -o pylock.toml")
    requires = re.search(r'^requires-python\s*=\s*"([^"\n]*)"', text, re.MULTILINE)
    written = requires.group(1) if requires else None
    return {
        "names": pylock_names(text),
        "requires_python": written or (pyproject.requires_python if pyproject else None),
    }


def _from_pyproject(root: Path, pyproject: Pyproject, report: ConfigReport) -> dict[str, Any]:
    folders = []
    for index, value in enumerate(pyproject.find_links):
        local = os.path.normpath(root / value.removeprefix("file://"))
        if "://" in value and not value.startswith("file://"):
            folders.append(value)
        elif Path(local).exists():
            folders.append(local)
        else:
            message = f"folder {value} does not exist"
            report(("tool", "uv", "find-links", index), message, f"mkdir -p {value}")
    return {
        "requires_python": pyproject.requires_python,
        "names": pyproject.names,
        "groups": pyproject.groups,
        "find_links": tuple(folders),
        "index_urls": pyproject.index_urls,
        "direct": _direct(root, pyproject, report),
    }


def _direct(root: Path, pyproject: Pyproject, report: ConfigReport) -> tuple[DirectReference, ...]:
    """What `NAME @ URL` and `[tool.uv.sources]` name; a source goes before a URL, as in uv."""
    found: dict[str, DirectReference] = {}
    for path, name, url in pyproject.references:
        try:
            found[name] = direct_reference(url, root, name=name, place="pyproject.toml")
        except BadReference as error:
            report(path, str(error), error.suggestion)
    for path, name, source in pyproject.sources:
        try:
            reference = source_reference(name, source, root, "pyproject.toml")
        except BadReference as error:
            report(path, str(error), error.suggestion)
            continue
        if reference is not None:
            found[name] = reference
    return tuple(found.values())
