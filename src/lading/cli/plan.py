"""`lading plan`: what a build would do, and why, before a byte is written."""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lading.cli.building import (
    add_build_options,
    add_folder,
    build_context,
    build_options,
    check_target,
    open_project,
    with_model,
)
from lading.cli.drivers import add_required_driver, check_driver, host_driver
from lading.cli.format import format_count, format_size, format_table
from lading.cli.parser import Parser
from lading.cli.session import Session

if TYPE_CHECKING:
    from lading.image.plan import Plan
    from lading.image.request import BuildContext, BuildOptions
    from lading.image.spec import FilesLayer
    from lading.lock.model import AddedPackage, Lock, LockedCuda, LockedVariant
    from lading.project.model import Project
    from lading.store import Store

ABOUT = """Say what a build would do: what was detected and why, the layers, what is here and what is not.

Resolves when the lock does not fit, but writes nothing into the project."""
EXAMPLES = """Examples:
  lading plan
  lading plan --target serve examples/digits
  lading plan --json | jq .layers"""

_SHOWN_CHANGES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerState:
    """One layer of the plan, and whether the store has it."""

    kind: str
    title: str
    key: str
    size_bytes: int | None
    """Compressed, when known: from the store or the lock."""
    in_store: bool
    fetch_bytes: int
    """What must be fetched to write it."""


def add_arguments(parser: Parser) -> None:
    add_folder(parser)
    add_build_options(parser)
    add_required_driver(parser)


def execute(options: argparse.Namespace, session: Session) -> int:
    from lading.image.request import LOCK_NAME
    from lading.image.target import plan_target

    project = open_project(options.folder, session)
    check_target(project, options.target)
    choices = with_model(build_options(options), project, session)
    lock, renewed = _fitting_lock(project, build_context(session, options), choices, session)
    plan = plan_target(project, lock, choices)
    variant = lock.variant(plan.accelerator, plan.platform)
    assert variant is not None, "plan_target has found it"
    cuda = variant.targets[plan.target].cuda
    check_driver(cuda, options, session)
    driver = host_driver(session) if cuda is not None else None
    states = layer_states(session.store, plan, lock)
    changed = _changed_files(session.store, plan)
    if session.as_json:
        document = _document(project, plan, variant, states, changed, lock_renewed=renewed)
        session.document({**document, "cuda": _cuda_document(cuda, driver)})
        return 0
    for line in _picture(project, plan, variant, states, changed, driver):
        session.line(line)
    for finding in project.findings:
        if finding.missing:
            session.printer.warn(f"{finding.what}: {finding.value} {finding.because}")
    if renewed:
        there = "does not fit" if (project.root / LOCK_NAME).exists() else "is not there yet"
        session.printer.note(f"{LOCK_NAME} {there}: `lading lock` or `lading build` will write it")
    return 0


def _fitting_lock(
    project: Project, context: BuildContext, options: BuildOptions, session: Session
) -> tuple[Lock, bool]:
    """The lock on disk, or a new one that is only held in memory; and whether it is new."""
    from lading.errors import LockOutOfDate
    from lading.image.request import LOCK_NAME
    from lading.image.target import current_lock, new_lock
    from lading.lock.lockfile import read_lock

    path = project.root / LOCK_NAME
    previous = read_lock(path.read_text(encoding="utf-8"), str(path)) if path.is_file() else None
    try:
        from dataclasses import replace

        return current_lock(project, context, replace(options, locked=True)), False
    except LockOutOfDate:
        if options.locked:
            raise
    with session.printer.progress("resolving"):
        lock = new_lock(project, context, offline=options.offline, previous=previous)
    return lock, True


def layer_states(store: Store, plan: Plan, lock: Lock) -> list[LayerState]:
    """What the store has of each layer. Reads records only."""
    from lading.image.build import cached_layer
    from lading.image.spec import (
        AddedPackagesLayer,
        ForeignLayer,
        PackagesLayer,
        StandaloneLayer,
        WheelsLayer,
    )
    from lading.oci.digest import Digest

    locked = {layer.key: layer.size_bytes for layer in lock.layers}
    states = []
    for spec in plan.layers:
        record = cached_layer(store, spec)
        needs: list[tuple[str, int]] = []
        match spec:
            case WheelsLayer():
                needs = [(wheel.sha256, wheel.size_bytes) for wheel in spec.wheels]
            case ForeignLayer():
                needs = [(spec.layer.digest.hex, spec.layer.size_bytes)]
            case PackagesLayer() | AddedPackagesLayer():
                needs = [(package.sha256, package.size_bytes) for package in spec.packages]
            case StandaloneLayer():
                needs = [(spec.interpreter.sha256 or "", spec.interpreter.size_bytes or 0)]
        missing = [size for sha256, size in needs if not store.blobs.has(Digest.from_hex(sha256))]
        states.append(
            LayerState(
                kind=spec.kind,
                title=spec.title,
                key=spec.key,
                size_bytes=record.size_bytes if record else locked.get(spec.key),
                in_store=record is not None,
                fetch_bytes=0 if record else sum(missing),
            )
        )
    return states


