"""Which rules a file is for, by its name and content, and how it is read. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lading.inspect.lint.dockerfile import NotADockerfile, read_dockerfile
from lading.inspect.lint.requirements_file import read_requirements
from lading.inspect.lint.rule import Kind
from lading.inspect.lint.yaml_file import NotYaml, Value, read_yaml

_DOCKERFILE = re.compile(
    r"(?:(?:docker|container)file(?:\.[A-Za-z0-9_.-]+)?|.+\.(?:dockerfile|containerfile))", re.IGNORECASE
)
_NOT_ONE = re.compile(
    r"\.(?:j2|jinja2?|tmpl|template|md|py|sh|txt|erb|in|dockerignore|swp|orig|bak|ya?ml|json)$", re.IGNORECASE
)
_COMPOSE = re.compile(r"(?:docker-)?compose(?:[.-][A-Za-z0-9_.-]+)?\.ya?ml", re.IGNORECASE)
_REQUIREMENTS = re.compile(r"requirements(?:[._-][A-Za-z0-9_.-]+)?\.txt|[A-Za-z0-9_-]+[._-]requirements\.txt")
_ARGO = frozenset({"Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate", "CronWorkflow"})


class Unreadable(Exception):
    """The file is for a rule but cannot be parsed; the argument says why."""


def is_candidate(name: str) -> bool:
    """Whether a file of this name is looked at."""
    known = _is_dockerfile(name) or _REQUIREMENTS.fullmatch(name) is not None
    return known or name.endswith((".yaml", ".yml"))


def _is_dockerfile(name: str) -> bool:
    return _DOCKERFILE.fullmatch(name) is not None and _NOT_ONE.search(name) is None


def read_documents(name: str, text: str) -> Iterator[tuple[Kind, Any]]:
    """The documents of a file with what they are. Raises Unreadable; YAML of another kind holds none."""
    if _is_dockerfile(name):
        try:
            yield Kind.DOCKERFILE, read_dockerfile(text)
        except NotADockerfile as error:
            raise Unreadable(str(error)) from error
        return
    if _REQUIREMENTS.fullmatch(name):
        yield Kind.REQUIREMENTS, read_requirements(text)
        return
    compose = _COMPOSE.fullmatch(name) is not None
    if not compose and not ("apiVersion" in text and "kind" in text):
        return
    try:
        documents = read_yaml(text)
    except NotYaml as error:
        raise Unreadable(f"it is no plain YAML: {error}") from error
    for document in documents:
        yield from ((kind, document) for kind in _yaml_kinds(document, compose))


def _yaml_kinds(document: Value, compose: bool) -> Iterator[Kind]:
    group = document.text("apiVersion")
    if compose and document.get("services") is not None:
        yield Kind.COMPOSE
    elif group is not None and document.text("kind") is not None:
        yield Kind.KUBERNETES
        if group.startswith("argoproj.io/") and document.text("kind") in _ARGO:
            yield Kind.ARGO
