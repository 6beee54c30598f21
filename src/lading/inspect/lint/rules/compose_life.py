"""Rules about how compose services start, are asked how they are, and end. LDC011 asks for Dockerfiles."""

from __future__ import annotations

import re
from collections.abc import Iterator
from posixpath import join, normpath

from lading.inspect.lint.dockerfile import NotADockerfile, read_dockerfile
from lading.inspect.lint.model import Edit, Severity, Spot
from lading.inspect.lint.rule import Kind, rule
from lading.inspect.lint.rules.scripts import final_stage
from lading.inspect.lint.rules.services import (
    add_key,
    gpu_devices,
    image,
    is_training,
    program,
    replace_scalar,
    seconds,
    services,
)
from lading.inspect.lint.rules.stages import PLAIN, SERVERS, Program, base_name
from lading.inspect.lint.surroundings import Surroundings
from lading.inspect.lint.yaml_file import Value

_WITHOUT = {
    "curl": re.compile(
        r"python:[^ ]*(?:slim|alpine)|debian:|ubuntu:|alpine:|ollama/ollama:|ghcr\.io/mlflow/mlflow:|"
        r"tensorflow/serving:|qdrant/qdrant:|redis:|prom/"
    ),
    "wget": re.compile(
        r"python:[^ ]*slim|debian:|ubuntu:|ollama/ollama:|ghcr\.io/mlflow/mlflow:|tensorflow/serving:|"
        r"qdrant/qdrant:"
    ),
}
"""Images that are known to lack the program."""
_MODEL_SERVERS = frozenset(
    {
        "vllm/vllm-openai", "nvcr.io/nvidia/tritonserver", "tensorflow/serving", "lmsysorg/sglang",
        "ghcr.io/huggingface/text-generation-inference", "ghcr.io/huggingface/text-embeddings-inference",
        "pytorch/torchserve"
    }
)  # fmt: skip
_FOR_DEVELOPMENT = re.compile(r"dev|test|local|override|debug|ci\b|example|sample")
_WAITED_FOR = re.compile(
    r"^(?:[\w.-]+/)*(?:postgres|postgresql|postgis|pgvector|mysql|mariadb|mongo|mongodb|redis|valkey|minio|mlflow|"
    r"rabbitmq|elasticsearch|opensearch)$"
)
_FOR_EVER = re.compile(r"schedul|cron|watch|worker|loop|daemon|celery|listen|agent|serve|continu|periodic")
_DRAINS = {
    "gunicorn": ("--graceful-timeout",),
    "uvicorn": ("--timeout-graceful-shutdown",),
    "hypercorn": ("--graceful-timeout",),
    "tritonserver": ("--exit-timeout-secs",),
}
_DEFAULT_GRACE_SECONDS = 10.0


@rule(
    "LDC011", "The health check calls a program that is not there", Kind.COMPOSE, Severity.WARNING,
    "the images' own file lists; docs.docker.com/reference/compose-file/services: healthcheck",
    looks_around=True,
)  # fmt: skip
def missing_checker(document: Value, around: Surroundings) -> Iterator[Spot]:
    """The check fails for ever, and what waits for `service_healthy` never starts. Said of images that are
    known to have neither curl nor wget, and of a Dockerfile beside the file that stands on one and names no
    such program.

    Bad:

        image: ollama/ollama:0.5.4
        healthcheck: {test: curl -f http://localhost:11434}

    Good:

        image: ollama/ollama:0.5.4
        healthcheck: {test: ollama list}
    """
    for name, service in services(document):
        test = service.get("healthcheck", "test")
        called = _checker(test)
        if test is None or called not in _WITHOUT:
            continue
        held = service.text("image") or ""
        if service.get("build") is not None:
            held = _base(service, around, called)
        elif "$" in held or "@" in held:
            continue
        elif ":" not in held.rpartition("/")[2]:
            held += ":latest"
        held = re.sub(r"^(?:docker\.io/)?(?:library/)?", "", held)
        if _WITHOUT[called].match(held):
            yield Spot(
                start=test.start, message=f"service {name} is checked with {called}, which {held} has not"
            )


