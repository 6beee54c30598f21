"""The `lading.toml` that `lading init` writes: only what differs from detection, with short comments.

Reading it back gives the same project. Takes values and returns text; writing the file is the caller's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from lading.project.limits import Limits
from lading.project.model import (
    Finding,
    HealthCheck,
    ImageFile,
    ImageSettings,
    ImageStep,
    Project,
    ServeSettings,
    Task,
)
from lading.project.quantity import format_duration, format_size
from lading.project.settle import default_target
from lading.project.values import NAME

_HEADER = "# What differs from what lading detects; `lading plan` shows everything and why."
_IMAGE_DEFAULTS = ImageSettings(python="", base="")
_START_KEYS = ("entrypoint", "command", "workdir", "ports", "stop_signal")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def render_difference(project: Project, detected: Project) -> str:
    """Text of a `lading.toml` that makes `project` of a folder in which detection alone finds `detected`."""
    lines = [_HEADER]
    lines += [f"# detected: {_comment(finding)}" for finding in detected.findings]
    if project.name != detected.name and re.fullmatch(NAME, project.name):
        lines += ["", f"name = {toml_value(project.name)}"]
    lines += _image(project, detected)
    for name, source in project.data.items():
        lines += _table(f"data.{toml_key(name)}", {"source": source.source, "sha256": source.sha256})
    if project.tasks != detected.tasks:
        for task in project.tasks.values():
            table = dict(_task(task))
            if task.name in detected.tasks and task.run == detected.tasks[task.name].run:
                del table["run"]
            lines += _table(toml_key(task.name), table, always=True)
    if project.serve is not None and project.serve != _detected_serve(project, detected):
        lines += _table("serve", dict(_serve(project.serve)))
    return "\n".join(lines) + "\n"


def _comment(finding: Finding) -> str:
    text = f"{finding.what} {finding.value} ({finding.because})"
    return "".join(character if character.isprintable() else "?" for character in text)


def _detected_serve(project: Project, detected: Project) -> ServeSettings | None:
    return detected.serve if ("train" in project.tasks) == ("train" in detected.tasks) else None


def _image(project: Project, detected: Project) -> list[str]:
    image, found = project.image, detected.image
    table: dict[str, Any] = {}
    ours = (image.python, image.base, image.interpreter)
    # Each of the three follows from the others when it is not written, so all are written or none.
    if ours != (found.python, found.base, found.interpreter):
        named = zip(("python", "base", "interpreter"), ours, strict=True)
        table |= {key: value for key, value in named if value}  # no python: whatever the base image has
    if image.accelerators != found.accelerators:
        table["accelerator"] = image.accelerators
    if image.platforms != _IMAGE_DEFAULTS.platforms:
        table["platform"] = image.platforms
    if image.layers_from:
        table["layers_from"] = image.layers_from
    if image.requirements is not None:
        table["requirements"] = image.requirements
    table |= _target_difference(image, _IMAGE_DEFAULTS)
    if image.conda:
        table["conda"] = dict(image.conda)
    lines = _table("image", table)
    for secret in project.allowed_secrets:
        lines += [
            "",
            "[[image.allow_secret]]",
            f"path = {toml_value(secret.path)}",
            f"reason = {toml_value(secret.reason)}",
        ]
        lines.append(f"expires = {secret.expires}")
    for name, target in project.targets.items():
        difference = _target_difference(target, default_target(name, image))
        if difference or name not in detected.targets:
            lines += _table(f"image.{toml_key(name)}", difference, always=True)
    return lines


def _target_difference(target: ImageSettings, base: ImageSettings) -> dict[str, Any]:
    keys = ("apt", "add_packages", "flavour", "bytecode", "user", *_START_KEYS)
    difference = {key: getattr(target, key) for key in keys if getattr(target, key) != getattr(base, key)}
    for key in ("env", "labels"):
        ours, theirs = getattr(target, key), getattr(base, key)
        if ours != theirs:
            difference[key] = {name: value for name, value in ours.items() if theirs.get(name) != value}
    for key in ("max_size", "max_growth"):
        if (size_bytes := getattr(target, key)) is not None and size_bytes != getattr(base, key):
            difference[key] = format_size(size_bytes)
    if target.healthcheck != base.healthcheck and target.healthcheck is not None:
        difference["healthcheck"] = dict(_health(target.healthcheck))
    if target.files != base.files:
        difference["files"] = tuple(dict(_file(entry)) for entry in target.files)
    if target.steps != base.steps:
        difference["step"] = tuple(dict(_step(entry)) for entry in target.steps)
    if target.only != base.only and target.only is not None:
        difference["only"] = target.only
    elif target.groups != base.groups or target.only != base.only:
        difference["groups"] = target.groups
    return difference


def _health(check: HealthCheck) -> Iterator[tuple[str, Any]]:
    yield "command", check.command
    times = (
        ("interval", check.interval_seconds),
        ("timeout", check.timeout_seconds),
        ("start_period", check.start_seconds),
    )
    yield from ((key, format_duration(seconds)) for key, seconds in times if seconds is not None)
    if check.retries is not None:
        yield "retries", check.retries


def _file(entry: ImageFile) -> Iterator[tuple[str, Any]]:
    yield "source", entry.source
    yield "destination", entry.destination
    if entry.sha256 is not None:
        yield "sha256", entry.sha256
    if entry.mode is not None:
        yield "mode", f"{entry.mode:04o}"


def _step(entry: ImageStep) -> Iterator[tuple[str, Any]]:
    plain = ImageStep(run=entry.run)
    yield "run", entry.run
    for key in ("inputs", "env", "network", "secrets"):
        if getattr(entry, key) != getattr(plain, key):
            yield key, getattr(entry, key)


def _task(task: Task) -> Iterator[tuple[str, Any]]:
    plain = Task(name=task.name, run=task.run)
    yield "run", task.run
    for key in ("target", "params", "inputs", "outputs", "env", "secrets", "gate", "network"):
        if getattr(task, key) != getattr(plain, key):
            yield key, getattr(task, key)
    yield from _limits(task.limits)
    if task.gpus is not None:
        memory = task.gpus.memory_bytes
        yield "gpus", {"count": task.gpus.count, **({"memory": format_size(memory)} if memory else {})}


def _limits(limits: Limits) -> Iterator[tuple[str, Any]]:
    yield "cpus", limits.cpus
    yield "memory", None if limits.memory_bytes is None else format_size(limits.memory_bytes)
    yield "shm", None if limits.shm_bytes is None else format_size(limits.shm_bytes)
    yield "pids", limits.pids
    yield "timeout", None if limits.timeout_seconds is None else format_duration(limits.timeout_seconds)


def _serve(serve: ServeSettings) -> Iterator[tuple[str, Any]]:
    plain = ServeSettings(model=serve.model)
    yield "model", serve.model
    yield "bake", serve.bake or None
    yield "sample", serve.sample
    yield "host", serve.host if serve.host != plain.host else None
    yield "port", serve.port if serve.port != plain.port else None
    yield (
        "grace",
        format_duration(serve.grace_seconds) if serve.grace_seconds != plain.grace_seconds else None,
    )
    yield from _limits(serve.limits)


def _table(header: str, table: Mapping[str, Any], *, always: bool = False) -> list[str]:
    rows = [f"{toml_key(key)} = {toml_value(value)}" for key, value in table.items() if value is not None]
    return ["", f"[{header}]", *rows] if rows or always else []


def toml_key(name: str) -> str:
    return name if _BARE.fullmatch(name) else toml_value(name)


def toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + "".join(map(_character, value)) + '"'
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    if isinstance(value, Mapping):
        return (
            "{ "
            + ", ".join(f"{toml_key(key)} = {toml_value(member)}" for key, member in value.items())
            + " }"
        )
    return repr(value)


def _character(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if ord(character) < 32 or ord(character) == 127:
        return f"\\u{ord(character):04x}"
    return character
