"""What was written in `lading.toml`, checked: every key, and what must agree between them. Pure.

Knows the document and nothing of the folder around it; detection fills the rest later.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from lading.project.additions import check_additions
from lading.project.keys import (
    BUILD_KEYS,
    DATA_KEYS,
    LINT_KEYS,
    SECRET_KEYS,
    SERVE_KEYS,
    SHARED_KEYS,
    TARGET_KEYS,
    TASK_KEYS,
    check_table,
)
from lading.project.kinds import text, type_name
from lading.project.model import AllowedSecret
from lading.project.places import KeyPath
from lading.project.report import ConfigReport, did_you_mean, nearest
from lading.project.scan_settings import ScanSettings, read_scan
from lading.project.tokens import has_userinfo
from lading.project.values import DISTRIBUTION, NAME, TARGETS

RESERVED = ("image", "serve", "data", "name")
_NO_RUNS: Mapping[str, str] = {}
_TASK_NAME = re.compile(NAME)
_PLACEHOLDER = re.compile(r"\{\{[^{}]*\}\}|(?<!\$)\{([A-Za-z_][A-Za-z0-9_]*)\}")
_TAKEN_VARIABLES = frozenset(
    {"PATH", "HOME", "USER", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LD_PRELOAD"}
)


@dataclass(slots=True, kw_only=True)
class Settings:
    """The checked values of one document, by the names they are written under."""

    name: str | None = None
    image: dict[str, Any] = field(default_factory=dict)
    targets: dict[str, dict[str, Any]] = field(default_factory=dict)
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    serve: dict[str, Any] | None = None
    data: dict[str, dict[str, Any]] = field(default_factory=dict)
    lint: dict[str, Any] = field(default_factory=dict)
    scan: ScanSettings = field(default_factory=ScanSettings)
    allowed_secrets: tuple[AllowedSecret, ...] = ()
    builds: dict[str, dict[str, Any]] = field(default_factory=dict)
    """`[image.build.NAME]`, by normalized name."""


def read_settings(
    document: Mapping[str, object],
    report: ConfigReport,
    today: date,
    detected_runs: Mapping[str, str] = _NO_RUNS,
) -> Settings:
    """Check a whole document; what is wrong goes to `report`.

    `today` decides whether exceptions have expired. `detected_runs` are commands of tasks that detection
    found: a table of that name without `run` refines the detected task.
    """
    settings = Settings()
    if "name" in document:
        settings.name = text(NAME, "a name (letters, digits, . _ -)").check(
            document["name"], ("name",), report
        )
    for key, value in document.items():
        if key in RESERVED[:3] and not isinstance(value, dict):
            report((key,), f"must be a table, not {type_name(value)}", f"write [{key}]")
        elif key == "image":
            _image(_table(value), settings, report, today)
        elif key == "serve":
            settings.serve = check_table(_table(value), SERVE_KEYS, ("serve",), report)
        elif key == "data":
            _data(_table(value), settings, report)
        elif key == "lint" and isinstance(value, dict) and "run" not in value:
            settings.lint = check_table(value, LINT_KEYS, ("lint",), report)  # with `run` it is a task
        elif key == "scan" and isinstance(value, dict) and "run" not in value:
            settings.scan = read_scan(value, report)
        elif key != "name":
            known = {"train", *detected_runs, *(name for name, it in document.items() if _has_run(it))}
            _task(key, _refined(key, value, detected_runs), settings, report, known)
    _agreement(settings, report)
    return settings


def _table(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _image(table: dict[str, object], settings: Settings, report: ConfigReport, today: date) -> None:
    plain = {}
    for key, value in table.items():
        if key == "allow_secret":
            settings.allowed_secrets = _allowed_secrets(value, report, today)
        elif key == "build":
            _builds(value, settings, report)
        elif isinstance(value, dict) and key not in TARGET_KEYS and key not in SHARED_KEYS:
            settings.targets[key] = _target(key, value, report)
        else:
            plain[key] = value
    settings.image = check_table(plain, {**SHARED_KEYS, **TARGET_KEYS}, ("image",), report)
    _conflicts(settings.image, ("image",), report)
    check_additions(settings.image, ("image",), report)


def _builds(value: object, settings: Settings, report: ConfigReport) -> None:
    path: KeyPath = ("image", "build")
    if not isinstance(value, dict):
        report(path, f"must be a table, not {type_name(value)}", "write [image.build.NAME]")
        return
    for name, table in value.items():
        if not isinstance(table, dict):
            hint = (
                f"write [image.build.NAME], then {name}"
                if name in BUILD_KEYS
                else f"write [image.build.{name}]"
            )
            report((*path, name), f"must be a table, not {type_name(table)}", hint)
            continue
        if re.fullmatch(DISTRIBUTION, name) is None:
            report(
                (*path, name), f"{name!r} is no name of a Python package", "as in [image.build.flash-attn]"
            )
        checked = check_table(table, BUILD_KEYS, (*path, name), report)
        _reserved_variables(checked.get("env", {}), (*path, name, "env"), report)
        settings.builds[re.sub(r"[-_.]+", "-", name).lower()] = checked


def _target(name: str, table: dict[str, object], report: ConfigReport) -> dict[str, Any]:
    own = {}
    for key, value in table.items():
        if key in SHARED_KEYS:
            report(
                ("image", name, key),
                "is the same for all targets",
                f"write it in [image], not [image.{name}]",
            )
        else:
            own[key] = value
    checked = check_table(own, TARGET_KEYS, ("image", name), report)
    _conflicts(checked, ("image", name), report)
    check_additions(checked, ("image", name), report)
    return checked


def _conflicts(image: dict[str, Any], path: KeyPath, report: ConfigReport) -> None:
    if image.get("only") and image.get("groups"):
        report(
            (*path, "only"),
            "contradicts `groups`: only these packages would be installed",
            "keep one of them",
        )
    _reserved_variables(image.get("env", {}), (*path, "env"), report)


def _reserved_variables(env: Mapping[str, str], path: KeyPath, report: ConfigReport) -> None:
    for name in env:
        if name.startswith("LADING_"):
            report((*path, name), "names beginning with LADING_ are set by lading", "choose another name")


def _allowed_secrets(value: object, report: ConfigReport, today: date) -> tuple[AllowedSecret, ...]:
    path: KeyPath = ("image", "allow_secret")
    if not isinstance(value, list):
        report(path, f"must be an array of tables, not {type_name(value)}", "write [[image.allow_secret]]")
        return ()
    allowed = []
    for index, entry in enumerate(value):
        here = (*path, index)
        if not isinstance(entry, dict):
            report(here, f"must be a table, not {type_name(entry)}", "write [[image.allow_secret]]")
            continue
        checked = check_table(entry, SECRET_KEYS, here, report, required=tuple(SECRET_KEYS))
        if checked.keys() != SECRET_KEYS.keys():
            continue
        if checked["expires"] < today:
            report(
                (*here, "expires"),
                f"expired on {checked['expires']}",
                "take the file out, or set a new day and say why",
            )
        allowed.append(
            AllowedSecret(path=checked["path"], reason=checked["reason"], expires=str(checked["expires"]))
        )
    return tuple(allowed)


def _data(table: dict[str, object], settings: Settings, report: ConfigReport) -> None:
    for name, value in table.items():
        if _TASK_NAME.fullmatch(name) is None:
            report(("data", name), f"{name!r} is not a name", "use letters, digits, . _ -")
        if isinstance(value, str):
            report(("data", name), "must be a table, not a string", f'write [data.{name}] source = "{value}"')
        elif not isinstance(value, dict):
            report(("data", name), f"must be a table, not {type_name(value)}")
        else:
            checked = check_table(value, DATA_KEYS, ("data", name), report, required=("source",))
            if has_userinfo(checked.get("source", "")):
                hint = "keep them in ~/.netrc or the environment of the tool that fetches"
                report(("data", name, "source"), "holds credentials in its URL", hint)
            settings.data[name] = checked


def _refined(name: str, value: object, detected_runs: Mapping[str, str]) -> object:
    if isinstance(value, dict) and "run" not in value and name in detected_runs:
        return {"run": detected_runs[name], **value}
    return value


def _has_run(value: object) -> bool:
    return isinstance(value, dict) and "run" in value


def _task(
    name: str, value: object, settings: Settings, report: ConfigReport, tasks: AbstractSet[str]
) -> None:
    """`tasks` are the names that a task without `run` may have been meant to have."""
    if not isinstance(value, dict):
        moved = next((table for table in ("image", "serve") if name in _keys_of(table)), None)
        known = (*RESERVED, *sorted(_keys_of("image")))
        hint = f"write it in [{moved}]" if moved else did_you_mean(name, known)
        report((name,), "is not a key of the top level", hint)
        return
    if "run" not in value:
        close = nearest(name, (*RESERVED[:3], *(tasks - {name})))
        hint = f'a task needs `run`, as in run = "python {name}.py"'
        if close:
            own = "" if close in RESERVED else "; a task of its own needs `run`"
            hint = f"did you mean [{close}]?{own}"
        report((name,), "is no table lading knows, and has no `run` to be a task", hint)
        if close:
            return
    if _TASK_NAME.fullmatch(name) is None:
        report((name,), f"{name!r} is not a name of a task", "use letters, digits, . _ -")
    settings.tasks[name] = task = check_table(value, TASK_KEYS, (name,), report)
    check_task(name, task, report)


def _keys_of(table: str) -> frozenset[str]:
    return frozenset({**SHARED_KEYS, **TARGET_KEYS} if table == "image" else SERVE_KEYS)


def check_task(name: str, task: Mapping[str, Any], report: ConfigReport) -> None:
    """What must hold inside one task: placeholders, parameter names, variables, secrets."""
    params = task.get("params", {})
    for placeholder in _PLACEHOLDER.findall(task.get("run", "")):
        if placeholder and placeholder not in params:
            hint = did_you_mean(placeholder, params) if params else f"add params = {{ {placeholder} = … }}"
            report(
                (name, "run"),
                f"{{{placeholder}}} names no parameter",
                f"{hint}; {{{{…}}}} for literal braces",
            )
    seen: dict[str, str] = {}
    for param in params:
        upper = param.upper()
        if upper in _TAKEN_VARIABLES or upper.startswith("LADING_"):
            report(
                (name, "params", param),
                f"would overwrite the environment variable {upper}",
                "choose another name",
            )
        if upper in seen:
            report(
                (name, "params", param),
                f"and {seen[upper]!r} are one environment variable, {upper}",
                "rename one",
            )
        if upper in task.get("env", {}):
            report((name, "env", upper), f"is also the variable of parameter {param!r}", "rename one")
        seen.setdefault(upper, param)
    _reserved_variables(task.get("env", {}), (name, "env"), report)
    for secret in task.get("secrets", ()):
        if secret in task.get("env", {}):
            report((name, "env", secret), "is also named under `secrets`", "take it out of env")


def _agreement(settings: Settings, report: ConfigReport) -> None:
    """What must hold between tables."""
    used = {task["target"] for task in settings.tasks.values() if "target" in task}
    for name in settings.targets:
        if name not in TARGETS and name not in used:
            hint = did_you_mean(name, TARGETS)
            report(("image", name), "is no target: no task has it as `target`", hint)
    known = {*TARGETS, *settings.targets}
    for name, task in settings.tasks.items():
        if task.get("target", "train") not in known:
            hint = did_you_mean(task["target"], known)
            report(
                (name, "target"),
                f"{task['target']!r} is no target",
                f"{hint} or add [image.{task['target']}]",
            )
        for label, source in task.get("inputs", {}).items():
            _input((name, "inputs", label), source, settings, report)
    _circles(settings, report)


def _input(path: KeyPath, source: str, settings: Settings, report: ConfigReport) -> None:
    scheme, colon, rest = source.partition(":")
    if not colon or "/" in scheme:
        return  # a path, looked at where files are
    if scheme == "data" and rest not in settings.data:
        hint = did_you_mean(rest, settings.data) if settings.data else f"add [data.{rest}]"
        report(path, f"no data named {rest!r}", hint)
    elif scheme == "task" and rest not in settings.tasks:
        report(path, f"no task named {rest!r}", did_you_mean(rest, settings.tasks))
    elif scheme not in {"data", "task"}:
        report(
            path,
            f"{source!r} is neither data:NAME, task:NAME nor a path",
            f"add [data.{path[-1]}] with it as source",
        )


def _circles(settings: Settings, report: ConfigReport) -> None:
    """Tasks that wait for each other."""
    before = {
        name: {
            source.removeprefix("task:")
            for source in task.get("inputs", {}).values()
            if source.startswith("task:") and source.removeprefix("task:") in settings.tasks
        }
        for name, task in settings.tasks.items()
    }
    done: set[str] = set()
    while ready := {name for name in before if name not in done and before[name] <= done}:
        done |= ready
    for name in before:
        if name not in done:
            waits = ", ".join(sorted(before[name] - done))
            report((name, "inputs"), f"waits for {waits}, which waits for it", "take one of the inputs out")
            return
