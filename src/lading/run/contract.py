"""The contract with user code (what a task finds in its container). Pure.

Parameters come as `{name}` in the command, as upper-case variables and as a JSON file; inputs, outputs and
checkpoints are folders named by variables; HOME and every cache of the usual frameworks lie in one scratch
folder that any uid may write.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from lading.errors import ProjectError
from lading.project.report import nearest

INPUTS = "/lading/inputs"
OUTPUTS = "/lading/outputs"
CHECKPOINTS = "/lading/checkpoints"
PARAMS = "/lading/params.json"
SCRATCH = "/lading/scratch"
CODE = "/app"

_CACHES = {
    "HOME": "home",
    "TMPDIR": "tmp",
    "XDG_CACHE_HOME": "cache",
    "HF_HOME": "cache/huggingface",
    "TORCH_HOME": "cache/torch",
    "TORCHINDUCTOR_CACHE_DIR": "cache/torchinductor",
    "TRITON_CACHE_DIR": "cache/triton",
    "NUMBA_CACHE_DIR": "cache/numba",
    "MPLCONFIGDIR": "cache/matplotlib",
}
SCRATCH_FOLDERS = tuple(sorted(set(_CACHES.values())))

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "BLIS_NUM_THREADS",
    "RAYON_NUM_THREADS",
)

# Not after `$` (a shell's ${NAME}) and not doubled ({{name}} stands for a literal {name}).
_PLACE = re.compile(r"\{\{(?P<literal>[^{}]*)\}\}|(?<!\$)\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}")
_PLAIN_VALUE = re.compile(r"true|false|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_SHELL_SIGNS = frozenset("|&;<>()$`\n*?[]~#!")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")


def render_command(
    run: str, params: Mapping[str, str | int | float | bool], *, place: str | None = None
) -> tuple[str, ...]:
    """The command as arguments; through `sh -c` only when it uses a shell's syntax.

    Raises ProjectError for an unknown `{name}`, an unclosed quote or an empty command.
    """
    try:
        words = shlex.split(run)
    except ValueError as error:
        raise ProjectError(f"the command `{run}` cannot be read: {error}", place=place) from error
    if not words:
        raise ProjectError("the command is empty", place=place)
    if needs_shell(run):
        # Quoted here, so that a value never becomes syntax.
        return ("sh", "-c", _fill(run, params, place, quote=True))
    return tuple(_fill(word, params, place, quote=False) for word in words)


def needs_shell(run: str) -> bool:
    """True when `run` has pipes, redirections, variables, globs or leading assignments outside quotes."""
    if _ASSIGNMENT.match(run.lstrip()):
        return True
    quote, escaped = "", False
    for sign in run:
        if escaped:
            escaped = False
        elif sign == "\\" and quote != "'":
            escaped = True
        elif quote:
            if sign == quote:
                quote = ""
            elif quote == '"' and sign in "$`":
                return True
        elif sign in "'\"":
            quote = sign
        elif sign in _SHELL_SIGNS:
            return True
    return False


def parameter_text(value: str | int | float | bool) -> str:
    """A parameter as a command line and a variable say it: `true`, `3`, `0.0002`."""
    return value if isinstance(value, str) else json.dumps(value)


def params_document(params: Mapping[str, str | int | float | bool]) -> bytes:
    return json.dumps(dict(params), indent=2, sort_keys=True, allow_nan=False).encode() + b"\n"


def contract_environment(
    *, params: Mapping[str, str | int | float | bool], inputs: tuple[str, ...], threads: int
) -> dict[str, str]:
    """Every variable that lading sets for a task. A parameter's name is upper-cased, `-` and `.` as `_`."""
    environment = {name: f"{SCRATCH}/{folder}" for name, folder in _CACHES.items()}
    environment |= dict.fromkeys(THREAD_VARIABLES, str(threads))
    environment |= {variable_name(name): parameter_text(value) for name, value in params.items()}
    environment |= {
        "LADING_PARAMS": PARAMS,
        "LADING_OUTPUTS": OUTPUTS,
        "LADING_CHECKPOINTS": CHECKPOINTS,
        "LADING_INPUTS": INPUTS,
        "MLFLOW_TRACKING_URI": f"sqlite:///{OUTPUTS}/mlflow.db",
        "PYTHONUNBUFFERED": "1",
    }
    return environment | {f"LADING_INPUT_{variable_name(name)}": f"{INPUTS}/{name}" for name in inputs}


def variable_name(name: str) -> str:
    return re.sub(r"[^A-Z0-9_]", "_", name.upper())


def merge_params(
    declared: Mapping[str, str | int | float | bool],
    given: Mapping[str, Any],
    *,
    place: str | None = None,
    table: str = "train",
) -> dict[str, str | int | float | bool]:
    """Declared parameters with `given` laid over; a given text takes the declared type. `table` is
    where they are declared.

    Raises ProjectError for a name that is not declared or a value of the wrong type.
    """
    merged = dict(declared)
    for name, value in given.items():
        if name not in declared:
            raise _unknown(name, declared, place, _declaration(name, value, declared, table))
        merged[name] = _coerce(name, value, declared[name], place)
    return merged


def _coerce(name: str, value: Any, declared: Any, place: str | None) -> str | int | float | bool:
    if not isinstance(value, str) or isinstance(declared, str):
        return value if isinstance(value, str | int | float | bool) else str(value)
    try:
        if isinstance(declared, bool):
            return {"true": True, "false": False}[value.lower()]
        return int(value) if isinstance(declared, int) else float(value)
    except (ValueError, KeyError):
        kind = type(declared).__name__
        raise ProjectError(f"parameter {name}={value!r} is no {kind}", place=place) from None


def _fill(text: str, params: Mapping[str, Any], place: str | None, *, quote: bool) -> str:
    def replace(match: re.Match[str]) -> str:
        name = match.group("name")
        if name is None:
            return "{" + match.group("literal") + "}"
        if name not in params:
            raise _unknown(name, params, place, f"write {{{{{name}}}}} for a literal {{{name}}}")
        value = parameter_text(params[name])
        return shlex.quote(value) if quote else value

    return _PLACE.sub(replace, text)


def _unknown(name: str, params: Mapping[str, Any], place: str | None, remedy: str) -> ProjectError:
    near = nearest(name, params)
    known = f"; known: {', '.join(sorted(params))}" if params else "; the task declares none"
    hints = (f"did you mean {near}?",) if near else (remedy,)
    return ProjectError(f"no parameter is called {name!r}{known}", place=place, hints=hints)


def _declaration(name: str, value: Any, params: Mapping[str, Any], table: str) -> str:
    """What to write into lading.toml, so that the task has the parameter."""
    if isinstance(value, str) and not _PLAIN_VALUE.fullmatch(value):
        value = json.dumps(value, ensure_ascii=False)
    elif isinstance(value, bool):
        value = json.dumps(value)
    if params:
        return f"add {name} = {value} to params under [{table}]"
    return f"add params = {{ {name} = {value} }} under [{table}]"
