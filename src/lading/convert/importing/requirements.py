"""Which requirements an image of the Dockerfile's has, as a file that lading reads. Pure.

One file that the Dockerfile installs is named as it is; several, or names in the Dockerfile itself, come
together in a new file beside lading.toml.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from lading.convert.importing.checked import Document
from lading.convert.importing.model import Context
from lading.convert.importing.poetry import pipenv_lines, poetry_lines
from lading.convert.importing.wanted import Wanted
from lading.project.conda.document import read_document
from lading.project.conda.names import conda_names
from lading.project.conda.spec import BadSpec, parse_spec
from lading.project.report import Report
from lading.project.requirement_lines import normalized, requirement_name

MARK = "# Made by `lading import`"
_HEADER = f"{MARK} of what the Dockerfile installs.\n"
_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")


@dataclass(slots=True, kw_only=True)
class Chosen:
    """The requirements of the image."""

    files: dict[str, str] = field(default_factory=dict)
    """New files: path → text."""
    written: str | None = None
    """The one of them that says what is installed."""
    notes: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    """Normalized names that are asked for, as far as they can be read."""


def choose_requirements(wanted: Wanted, context: Context, document: Document) -> Chosen:
    """Settles `[image] requirements`, `groups` and what an environment.yml needs of `[image]`."""
    chosen = Chosen()
    if wanted.is_empty:
        if context.requirements is not None:
            note = f"the Dockerfile installs no Python packages; lading installs {context.requirements}"
            chosen.notes.append(note)
    elif wanted.environment is not None or wanted.conda:
        _conda(wanted, context, document, chosen)
    elif "uv" in wanted.managers:
        _locked_by_uv(wanted, context, document, chosen)
    else:
        _lines(wanted, context, document, chosen)
    chosen.names |= {name for line in wanted.lines if (name := _name_of(line))}
    for path in (*wanted.files, *chosen.files):
        text = chosen.files.get(path) or context.texts.get(path, "")
        chosen.names |= {normalized(match[1]) for line in text.splitlines() if (match := _NAME.match(line))}
    if wanted.is_project or wanted.managers:
        chosen.names |= context.names
    return chosen


def _name_of(line: str) -> str | None:
    try:
        return requirement_name(line)
    except ValueError:
        return None


def _use(path: str, context: Context, document: Document) -> None:
    """Name the file, unless detection would choose it anyway."""
    if context.requirements != path:
        document.put("requirements", path)


def _write(name: str, text: str, context: Context, document: Document, chosen: Chosen) -> None:
    chosen.files[name] = text
    chosen.written = name
    if context.requirements is not None or name not in ("requirements.txt", "environment.yml"):
        document.put("requirements", name)


def _new_name(plain: str, context: Context) -> str:
    """A name that is free: the one that detection finds, where nothing else is there."""
    if context.requirements is None and not context.is_file(plain):
        return plain
    stem, dot, suffix = plain.rpartition(".")
    return f"{stem}-image{dot}{suffix}"


def _groups(groups: Iterable[str], context: Context, document: Document, chosen: Chosen) -> None:
    known = {normalized(name): name for name in context.groups}
    found = [known[normalized(name)] for name in groups if normalized(name) in known]
    missing = [name for name in groups if normalized(name) not in known]
    if found:
        document.put("groups", list(dict.fromkeys(found)))
    if missing:
        chosen.notes.append(f"no such group or extra in pyproject.toml: {', '.join(missing)}")


def _locked_by_uv(wanted: Wanted, context: Context, document: Document, chosen: Chosen) -> None:
    name = "uv.lock" if context.is_file("uv.lock") else "pyproject.toml"
    if not context.is_file(name):
        chosen.notes.append("neither uv.lock nor pyproject.toml is in the folder")
        return
    if name != "uv.lock":
        chosen.notes.append("uv.lock is not in the folder: pyproject.toml is resolved anew")
    _use(name, context, document)
    _groups(wanted.groups, context, document, chosen)
    if left := [*wanted.lines, *(f"-r {path}" for path in wanted.files)]:
        chosen.notes.append(
            f"not installed, because {name} alone is read: {', '.join(left)}; add them: uv add …"
        )


def _lines(wanted: Wanted, context: Context, document: Document, chosen: Chosen) -> None:
    lines: list[str] = []
    is_project = wanted.is_project
    has_project = (
        re.search(r"^\[project\]", context.texts.get("pyproject.toml", ""), re.MULTILINE) is not None
    )
    if "poetry" in wanted.managers or (is_project and not has_project and _is_poetry(context)):
        if has_project:
            is_project = True
        else:
            lines += _from_poetry(wanted, context, chosen)
            is_project = False
    if "pipenv" in wanted.managers:
        found = pipenv_lines(context.texts.get("Pipfile.lock", ""))
        lines += found
        if not found:
            chosen.notes.append("Pipfile.lock is not there, or holds nothing: pipenv lock")
    if is_project and not has_project:
        note = "what setup.py asks for is known only when it runs: list the dependencies in requirements.txt"
        chosen.notes.append(note)
        is_project = False
    more = [*lines, *wanted.lines]
    options = [*wanted.options, *(f"-c {path}" for path in wanted.constraints)]
    files = list(wanted.files)
    if len(files) == 1 and not (more or options or is_project):
        _use(files[0], context, document)
    elif is_project and not (more or options or files):
        if context.requirements not in ("uv.lock", "pyproject.toml"):
            document.put("requirements", "pyproject.toml")
        _groups(wanted.groups, context, document, chosen)
    elif more or files or is_project:
        extras = f"[{','.join(sorted(wanted.groups))}]" if wanted.groups and is_project else ""
        own = [f"-e .{extras}"] if is_project else []
        body = [*options, *(f"-r {path}" for path in files), *own, *more]
        name = _new_name("requirements.txt", context)
        text = _HEADER + "\n".join(dict.fromkeys(body)) + "\n"
        _write(name, text, context, document, chosen)


def _is_poetry(context: Context) -> bool:
    return "[tool.poetry]" in context.texts.get("pyproject.toml", "")


def _from_poetry(wanted: Wanted, context: Context, chosen: Chosen) -> list[str]:
    lock = context.texts.get("poetry.lock")
    lines, constraints, lost = poetry_lines(context.texts.get("pyproject.toml", ""), lock, wanted.groups)
    if constraints:
        chosen.files["constraints-poetry.txt"] = _HEADER + "\n".join(constraints) + "\n"
        lines = ["-c constraints-poetry.txt", *lines]
    if lost:
        chosen.notes.append(f"not to be said in a requirements file: {', '.join(lost)}")
    return lines


def _conda(wanted: Wanted, context: Context, document: Document, chosen: Chosen) -> None:
    path = wanted.environment
    text = context.texts.get(path or "", "")
    pip = [*wanted.options, *(f"-c {one}" for one in wanted.constraints), *wanted.lines]
    pip += ["-e ."] if wanted.is_project else []
    base = posixpath.dirname(path or "")
    pip += [f"-r {posixpath.relpath(one, base or '.')}" for one in wanted.files]
    if path is not None and not (pip or wanted.conda):
        _use(path, context, document)
    else:
        text = _environment(text, list(wanted.conda), pip)
        name = _new_name(path or "environment.yml", context) if path is None else _beside(path)
        _write(name, text, context, document, chosen)
    _of_the_system(text, path or "environment.yml", document, chosen)


def _beside(path: str) -> str:
    stem, dot, suffix = path.rpartition(".")
    return f"{stem}-image{dot}{suffix}"


def _environment(text: str, conda: list[str], pip: list[str]) -> str:
    """An environment.yml with these dependencies besides those of `text`."""
    import yaml

    try:
        document = yaml.safe_load(text) or {}
    except yaml.YAMLError:
        document = {}
    document = document if isinstance(document, dict) else {}
    dependencies = document.get("dependencies")
    dependencies = list(dependencies) if isinstance(dependencies, list) else []
    dependencies += conda
    inner = next((one for one in dependencies if isinstance(one, dict) and "pip" in one), None)
    if pip and inner is None:
        dependencies.append({"pip": pip})
    elif inner is not None:
        inner["pip"] = [*(inner["pip"] or []), *pip]
    document["dependencies"] = dependencies
    return _HEADER + yaml.safe_dump(document, sort_keys=False)


def _of_the_system(text: str, path: str, document: Document, chosen: Chosen) -> None:
    """Programs and variables that only `[image]` can give."""
    found = read_document(text.encode(), path, Report())
    names = conda_names()
    apt = list(document.image.get("apt", ()))
    for entry in found.dependencies:
        try:
            packages = names.of(parse_spec(entry.text).name).packages
        except BadSpec:
            continue
        if packages and not set(packages).intersection(apt):
            apt.append(packages[0])
    if apt:
        document.put("apt", apt)
    for name, variable in found.variables.items():
        if problem := document.add("env", name, variable.text):
            chosen.notes.append(f"variable {name} of {path}: {problem}")
