"""What `lading init` writes for a project: the thin part that looks at the folder once more."""

from __future__ import annotations

from collections.abc import Mapping

from lading.project.load import detect_project
from lading.project.model import Project
from lading.project.render import render_difference


def render_init(project: Project, *, environment: Mapping[str, str]) -> str:
    """A `lading.toml` holding only what differs from detection. Raises ConfigError as `load_project`."""
    return render_difference(project, detect_project(project.root, environment=environment))
