"""A plan rendered as a Dockerfile, and the lists that lie beside it. Pure: values in, text out.

One stage fetches, others install; the last puts together what the plan's layers hold, in their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from lading.convert.exporting.debian import apt_commands, apt_mount, debian_stages
from lading.convert.exporting.environment import (
    REQUIREMENTS,
    environment_stage,
    installed_wheels,
    requirement_lines,
)
from lading.convert.exporting.minimal import minimal_stages
from lading.convert.exporting.model import DOCKERFILE, Beside, ExportInputs
from lading.convert.exporting.project import (
    Sources,
    beside_stage,
    code_cleanup,
    code_stage,
    files_stage,
    step_run,
    step_stages,
    tops,
)
from lading.convert.exporting.tools import (
    APT_PACKAGES,
    PACKAGE_LIST,
    SYSTEM_PACKAGES,
    UV_LIST,
    package_list,
    packages_stage,
    standalone_stage,
    tools_image,
    tools_stage,
)
from lading.convert.exporting.words import copy, pairs, quoted, run
from lading.image.plan import Plan
from lading.image.spec import (
    CODE,
    RUNTIME,
    VENV,
    AddedPackagesLayer,
    FilesLayer,
    PackagesLayer,
    ProjectLayer,
    StandaloneLayer,
    StepLayer,
    VenvLayer,
)
from lading.lock.model import LockedInterpreter, LockedPackage
from lading.oci.json import canonical_json
from lading.oci.reference import Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A Dockerfile and what it needs."""

    dockerfile: str
    beside: tuple[Beside, ...]
    in_context: tuple[str, ...]
    """Files of the project that are no code and that stages copy: the context must hold them."""


def render(inputs: ExportInputs) -> Rendered:
    """Raises ProjectError for what no Dockerfile can say."""
    sources = Sources(inputs=inputs)
    parts = _Parts.of(inputs.plan)
    sources.beside += _lists(inputs, parts)
    lines = [*_header(inputs), *tools_stage(inputs)]
    if parts.debian or parts.apt:
        lines += ["", *packages_stage(inputs)]
    if parts.standalone is not None:
        lines += ["", *standalone_stage(parts.standalone.interpreter)]
    lines += _base_stages(inputs, parts)
    workshop = "configured" if parts.is_minimal else "base"
    held = _python(parts) if parts.is_minimal else []
    lines += environment_stage(inputs, parts.venv, below=workshop, held=held)
    extra = _project_stages(sources, parts, lines)
    lines += _final_stage(sources, parts)
    if parts.code is not None:
        code = {file.path.removeprefix(f"{CODE}/") for file in parts.code.files}
        lines = _with_cleanup(lines, sources, (sources.in_context - code) | extra)
    return Rendered(
        dockerfile="\n".join(lines) + "\n",
        beside=tuple(sorted(sources.beside, key=lambda one: one.path)),
        in_context=tuple(sorted(sources.in_context)),
    )


_CLEANUP = "# (code is made canonical here)"


def _with_cleanup(lines: list[str], sources: Sources, inside: set[str]) -> list[str]:
    """The last line of the stage `code` depends on what all other stages take from the context."""
    return [code_cleanup(sources, inside) if line == _CLEANUP else line for line in lines]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """The plan's layers by what they are to a Dockerfile."""

    debian: tuple[LockedPackage, ...]
    """Of a base without a registry, and of its interpreter."""
    interpreter: LockedInterpreter | None
    """Debian's."""
    is_minimal: bool
    """No shell: nothing can be run in the image."""
    apt: tuple[LockedPackage, ...]
    standalone: StandaloneLayer | None
    venv: VenvLayer
    steps: tuple[StepLayer, ...]
    files: tuple[FilesLayer, ...]
    runtime: tuple[FilesLayer, ...]
    code: FilesLayer | ProjectLayer | None
    model: tuple[FilesLayer, ...]

    @classmethod
    def of(cls, plan: Plan) -> _Parts:
        packages = [spec for spec in plan.layers if isinstance(spec, PackagesLayer)]
        added = [spec for spec in plan.layers if isinstance(spec, AddedPackagesLayer)]
        files = [spec for spec in plan.layers if isinstance(spec, FilesLayer)]
        is_minimal = any(spec.flavour == "minimal" for spec in packages)
        # In a minimal root nothing can be installed later, so all comes at once.
        system = [spec for spec in packages if is_minimal or spec.kind != "apt"]
        later: list[PackagesLayer | AddedPackagesLayer] = [spec for spec in packages if spec not in system]
        later += added
        code: list[FilesLayer | ProjectLayer] = [spec for spec in files if spec.kind == "code"]
        code += [spec for spec in plan.layers if isinstance(spec, ProjectLayer)]
        return cls(
            debian=tuple(p for spec in system for p in spec.packages),
            is_minimal=is_minimal,
            interpreter=next((s.interpreter for s in packages if s.interpreter is not None), None),
            apt=tuple(p for spec in later for p in spec.packages),
            standalone=next((s for s in plan.layers if isinstance(s, StandaloneLayer)), None),
            venv=next(spec for spec in plan.layers if isinstance(spec, VenvLayer)),
            steps=tuple(spec for spec in plan.layers if isinstance(spec, StepLayer)),
            files=tuple(spec for spec in files if spec.kind == "files"),
            runtime=tuple(spec for spec in files if spec.kind == "runtime"),
            code=next(iter(code), None),
            model=tuple(spec for spec in files if spec.kind == "model"),
        )


