"""Rules about compose files. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lading.inspect.lint.model import Edit, Severity, Spot
from lading.inspect.lint.rule import Kind, rule
from lading.inspect.lint.secrets import is_credential
from lading.inspect.lint.yaml_file import Value

_GPU_GUIDE = "docs.docker.com/compose/how-tos/gpu-support"
_DEFAULTS = {"MINIO_ROOT_PASSWORD": "minioadmin", "MINIO_SECRET_KEY": "minioadmin"}
_EMPTY_TOKEN = frozenset(
    f"--{program}.{key}={quote}{quote}"
    for program in ("NotebookApp", "ServerApp", "IdentityProvider")
    for key in ("token",)
    for quote in ("", "'", '"')
)


def services(document: Value) -> Iterator[tuple[str, Value]]:
    found = document.get("services")
    for name, service in (found.members if found is not None else {}).items():
        if service.members:
            yield name, service


def _devices(service: Value) -> Iterator[Value]:
    found = service.get("deploy", "resources", "reservations", "devices")
    yield from (device for device in (found.items if found is not None else ()) if device.members)


def environment(service: Value) -> Iterator[tuple[str, str, int]]:
    """Name, value and offset, from both ways of writing it."""
    found = service.get("environment")
    if found is None:
        return
    for name, value in found.members.items():
        if isinstance(value.data, str):
            yield name, value.data, value.start
    for item in found.items:
        if isinstance(item.data, str) and "=" in item.data:
            name, _, text = item.data.partition("=")
            yield name, text, item.start


@rule(
    "LDC001", "A GPU reservation without capabilities", Kind.COMPOSE, Severity.ERROR, _GPU_GUIDE, mends=True
)
def no_capabilities(document: Value) -> Iterator[Spot]:
    """`capabilities` is required of a device reservation; without it the deployment fails.

    Bad:

        devices:
          - driver: nvidia
            count: 1

    Good:

        devices:
          - driver: nvidia
            count: 1
            capabilities: [gpu]

    The mend adds `capabilities: [gpu]`.
    """
    for name, service in services(document):
        for device in _devices(service):
            if (
                "capabilities" in device.members
                or device.text("driver") not in {"nvidia", None}
                or not device.keys
            ):
                continue
            first = min(device.keys.values())
            gap = ", " if device.flow else "\n" + " " * device.column
            yield Spot(
                start=device.start,
                message=f"service {name} reserves a device without `capabilities: [gpu]`: it cannot start",
                edits=(Edit(start=first, end=first, text=f"capabilities: [gpu]{gap}"),),
            )


@rule("LDC002", "count together with device_ids", Kind.COMPOSE, Severity.ERROR, _GPU_GUIDE)
def count_and_ids(document: Value) -> Iterator[Spot]:
    """The two exclude each other: compose refuses the file.

    Bad:

        - driver: nvidia
          count: 1
          device_ids: ["0"]
          capabilities: [gpu]

    Good:

        - driver: nvidia
          device_ids: ["0"]
          capabilities: [gpu]
    """
    for name, service in services(document):
        for device in _devices(service):
            if device.data.get("count") is not None and device.data.get("device_ids"):
                yield Spot(
                    start=device.keys.get("count", device.start),
                    message=f"service {name} gives `count` and `device_ids`: only one of them may be there",
                )


@rule(
    "LDC006", "Default credentials, or none", Kind.COMPOSE, Severity.ERROR,
    "the defaults of MinIO and Jupyter, as their documentation names them",
)  # fmt: skip
def default_credentials(document: Value) -> Iterator[Spot]:
    """Everyone knows `minioadmin`, and a notebook without a token runs any command for whoever reaches
    it. Said of services that publish a port beyond this machine.

    Bad:

        command: start-notebook.sh --NotebookApp.token=''
        ports: ["8888:8888"]

    Good:

        environment: {JUPYTER_TOKEN: "${JUPYTER_TOKEN:?}"}
        ports: ["127.0.0.1:8888:8888"]
    """
    for name, service in services(document):
        if not _reachable(service):
            continue
        for variable, value, at in environment(service):
            if _DEFAULTS.get(variable) == value.strip("'\""):
                yield Spot(start=at, message=f"service {name} is reachable with the default {variable}")
        command = service.get("command")
        if command is not None and _EMPTY_TOKEN.intersection(_command_words(command)):
            yield Spot(
                start=command.start, message=f"service {name} serves notebooks to everyone, without a token"
            )


def _command_words(command: Value) -> list[str]:
    if command.items:
        return [item.data for item in command.items if isinstance(item.data, str)]
    return command.data.split() if isinstance(command.data, str) else []


def _reachable(service: Value) -> bool:
    """Whether a port is published on more than the loopback address, or the host's network is used."""
    ports = service.get("ports")
    for port in ports.items if ports is not None else ():
        if isinstance(port.data, str) and not port.data.startswith(
            ("127.", "[::1]", "localhost:", "${", "$")
        ):
            return True
    return False


@rule(
    "LDC007", "A credential in the file", Kind.COMPOSE, Severity.ERROR,
    "docs.docker.com/compose/how-tos/use-secrets",
)  # fmt: skip
def inline_secret(document: Value) -> Iterator[Spot]:
    """A compose file lies in version control, and its history keeps the value. Said of tokens of known form,
    of variables of ML services, and of others that a password, token or key names, with a value that is no
    placeholder.

    Bad:

        environment:
          HF_TOKEN: hf_…

    Good:

        environment:
          HF_TOKEN: ${HF_TOKEN:?}
    """
    for name, service in services(document):
        for variable, value, at in environment(service):
            if is_credential(variable, value):
                yield Spot(
                    start=at,
                    message=f"service {name} holds the credential {variable}: write ${{{variable}:?}}",
                )
