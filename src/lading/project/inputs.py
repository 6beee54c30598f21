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
from lading.project.model import ImageSettings, Project, RequirementKind

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
        "requirements": {
            "kind": project.requirements.kind.value,
            "includes_project": project.requirements.includes_project,
            "files": _files(project),
        },
    }


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