def _header(inputs: ExportInputs) -> list[str]:
    plan = inputs.plan
    name = inputs.place.path(DOCKERFILE)
    what = f"# {plan.project}, target {plan.target}, for {plan.accelerator} on {plan.platform}."
    return [
        what,
        f"#   docker build --platform {plan.platform} -f {name} -t {plan.tag} .    # in the project's folder",
        f"# For Docker {inputs.frontend.name} or later, with BuildKit. Packages and wheels are pinned",
        "# by sha256" + (", the base by digest." if inputs.base is not None else "."),
        "",
        f"ARG TOOLS_IMAGE={tools_image(inputs)}",
        "",
    ]


def _lists(inputs: ExportInputs, parts: _Parts) -> Iterable[Beside]:
    uv = resources.files("lading.convert.exporting").joinpath(UV_LIST).read_bytes()
    yield Beside(path=UV_LIST, content=uv)
    wheels = installed_wheels(inputs)
    yield Beside(path=REQUIREMENTS, content=requirement_lines(wheels, inputs.indexes).encode())
    if parts.debian or parts.apt:
        groups = ((SYSTEM_PACKAGES, parts.debian), (APT_PACKAGES, parts.apt))
        yield Beside(path=PACKAGE_LIST, content=package_list(groups).encode())


def _base_stages(inputs: ExportInputs, parts: _Parts) -> list[str]:
    """What ends in a stage `base`: a root with its interpreter, and the packages of `[image] apt`."""
    lines: list[str] = []
    if inputs.base is not None:
        name = Reference.parse(inputs.base.reference)
        pinned = f"{name.familiar}@{inputs.base.digest}"
        lines += ["", f"FROM --platform={inputs.plan.platform} {pinned} AS base", "USER 0"]
    elif parts.is_minimal:
        lines += minimal_stages(parts.interpreter)
    else:
        lines += debian_stages(parts.interpreter)
    lines += _python(parts)
    if parts.apt:
        lines.append(run(apt_commands(foreign=inputs.base is not None), [apt_mount()]))
    return lines


def _python(parts: _Parts) -> list[str]:
    """A standalone Python, where that is the image's."""
    return (
        [copy("/opt/python", "/opt/python", options="--from=python")] if parts.standalone is not None else []
    )


def _project_stages(sources: Sources, parts: _Parts, lines: list[str]) -> set[str]:
    """Adds the stages of code, files, server, model and steps' inputs to `lines`."""
    folder = sources.inputs.place.folder
    for step in parts.steps:
        lines += step_stages(sources, step)
    if parts.files:
        lines += files_stage(sources, parts.files)
    for name, layers in (("runtime", parts.runtime), ("model", parts.model)):
        if layers:
            lines += beside_stage(sources, layers, name)
    if parts.code is not None:
        lines += [*code_stage(sources, parts.code), _CLEANUP]
    return {folder} if folder else set()


def _final_stage(sources: Sources, parts: _Parts) -> list[str]:
    inputs, plan = sources.inputs, sources.inputs.plan
    link = "--link " if inputs.frontend.links else ""
    early = [pair for pair in plan.env if all(pair in step.env for step in parts.steps)]
    held = dict(inputs.base.env) if inputs.base is not None else {}
    given = {**held, **dict(early)}
    lines = ["", "# The image.", "FROM base"]
    lines += pairs("ENV", (pair for pair in early if held.get(pair[0]) != pair[1]))
    lines += [copy(f"/{VENV}", f"/{VENV}", options=f"{link}--from=environment")]
    if parts.steps:
        lines.append(f"WORKDIR /{CODE}")
    lines += [step_run(sources, step, given) for step in parts.steps]
    lines += [copy(f"/out/{path}", f"/{path}", options="--from=files") for path in tops(parts.files)]
    if parts.runtime:
        lines.append(copy(f"/out/{RUNTIME}", f"/{RUNTIME}", options=f"{link}--from=runtime"))
    if parts.code is not None:
        lines.append(copy(f"/out/{CODE}", f"/{CODE}", options=f"{link}--from=code"))
        if isinstance(parts.code, FilesLayer) and any(
            not path.startswith(f"{CODE}/") for path, _, _ in parts.code.generated
        ):
            lines.append(copy(f"/out/{VENV}/", f"/{VENV}/", options="--from=code"))
    if parts.model:
        lines.append(copy("/out/models", "/models", options=f"{link}--from=model"))
    lines += pairs("ENV", (pair for pair in plan.env if pair not in early))
    lines += pairs("LABEL", plan.labels.items())
    lines += [f"EXPOSE {port}" for port in plan.exposed_ports]
    return [*lines, *_start(plan, over_base=inputs.base is not None)]


def _start(plan: Plan, *, over_base: bool) -> list[str]:
    """What a container starts, where and as whom; over a base also that its own no longer holds."""
    lines = [f"WORKDIR {quoted(plan.working_dir)}", f"USER {plan.user}"]
    if plan.stop_signal is not None:
        lines.append(f"STOPSIGNAL {plan.stop_signal}")
    if plan.healthcheck is not None:
        lines.append(_healthcheck(plan.healthcheck))
    for instruction, words in (("ENTRYPOINT", plan.entrypoint), ("CMD", plan.cmd)):
        if words or over_base:
            lines.append(f"{instruction} {canonical_json(list(words)).decode()}")
    return lines


_CHECK_OPTIONS = (("Interval", "interval"), ("Timeout", "timeout"), ("StartPeriod", "start-period"))


def _healthcheck(check: Mapping[str, Any]) -> str:
    """Times are nanoseconds in a config; Docker reads them with a unit."""
    options = [f"--{option}={check[name] / 1e9:g}s" for name, option in _CHECK_OPTIONS if name in check]
    options += [f"--retries={check['Retries']}"] if "Retries" in check else []
    command = canonical_json(list(check["Test"][1:])).decode()
    return " ".join(("HEALTHCHECK", *options, "CMD", command))