def _changed_files(store: Store, plan: Plan) -> list[str] | None:
    """Project files that differ from the last image of this target; None when there was none."""
    from lading.image.layer.contents import layer_index
    from lading.run.ledger import Ledger

    code = _code(plan)
    with Ledger.open(store) as ledger:
        latest = ledger.latest_image(plan.project, plan.target, plan.accelerator, plan.platform)
    if latest is None or code is None:
        return None
    for key in store.images.keys():  # noqa: SIM118 not a dict
        record = store.images.get(key)
        if record is None or record["digest"] != latest.digest:
            continue
        for layer in record["layers"]:
            if layer["kind"] == code.kind and (index := layer_index(store, layer["key"])) is not None:
                before = {entry.path: entry.content for entry in index if entry.content}
                now = {file.path: file.sha256 or file.link_target for file in code.files}
                now |= {path: hashlib.sha256(content).hexdigest() for path, content in _rewritten(code)}
                differing = {path for path in before.keys() | now.keys() if before.get(path) != now.get(path)}
                installed = {path for path, _, _ in code.generated} - now.keys()
                return sorted(path.partition("/")[2] for path in differing - installed)
    return None


def _rewritten(code: FilesLayer) -> list[tuple[str, bytes]]:
    """The project's files that do not enter as they are: path and content in the image."""
    from lading.image.spec import CODE

    return [(path, content) for path, _, content in code.generated if path.startswith(f"{CODE}/")]


def _code(plan: Plan) -> FilesLayer | None:
    from lading.image.spec import FilesLayer

    return next((s for s in plan.layers if isinstance(s, FilesLayer) and s.kind == "code"), None)


def _document(
    project: Project,
    plan: Plan,
    variant: LockedVariant,
    states: list[LayerState],
    changed: list[str] | None,
    *,
    lock_renewed: bool,
) -> dict[str, Any]:
    layers = [
        {
            "kind": state.kind,
            "title": state.title,
            "key": state.key,
            "size_bytes": state.size_bytes,
            "in_store": state.in_store,
            "fetch_bytes": state.fetch_bytes,
        }
        for state in states
    ]
    findings = [
        {"what": f.what, "value": f.value, "because": f.because, "missing": f.missing}
        for f in project.findings
    ]
    return {
        **plan.as_json(),
        "type": "plan",
        "layers": layers,
        "added": [{"name": one.name, "because": one.because} for one in variant.added_to(plan.target)],
        "findings": findings,
        "changed": changed,
        "lock_fits": not lock_renewed,
        "fetch_bytes": sum(state.fetch_bytes for state in states),
    }


def _cuda_document(cuda: LockedCuda | None, driver: str | None) -> dict[str, Any] | None:
    from lading.engine.driver_needs import is_too_old

    if cuda is None:
        return None
    return {
        "version": cuda.version,
        "driver_floor": cuda.driver,
        "full_driver": cuda.full_driver,
        "capabilities": list(cuda.capabilities),
        "host_driver": driver,
        "host_fits": None if driver is None else not is_too_old(cuda, driver),
    }


def _picture(
    project: Project,
    plan: Plan,
    variant: LockedVariant,
    states: list[LayerState],
    changed: list[str] | None,
    driver: str | None,
) -> list[str]:
    head = (
        f"image {plan.target}/{plan.accelerator}  {plan.platform}  python {variant.interpreter.version}"
        f"  {plan.tag}"
    )
    cuda = variant.targets[plan.target].cuda
    heads = [head, *_cuda_lines(cuda, driver)]
    rows = [_system_row("base", states), _system_row("interpreter", states), _wheels_row(plan, states)]
    rows += _packages_rows(project, plan, variant, states)
    rows += [*_step_rows(plan, states), *_file_rows(plan, states), _code_row(plan, changed)]
    lines = [*heads, *format_table([row for row in rows if row is not None])]
    if findings := [f for f in project.findings if not f.missing]:
        lines.append("")
        lines += format_table([(f.what, f.value, f.because) for f in findings])
    fetch = sum(state.fetch_bytes for state in states)
    missing = sum(not state.in_store for state in states)
    fetching = f"fetch {format_size(fetch)}, " if fetch else ""
    end = f"will {fetching}write {format_count(missing, 'layer')}" if missing else ""
    return [
        f"  {line}" if line else "" for line in [*lines, end or "nothing to do: every layer is in the store"]
    ]


def _cuda_lines(cuda: LockedCuda | None, driver: str | None) -> list[str]:
    from lading.engine.driver_needs import describe_driver

    if cuda is None:
        return []
    able = f"  for compute capabilities {' '.join(cuda.capabilities)}" if cuda.capabilities else ""
    return [f"cuda  {cuda.version}  {describe_driver(cuda, driver)}{able}"]


