"""Every key of `lading.toml`: one table, from which the validator and the JSON schema are both made. Pure.

A key that is not here is an error to the user; a key that is here is used by lading.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lading.project import accelerators
from lading.project.destinations import check_destination
from lading.project.kinds import (
    BOOLEAN,
    DATE,
    DURATION,
    INSIDE_PATH,
    NUMBER,
    SCALAR,
    SIZE,
    WORDS,
    Kind,
    Reporter,
    choice,
    integer,
    list_of,
    table_of,
    text,
    type_name,
)
from lading.project.places import KeyPath
from lading.project.values import (
    ACCELERATORS,
    DISTRIBUTION,
    DISTRIBUTION_WITH_EXTRAS,
    IMAGE_NAME,
    INTERPRETERS,
    NAME,
    PLATFORMS,
    PYTHONS,
    VARIABLE,
    check_accelerator,
    check_base,
    check_conda,
    check_gate,
    check_port,
    check_python,
    check_repository,
)


@dataclass(frozen=True, slots=True)
class Key:
    """One key: its kind, and what it means (shown by editors)."""

    kind: Kind
    meaning: str


def _check_healthcheck(value: object, path: KeyPath, report: Reporter) -> dict[str, Any] | None:
    if not isinstance(value, dict):
        hint = 'write healthcheck = { command = ["python", "check.py"] }'
        report(path, f"must be a table, not {type_name(value)}", hint)
        return None
    return check_table(value, HEALTH_KEYS, path, report, required=("command",))


def _check_gpus(value: object, path: KeyPath, report: Reporter) -> dict[str, Any] | None:
    if isinstance(value, dict):
        return check_table(value, GPU_KEYS, path, report, required=("count",))
    count = _GPU_COUNT.check(value, path, report)
    return None if count is None else {"count": count}


def check_table(
    table: Mapping[str, object],
    keys: Mapping[str, Key],
    path: KeyPath,
    report: Reporter,
    *,
    required: tuple[str, ...] = (),
) -> dict[str, Any]:
    """The values of `table` that are right; all others are reported, unknown keys with a suggestion."""
    checked = {}
    for name, value in table.items():
        if name not in keys:
            from lading.project.report import did_you_mean

            report((*path, name), "is not a key of this table", did_you_mean(name, keys))
            continue
        found = keys[name].kind.check(value, (*path, name), report)
        if found is not None:
            checked[name] = found
    for name in required:
        if name not in table:
            report(path, f"needs `{name}`", keys[name].meaning)
    return checked


_GPU_COUNT = integer(1, 4096)
_TEXT = text()
_INTERPRETER = choice(*INTERPRETERS)
_ACCELERATOR_SCHEMA = {
    "anyOf": [{"enum": list(ACCELERATORS)}, {"type": "string", "pattern": f"^(?:{accelerators.PATTERN})$"}]
}
_STRINGS_OF_ENV = table_of(
    text(secret_free=True, may_be_empty=True), VARIABLE, "a name of an environment variable"
)
_GROUPS = list_of(text(DISTRIBUTION, "a name of a dependency group or extra"))
_LABELS = table_of(
    text(secret_free=True),
    r"[a-z0-9](?:[a-zA-Z0-9._/-]*[a-zA-Z0-9])?",
    "a label name such as org.example.team",
)


def _tables(keys: Mapping[str, Key], required: tuple[str, ...], name: str) -> Kind:
    """An array of tables, `[[image.NAME]]`."""

    def check(value: object, path: KeyPath, report: Reporter) -> tuple[dict[str, Any], ...] | None:
        header = f"write [[{'.'.join(str(part) for part in path)}]]"
        if not isinstance(value, list):
            report(path, f"must be an array of tables, not {type_name(value)}", header)
            return None
        checked = []
        for index, entry in enumerate(value):
            if isinstance(entry, dict):
                checked.append(check_table(entry, keys, (*path, index), report, required=required))
            else:
                report((*path, index), f"must be a table, not {type_name(entry)}", header)
        return tuple(checked)

    return Kind(check, {"type": "array", "items": {"$ref": f"#/$defs/{name}"}})


_PORT = Kind(
    check_port,
    {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": 65_535},
            {"pattern": "^[0-9]{1,5}(/(tcp|udp))?$"},
        ]
    },
)
HEALTH_KEYS: Mapping[str, Key] = {
    "command": Key(WORDS, 'The command that succeeds while the container is well: ["python", "check.py"].'),
    "interval": Key(DURATION, 'Time between two checks. Docker\'s default: "30s".'),
    "timeout": Key(DURATION, 'How long a check may take. Docker\'s default: "30s".'),
    "start_period": Key(DURATION, "How long failures do not count after the start."),
    "retries": Key(integer(1, 1000), "Failures in a row that make it unhealthy. Docker's default: 3."),
}
FILE_KEYS: Mapping[str, Key] = {
    "source": Key(text(), "A file or folder of the project, or an https URL (with sha256)."),
    "destination": Key(
        Kind(check_destination, {"type": "string", "pattern": "^/[^/]"}),
        "Absolute path in the image; of the file itself, not of its folder.",
    ),
    "sha256": Key(text(r"[0-9a-f]{64}", "64 lower-case hex digits"), "What the bytes must be."),
    "mode": Key(
        text(r"0?[0-7]{3}", 'octal digits such as "0644" or "0755"'),
        "Mode of the files; default 0755 for what is executable, else 0644.",
    ),
}
STEP_KEYS: Mapping[str, Key] = {
    "run": Key(text(secret_free=True), "The command, run by sh as root of its own namespaces."),
    "inputs": Key(list_of(INSIDE_PATH), "Files and folders of the project that it sees under /app."),
    "env": Key(_STRINGS_OF_ENV, "Environment variables of this step alone; never secrets."),
    "network": Key(BOOLEAN, "Whether it may reach the network; the image is then marked not reproducible."),
    "secrets": Key(
        list_of(text(VARIABLE, "a name of an environment variable (never the value)")),
        "Names of environment variables given to this step; never stored, hashed or logged.",
    ),
}
TARGET_KEYS: Mapping[str, Key] = {
    "files": Key(
        _tables(FILE_KEYS, ("source", "destination"), "file"), "Files and folders to put into the image."
    ),
    "step": Key(_tables(STEP_KEYS, ("run",), "step"), "Commands whose changes are a layer each, in order."),
    "apt": Key(
        list_of(text(r"[a-z0-9][a-z0-9+.-]+", "a name of a Debian package (no version, no option)")),
        "Debian packages to add.",
    ),
    "add_packages": Key(
        BOOLEAN, "Add the Debian packages that the wheels' libraries need, such as libgl1. Default true."
    ),
    "env": Key(_STRINGS_OF_ENV, "Environment variables in the image; never secrets."),
    "groups": Key(_GROUPS, "Dependency groups or extras to install besides the project's own dependencies."),
    "only": Key(
        list_of(text(DISTRIBUTION, "a name of a Python package")),
        "Install just these packages and what they need, instead of all the project's.",
    ),
    "flavour": Key(choice("standard", "minimal"), "minimal: no shell and nothing that is not needed to run."),
    "bytecode": Key(BOOLEAN, "Put compiled bytecode into layers of its own. Default true."),
    "user": Key(
        text(r"[0-9]{1,9}(?::[0-9]{1,9})?", 'a numeric "UID" or "UID:GID"'), "Who runs in the image."
    ),
    "labels": Key(_LABELS, "Labels of the image."),
    "entrypoint": Key(WORDS, "What every container of the image starts with, before its command."),
    "command": Key(WORDS, 'What a container starts when it is told nothing else. Default ["python"].'),
    "workdir": Key(
        text(r"/(?:[^/\s]+(?:/[^/\s]+)*)?", 'an absolute path such as "/app/src"'),
        "The folder a container of the image starts in. Default /app.",
    ),
    "ports": Key(list_of(_PORT), 'Ports that the image says it listens on: [8000], ["8125/udp"].'),
    "stop_signal": Key(
        text(r"SIG[A-Z0-9+-]+", "a signal such as SIGINT"), "The signal that asks a container to end."
    ),
    "healthcheck": Key(
        Kind(_check_healthcheck, {"$ref": "#/$defs/healthcheck"}),
        "How Docker tells whether a container is well; other engines look away.",
    ),
    "max_size": Key(SIZE, 'A build of a larger image fails, with a bill: "2GB". Packed, as it travels.'),
    "max_growth": Key(SIZE, 'A build fails that is so much larger than the last one: "50MB".'),
}
SHARED_KEYS: Mapping[str, Key] = {
    "python": Key(Kind(check_python, {"enum": list(PYTHONS)}), "Minor version of Python, in quotes."),
    "base": Key(
        Kind(check_base, dict(IMAGE_NAME.schema)),
        "What is built on: debian:bookworm, debian:trixie, or a registry's image with its tag or digest.",
    ),
    "accelerator": Key(
        list_of(Kind(check_accelerator, _ACCELERATOR_SCHEMA), or_one=True),
        "cpu, cuda or one CUDA release such as cu126. All are locked; one is chosen at build or run.",
    ),
    "platform": Key(list_of(choice(*PLATFORMS), or_one=True), "Platforms that are locked."),
    "requirements": Key(
        INSIDE_PATH,
        "The file of the project that lists what is installed, where it is not the one that is detected.",
    ),
    "layers_from": Key(
        list_of(Kind(check_repository, {"type": "string", "pattern": "^[^@]+$"}), or_one=True),
        "Repositories of registries that layers in the lock are taken from, by digest, before they are made.",
    ),
    "interpreter": Key(
        _INTERPRETER,
        "Where Python comes from: the suite, the base image, or a standalone build; auto: what fits.",
    ),
    "conda": Key(
        Kind(
            check_conda,
            {
                "type": "object",
                "additionalProperties": {
                    "anyOf": [
                        {"const": False},
                        {"type": "string", "pattern": f"^(?:{DISTRIBUTION_WITH_EXTRAS})$"},
                    ]
                },
            },
        ),
        "What packages of environment.yml are called on the Python index; false leaves one out.",
    ),
}
SECRET_KEYS: Mapping[str, Key] = {
    "path": Key(INSIDE_PATH, "The file that may enter the image; `*` stands for any characters."),
    "reason": Key(text(), "Why it is not a credential, or why it must be there."),
    "expires": Key(DATE, "The day on which to think again: 2027-01-31."),
}
LIMIT_KEYS: Mapping[str, Key] = {
    "cpus": Key(NUMBER, "Processors it may use; fractions are fine."),
    "memory": Key(SIZE, 'Memory it may use: "16GB", "512MiB".'),
    "shm": Key(SIZE, "Size of /dev/shm; PyTorch data loaders need it."),
    "pids": Key(integer(1, 4_194_304), "Processes and threads it may have at once."),
}
BUILD_KEYS: Mapping[str, Key] = {
    "needs": Key(
        list_of(text(DISTRIBUTION, "a name of a Python package")),
        "Packages of the project, in their locked version, that must be importable while it builds: torch.",
    ),
    "apt": Key(
        list_of(text(r"[a-z0-9][a-z0-9+.-]+", "a name of a Debian package (no version, no option)")),
        "Debian packages it is built with; the image does not have them.",
    ),
    "env": Key(_STRINGS_OF_ENV, "Environment variables of its build; never secrets."),
    "memory": Key(SIZE, 'Memory its build may use. Default "8GiB".'),
    "timeout": Key(DURATION, 'How long its build may take. Default "1h".'),
}
GPU_KEYS: Mapping[str, Key] = {
    "count": Key(_GPU_COUNT, "How many GPUs."),
    "memory": Key(SIZE, 'Least memory of each: "40GB".'),
}
TASK_KEYS: Mapping[str, Key] = {
    "run": Key(text(secret_free=True), "The command; {name} stands for a parameter."),
    "target": Key(text(NAME, "a name of a target"), "The image it runs in. Default train."),
    "params": Key(table_of(SCALAR, VARIABLE, "a name of a parameter (letters, digits, _)"), "Parameters."),
    "inputs": Key(
        table_of(text(), NAME, "a name of an input (letters, digits, . _ -)"),
        "Read-only inputs: data:NAME, task:NAME or a path in the project.",
    ),
    "outputs": Key(INSIDE_PATH, "Folder in the project that the collected outputs are copied into."),
    "env": Key(_STRINGS_OF_ENV, "Environment variables; never secrets."),
    "secrets": Key(
        list_of(text(VARIABLE, "a name of an environment variable (never the value)")),
        "Names of environment variables passed at run time; never hashed, stored or logged.",
    ),
    "gate": Key(
        Kind(check_gate, dict(_TEXT.schema)), 'What must hold before a model is promoted: "accuracy > 0.95".'
    ),
    "network": Key(BOOLEAN, "Whether it may reach the network. Default false."),
    **LIMIT_KEYS,
    "timeout": Key(DURATION, 'Stopped after this long: "90s", "6h".'),
    "gpus": Key(
        Kind(_check_gpus, {"anyOf": [dict(_GPU_COUNT.schema), {"$ref": "#/$defs/gpus"}]}),
        "GPUs it needs: a number, or a count and the least memory of each. A host without them is refused.",
    ),
}
SERVE_KEYS: Mapping[str, Key] = {
    "model": Key(text(), "A task's name, a path in the project, or model:NAME@ALIAS."),
    "bake": Key(BOOLEAN, "Put the model into the serve image as its own layer. Default false: mounted."),
    "sample": Key(INSIDE_PATH, "A JSON request, replayed before any traffic."),
    "host": Key(text(r"[A-Za-z0-9.:_-]+", "a host name or address"), "Address to listen on."),
    "port": Key(integer(0, 65535), "Port to listen on; 0: any free one."),
    "grace": Key(DURATION, "How long requests in flight may take after a stop is asked."),
    **LIMIT_KEYS,
}
_LEVEL = choice("error", "warning", "info", "off")
LINT_KEYS: Mapping[str, Key] = {
    "fail_on": Key(_LEVEL, "Findings of this level or worse make `lading lint` exit with 1. Default error."),
    "severity": Key(
        table_of(_LEVEL, r"LD[A-Z][0-9]{3}|DL[0-9]{4}|SC[0-9]{4}", "an id of a rule"),
        "Other levels for rules, by id.",
    ),
    "hadolint": Key(BOOLEAN, "Whether `lading lint` runs hadolint too. Default false."),
}
SCAN_KEYS: Mapping[str, Key] = {
    "gate": Key(
        Kind(check_gate, dict(_TEXT.schema)),
        'What must hold of an image: "secrets == 0 and fixable.critical + fixable.high == 0".',
    ),
    "vulnerabilities": Key(
        list_of(text(), or_one=True), "Advisories in OSV's format: .zip, .jsonl, .json, or a folder of these."
    ),
    "epss": Key(text(), "A file of EPSS scores (.csv, .csv.gz), for the gate's metric `epss`."),
}
SCAN_ALLOW_KEYS: Mapping[str, Key] = {
    "finding": Key(
        text(r"[A-Za-z0-9:._-]+", "an id such as CVE-2026-1234, or secret, altered, startup, setuid"),
        "What may be there: an advisory by any of its ids, or secret, altered, startup, setuid.",
    ),
    "package": Key(text(), "Only in this package."),
    "path": Key(text(), "Only in this file of the image; `*` stands for any characters."),
    "reason": Key(text(), "Why it is no danger, or why it must be there."),
    "expires": Key(
        DATE, "The day on which to think again: 2027-01-31. After it `lading scan` stops with an error."
    ),
}
DATA_KEYS: Mapping[str, Key] = {
    "source": Key(text(), "Path in the project, or URL."),
    "sha256": Key(text(r"[0-9a-f]{64}", "64 lower-case hex digits"), "What the bytes must be."),
}