def _checker(test: Value | None) -> str:
    """The program that a check calls first."""
    if test is None:
        return ""
    if test.items:
        found = [item.data for item in test.items if isinstance(item.data, str)]
        if found[:1] == ["CMD"] and len(found) > 1:
            return found[1]
        found = found[1:] if found[:1] == ["CMD-SHELL"] else []
        return found[0].split()[0] if found and found[0].split() else ""
    return test.data.split()[0] if isinstance(test.data, str) and test.data.split() else ""


def _base(service: Value, around: Surroundings, called: str) -> str:
    """What the service's Dockerfile stands on, when that is certain and the text never names the program."""
    build = service.get("build")
    folder, name = ".", "Dockerfile"
    if build is not None and isinstance(build.data, str):
        folder = build.data
    elif build is not None and build.members:
        folder, name = build.text("context") or ".", build.text("dockerfile") or "Dockerfile"
        if build.get("target") is not None or build.get("dockerfile_inline") is not None:
            return ""
    if "$" in folder + name or "://" in folder:
        return ""
    text = around.folder.read(normpath(join(folder, name)))
    if text is None or re.search(rf"{called}|xargs|\.sh\b|nix|--from", text):
        return ""
    try:
        dockerfile = read_dockerfile(text)
    except NotADockerfile:
        return ""
    repository, tag = base_name(dockerfile, final_stage(dockerfile))
    return f"{repository}:{tag}" if repository in PLAIN else ""


@rule(
    "LDC012", "Killed while it still answers", Kind.COMPOSE, Severity.WARNING,
    "docs.docker.com/reference/compose-file/services: stop_grace_period, 10 seconds; kserve#726", mends=True,
)  # fmt: skip
def short_grace(document: Value) -> Iterator[Spot]:
    """compose sends SIGTERM, waits for `stop_grace_period`, and kills. A server that is told to finish its
    requests in 60 seconds is killed after 10, and who waited gets nothing. Said where the command names its
    own time.

    Bad:

        command: gunicorn --graceful-timeout 60 app:app

    Good:

        command: gunicorn --graceful-timeout 60 app:app
        stop_grace_period: 65s

    The mend writes five seconds more than the command's.
    """
    for name, service in services(document):
        found = program(service)
        drains = found.option(*_DRAINS.get(found.program, ())) if found is not None else ()
        written = service.get("stop_grace_period")
        grace = seconds(service.text("stop_grace_period")) if written is not None else _DEFAULT_GRACE_SECONDS
        if not drains or not drains[-1].isdecimal() or grace is None or service.get("extends") is not None:
            continue
        drain = int(drains[-1])
        if grace <= drain:
            text = f"{drain + 5}s"
            edits = (
                replace_scalar(written, text) if written else add_key(service, f"stop_grace_period: {text}")
            )
            yield Spot(
                start=service.keys.get("stop_grace_period", service.keys.get("command", service.start)),
                message=f"service {name} may finish for {drain} seconds and is killed after {grace:g}",
                edits=edits,
            )


@rule(
    "LDC014", "A restart that does harm, or none", Kind.COMPOSE, Severity.WARNING,
    "docs.docker.com/reference/compose-file/services: restart", mends=True, looks_around=True,
)  # fmt: skip
def wrong_restart(document: Value, around: Surroundings) -> Iterator[Spot]:
    """A training with `restart: always` begins anew when it is done, and one that fails at its first line
    takes the GPU for ever. A model server with a published port and no restart is away after the first
    driver error.

    Bad:

        train: {command: python train.py, restart: always}

    Good:

        train: {command: python train.py, restart: "on-failure:3"}

    The mend writes `on-failure:3` for a training and `unless-stopped` for a server.
    """
    for name, service in services(document):
        restart = service.get("restart")
        if restart is not None:
            if (
                service.text("restart") in {"always", "unless-stopped"}
                and is_training(name, service)
                and not _loops(name, service)
            ):
                text = "on-failure:3" if restart.quoted else '"on-failure:3"'
                yield Spot(
                    start=restart.start,
                    message=f"service {name} trains, and starts again when it is done: restart: on-failure:3",
                    edits=replace_scalar(restart, text),
                )
        elif _serves(service) and not _FOR_DEVELOPMENT.search(around.name.lower()):
            yield Spot(
                start=service.start,
                message=f"service {name} stays away after a failure: restart: unless-stopped",
                edits=add_key(service, "restart: unless-stopped"),
            )


