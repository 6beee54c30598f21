"""All that resolution depends on, as one canonical document: its digest tells whether a lock still fits.

Nothing of the machine is in it: paths are relative to the project, and of `pyproject.toml` only the tables
that resolution reads count, so that an edit elsewhere leaves the lock valid.
"""

from __future__ import annotations

import hashlib
import json
import os.path
import tomllib
from pathlib import Path
from typing import Any

from lading.errors import ProjectError
from lading.project.local_source import files_digest, folder_files
from lading.project.model import CodeKind, ImageSettings, Project, RequirementKind

_PROJECT_KEYS = ("name", "dependencies", "optional-dependencies", "requires-python", "dynamic")


def project_inputs(project: Project) -> dict[str, Any]:
    """The JSON-able part of a project on which resolution depends. Raises ProjectError."""
    return {
        "python": project.image.python,
        "interpreter": project.image.interpreter,
        "base": project.image.base,
        "accelerators": sorted(project.image.accelerators),
        "platforms": sorted(project.image.platforms),
        "targets": {name: _target(target) for name, target in sorted(project.targets.items())},
        **_built(project),
        "requirements": {
            "kind": project.requirements.kind.value,
            "includes_project": project.requirements.includes_project,
            "files": _files(project),
        },
    }


def _built(project: Project) -> dict[str, Any]:
    """What builds of source depend on; nothing for projects without, whose locks stay valid."""
    document: dict[str, Any] = {}
    if project.builds:
        document["builds"] = {
            name: {"needs": sorted(one.needs), "apt": sorted(one.apt), "env": dict(one.env)}
            for name, one in sorted(project.builds.items())
        }
    local = [one for one in project.requirements.direct if one.kind == "path"]
    if local:
        document["local"] = {
            _relative(one.location, project): _local_digest(Path(one.location)) for one in local
        }
    if project.code.kind is CodeKind.BUILD:
        document["build_system"] = _build_system(project)
    return document


def _relative(location: str, project: Project) -> str:
    return os.path.relpath(location, project.root).replace(os.sep, "/")


def _local_digest(path: Path) -> str:
    if path.is_file():
        return hashlib.sha256(_content(path, path.name)).hexdigest()
    return files_digest(path, folder_files(path))


def _build_system(project: Project) -> Any:
    path = project.root / "pyproject.toml"
    document = tomllib.loads(_content(path, path.name).decode()) if path.is_file() else {}
    return document.get("build-system")


def _target(target: ImageSettings) -> dict[str, Any]:
    return {
        "apt": sorted(target.apt),
        "groups": sorted(target.groups),
        "only": None if target.only is None else sorted(target.only),
        **({} if target.add_packages else {"add_packages": False}),
    }


def _files(project: Project) -> dict[str, str]:
    requirements = project.requirements
    if requirements.path is None:
        return {}
    digests = {}
    paths = [requirements.path, *requirements.included]
    if requirements.conda is not None:
        # What it comes to, not its text: its name and channels count for nothing.
        lines = "\n".join(requirements.conda.lines)
        digests[requirements.path.name] = hashlib.sha256(lines.encode()).hexdigest()
        paths = list(requirements.included)
    if (
        requirements.kind in {RequirementKind.UV_LOCK, RequirementKind.PYPROJECT}
        or requirements.includes_project
    ):
        paths.append(project.root / "pyproject.toml")
    for path in paths:
        name = os.path.relpath(path, project.root).replace(os.sep, "/")
        content = _content(path, name)
        digests[name] = hashlib.sha256(
            _resolved_part(content) if name == "pyproject.toml" else content
        ).hexdigest()
    return digests


def _content(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ProjectError(f"reading {name} failed: {error.strerror}", place=name) from error


def _resolved_part(content: bytes) -> bytes:
    document = tomllib.loads(content.decode())
    project = document.get("project", {})
    tool = document.get("tool", {})
    part = {
        "project": {key: project[key] for key in _PROJECT_KEYS if key in project},
        "dependency-groups": document.get("dependency-groups", {}),
        "uv": tool.get("uv", {}),
    }
    return json.dumps(part, sort_keys=True, default=str).encode()
