"""The stage that makes the virtual environment: uv installs the wheels of the lock alone. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from lading.convert.exporting.model import ExportInputs
from lading.convert.exporting.tools import TOOLS, TRUST_CA, UV, UV_SECRETS
from lading.convert.exporting.words import copy, exports, run
from lading.image.spec import VENV, BytecodeLayer, VenvLayer, WheelsLayer
from lading.lock.model import LockedWheel

REQUIREMENTS = "requirements.txt"
WHEELS = "wheels"
_HEADER = "# The wheels of the image, made from lading.lock by `lading export dockerfile`.\n"


def requirement_lines(wheels: Iterable[LockedWheel], indexes: Iterable[str]) -> str:
    """As pip and uv read them: one version and one hash each."""
    places = "".join(f"{line}\n" for line in indexes)
    rows = "".join(
        f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n"
        for wheel in sorted(wheels, key=lambda one: one.name)
    )
    return _HEADER + places + rows


def installed_wheels(inputs: ExportInputs) -> tuple[LockedWheel, ...]:
    """All wheels of the plan, sorted by name."""
    found = [w for spec in inputs.plan.layers if isinstance(spec, WheelsLayer) for w in spec.wheels]
    return tuple(sorted(found, key=lambda one: one.name))


def has_bytecode(inputs: ExportInputs) -> bool:
    return any(isinstance(spec, BytecodeLayer) for spec in inputs.plan.layers)


def environment_stage(
    inputs: ExportInputs, venv: VenvLayer, *, below: str, held: Iterable[str] = ()
) -> list[str]:
    """The stage `environment`, whose /opt/venv becomes the image's; `held` are its first instructions."""
    lines = [
        "",
        "# The virtual environment. Its wheels are checked by hash, whichever index serves them.",
        f"FROM {below} AS environment",
        *held,
        "ARG UV_DEFAULT_INDEX",
        "ARG UV_INDEX",
        "ARG UV_INSECURE_HOST",
    ]
    local = _local(inputs)
    if local:
        lines.append(copy(inputs.place.path(WHEELS), "/wheels/"))
    lines.append(copy(inputs.place.path(REQUIREMENTS), "/requirements.txt"))
    lines.append(run(_commands(inputs, venv, bool(local)), _mounts()))
    if (own := inputs.project_wheel) is not None:
        install = _install(f"{own.name}=={own.version}", "--no-index --find-links /wheels")
        lines.append(run([_settings(bytecode=False), install], _mounts()))
    return lines


def _local(inputs: ExportInputs) -> tuple[LockedWheel, ...]:
    own = (inputs.project_wheel,) if inputs.project_wheel is not None else ()
    return (*inputs.wheels, *own)


def _mounts() -> tuple[str, ...]:
    program = f"type=bind,from={TOOLS},source={UV},target=/usr/local/bin/uv"
    return (program, "type=cache,target=/root/.cache/uv", *UV_SECRETS)


def _settings(*, bytecode: bool) -> str:
    values = [("UV_LINK_MODE", "copy"), ("UV_PYTHON_DOWNLOADS", "never"), ("UV_NO_PROGRESS", "1")]
    if bytecode:
        values += [("PYC_INVALIDATION_MODE", "UNCHECKED_HASH"), ("PYTHONHASHSEED", "0")]
    return exports(values)


def _install(what: str, *options: str) -> str:
    words = ("uv pip install", f"--python /{VENV}/bin/python", "--no-deps --no-build", *options, what)
    return " ".join(words)


def _commands(inputs: ExportInputs, venv: VenvLayer, has_local: bool) -> list[str]:
    bytecode = has_bytecode(inputs)
    sees = " --system-site-packages" if venv.sees_base else ""
    commands = [
        TRUST_CA,
        _settings(bytecode=bytecode),
        f"uv venv --no-project --python {venv.executable}{sees} /{VENV}",
    ]
    if venv.sees_base and venv.environment not in ("", f"/{VENV}"):
        site = f"lib/python{venv.python_version}/site-packages"
        commands.append(f"echo {venv.environment}/{site} > /{VENV}/{site}/base.pth")
    if installed_wheels(inputs):
        options = ["--require-hashes", "--index-strategy unsafe-best-match"]
        options += ["--find-links /wheels"] if has_local else []
        options += ["--compile-bytecode"] if bytecode else []
        commands.append(_install("--requirement /requirements.txt", *options))
    return commands
