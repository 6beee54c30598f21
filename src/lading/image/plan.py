"""The plan: a project and its lock become a list of layer specs and a config, before a byte is written.

Pure: values in, values out. `lading plan` prints it, `image.build` carries it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lading.image.kinds.step import step_layer
from lading.image.order import (
    BYTECODE_OWN_LAYER_BYTES,
    MAX_BYTECODE_LAYERS,
    is_cuda_library,
    order_wheels,
)
from lading.image.spec import (
    CODE,
    RUNTIME,
    VENV,
    AddedPackagesLayer,
    BytecodeLayer,
    FilesLayer,
    ForeignLayer,
    LayerSpec,
    PackagesLayer,
    PlannedFile,
    ProjectLayer,
    StandaloneLayer,
    StepLayer,
    VenvLayer,
    WheelsLayer,
)
from lading.lock.model import LockedBase, LockedCuda, LockedPackage, LockedVariant, LockedWheel
from lading.oci.reference import Reference
from lading.project.model import HealthCheck, ImageSettings

NOT_REPRODUCIBLE = "dev.lading.not-reproducible"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One image to be: its layers oldest first, and its config but for the diff IDs."""

    project: str
    target: str
    accelerator: str
    platform: str
    tag: str
    layers: tuple[LayerSpec, ...]
    env: tuple[tuple[str, str], ...]
    cmd: tuple[str, ...]
    user: str
    working_dir: str
    labels: Mapping[str, str]
    exposed_ports: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    stop_signal: str | None = None
    healthcheck: Mapping[str, Any] | None = None
    """In the words of Docker's image config."""

    def as_json(self) -> dict[str, Any]:
        """What `lading plan --json` prints, and what an image's record is keyed by."""
        return {
            "project": self.project,
            "target": self.target,
            "accelerator": self.accelerator,
            "platform": self.platform,
            "tag": self.tag,
            "layers": [{"kind": spec.kind, "title": spec.title, "key": spec.key} for spec in self.layers],
            "env": dict(self.env),
            "entrypoint": list(self.entrypoint),
            "cmd": list(self.cmd),
            "user": self.user,
            "working_dir": self.working_dir,
            "labels": dict(self.labels),
            "exposed_ports": list(self.exposed_ports),
            "stop_signal": self.stop_signal,
            "healthcheck": self.healthcheck,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanInputs:
    """All that a plan is made from."""

    project: str
    target: str
    tag: str
    settings: ImageSettings
    variant: LockedVariant
    code: FilesLayer | ProjectLayer | None
    runtime: FilesLayer | None
    cmd: tuple[str, ...]
    lenient: frozenset[str] = frozenset()
    step_inputs: tuple[tuple[PlannedFile, ...], ...] = ()
    """What each of `settings.steps` sees, in their order."""
    files: tuple[FilesLayer, ...] = ()
    model: tuple[FilesLayer, ...] = ()


def make_plan(inputs: PlanInputs) -> Plan:
    """Lay out the layers of one target in the global order: base, interpreter, wheels, bytecode, code."""
    variant = inputs.variant
    selection = variant.targets[inputs.target]
    chosen = [wheel for wheel in variant.wheels if wheel.name in set(selection.wheels)]
    layers = [*_system_layers(inputs), *_wheel_layers(inputs, tuple(chosen)), *_apt_layer(inputs)]
    layers += _step_layers(inputs, layers)
    layers += inputs.files
    if inputs.runtime is not None:
        layers.append(inputs.runtime)
    if inputs.code is not None:
        layers.append(inputs.code)
    layers += inputs.model
    serves = inputs.runtime is not None
    settings = inputs.settings
    return Plan(
        project=inputs.project,
        target=inputs.target,
        accelerator=variant.accelerator,
        platform=variant.platform,
        tag=inputs.tag,
        layers=tuple(layers),
        env=_environment(inputs, selection.cuda),
        entrypoint=settings.entrypoint,
        cmd=_command(inputs),
        user=settings.user,
        working_dir=settings.workdir or (f"/{CODE}" if inputs.code is not None else "/"),
        labels=dict(sorted({**_cuda_labels(selection.cuda), **settings.labels, **_marks(inputs)}.items())),
        exposed_ports=tuple(sorted({*settings.ports, *(("8080/tcp",) if serves else ())})),
        stop_signal=settings.stop_signal,
        healthcheck=_healthcheck(settings.healthcheck),
    )


def _command(inputs: PlanInputs) -> tuple[str, ...]:
    """An entrypoint without a command starts as it is, as with Docker."""
    if inputs.settings.command is not None:
        return inputs.settings.command
    return () if inputs.settings.entrypoint else inputs.cmd


_NANOSECONDS = 1_000_000_000


def _healthcheck(check: HealthCheck | None) -> dict[str, Any] | None:
    """No field of OCI's, but Docker reads it there and BuildKit writes it there."""
    if check is None:
        return None
    times = {
        "Interval": check.interval_seconds,
        "Timeout": check.timeout_seconds,
        "StartPeriod": check.start_seconds,
    }
    document: dict[str, Any] = {"Test": ["CMD", *check.command]}
    document |= {name: round(s * _NANOSECONDS) for name, s in times.items() if s is not None}
    return document | ({"Retries": check.retries} if check.retries is not None else {})


def _cuda_labels(cuda: LockedCuda | None) -> dict[str, str]:
    """What schedulers and people want to know of a CUDA image before they pull it."""
    if cuda is None:
        return {}
    labels = {"dev.lading.cuda": cuda.version, "dev.lading.cuda.driver-floor": cuda.driver}
    if cuda.capabilities:
        labels["dev.lading.cuda.capabilities"] = " ".join(cuda.capabilities)
    return labels


def _cuda_environment(cuda: LockedCuda | None) -> dict[str, str]:
    """What NVIDIA's container toolkit reads. The constraint is that of minor version compatibility: a host
    whose driver knows this major version; the exact release would refuse hosts that can run it."""
    if cuda is None:
        return {}
    return {
        "NVIDIA_VISIBLE_DEVICES": "all",
        "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
        "NVIDIA_REQUIRE_CUDA": f"cuda>={cuda.version.partition('.')[0]}.0",
    }


_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _marks(inputs: PlanInputs) -> dict[str, str]:
    """A label that says which steps make an image that cannot be built again to the same bytes."""
    numbers = [str(n) for n, step in enumerate(inputs.settings.steps, 1) if step.network]
    if not numbers:
        return {}
    return {NOT_REPRODUCIBLE: f"step {', '.join(numbers)}: with the network"}


def _step_layers(inputs: PlanInputs, below: list[LayerSpec]) -> list[StepLayer]:
    """After all that is installed, since a step uses it; before code, files and server, which change oftener
    and would run it again each time."""
    env = {**_fixed_environment(inputs), **inputs.settings.env}
    keys = [spec.key for spec in below]
    layers: list[StepLayer] = []
    for number, (step, seen) in enumerate(
        zip(inputs.settings.steps, inputs.step_inputs, strict=True), start=1
    ):
        platform = inputs.variant.platform
        layers.append(step_layer(number, step, seen, below=tuple(keys), env=env, platform=platform))
        keys.append(layers[-1].key)
    return layers


def _fixed_environment(inputs: PlanInputs) -> dict[str, str]:
    base = dict(inputs.variant.base.env) if inputs.variant.base is not None else {}
    return {
        **base,
        "PATH": f"/{VENV}/bin:{base.get('PATH') or _DEFAULT_PATH}",
        "LANG": "C.UTF-8",
        "VIRTUAL_ENV": f"/{VENV}",
        "PYTHONUNBUFFERED": "1",
    }


def _environment(inputs: PlanInputs, cuda: LockedCuda | None) -> tuple[tuple[str, str], ...]:
    fixed = {**_fixed_environment(inputs), **_cuda_environment(cuda)}
    if inputs.runtime is not None:
        fixed["PYTHONPATH"] = f"/{RUNTIME}"
    return tuple({**fixed, **dict(sorted(inputs.settings.env.items()))}.items())


def _by_role(inputs: PlanInputs) -> dict[str, tuple[LockedPackage, ...]]:
    wanted = set(inputs.variant.targets[inputs.target].packages)
    roles: dict[str, list[LockedPackage]] = {"base": [], "interpreter": [], "apt": []}
    for package in inputs.variant.packages:
        if package.name in wanted:
            roles[package.role].append(package)
    return {role: tuple(packages) for role, packages in roles.items()}


def _system_layers(inputs: PlanInputs) -> list[LayerSpec]:
    interpreter = inputs.variant.interpreter
    base = inputs.variant.base
    settings = inputs.settings
    roles = _by_role(inputs)
    layers: list[LayerSpec] = []
    if base is not None:
        layers += _foreign_layers(base)
    else:
        layers.append(
            PackagesLayer(
                kind="base",
                title=f"base {settings.base}",
                below=(),
                packages=roles["base"],
                flavour=settings.flavour,
            )
        )
    title = f"python {interpreter.build}"
    if interpreter.provider == "standalone":
        layers.append(StandaloneLayer(kind="interpreter", title=title, interpreter=interpreter))
    elif interpreter.provider == "debian":
        layers.append(
            PackagesLayer(
                kind="interpreter",
                title=title,
                below=roles["base"],
                packages=roles["interpreter"],
                flavour=settings.flavour,
                interpreter=interpreter,
            )
        )
    layers.append(
        VenvLayer(
            kind="venv",
            title=f"/{VENV}",
            python_version=interpreter.version,
            executable=interpreter.executable,
            sees_base=base is not None and bool(base.held),
            environment=base.environment if base is not None else "",
        )
    )
    return layers


def _foreign_layers(base: LockedBase) -> list[ForeignLayer]:
    name = Reference.parse(base.reference).familiar
    count = len(base.layers)
    return [
        ForeignLayer(
            kind="base", title=f"base {name} {number}/{count}", layer=layer, reference=base.reference
        )
        for number, layer in enumerate(base.layers, 1)
    ]


def _apt_layer(inputs: PlanInputs) -> list[LayerSpec]:
    roles = _by_role(inputs)
    if not roles["apt"]:
        return []
    added = (one.name for one in inputs.variant.added_to(inputs.target))
    names = ", ".join(dict.fromkeys((*inputs.settings.apt, *added)))
    if inputs.variant.base is not None:
        return [
            AddedPackagesLayer(
                kind="apt",
                title=f"apt {names}",
                base=inputs.variant.base,
                packages=roles["apt"],
                flavour=inputs.settings.flavour,
            )
        ]
    return [
        PackagesLayer(
            kind="apt",
            title=f"apt {names}",
            below=roles["base"] + roles["interpreter"],
            packages=roles["apt"],
            flavour=inputs.settings.flavour,
        )
    ]


def _wheel_layers(inputs: PlanInputs, wheels: tuple[LockedWheel, ...]) -> list[LayerSpec]:
    version = inputs.variant.interpreter.version
    order = order_wheels(wheels)

    def layer(kind: str, title: str, held: tuple[LockedWheel, ...]) -> WheelsLayer:
        lenient = inputs.lenient & {wheel.name for wheel in held}
        return WheelsLayer(kind=kind, title=title, wheels=held, python_version=version, lenient=lenient)

    own = [layer("wheel", f"{wheel.name} {wheel.version}", (wheel,)) for wheel in order.own]
    tail = [layer("tail", f"{len(order.tail)} small wheels", order.tail)] if order.tail else []
    return [*own, *tail, *(_bytecode_layers(inputs, own, tail) if inputs.settings.bytecode else ())]


def _bytecode_layers(
    inputs: PlanInputs, own: list[WheelsLayer], tail: list[WheelsLayer]
) -> list[BytecodeLayer]:
    """One for each of the largest wheels, one for the rest: a shared torch shares its bytecode too."""
    interpreter = inputs.variant.interpreter
    roles = _by_role(inputs)
    toolchain = roles["base"] + roles["interpreter"] if interpreter.provider == "debian" else ()

    def layer(title: str, *sources: WheelsLayer) -> BytecodeLayer:
        return BytecodeLayer(
            kind="bytecode",
            title=title,
            sources=sources,
            interpreter=interpreter,
            toolchain=toolchain,
            base=inputs.variant.base if interpreter.provider == "base" else None,
        )

    large = [
        spec
        for spec in own
        if spec.wheels[0].size_bytes >= BYTECODE_OWN_LAYER_BYTES and not is_cuda_library(spec.wheels[0])
    ]
    apart = {spec.key for spec in large[:MAX_BYTECODE_LAYERS]}
    layers = [layer(f"bytecode of {spec.title}", spec) for spec in own if spec.key in apart]
    if rest := [spec for spec in [*own, *tail] if spec.key not in apart]:
        layers.append(layer(f"bytecode of {sum(len(spec.wheels) for spec in rest)} other wheels", *rest))
    return layers