def _system_row(kind: str, states: list[LayerState]) -> tuple[str, str, str] | None:
    found = [state for state in states if state.kind == kind]
    if not found:
        return None
    if len(found) > 1:  # a base image of several layers
        title = found[0].title.partition(" ")[2].rpartition(" ")[0]
        size_bytes = sum(state.size_bytes or 0 for state in found)
        missing_bytes = sum(state.fetch_bytes for state in found)
        count = format_count(len(found), "layer")
        return (
            kind,
            f"{title}  {format_size(size_bytes)}, {count}",
            _where(not missing_bytes, missing_bytes),
        )
    state = found[0]
    label = "python" if kind == "interpreter" else kind
    title = state.title.partition(" ")[2]
    size = f"  {format_size(state.size_bytes)}" if state.size_bytes is not None else ""
    return (label, f"{title}{size}", _where(state.in_store, state.fetch_bytes))


def _where(in_store: bool, fetch_bytes: int) -> str:
    if in_store:
        return "in store"
    return f"to fetch ({format_size(fetch_bytes)})" if fetch_bytes else "to write"


def _wheels_row(plan: Plan, states: list[LayerState]) -> tuple[str, str, str] | None:
    from lading.image.spec import WheelsLayer

    counts = {True: 0, False: 0}
    size_bytes = fetch_bytes = 0
    for spec, state in zip(plan.layers, states, strict=True):
        if isinstance(spec, WheelsLayer):
            counts[state.in_store] += len(spec.wheels)
            size_bytes += sum(wheel.size_bytes for wheel in spec.wheels)
            fetch_bytes += state.fetch_bytes
    total = counts[True] + counts[False]
    if not total:
        return None
    parts = [f"{counts[True]} in store"] if counts[True] else []
    if counts[False]:
        amount = f" ({format_size(fetch_bytes)} to fetch)" if fetch_bytes else ""
        parts.append(f"{counts[False]} to write{amount}")
    return ("wheels", f"{total} · {format_size(size_bytes)}", ", ".join(parts))


def _packages_rows(
    project: Project, plan: Plan, variant: LockedVariant, states: list[LayerState]
) -> list[tuple[str, str, str]]:
    """The layer of Debian packages, what was asked for, and what was added and why."""
    from lading.image.spec import AddedPackagesLayer, PackagesLayer

    found = [
        (spec, state)
        for spec, state in zip(plan.layers, states, strict=True)
        if isinstance(spec, PackagesLayer | AddedPackagesLayer) and spec.kind == "apt"
    ]
    if not found:
        return []
    spec, state = found[0]
    size_bytes = sum(package.size_bytes for package in spec.packages)
    count = format_count(len(spec.packages), "package")
    rows = [("apt", f"{count} · {format_size(size_bytes)}", _where(state.in_store, state.fetch_bytes))]
    if asked := project.targets[plan.target].apt:
        rows.append(("+", " ".join(asked), "[image] apt"))
    reasons: dict[str, list[AddedPackage]] = {}
    for one in variant.added_to(plan.target):
        reasons.setdefault(one.because.partition(" ")[0], []).append(one)
    for group in reasons.values():
        others = len({one.because for one in group}) - 1
        more = f", and {others} more" if others else ""
        rows.append(("+", " ".join(one.name for one in group), f"{group[0].because}{more}"))
    return rows


def _step_rows(plan: Plan, states: list[LayerState]) -> list[tuple[str, str, str]]:
    from lading.image.spec import StepLayer

    rows = []
    for spec, state in zip(plan.layers, states, strict=True):
        if isinstance(spec, StepLayer):
            where = "in store" if state.in_store else "to run"
            where += ", with the network: not reproducible" if spec.network else ""
            rows.append(("step", spec.title.removeprefix("step "), where))
    return rows


def _file_rows(plan: Plan, states: list[LayerState]) -> list[tuple[str, str, str]]:
    from lading.image.spec import FilesLayer

    rows = []
    for spec, state in zip(plan.layers, states, strict=True):
        if isinstance(spec, FilesLayer) and spec.kind in ("files", "model"):
            size_bytes = sum(file.size_bytes for file in spec.files)
            size = f"  {format_size(size_bytes)}" if size_bytes else ""
            rows.append((spec.kind, f"{spec.title}{size}", _where(state.in_store, 0)))
    return rows


def _code_row(plan: Plan, changed: list[str] | None) -> tuple[str, str, str] | None:
    code = _code(plan)
    if code is None:
        return None
    sizes = [file.size_bytes for file in code.files] + [len(content) for _, content in _rewritten(code)]
    if changed is None:
        news = "first build"
    elif not changed:
        news = "unchanged"
    else:
        more = f" and {len(changed) - _SHOWN_CHANGES} more" if len(changed) > _SHOWN_CHANGES else ""
        news = f"changed: {', '.join(changed[:_SHOWN_CHANGES])}{more}"
    return ("code", f"{format_count(len(sizes), 'file')} · {format_size(sum(sizes))}", news)
