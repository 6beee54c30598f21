"""A project folder becomes a Project: configuration, requirements, detection and code, read once.

The only module here that puts the others together. Reads the folder; writes nothing, runs nothing, and asks
no network. All problems are reported at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from lading.errors import ProjectError
from lading.project.config import Written, read_written
from lading.project.detect import detect_sample, detect_serve, detect_tasks, frameworks_among
from lading.project.files import USUALLY_NOT, Walk, excluded_paths
from lading.project.installable import Installable, classify
from lading.project.interpreters import PythonChoice, choose_python, read_python_version
from lading.project.model import (
    Code,
    DataSource,
    Finding,
    ImageFile,
    ImageSettings,
    Project,
    RequirementKind,
    Requirements,
    ServeSettings,
    Task,
)
from lading.project.name import project_name
from lading.project.presence import added_files, check_targets
from lading.project.pyproject import Pyproject, read_pyproject
from lading.project.report import Report, did_you_mean
from lading.project.requirements import check_chosen, find_requirements
from lading.project.settings import Settings, read_settings
from lading.project.settle import (
    data_sources,
    image_settings,
    serve_from,
    serve_groups,
    source_builds,
    target_settings,
    task_from,
)
from lading.project.task_scripts import missing_scripts


@dataclass(slots=True)
class _Reading:
    """What one load has read so far."""

    root: Path
    report: Report
    written: Written
    settings: Settings
    pyproject: Pyproject | None


def load_project(
    root: Path,
    *,
    environment: Mapping[str, str],
    task_overrides: Mapping[str, Mapping[str, object]] | None = None,
    scan_credentials: bool = True,
    today: date | None = None,
) -> Project:
    """The project in folder `root`.

    `environment` fills `${NAME}` in requirements files, as pip does. `task_overrides` are keys of task tables
    that replace what is written (`{"train": {"params": {"lr": 0.1}}}`). `scan_credentials` false leaves out
    reading every file for secrets: right only where no image is made. `today` (UTC) decides whether
    exceptions for secrets have expired.

    Raises ConfigError with every problem found, CredentialFound, or ProjectError when `root` is no folder.
    """
    with _os_errors(root):
        reading = _read(root, Report(), today or datetime.now(UTC).date(), use_written=True)
        project, rules_file = _settle(reading, environment)
    if task_overrides:
        project = _overridden(project, task_overrides, reading.report)
    reading.report.stop_if_any()
    if scan_credentials:
        from lading.project.credentials import refuse_credentials

        entering = (*project.code.files, *added_files(project))
        refuse_credentials(project.root, entering, project.allowed_secrets, rules_file)
    return project


def detect_project(root: Path, *, environment: Mapping[str, str]) -> Project:
    """What `load_project` would give if no configuration were written. Raises ProjectError.

    Problems are left untold: they may be just what the configuration mends.
    """
    with _os_errors(root):
        project, _ = _settle(_read(root, Report(), date.min, use_written=False), environment)
    return project


@contextmanager
def _os_errors(root: Path) -> Iterator[None]:
    """A folder that cannot be read in the middle of it all is our error, too."""
    try:
        yield
    except OSError as error:
        place = str(error.filename or root)
        raise ProjectError(f"reading {place} failed: {error.strerror}", place=place) from error


def _overridden(project: Project, overrides: Mapping[str, Mapping[str, object]], report: Report) -> Project:
    from lading.project.overrides import override_tasks  # rarely needed

    return replace(project, tasks=override_tasks(project.tasks, overrides, report))


def _read(root: Path, report: Report, today: date, *, use_written: bool) -> _Reading:
    root = Path(root).absolute()
    if not root.is_dir():
        raise ProjectError(f"{root} is not a folder; name the project's folder", place=str(root))
    written = read_written(root, report)
    if use_written:
        detected, _ = detect_tasks(root)
        runs = {name: task.run for name, task in detected.items()}
        settings = read_settings(written.document, written.report, today, runs)
    else:
        settings, written.path = Settings(), None
    pyproject = None
    if written.pyproject is not None:
        pyproject = read_pyproject(written.pyproject, written.pyproject_report)
    return _Reading(root, report, written, settings, pyproject)


def _settle(reading: _Reading, environment: Mapping[str, str]) -> tuple[Project, str]:
    """The project, and the ignore file that its rules came from."""
    root, settings, report = reading.root, reading.settings, reading.report
    requirements, findings = find_requirements(
        root,
        reading.pyproject,
        environment,
        report,
        reading.written.pyproject_report,
        settings.image.get("conda", {}),
        _chosen(reading),
    )
    python, python_findings = _python(reading, requirements)
    frameworks = frameworks_among(requirements.names)
    tasks, task_findings = _tasks(reading)
    serve, serve_findings = _serve(reading, tasks, frameworks)
    data = data_sources(settings.data)
    image = image_settings(settings.image, python, requirements.conda)
    targets = target_settings(image, settings.targets)
    added = [entry for target in targets.values() for entry in target.files]
    code, rules_file = _code(reading, requirements, tasks, data, serve, added)
    _check_groups(reading, requirements)
    check_targets(root, targets, code, report)
    _check_conda(reading, requirements, targets)
    noted = (*_noted(frameworks, code, rules_file), *_check_paths(reading, tasks, serve, data))
    noted += tuple(missing_scripts(root, tasks, targets, code))
    noted += serve_groups(image, settings.targets)
    name, version = _identity(reading)
    project = Project(
        root=root,
        name=name,
        version=version or (code.distribution[1] if code.distribution else None),
        config_path=reading.written.path,
        image=image,
        targets=targets,
        tasks=tasks,
        serve=serve,
        data=data,
        requirements=requirements,
        code=code,
        frameworks=frameworks,
        findings=(*python_findings, *findings, *noted, *task_findings, *serve_findings),
        allowed_secrets=settings.allowed_secrets,
        builds=source_builds(settings.builds),
    )
    return project, rules_file or ".ladingignore"


def _noted(frameworks: tuple[str, ...], code: Code, rules_file: str | None) -> tuple[Finding, ...]:
    found = []
    if frameworks:
        found.append(
            Finding(what="frameworks", value=", ".join(frameworks), because="among the requirements")
        )
    found.append(Finding(what="code", value=code.kind.value, because=code.because))
    if rules_file is not None:
        found.append(Finding(what="code", value=f"{len(code.files)} files", because=f"rules of {rules_file}"))
    return tuple(found)


def _python(reading: _Reading, requirements: Requirements) -> tuple[PythonChoice, tuple[Finding, ...]]:
    written = reading.settings.image
    version_file = None
    if "python" not in written:
        version_file = _version_file(reading)
    requires = requirements.requires_python or (
        reading.pyproject.requires_python if reading.pyproject else None
    )
    conda = requirements.conda if requirements.conda is not None and requirements.conda.python else None
    choice = choose_python(
        written=written.get("python"),
        version_file=version_file,
        requires_python=conda.python if conda is not None else requires,
        base=written.get("base"),
        interpreter=written.get("interpreter"),
        place=reading.written.report.place(("image", "python")),
        requires_place=(
            conda.python_place
            if conda is not None
            else reading.written.pyproject_report.place(("project", "requires-python"))
        ),
        requires_words=conda.python_words if conda is not None else None,
        report=reading.report,
    )
    found = [
        Finding(what="python", value=choice.python or "as in the base", because=choice.because),
        Finding(what="base", value=choice.base, because=choice.base_because),
    ]
    said = requirements.conda
    if said is not None and said.accelerator is not None and "accelerator" not in written:
        found.append(Finding(what="accelerator", value=said.accelerator, because=said.accelerator_because))
    return choice, tuple(found)


def _chosen(reading: _Reading) -> str | None:
    """`[image] requirements`, where it can be used."""
    chosen: str | None = reading.settings.image.get("requirements")
    if chosen is None:
        return None
    if problem := check_chosen(reading.root, chosen, reading.pyproject):
        reading.written.report(("image", "requirements"), *problem)
        return None
    return chosen


def _version_file(reading: _Reading) -> str | None:
    try:
        text = (reading.root / ".python-version").read_text("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        reading.report.add(
            ".python-version", "python", f"cannot be read: {error}", "echo 3.13 > .python-version"
        )
        return None
    return read_python_version(text, reading.report)


def _tasks(reading: _Reading) -> tuple[dict[str, Task], tuple[Finding, ...]]:
    written = reading.settings.tasks
    detected, findings = detect_tasks(reading.root)
    if not written:
        return detected, findings
    tasks = {name: task_from(name, table) for name, table in written.items() if "run" in table}
    own = {name for name in tasks if "run" in reading.written.document.get(name, {})}
    file = reading.written.path.name if reading.written.path else "lading.toml"
    prefix = "tool.lading." if file == "pyproject.toml" else ""
    told = [
        Finding(what="task", value=f"{name}: {tasks[name].run}", because=f"[{prefix}{name}] in {file}")
        for name in tasks
        if name in own
    ]
    return tasks, (*(findings if own != tasks.keys() else ()), *told)


def _serve(
    reading: _Reading, tasks: Mapping[str, Task], frameworks: tuple[str, ...]
) -> tuple[ServeSettings | None, tuple[Finding, ...]]:
    written = reading.settings.serve
    if written is None:
        return detect_serve(reading.root, tasks, frameworks)
    if "model" not in written and "train" not in tasks:
        names = " or ".join(f'model = "{name}"' for name in tasks) or 'model = "path/to/model.onnx"'
        reading.written.report(("serve",), "needs `model`", f"add {names}")
    return serve_from(written, "train", detect_sample(reading.root)), ()


def _identity(reading: _Reading) -> tuple[str, str | None]:
    table: Mapping[str, Any] = (reading.pyproject.project or {}) if reading.pyproject else {}
    version = table.get("version")
    name = project_name(reading.settings.name, table, reading.root)
    return name, version if isinstance(version, str) else None


def _code(
    reading: _Reading,
    requirements: Requirements,
    tasks: Mapping[str, Task],
    data: Mapping[str, DataSource],
    serve: ServeSettings | None,
    added: list[ImageFile],
) -> tuple[Code, str | None]:
    found: Installable = classify(reading.root, reading.pyproject)
    local = [source.source for source in data.values() if "://" not in source.source]
    outputs = [task.outputs for task in tasks.values()]
    inputs = [source for task in tasks.values() for source in task.inputs.values() if ":" not in source]
    elsewhere = [entry.source for entry in added if not entry.is_remote]
    sample = [serve.sample] if serve is not None and serve.sample is not None else []
    excluded = excluded_paths(
        reading.root, [*outputs, *inputs, *local, *sample, *requirements.find_links, *elsewhere, "out"]
    )
    walk = Walk(reading.root, reading.report, excluded, USUALLY_NOT)
    files = walk.run()
    code = Code(
        kind=found.kind,
        files=files,
        packages=found.packages,
        scripts=found.scripts,
        entry_points=found.entry_points,
        distribution=found.distribution,
        because=found.because,
    )
    return code, walk.rules_file


def _check_paths(
    reading: _Reading, tasks: Mapping[str, Task], serve: ServeSettings | None, data: Mapping[str, DataSource]
) -> tuple[Finding, ...]:
    """Files that are named and not there: findings for what a run needs, problems for what serving needs.

    Data is often on the machine that trains and not on the one that locks and builds.
    """
    wanted = [(f"data {name}", source.source) for name, source in data.items() if "://" not in source.source]
    for task in tasks.values():
        paths = {label: value for label, value in task.inputs.items() if ":" not in value.split("/")[0]}
        wanted += [(f"input {label} of {task.name}", value) for label, value in paths.items()]
    _check_serve(reading, tasks, serve)
    return tuple(
        Finding(what=what, value=path, because="is not there yet; a run will need it", missing=True)
        for what, path in wanted
        if not (reading.root / path).exists()
    )


def _check_serve(reading: _Reading, tasks: Mapping[str, Task], serve: ServeSettings | None) -> None:
    say = reading.written.report
    if serve is None or reading.settings.serve is None:
        return
    if serve.sample is not None and not (reading.root / serve.sample).is_file():
        say(("serve", "sample"), f"{serve.sample!r} is not there", f"write a request to {serve.sample}")
    known = serve.model in tasks or serve.model.startswith("model:")
    if not known and not (reading.root / serve.model).exists():
        hint = did_you_mean(serve.model, tasks)
        say(("serve", "model"), f"{serve.model!r} is no task, no path and no model:NAME", hint)


def _check_conda(reading: _Reading, requirements: Requirements, targets: Mapping[str, ImageSettings]) -> None:
    own = reading.settings.image.get("conda", {})
    if requirements.conda is None and not own:
        return
    from lading.project.conda.environment import check_environment  # few projects have one

    check_environment(
        requirements.conda,
        own,
        apt=frozenset(name for target in targets.values() for name in target.apt),
        env={name for target in targets.values() for name in target.env},
        place=reading.written.report.place(("image", "conda")),
        file=requirements.path.name if requirements.path else None,
        report=reading.report,
    )


def _check_groups(reading: _Reading, requirements: Requirements) -> None:
    """Groups that are asked for and not defined."""
    say = reading.written.report
    tables: dict[tuple[str, ...], Mapping[str, Any]] = {
        (): reading.settings.image,
        **{(name,): table for name, table in reading.settings.targets.items()},
    }
    defined = requirements.groups
    if requirements.kind is RequirementKind.PYLOCK:
        return  # the lock itself says what its groups are
    elsewhere = reading.pyproject.groups if reading.pyproject else ()
    for path, table in tables.items():
        for index, group in enumerate(table.get("groups", ())):
            if group not in defined:
                hint = did_you_mean(group, defined) if defined else "define it under [dependency-groups]"
                if group in elsewhere and requirements.path is not None:
                    hint = f"{requirements.path.name} is used, which has no groups; move it to pyproject.toml"
                say(("image", *path, "groups", index), f"no dependency group or extra {group!r}", hint)