def _loops(name: str, service: Value) -> bool:
    """Whether it is meant to run for ever: a scheduler, or a worker that waits for jobs."""
    found = program(service)
    asked = found.program + " " + " ".join(found.words[:2]) if found is not None else ""
    return _FOR_EVER.search(f"{name} {asked}".lower()) is not None


def _serves(service: Value) -> bool:
    if service.get("deploy", "restart_policy") is not None or service.get("extends") is not None:
        return False
    if service.get("profiles") is not None or service.get("ports") is None:
        return False
    found: Program | None = program(service)
    if found is not None and (found.has("--reload") or found.program not in SERVERS):
        return image(service)[0] in _MODEL_SERVERS and not found.has("--reload") and gpu_devices(service)
    return image(service)[0] in _MODEL_SERVERS or (found is not None and found.program in SERVERS)


@rule(
    "LDC015", "Started before what it needs answers", Kind.COMPOSE, Severity.INFO,
    "docs.docker.com/compose/how-tos/startup-order", mends=True,
)  # fmt: skip
def no_waiting(document: Value) -> Iterator[Spot]:
    """`depends_on` as a list waits for a container, not for the database in it: the first connection is
    refused. Said where the other service is a database, store or tracker and has a health check to wait
    for.

    Bad:

        depends_on: [db]

    Good:

        depends_on:
          db:
            condition: service_healthy

    The mend writes the condition, where the list is written plainly.
    """
    waited = {
        name
        for name, service in services(document)
        if _WAITED_FOR.match(image(service)[0]) and _has_check(service)
    }
    for name, service in services(document):
        found = service.get("depends_on")
        if found is None:
            continue
        listed = [item.data for item in found.items if isinstance(item.data, str)]
        hasty = [other for other in listed if other in waited]
        if hasty:
            yield Spot(
                start=found.start,
                message=f"service {name} does not wait until {', '.join(hasty)} answers: "
                "condition: service_healthy",
                edits=_conditions(service, found, waited),
            )
        for other, member in found.members.items():
            condition = member.get("condition")
            if other in waited and condition is not None and condition.data == "service_started":
                yield Spot(
                    start=condition.start,
                    message=f"service {name} does not wait until {other} answers: condition: service_healthy",
                    edits=replace_scalar(condition, "service_healthy"),
                )


def _has_check(service: Value) -> bool:
    check = service.get("healthcheck")
    return check is not None and check.get("test") is not None and not check.data.get("disable")


def _conditions(service: Value, found: Value, waited: set[str]) -> tuple[Edit, ...]:
    """The list as a mapping; nothing when it is written in an uncommon way."""
    if found.shared or any(not isinstance(item.data, str) or item.quoted for item in found.items):
        return ()
    named = [
        (item, item.data, "service_healthy" if item.data in waited else "service_started")
        for item in found.items
    ]
    if found.flow:
        if found.end - found.start != len("[" + ", ".join(name for _, name, _ in named) + "]"):
            return ()
        text = ", ".join(f"{name}: {{condition: {condition}}}" for _, name, condition in named)
        return (Edit(start=found.start, end=found.end, text="{" + text + "}"),)
    if any(item.column != found.column + 2 for item, _, _ in named):
        return ()
    deeper = "  " if found.column == service.column else ""
    indent = " " * found.column + deeper + "  "
    return tuple(
        Edit(start=item.start - 2, end=item.end, text=f"{deeper}{name}:\n{indent}condition: {condition}")
        for item, name, condition in named
    )
