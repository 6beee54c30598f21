"""Rules about how an image starts: servers, their ports and checks, output, PID 1. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lading.inspect.lint.dockerfile import Dockerfile, Instruction
from lading.inspect.lint.model import Edit, Severity, Spot
from lading.inspect.lint.rule import Kind, rule
from lading.inspect.lint.rules.scripts import final_stage, is_python
from lading.inspect.lint.rules.stages import (
    NO_SETTINGS,
    PYTHON_SERVERS,
    Start,
    base_name,
    line_before,
    start,
    started_at,
)

_PORTS = {
    "uvicorn": ("--port",), "fastapi": ("--port",),
    "hypercorn": ("-b", "--bind"), "gunicorn": ("-b", "--bind"),
    "bentoml": ("-p", "--port"), "vllm": ("--port",), "vllm.entrypoints.openai.api_server": ("--port",),
    "mlflow models": ("-p", "--port"), "waitress-serve": ("--port", "--listen"),
    "tensorflow_model_server": ("--port", "--rest_api_port"), "mlflow server": ("-p", "--port"),
    "streamlit": ("--server.port",), "flask": ("-p", "--port"),
}  # fmt: skip
_NO_CHECK_BUT_SERVER = ("nvcr.io/nvidia/tritonserver", "tensorflow/serving")
_CHECK_SECONDS = {"interval": 30.0, "retries": 3.0, "start-period": 0.0}
_SHORTEST_LOAD_SECONDS = 30
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
_LAUNCHERS = frozenset(
    {"torchrun", "torch.distributed.run", "torch.distributed.launch", "deepspeed", "mpirun"}
)
_INITS = ("tini", "dumb-init", "s6-overlay", "/init", "catatonit")


@rule(
    "LDD020", "A server without limits", Kind.DOCKERFILE, Severity.INFO,
    "Uvicorn's settings: --limit-concurrency; Gunicorn's: --timeout, 30 seconds by default",
)  # fmt: skip
def unlimited_server(document: Dockerfile) -> Iterator[Spot]:
    """A model answers some requests a second; the rest waits. Without --limit-concurrency Uvicorn takes all
    of them until memory ends. Gunicorn kills a worker that is silent for 30 seconds, and loading a model or
    one long answer is: --timeout says what is wanted. Silent with a configuration file.

    Bad:

        CMD ["uvicorn", "app:app"]

    Good:

        CMD ["uvicorn", "app:app", "--limit-concurrency", "64"]
    """
    found = start(document)
    if found is None or found.has("-c", "--config", "--reload") or "GUNICORN_CMD_ARGS" in document.text:
        return
    if found.program == "uvicorn" and not found.has("--limit-concurrency", "--limit-max-requests"):
        if "UVICORN_" not in document.text:
            yield Spot(
                start=found.entry.start,
                message="uvicorn takes any number of requests at once: --limit-concurrency",
            )
    elif found.program == "gunicorn" and not found.has("-t", "--timeout"):
        yield Spot(
            start=found.entry.start,
            message="gunicorn kills a worker that is silent for 30 seconds, as a model that loads is: "
            "--timeout",
        )


@rule(
    "LDD021", "A server that nobody can ask how it is", Kind.DOCKERFILE, Severity.WARNING,
    "docs.docker.com/reference/dockerfile: HEALTHCHECK", mends=True,
)  # fmt: skip
def server_without_check(document: Dockerfile) -> Iterator[Spot]:
    """Without HEALTHCHECK a server that hangs runs for ever, and compose has nothing for `service_healthy`.
    One that gives up within 30 seconds of the start declares a model dead that is still loading.
    (Kubernetes has probes of its own and reads neither.)

    Bad:

        CMD ["uvicorn", "app:app", "--port", "8000"]

    Good:

        HEALTHCHECK --start-period=120s CMD ["python", "-c", "import socket; …"]
        CMD ["uvicorn", "app:app", "--port", "8000"]

    The mend adds a check that connects to the port, where a Python server's command names it.
    """
    found = start(document)
    if found is None or not found.serves or found.has("--reload"):
        return
    stage = final_stage(document)
    repository = base_name(document, stage)[0]
    checks = [entry for member in document.ancestry(stage) for entry in member.all("HEALTHCHECK")]
    if not checks:
        if repository not in NO_SETTINGS and repository not in _NO_CHECK_BUT_SERVER:
            return
        yield Spot(
            start=found.entry.start,
            message=f"{found.program} serves, and the image has no HEALTHCHECK",
            edits=_check(document, found, started_at(document)),
        )
    elif (seconds := _gives_up_after(checks[0])) is not None and seconds < _SHORTEST_LOAD_SECONDS:
        yield Spot(
            start=checks[0].start,
            message=f"the check gives up {seconds:g} seconds after the start, while a model loads: "
            "--start-period=120s",
        )


def _check(document: Dockerfile, found: Start, entry: Instruction | None) -> tuple[Edit, ...]:
    ports = command_ports(found)
    if len(ports) != 1 or found.program not in PYTHON_SERVERS or entry is None or entry.heredocs:
        return ()
    python = next((word for word in found.wrapped if is_python(word)), "python")
    if python == "python" and base_name(document, final_stage(document))[0] != "python":
        python = "python3"
    code = f"import socket; socket.create_connection(('127.0.0.1', {ports[0]}), 3)"
    line = f'HEALTHCHECK --interval=30s --timeout=5s --start-period=120s CMD ["{python}", "-c", "{code}"]'
    return (line_before(document, entry, line),)


def _gives_up_after(entry: Instruction) -> float | None:
    """Seconds from the start until a container that never answers is unhealthy."""
    values = dict(_CHECK_SECONDS)
    if entry.body.strip().upper() == "NONE":
        return None
    for flag in entry.flags:
        name, _, text = flag.text.removeprefix("--").partition("=")
        if name == "retries" and text.isdecimal():
            values[name] = float(text)
        elif name in values:
            parts = _DURATION.findall(text)
            if "".join(number + unit for number, unit in parts) != text:
                return None
            values[name] = sum(float(number) * _UNITS[unit] for number, unit in parts)
    return values["start-period"] + values["interval"] * values["retries"]


def command_ports(found: Start) -> tuple[int, ...]:
    """The ports that the command names; empty when one of them is not written out."""
    ports = []
    for value in found.option(*_PORTS.get(found.program, ())):
        for part in value.split(","):
            port = part.rpartition(":")[2]
            if part.startswith(("unix:", "fd://")) or not port.isdecimal():
                return ()
            ports.append(int(port))
    return tuple(ports)


@rule(
    "LDD022", "EXPOSE names another port than the command", Kind.DOCKERFILE, Severity.WARNING,
    "docs.docker.com/reference/dockerfile: EXPOSE documents the ports that the container listens on",
    mends=True,
)  # fmt: skip
def other_port(document: Dockerfile) -> Iterator[Spot]:
    """`docker run -P`, compose and people map the port that EXPOSE names, and reach nothing.

    Bad:

        EXPOSE 5000
        CMD ["uvicorn", "app:app", "--port", "8000"]

    Good:

        EXPOSE 8000
        CMD ["uvicorn", "app:app", "--port", "8000"]

    The mend writes the command's port, where EXPOSE has one port and the command too.
    """
    found = start(document)
    ports = command_ports(found) if found is not None else ()
    entries = [entry for member in document.ancestry(final_stage(document)) for entry in member.all("EXPOSE")]
    words = [(entry, word) for entry in entries for word in entry.words]
    if not ports or not words or any(set(word.value) & set("$-") for _, word in words):
        return
    exposed = {word.value.partition("/")[0] for _, word in words}
    missing = [port for port in ports if str(port) not in exposed]
    if not missing or found is None:
        return
    entry, word = words[0]
    edits: tuple[Edit, ...] = ()
    if len(words) == 1 and len(ports) == 1 and word.text.isdecimal():
        at = entry.offset(word.start)
        edits = (Edit(start=at, end=at + len(word.text), text=str(ports[0])),)
    yield Spot(
        start=entry.offset(word.start),
        message=f"{found.program} listens on {missing[0]}, and EXPOSE names {', '.join(sorted(exposed))}",
        edits=edits,
    )


@rule(
    "LDD028", "Output waits in a buffer", Kind.DOCKERFILE, Severity.INFO,
    "docs.python.org: PYTHONUNBUFFERED", mends=True,
)  # fmt: skip
def buffered_output(document: Dockerfile) -> Iterator[Spot]:
    """Without a terminal, Python keeps 8 KiB of output back: `docker logs` shows nothing for minutes, and
    what was said before a kill is lost.

    Bad:

        CMD ["python", "train.py"]

    Good:

        ENV PYTHONUNBUFFERED=1
        CMD ["python", "train.py"]

    The mend adds the line before CMD.
    """
    found = start(document)
    stage = final_stage(document)
    if found is None or found.program in {"pytest", "unittest"}:
        return
    if not found.script and found.program not in PYTHON_SERVERS | {"torchrun", "flask", "streamlit"}:
        return
    if base_name(document, stage)[0] not in NO_SETTINGS or "PYTHONUNBUFFERED" in document.text:
        return
    if any(re.fullmatch(r"-[A-Za-z]*u[A-Za-z]*", word) for word in found.wrapped):
        return
    entry = started_at(document)
    yield Spot(
        start=found.entry.start,
        message="Python holds its output back: ENV PYTHONUNBUFFERED=1",
        edits=() if entry is None else (line_before(document, entry, "ENV PYTHONUNBUFFERED=1"),),
    )


@rule(
    "LDD038", "Many processes without an init", Kind.DOCKERFILE, Severity.INFO,
    "docs.docker.com/engine/containers/multi-service_container: PID 1 has to reap",
)  # fmt: skip
def no_init(document: Dockerfile) -> Iterator[Spot]:
    """torchrun, deepspeed, accelerate and mpirun start processes that start others. The first process of a
    container has to collect what those leave behind, and a launcher does not: dead workers stay in the
    process table until nothing more can be started.

    Bad:

        CMD ["torchrun", "--nproc_per_node=8", "train.py"]

    Good:

        ENTRYPOINT ["tini", "--"]
        CMD ["torchrun", "--nproc_per_node=8", "train.py"]

    `docker run --init` and `init: true` of compose do the same without a change to the image.
    """
    found = start(document)
    if found is None or any(word.rpartition("/")[2] in {"tini", "dumb-init"} for word in found.wrapped):
        return
    launches = found.program in _LAUNCHERS or (
        found.program == "accelerate" and found.words[:1] == ("launch",)
    )
    bases = {*NO_SETTINGS} - {"condaforge/miniforge3", "condaforge/mambaforge"}  # those start with tini
    if not launches or base_name(document, final_stage(document))[0] not in bases:
        return
    if any(word in entry.text for entry in final_stage(document).instructions for word in _INITS):
        return
    yield Spot(
        start=found.entry.start,
        message=f"{found.program} does not collect the processes its workers leave: start it by tini, "
        "or with `docker run --init`",
    )
