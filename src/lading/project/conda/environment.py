"""An `environment.yml` as the requirements of a project: lines that pip and uv read, and what is none.

Reads the file and those that its `pip:` part includes. What it cannot say in wheels goes to the report, each
thing with its line.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from lading.project.conda.document import Entry, EnvironmentDocument, read_document
from lading.project.conda.names import CondaName, CondaNames, conda_names
from lading.project.conda.spec import BadSpec, CondaSpec, parse_spec
from lading.project.model import CondaEnvironment, Finding, SystemNeed
from lading.project.report import Report
from lading.project.requirement_lines import RequirementLines, normalized, requirement_name

_RELEASE = re.compile(r"==(\d\d)\.(\d)(?:\.\d+)*(?:\.\*)?")
_BUILD_CUDA = re.compile(r"(?:cuda|cu)[_-]?(\d\d)\.?(\d)")
_LARGEST_SHOWN = 12


@dataclass(slots=True, kw_only=True)
class _Reading:
    file: str
    names: CondaNames
    own: Mapping[str, str | bool]
    """`[image.conda]`."""
    report: Report
    lines: RequirementLines
    found: CondaEnvironment = field(default_factory=CondaEnvironment)
    renamed: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, None] = field(default_factory=dict)
    builds: dict[str, None] = field(default_factory=dict)


def read_environment(
    root: Path,
    path: Path,
    own: Mapping[str, str | bool],
    environment: Mapping[str, str],
    report: Report,
) -> tuple[RequirementLines, CondaEnvironment, tuple[Finding, ...]]:
    """What `path` asks for. `own` is `[image.conda]`, `environment` fills `${NAME}` in its `pip:` part."""
    try:
        content = path.read_bytes()
    except OSError as error:
        report.add(path.name, "requirements", f"cannot be read: {error.strerror}")
        content = b""
    document = read_document(content, path.name, report)
    reading = _Reading(
        file=path.name,
        names=conda_names(),
        own={name.lower(): value for name, value in own.items()},
        report=report,
        lines=RequirementLines(root, environment, report),
    )
    text = [line for entry in document.dependencies for line in _dependency(entry, reading)]
    for entry in document.pip:
        text += reading.lines.read_entry(entry.text, path, entry.line)
    variables = {
        name: (entry.text, f"{path.name}:{entry.line}") for name, entry in document.variables.items()
    }
    found = replace(reading.found, lines=tuple(text), variables=variables, names=_named(document))
    return reading.lines, found, tuple(_findings(reading, document))


def _named(document: EnvironmentDocument) -> tuple[str, ...]:
    """The conda names in the file, as far as they can be read: what `[image.conda]` may speak of."""
    heads = (
        re.match(r"[^\s=<>!~,|\[]+", entry.text.strip().rpartition("::")[2])
        for entry in document.dependencies
    )
    return tuple(dict.fromkeys(head[0].lower() for head in heads if head))


def _dependency(entry: Entry, reading: _Reading) -> Iterator[str]:
    """The requirement line that a dependency comes to, if it comes to one."""
    place = f"{reading.file}:{entry.line}"
    try:
        spec = parse_spec(entry.text)
        if (own := reading.own.get(spec.name)) is False:
            reading.left_out.setdefault(spec.name)
        elif isinstance(own, str):
            yield _requirement(spec, CondaName(distribution=own), place, reading)
        elif spec.name == "python":
            _python(spec, entry, place, reading)
        else:
            yield from _by_name(spec, reading.names.of(spec.name), place, reading)
    except BadSpec as error:
        reading.report.add(place, "dependencies", str(error), error.suggestion)


def _by_name(spec: CondaSpec, name: CondaName, place: str, reading: _Reading) -> Iterator[str]:
    if name.is_cuda:
        _accelerator(_cuda_of(spec.specifiers), f"{spec.name}{spec.version}", place, reading)
        return
    if name.accelerator is not None:
        _accelerator(name.accelerator, spec.name, place, reading)
    if name.packages:
        need = SystemNeed(name=spec.name, packages=name.packages, place=place)
        reading.found = replace(reading.found, system=(*reading.found.system, need))
    elif name.instead is not None:
        reading.report.add(
            place, "dependencies", f"{spec.name} has no package of its own on the Python index", name.instead
        )
    elif name.is_brought:
        reading.left_out.setdefault(spec.name)
    else:
        yield _requirement(spec, name, place, reading)


def _requirement(spec: CondaSpec, name: CondaName, place: str, reading: _Reading) -> str:
    distribution = name.distribution or spec.name
    specifiers = spec.specifiers
    if name.has_longer_versions:
        specifiers = re.sub(r"==((?:\d+!)?\d+(?:\.\d+)*)(?=,|$)", r"==\1.*", specifiers)
    if spec.build:
        if name.build_says_accelerator and (accelerator := _accelerator_of(spec.build)):
            _accelerator(accelerator, f"{spec.name}{spec.version}={spec.build}", place, reading)
        else:
            reading.builds.setdefault(spec.name)
    if normalized(distribution) != normalized(spec.name):
        reading.renamed[spec.name] = distribution
    line = f"{distribution}{specifiers}"
    try:
        found = requirement_name(line)
    except ValueError as error:
        raise BadSpec(f"{line!r} is no requirement: {error}", "as in numpy=1.26") from error
    if found is not None:
        reading.lines.names.setdefault(found)
    return line


def _python(spec: CondaSpec, entry: Entry, place: str, reading: _Reading) -> None:
    if not (specifiers := spec.specifiers):
        return
    if reading.found.python:
        reading.report.add(place, "python", "stands here a second time", "join the two lines")
    words = f"{entry.text.strip()} in {reading.file}"
    reading.found = replace(reading.found, python=specifiers, python_words=words, python_place=place)


def _cuda_of(specifiers: str) -> str:
    match = _RELEASE.fullmatch(specifiers)
    return f"cu{match[1]}{match[2]}" if match else "cuda"


def _accelerator_of(build: str) -> str | None:
    """What a build string such as `py3.11_cuda12.1_cudnn8_0` or `cpu_*` says."""
    if match := _BUILD_CUDA.search(build):
        return f"cu{match[1]}{match[2]}"
    if "cuda" in build or "gpu" in build:
        return "cuda"
    return "cpu" if "cpu" in build else None


def _accelerator(accelerator: str, words: str, place: str, reading: _Reading) -> None:
    """One CUDA release goes before a plain `cuda`; two that differ are a contradiction."""
    before = reading.found.accelerator
    if before is None or (before == "cuda" and accelerator.startswith("cu")):
        because = f"{words} in {place}"
        reading.found = replace(reading.found, accelerator=accelerator, accelerator_because=because)
    elif before != accelerator and not (accelerator == "cuda" and before.startswith("cu")):
        reading.report.add(
            place,
            "dependencies",
            f"{words} asks for {accelerator}, and {reading.found.accelerator_because} for {before}",
            "keep one of them; [image] accelerator can name several",
        )


def _findings(reading: _Reading, document: EnvironmentDocument) -> Iterator[Finding]:
    if reading.renamed:
        pairs = [f"{name} → {twin}" for name, twin in reading.renamed.items()]
        because = f"their names on the Python index, as known on {reading.names.read}"
        yield Finding(what="conda names", value=_some(pairs), because=because)
    if reading.left_out:
        because = "Python, the base or the wheels bring them, or [image.conda] says so"
        yield Finding(what="conda left out", value=_some(list(reading.left_out)), because=because)
    if reading.builds:
        because = "wheels have no build strings: only the version counts"
        yield Finding(what="conda builds", value=_some(list(reading.builds)), because=because)
    if channels := [name for name in document.channels if name not in ("defaults", "nodefaults")]:
        because = "not asked: wheels come from the Python index"
        yield Finding(what="conda channels", value=_some(channels), because=because)


def _some(words: list[str]) -> str:
    rest = len(words) - _LARGEST_SHOWN
    return ", ".join(words[:_LARGEST_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def check_environment(
    found: CondaEnvironment | None,
    own: Mapping[str, str | bool],
    apt: frozenset[str],
    env: Collection[str],
    place: str,
    file: str | None,
    report: Report,
) -> None:
    """What the file asks for and only `[image]` can give: programs of the system, variables.

    `apt` and `env` are what `[image]` and its targets name; `place` is where `[image.conda]` stands.
    """
    from lading.project.report import did_you_mean
    from lading.project.tokens import token_in

    for name in own:
        if found is None:
            report.add(
                place,
                f"image.conda.{name}",
                f"no environment.yml is used: {file or 'none is there'}",
                "take it out",
            )
        elif name.lower() not in found.names:
            hint = did_you_mean(name, found.names)
            report.add(place, f"image.conda.{name}", f"{file} has no dependency of this name", hint)
    if found is None:
        return
    for need in found.system:
        if not apt.intersection(need.packages):
            words = ", ".join(f'"{package}"' for package in need.packages[:1])
            hint = f"[image] apt = [{words}], or [image.conda] {_key(need.name)} = false"
            report.add(need.place, "dependencies", f"{need.name} is a program, no Python package", hint)
    for name, (value, where) in found.variables.items():
        if name not in env:
            shown = "…" if token_in(value.encode("utf-8", "surrogatepass")) else value
            hint = f'[image] env = {{ {_key(name)} = "{shown}" }}'
            report.add(where, f"variables.{name}", "is set by conda, and by nothing in an image", hint)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f'"{name}"'
