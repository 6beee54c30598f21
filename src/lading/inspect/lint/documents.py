"""Which rules a file is for, by its name and content, and how it is read. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lading.inspect.lint.dependencies import (
    ENVIRONMENTS,
    REQUIREMENTS,
    Unparsable,
    read_environment,
    read_pyproject,
    read_requirements,
    read_setup,
)
from lading.inspect.lint.dockerfile import NotADockerfile, read_dockerfile
from lading.inspect.lint.locks import LOCK_FILES, read_lock
from lading.inspect.lint.python_code import is_worth_reading, read_python
from lading.inspect.lint.rule import Kind
from lading.inspect.lint.surroundings import Surroundings
from lading.inspect.lint.yaml_file import NotYaml, Value, read_yaml

_DOCKERFILE = re.compile(
    r"(?:(?:docker|container)file(?:\.[A-Za-z0-9_.-]+)?|.+\.(?:dockerfile|containerfile))", re.IGNORECASE
)
_NOT_ONE = re.compile(
    r"\.(?:j2|jinja2?|tmpl|template|md|py|sh|txt|erb|in|dockerignore|swp|orig|bak|ya?ml|json)$", re.IGNORECASE
)
_COMPOSE = re.compile(r"(?:docker-)?compose(?:[.-][A-Za-z0-9_.-]+)?\.ya?ml", re.IGNORECASE)
_TEMPLATE = re.compile(
    r"\{\{-|-\}\}|\{%|\{\{\s*(?:[.$](?:Values|Release|Chart|Capabilities)\b|\$?\w+\s*:=|"
    r"(?:if|else|end|range|with|include|define|template|block|toYaml|tpl|required|lookup|fail)\b)"
)
"""Helm's and Jinja's. Argo's `{{inputs.parameters.x}}` and KServe's `{{.Name}}` are part of a manifest."""
_TEST_CODE = re.compile(r"test_.+|.+_test|conftest|noxfile|setup")
_MOST_BESIDE = 50
"""Of a folder with more manifests each stands for itself."""
_ARGO = frozenset({"Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate", "CronWorkflow"})


class Unreadable(Exception):
    """The file is for a rule but cannot be parsed; the argument says why."""


def is_candidate(name: str) -> bool:
    """Whether a file of this name is looked at."""
    return is_dockerfile(name) or _is_python_kind(name) or name.endswith((".yaml", ".yml", ".py"))


def _is_python_kind(name: str) -> bool:
    return REQUIREMENTS.fullmatch(name) is not None or name in {"pyproject.toml", "setup.py", *LOCK_FILES}


def is_dockerfile(name: str) -> bool:
    """Whether a file of this name is read as one."""
    return _DOCKERFILE.fullmatch(name) is not None and _NOT_ONE.search(name) is None


def resembles_candidate(name: str) -> bool:
    """Whether a file of this name was meant for lint, as far as a hook can tell, and is not looked at."""
    return _DOCKERFILE.fullmatch(name) is not None or ("requirements" in name and name.endswith(".txt"))


def read_documents(name: str, text: str) -> Iterator[tuple[Kind, Any]]:
    """The documents of a file with what they are. Raises Unreadable; YAML of another kind holds none."""
    if is_dockerfile(name):
        try:
            yield Kind.DOCKERFILE, read_dockerfile(text)
        except NotADockerfile as error:
            raise Unreadable(str(error)) from error
        return
    if _is_python_kind(name) or name in ENVIRONMENTS or name.endswith(".py"):
        try:
            yield from _python_documents(name, text)
        except Unparsable as error:
            raise Unreadable(str(error)) from error
        return
    compose = _COMPOSE.fullmatch(name) is not None
    if not compose and not may_be_manifest(text):
        return
    try:
        documents = read_yaml(text)
    except NotYaml as error:
        raise Unreadable(f"it is no plain YAML: {error}") from error
    objects = tuple(part for document in documents for part in _objects(document))
    for document in objects:
        yield from ((kind, document) for kind in _yaml_kinds(document, compose))
    if any(Kind.KUBERNETES in _yaml_kinds(document, compose) for document in objects):
        yield Kind.MANIFESTS, objects


def may_be_manifest(text: str) -> bool:
    """Whether YAML of this text may hold an object of Kubernetes; a template does not yet."""
    return "apiVersion" in text and "kind" in text and _TEMPLATE.search(text) is None


def objects_beside(around: Surroundings) -> tuple[Value, ...]:
    """The objects of the other manifests in the folder: what is applied together lies together."""
    names = [
        name for name in around.folder.listing.sizes if "/" not in name and name.endswith((".yaml", ".yml"))
    ]
    if len(names) > _MOST_BESIDE:
        return ()
    found: list[Value] = []
    for name in sorted(set(names) - {around.name}):
        text = around.folder.read(name) or ""
        try:
            documents = read_yaml(text) if may_be_manifest(text) else ()
        except NotYaml:
            continue  # it is named when it is linted itself
        found += [part for document in documents for part in _objects(document)]
    return tuple(found)


def _objects(document: Value) -> Iterator[Value]:
    """A list of objects is each of them."""
    items = document.get("items")
    if document.text("kind") == "List" and items is not None:
        yield from items.items
    else:
        yield document


def _python_documents(name: str, text: str) -> Iterator[tuple[Kind, Any]]:
    if REQUIREMENTS.fullmatch(name):
        yield Kind.REQUIREMENTS, read_requirements(name, text)
    elif name == "pyproject.toml":
        yield Kind.REQUIREMENTS, read_pyproject(text)
    elif name in ENVIRONMENTS:
        yield Kind.REQUIREMENTS, read_environment(name, text)
    elif name == "setup.py":
        yield Kind.REQUIREMENTS, read_setup(text)
    elif name in LOCK_FILES:
        yield Kind.LOCK, read_lock(name, text)
    elif is_worth_reading(text) and _TEST_CODE.fullmatch(name.removesuffix(".py")) is None:
        yield Kind.CODE, read_python(text)


def _yaml_kinds(document: Value, compose: bool) -> Iterator[Kind]:
    group = document.text("apiVersion")
    if compose and document.get("services") is not None:
        yield Kind.COMPOSE
    elif group is not None and document.text("kind") is not None:
        yield Kind.KUBERNETES
        if group.startswith("argoproj.io/") and document.text("kind") in _ARGO:
            yield Kind.ARGO
