"""What each target asks for, as uv's arguments. Reads the project's requirement files, decides nothing."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

from lading.errors import ProjectError
from lading.lock.requirement_copy import copy_without_project
from lading.project.model import Project, RequirementKind

_HASHED = re.compile(r"^\s*(?P<name>[A-Za-z0-9][\w.-]*)[^#\n]*?--hash")
_SHA256 = re.compile(r"--hash[= ]sha256:(?P<sha256>[0-9a-fA-F]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRequirements:
    """What one target holds: the project's requirements with `groups`, or `only` these."""

    groups: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    """Requirement strings that stand in place of the project's."""


def target_requirements(project: Project, accelerator: str) -> dict[str, TargetRequirements]:
    """What each target of `project` holds. An extra or group that is called like the accelerator belongs to
    it: that is how uv's projects give each its own index."""
    own = tuple(name for name in project.requirements.groups if canonicalize_name(name) == accelerator)
    return {
        name: TargetRequirements(
            groups=settings.groups if settings.only is not None else tuple({*settings.groups, *own}),
            only=settings.only,
        )
        for name, settings in project.targets.items()
    }


def compile_arguments(
    project: Project, groups: Iterable[str], scratch: Path, lines: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Arguments that make `uv pip compile` read the project's requirements with `groups`; a copy of them
    goes to the folder `scratch` where they cannot be used as they are. `lines` are requirements that name a
    place alone, and the distribution that stands there.

    Raises ProjectError for a group that the project does not define.
    """
    requirements = project.requirements
    if requirements.path is None or requirements.kind is RequirementKind.NONE:
        return ()
    if requirements.kind not in (RequirementKind.REQUIREMENTS, RequirementKind.CONDA):
        return (str(requirements.path), *group_arguments(requirements.path, groups))
    text = "\n".join(requirements.conda.lines) if requirements.conda is not None else None
    is_copied = bool(lines) or text is not None
    if requirements.includes_project or is_copied:
        copied, extras = copy_without_project(requirements.path, scratch, lines or {}, text)
    if is_copied and not requirements.includes_project:
        _refuse_groups(groups, requirements.path)
        return (str(copied),)
    if requirements.includes_project:
        pyproject = project.root / "pyproject.toml"
        return (str(copied), str(pyproject), *group_arguments(pyproject, {*groups, *extras}))
    _refuse_groups(groups, requirements.path)
    return (str(requirements.path),)


def group_arguments(pyproject: Path, groups: Iterable[str]) -> tuple[str, ...]:
    """`--extra` or `--group` for each of `groups`, as `pyproject` defines it. Raises ProjectError."""
    try:
        document = tomllib.loads(pyproject.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ProjectError(f"{pyproject.name} cannot be read: {error}", place=str(pyproject)) from error
    extras = {
        canonicalize_name(name) for name in document.get("project", {}).get("optional-dependencies", {})
    }
    named = {canonicalize_name(name) for name in document.get("dependency-groups", {})}
    arguments: list[str] = []
    for group in sorted(groups):
        if canonicalize_name(group) in extras:
            arguments += ("--extra", group)
        elif canonicalize_name(group) in named:
            arguments += ("--group", group)
        else:
            known = ", ".join(sorted(extras | named)) or "none"
            raise ProjectError(
                f"{pyproject.name} has no extra and no dependency group {group!r}; it has: {known}",
                place=str(pyproject),
            )
    return tuple(arguments)


def _refuse_groups(groups: Iterable[str], path: Path) -> None:
    if names := ", ".join(sorted(groups)):
        raise ProjectError(
            f"{path.name} has no groups, but [image] asks for {names}",
            place=str(path),
            hints=("move the requirements to [dependency-groups] in pyproject.toml",),
        )


def allowed_hashes(project: Project) -> dict[str, frozenset[str]]:
    """sha256 values by normalized name, as the requirement files pin them with `--hash`."""
    requirements = project.requirements
    result: dict[str, frozenset[str]] = {}
    if requirements.conda is not None:
        texts = ["\n".join(requirements.conda.lines)]
    elif requirements.kind is RequirementKind.REQUIREMENTS and requirements.path is not None:
        texts = [requirements.path.read_text()]
    else:
        return result
    texts += [path.read_text() for path in requirements.included]
    for text in texts:
        for name, hashes in hashes_in(text).items():
            result[name] = result.get(name, frozenset()) | hashes
    return result


def hashes_in(text: str) -> Mapping[str, frozenset[str]]:
    """The sha256 hashes of one requirements file; a line may go on after a backslash."""
    result: dict[str, frozenset[str]] = {}
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        if match := _HASHED.match(line):
            name = canonicalize_name(match["name"])
            values = frozenset(found.lower() for found in _SHA256.findall(line))
            result[name] = result.get(name, frozenset()) | values
    return result
