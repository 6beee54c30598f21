"""The settings as they grow, each checked by the table of keys before it is taken. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from lading.project.keys import SHARED_KEYS, TARGET_KEYS, TASK_KEYS, Key
from lading.project.places import KeyPath
from lading.project.report import ConfigReport, Report
from lading.project.settings import read_settings
from lading.project.tokens import token_in

_KEYS = {**SHARED_KEYS, **TARGET_KEYS}
_ORDER = (
    "python", "base", "interpreter", "accelerator", "requirements", "groups", "apt", "conda", "build",
    "flavour", "user", "workdir", "entrypoint", "command", "ports", "stop_signal", "healthcheck", "env",
    "labels", "files", "step",
)  # fmt: skip


@dataclass(slots=True)
class Document:
    """`[image]` and the tasks of a lading.toml in the making."""

    image: dict[str, Any] = field(default_factory=dict)
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)

    def put(self, key: str, value: Any) -> str | None:
        """Set `[image] KEY`; what is wrong with the value, if anything is."""
        if problem := problem_of(key, value):
            return problem
        self.image[key] = value
        return None

    def add(self, key: str, name: str, value: Any) -> str | None:
        """Set one member of a table, `[image] KEY = { NAME = … }`."""
        if problem := problem_of(key, {name: value}):
            return problem
        if name.startswith("LADING_") and key == "env":
            return "names beginning with LADING_ are lading's own"
        self.image.setdefault(key, {})[name] = value
        return None

    def append(self, key: str, entry: Any) -> str | None:
        """Add one entry of an array."""
        if problem := problem_of(key, [entry]):
            return problem
        entries = self.image.setdefault(key, [])
        if key == "files" and any(other["destination"] == entry["destination"] for other in entries):
            return f"{entry['destination']} is there twice"
        if entry not in entries:
            entries.append(entry)
        return None

    def as_toml(self) -> dict[str, Any]:
        """The whole document, in the order that people read."""
        image = {key: self.image[key] for key in _ORDER if self.image.get(key) not in (None, [], {})}
        return {**({"image": image} if image else {}), **self.tasks}


def problem_of(key: str, value: Any) -> str | None:
    """What the table of keys says against `[image] KEY = value`."""
    return _problem(_KEYS[key], value)


def problem_of_task(key: str, value: Any) -> str | None:
    """The same for a key of a task."""
    return _problem(TASK_KEYS[key], value)


def _problem(key: Key, value: Any) -> str | None:
    found: list[str] = []

    def report(path: KeyPath, message: str, suggestion: str | None = None) -> None:
        found.append(message)

    key.kind.check(value, (), report)
    if not found and token_in(repr(value).encode()):
        return "looks like a credential: name it under `secrets`, and set it when you run"
    return found[0] if found else None


def problems_in(document: dict[str, Any]) -> Iterator[str]:
    """What a load would say of the document by itself."""
    report = Report()
    read_settings(document, ConfigReport(report, "lading.toml"), date.max)
    for problem in report.problems:
        yield f"{problem.key}: {problem.message}"
