"""Rules about ports and about how the processes of one training find each other. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from lading.inspect.lint.model import Edit, Severity, Spot
from lading.inspect.lint.rule import Kind, rule
from lading.inspect.lint.rules.services import Port, environment, image, ports, program, services
from lading.inspect.lint.yaml_file import Value

_OPEN_BY_DEFAULT = (
    (
        re.compile(r"jupyter|scipy-notebook|tensorflow-notebook|pytorch-notebook|datascience-notebook"),
        {"8888"},
    ),
    (re.compile(r"(?:^|/)mlflow$"), {"5000"}),
    (re.compile(r"(?:^|/)minio$"), {"9000", "9001"}),
    (re.compile(r"prom/prometheus$|(?:^|/)prometheus$"), {"9090"}),
    (re.compile(r"prom/pushgateway$"), {"9091"}),
    (re.compile(r"dcgm-exporter$"), {"9400"}),
    (re.compile(r"prom/node-exporter$"), {"9100"}),
    (re.compile(r"^(?:bitnami/)?(?:postgres|postgresql)$|^postgis/postgis$|^pgvector/pgvector$"), {"5432"}),
    (re.compile(r"^(?:bitnami/)?(?:mysql|mariadb)$"), {"3306"}),
    (re.compile(r"^(?:bitnami/|redis/)?(?:redis|redis-stack|redis-stack-server)$|^valkey/valkey$"), {"6379"}),
    (re.compile(r"^(?:bitnami/)?(?:mongo|mongodb)$"), {"27017"}),
    (re.compile(r"^rayproject/ray"), {"8265", "6379", "10001"}),
)
_COMMANDS = {
    "jupyter": {"8888"}, "start-notebook.sh": {"8888"}, "start-notebook.py": {"8888"},
    "tensorboard": {"6006"},
    "notebook": {"8888"}, "jupyterlab": {"8888"}, "jupyter-lab": {"8888"},
    "mlflow server": {"5000"}, "optuna-dashboard": {"8080"},
}  # fmt: skip
_VARIANTS = frozenset(
    {
        "cpu",
        "gpu",
        "cuda",
        "rocm",
        "dev",
        "prod",
        "production",
        "local",
        "test",
        "debug",
        "ci",
        "build",
        "arm",
    }
)
_RANKS = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@rule(
    "LDC008", "A notebook, tracker, store or database on every interface", Kind.COMPOSE, Severity.WARNING,
    "docs.docker.com/engine/network: published ports pass the host's firewall", mends=True,
)  # fmt: skip
def open_port(document: Value) -> Iterator[Spot]:
    """`"5000:5000"` listens on every address of the machine, and Docker's rules come before the firewall's. A
    notebook runs commands, a tracker and a store give and take models, a database holds the rest: behind a
    proxy, or on 127.0.0.1.

    Bad:

        ports: ["8888:8888"]

    Good:

        ports: ["127.0.0.1:8888:8888"]

    The mend writes 127.0.0.1 before the port.
    """
    for name, service in services(document):
        known = _known_ports(service)
        for port in ports(service):
            if port.target in known and port.address in {"", "0.0.0.0"} and port.protocol == "tcp":
                yield Spot(
                    start=port.value.start,
                    message=f"service {name} is open to everyone who reaches port "
                    f"{port.published or port.target}",
                    edits=_loopback(port),
                )


def _known_ports(service: Value) -> set[str]:
    repository = image(service)[0]
    found = program(service)
    known: set[str] = set()
    for pattern, numbers in _OPEN_BY_DEFAULT:
        if repository and pattern.search(repository):
            known |= numbers
    if found is not None:
        known |= _COMMANDS.get(found.program, set())
    return known


def _loopback(port: Port) -> tuple[Edit, ...]:
    value = port.value
    if value.shared or not port.published:
        return ()
    if not port.short:
        if "host_ip" in value.members or value.flow or not value.keys:
            return ()
        at = min(value.keys.values())
        return (Edit(start=at, end=at, text="host_ip: 127.0.0.1\n" + " " * value.column),)
    at = value.start + (1 if value.quoted else 0)
    return (Edit(start=at, end=at + len(f"{port.address}:") * bool(port.address), text="127.0.0.1:"),)


@rule(
    "LDC010", "Processes that cannot find each other", Kind.COMPOSE, Severity.ERROR,
    "pytorch.org/docs: torch.distributed, environment variables; TensorFlow's TF_CONFIG; bind(2)",
)  # fmt: skip
def inconsistent_processes(document: Value) -> Iterator[Spot]:
    """One rank twice, a rank beyond the size of the world, no address to meet at, a worker that TF_CONFIG
    names and that has none: all of them wait until the time-out. And of two services that publish one port
    of the host, the second cannot start. Said of numbers that are written out; services with different
    `profiles` are never compared.

    Bad:

        node0: {environment: {RANK: "0", WORLD_SIZE: "2"}}
        node1: {environment: {RANK: "0", WORLD_SIZE: "2"}}

    Good:

        node0: {environment: {RANK: "0", WORLD_SIZE: "2", MASTER_ADDR: node0, MASTER_PORT: "29500"}}
        node1: {environment: {RANK: "1", WORLD_SIZE: "2", MASTER_ADDR: node0, MASTER_PORT: "29500"}}
    """
    always = [(name, service) for name, service in services(document) if service.get("profiles") is None]
    yield from _same_ports(always)
    yield from _ranks(always)
    yield from _tensorflow(always)


def _same_ports(found: list[tuple[str, Value]]) -> Iterator[Spot]:
    users: dict[tuple[str, str], list[tuple[str, Port]]] = {}
    for name, service in found:
        if service.text("network_mode") == "host":
            continue
        for port in ports(service):
            if port.published and port.published != "0":
                users.setdefault((port.published, port.protocol), []).append((name, port))
    for (published, _), both in users.items():
        for at, (name, port) in enumerate(both):
            for other, first in both[:at]:
                addresses = {first.address or "0.0.0.0", port.address or "0.0.0.0"}
                if (
                    other != name
                    and not _are_variants(other, name)
                    and (len(addresses) == 1 or "0.0.0.0" in addresses)
                ):
                    yield Spot(
                        start=port.value.start,
                        message=f"services {other} and {name} publish port {published}: one cannot start",
                    )
                    break


def _are_variants(first: str, second: str) -> bool:
    """Whether the names say that only one of the two is meant to be started: `app-cpu` and `app-gpu`."""
    words = [set(re.split(r"[-_.]", name.lower())) for name in (first, second)]
    return bool((words[0] | words[1]) & _VARIANTS) or words[0] < words[1] or words[1] < words[0]


def _ranks(found: list[tuple[str, Value]]) -> Iterator[Spot]:
    seen: dict[tuple[str, str, str, str], str] = {}
    for name, service in found:
        variables = {key: (value, at) for key, value, at in environment(service)}
        values = {key: variables[key][0] for key in _RANKS if key in variables}
        program_of = program(service)
        if program_of is not None and program_of.program.startswith(
            ("torchrun", "torch.", "accelerate", "deepspeed")
        ):
            continue
        rank, size = values.get("RANK", ""), values.get("WORLD_SIZE", "")
        if not rank.isdecimal() or not size.isdecimal():
            continue
        at = variables["RANK"][1]
        if int(rank) >= int(size):
            yield Spot(start=at, message=f"service {name}: rank {rank} of a world of {size}")
        missing = [key for key in ("MASTER_ADDR", "MASTER_PORT") if key not in variables]
        known_otherwise = service.get("env_file") is not None or service.get("extends") is not None
        if missing and not known_otherwise and int(size) > 1 and "INIT_METHOD" not in str(service.data):
            yield Spot(start=at, message=f"service {name} has a rank and no {' and no '.join(missing)}")
        group = (size, values.get("MASTER_ADDR", ""), values.get("MASTER_PORT", ""), rank)
        if group in seen and service.get("extends") is None:
            yield Spot(start=at, message=f"services {seen[group]} and {name} have the same rank {rank}")
        seen.setdefault(group, name)


def _tensorflow(found: list[tuple[str, Value]]) -> Iterator[Spot]:
    by_name = dict(found)
    told: dict[str, tuple[dict[str, object], int]] = {}
    for name, service in found:
        for key, value, at in environment(service):
            if key == "TF_CONFIG" and "$" not in value:
                try:
                    config = json.loads(value)
                except ValueError:
                    yield Spot(start=at, message=f"service {name}: TF_CONFIG is no JSON")
                    continue
                if isinstance(config, dict):
                    told[name] = config, at
    wanted: dict[str, int] = {}
    for name, (config, at) in told.items():
        cluster, task = config.get("cluster"), config.get("task")
        if not isinstance(cluster, dict) or not isinstance(task, dict):
            continue
        members = cluster.get(str(task.get("type")))
        index = task.get("index")
        if isinstance(members, list) and isinstance(index, int) and index >= len(members):
            yield Spot(start=at, message=f"service {name}: TF_CONFIG has no {task.get('type')} {index}")
        for addresses in cluster.values():
            for address in addresses if isinstance(addresses, list) else ():
                wanted.setdefault(str(address).partition(":")[0], at)
    for host in wanted:
        service_ = by_name.get(host)
        if service_ is None or host in told or service_.get("env_file") or service_.get("extends"):
            continue
        if not any(key == "TF_CONFIG" for key, _, _ in environment(service_)):
            yield Spot(
                start=service_.start,
                message=f"service {host} is a member of the cluster and has no TF_CONFIG",
            )
