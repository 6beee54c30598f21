"""Values for tasks that come from the command line instead of the file. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lading.project.keys import TASK_KEYS, check_table
from lading.project.limits import Limits
from lading.project.model import Task
from lading.project.report import COMMAND_LINE, ConfigReport, Report, did_you_mean
from lading.project.settings import check_task
from lading.project.settle import task_from

_LIMITS = {
    "cpus": "cpus",
    "memory": "memory_bytes",
    "shm": "shm_bytes",
    "pids": "pids",
    "timeout": "timeout_seconds",
}


def override_tasks(
    tasks: Mapping[str, Task], overrides: Mapping[str, Mapping[str, object]], report: Report
) -> dict[str, Task]:
    """`tasks` with keys replaced; `params` and `env` are merged. Problems have the place "command line".

    A parameter given as text becomes the type of the one it replaces.
    """
    say = ConfigReport(report, COMMAND_LINE)
    changed = dict(tasks)
    for name, table in overrides.items():
        if name not in tasks:
            say((name,), "is no task", did_you_mean(name, tasks))
            continue
        table = dict(table)
        params = table.get("params")
        if isinstance(params, Mapping):
            table["params"] = _params(tasks[name], params, say)
        changed[name] = _override(tasks[name], check_table(table, TASK_KEYS, (name,), say), say)
    return changed


def _params(task: Task, given: Mapping[str, object], say: ConfigReport) -> dict[str, object]:
    converted = {}
    for name, value in given.items():
        if name not in task.params:
            say((task.name, "params", name), "is no parameter of the task", did_you_mean(name, task.params))
            continue
        try:
            converted[name] = _like(task.params[name], value)
        except ValueError:
            kind = type(task.params[name]).__name__
            say(
                (task.name, "params", name),
                f"{value!r} cannot be read as {kind}, the type of {task.params[name]!r}",
            )
    return converted


def _like(declared: str | int | float | bool, value: object) -> object:
    if isinstance(declared, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, str) or isinstance(declared, str):
        return value
    if isinstance(declared, bool):
        return (
            {"true": True, "false": False}[value.lower()]
            if value.lower() in {"true", "false"}
            else _refuse(value)
        )
    return type(declared)(value)


def _refuse(value: str) -> object:
    raise ValueError(value)


def _override(task: Task, written: dict[str, Any], say: ConfigReport) -> Task:
    for key in ("params", "env"):
        if key in written:
            written[key] = {**getattr(task, key), **written[key]}
    given = task_from(task.name, {"run": task.run, **written})
    fields = {key: getattr(given, key) for key in written if key not in _LIMITS}
    limits: dict[str, Any] = {_LIMITS[key]: written[key] for key in written if key in _LIMITS}
    changed = replace(task, **fields, limits=_limits(task.limits, limits))
    check_task(
        task.name,
        {"run": changed.run, "params": changed.params, "env": changed.env, "secrets": changed.secrets},
        say,
    )
    return changed


def _limits(limits: Limits, changes: dict[str, Any]) -> Limits:
    return replace(limits, **changes) if changes else limits
