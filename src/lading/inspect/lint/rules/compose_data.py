"""Rules about what compose services mount and share. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lading.inspect.lint.model import Edit, Severity, Spot
from lading.inspect.lint.rule import Kind, rule
from lading.inspect.lint.rules.services import Mount, image, is_training, mounts, program, services, words
from lading.inspect.lint.yaml_file import Value

_DATASET = re.compile(
    r"datasets?|imagenet|coco|cifar|train[-_]?data|training[-_]?data|raw[-_]?data", re.IGNORECASE
)
_WRITES = re.compile(
    r"down|prep|etl|ingest|label|annot|export|convert|build|make|augment|sync|fetch|cvat|dvc|minio"
)
_OUTPUTS = re.compile(r"checkpoints?|ckpts?|outputs?|runs?|weights|experiments", re.IGNORECASE)
_TRACKERS = frozenset({"ghcr.io/mlflow/mlflow", "mlflow/mlflow", "bitnami/mlflow", "burakince/mlflow"})
_STORES = frozenset({"minio/minio", "quay.io/minio/minio", "bitnami/minio"})


def _parts(path: str) -> list[str]:
    return [part for part in re.split(r"[/\\]", path) if part not in {"", ".", ".."}]


@rule(
    "LDC005", "A data set that can be written", Kind.COMPOSE, Severity.WARNING,
    "docs.docker.com/reference/compose-file/services: volumes, read_only", mends=True,
)  # fmt: skip
def writable_dataset(document: Value) -> Iterator[Spot]:
    """One careless line in a training script, and the data everyone trains on is another. Said of a training
    service that mounts a data set by name; not where it writes there (`--output /data/…`), nor of a service
    that prepares data.

    Bad:

        volumes: ["./datasets:/datasets"]

    Good:

        volumes: ["./datasets:/datasets:ro"]

    The mend adds `:ro`, or `read_only: true`.
    """
    for name, service in services(document):
        if not is_training(name, service) or _WRITES.search(name.lower()):
            continue
        said = " ".join((*words(service.get("entrypoint")), *words(service.get("command"))))
        for mount in mounts(service):
            if mount.is_read_only or not _is_dataset(mount) or _is_written(said, mount.target):
                continue
            yield Spot(
                start=mount.value.start,
                message=f"service {name} can write to the data set {mount.target}: mount it read-only",
                edits=_read_only(mount),
            )


def _is_dataset(mount: Mount) -> bool:
    parts = _parts(mount.source)[-1:] + _parts(mount.target)[:1] + _parts(mount.target)[-1:]
    if any(_OUTPUTS.fullmatch(part) for part in parts):
        return False
    if any(_DATASET.fullmatch(part) for part in parts):
        return True
    # `./data:/app/data` is the project's own folder, into which much is written
    return _parts(mount.target) == ["data"] and _parts(mount.source)[-1:] == ["data"]


def _is_written(said: str, target: str) -> bool:
    """Whether an option for output names a place below the mount."""
    option = re.compile(
        r"--?[\w.-]*(?:out|save|cache|log|dest|dump|write|ckpt|checkpoint|work)[\w.-]*[= ](\S+)"
    )
    return any(match[1].strip("'\"").startswith(target.rstrip("/")) for match in option.finditer(said))


def _read_only(mount: Mount) -> tuple[Edit, ...]:
    value = mount.value
    if value.shared:
        return ()
    if not mount.short:
        written = value.get("read_only")
        if written is not None:
            return () if written.shared else (Edit(start=written.start, end=written.end, text="true"),)
        if value.flow or not value.keys:
            return ()
        at = min(value.keys.values())
        return (Edit(start=at, end=at, text="read_only: true\n" + " " * value.column),)
    if value.end - value.start != len(value.data) + (2 if value.quoted else 0):
        return ()
    at = value.end - (1 if value.quoted else 0)
    if mount.options:
        if "rw" in mount.options.split(","):
            return ()
        return (Edit(start=at, end=at, text=",ro"),)
    return (Edit(start=at, end=at, text=":ro"),)


@rule(
    "LDC009", "Two trainings write to one folder", Kind.COMPOSE, Severity.WARNING,
    "KICS: volume mounted in multiple containers",
)  # fmt: skip
def shared_outputs(document: Value) -> Iterator[Spot]:
    """The second one overwrites the first one's checkpoints, or goes on from them. Said of training services
    that mount the same volume or folder, writable, under a name such as checkpoints or runs; not of the
    processes of one training, which are told their rank.

    Bad:

        train-a: {volumes: ["ckpt:/checkpoints"]}
        train-b: {volumes: ["ckpt:/checkpoints"]}

    Good:

        train-a: {volumes: ["ckpt-a:/checkpoints"]}
        train-b: {volumes: ["ckpt-b:/checkpoints"]}
    """
    users: dict[str, list[tuple[str, Mount]]] = {}
    for name, service in services(document):
        if not is_training(name, service) or _is_one_of_many(service) or service.get("profiles") is not None:
            continue
        for mount in mounts(service):
            named = (*_parts(mount.source)[-1:], *_parts(mount.target)[-1:])
            if not mount.is_read_only and any(_OUTPUTS.fullmatch(part) for part in named):
                users.setdefault(mount.source, []).append((name, mount))
    for source, found in users.items():
        if len({name for name, _ in found}) > 1:
            names = " and ".join(name for name, _ in found)
            yield Spot(start=found[1][1].value.start, message=f"{names} write to {source}: give each its own")


def _is_one_of_many(service: Value) -> bool:
    text = str(service.data)
    return any(
        word in text
        for word in (
            "RANK",
            "TF_CONFIG",
            "MASTER_ADDR",
            "--node_rank",
            "--node-rank",
            "rdzv",
            "--nnodes",
            "PET_",
        )
    )


@rule(
    "LDC016", "State that one accident ends", Kind.COMPOSE, Severity.INFO,
    "MLflow's documentation on backend stores; SQLite: appropriate uses",
)  # fmt: skip
def fragile_state(document: Value) -> Iterator[Spot]:
    """SQLite is a file that one process writes: with replicas, writes fail or the file breaks. And the runs
    and models of a team in a folder beside the compose file go with `rm -rf`; a label that says how it is
    backed up (any with `backup` in its name) says that somebody thought of it.

    Bad:

        image: ghcr.io/mlflow/mlflow:v2.19.0
        command: mlflow server --backend-store-uri sqlite:////mlflow/mlflow.db
        deploy: {replicas: 3}

    Good:

        command: mlflow server --backend-store-uri postgresql://db/mlflow
    """
    for name, service in services(document):
        repository = image(service)[0]
        found = program(service)
        stores = found.option("--backend-store-uri") if found is not None else ()
        replicas = service.text("deploy", "replicas") or service.text("scale") or "1"
        if (
            any(store.startswith("sqlite:") for store in stores)
            and replicas.isdecimal()
            and int(replicas) > 1
        ):
            yield Spot(
                start=service.keys.get("command", service.start),
                message=f"service {name} keeps its runs in SQLite and has {replicas} replicas: use a server",
            )
        if repository not in _TRACKERS | _STORES or "backup" in str(service.data.get("labels", "")):
            continue
        for mount in mounts(service):
            if mount.source.startswith(("./", "../")) and not mount.is_read_only and not _is_settings(mount):
                yield Spot(
                    start=mount.value.start,
                    message=f"service {name} keeps its state in {mount.source}: a volume, and a backup",
                )
                break


def _is_settings(mount: Mount) -> bool:
    return re.search(r"certs?|conf|\.[a-z]{2,5}$|entrypoint|init", mount.target + mount.source) is not None
