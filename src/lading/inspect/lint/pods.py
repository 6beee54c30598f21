"""The pods of a manifest, whatever kind of object makes them: what runs, with which files and devices. Pure.

Deployments, Jobs, CRDs of training operators, KServe's predictors and Argo's templates all hold pods in their
own places; rules ask for `pods_of(document)` and see one form. A patch that says a pod only in part is not
`whole`: what is absent in it may be elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from lading.inspect.lint.roles import Role, role_of_command, role_of_image
from lading.inspect.lint.shell import read_shell
from lading.inspect.lint.yaml_file import Value

_ACCELERATOR = re.compile(r".*(?:gpu|nvidia\.com/mig-|habana|gaudi|tpu|neuron).*", re.IGNORECASE)
_SHELLS = frozenset({"sh", "bash", "dash", "ash"})
_APPS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"})
_TRAINING_KINDS = frozenset(
    {"PyTorchJob", "TFJob", "MPIJob", "XGBoostJob", "PaddleJob", "JAXJob", "MXJob", "TrainJob"}
)
_MERGED = frozenset(
    {"ServingRuntime", "ClusterServingRuntime", "LLMInferenceService", "LLMInferenceServiceConfig"}
)
"""KServe puts two of these together into one pod."""
_LOOPS = frozenset({"while", "until", "for", "if"})


@dataclass(frozen=True)
class Container:
    """`value` is the mapping in the manifest."""

    value: Value

    @property
    def name(self) -> str:
        return self.value.text("name") or "main"

    @property
    def image(self) -> str:
        return self.value.text("image") or ""

    @cached_property
    def words(self) -> tuple[str, ...]:
        """`command` and `args` as they are written; nothing where one is no list of texts."""
        found: list[str] = []
        for key in ("command", "args"):
            part = self.value.get(key)
            if part is None or part.data is None:
                continue
            if not isinstance(part.data, list) or not all(isinstance(word, str) for word in part.data):
                return ()
            found += part.data
        return tuple(found)

    @cached_property
    def script(self) -> str | None:
        """The text a shell is given; also Argo's `source` for one."""
        words = self.words
        if words and words[0].rpartition("/")[2] in _SHELLS:
            for at, word in enumerate(words[1:], start=1):
                if not word.startswith("-"):
                    break
                if re.fullmatch(r"-[a-z]*c", word) and at + 1 < len(words):
                    return words[at + 1]
            return self.value.text("source") if len(words) == 1 or words[-1].startswith("-") else None
        return None

    @cached_property
    def commands(self) -> tuple[tuple[str, ...], ...]:
        """What it runs, as words; a script's commands where the shell's grammar understands it."""
        if self.script is None:
            return (self.words,) if self.words else ()
        shell = read_shell(self.script)
        return tuple(command.values for command in shell.commands) if shell.understood else ()

    @property
    def runs_one_command(self) -> bool:
        return len([words for words in self.commands if words[0] not in {"set", "cd", "export", "echo"}]) == 1

    @cached_property
    def environment(self) -> Mapping[str, Value]:
        """Variables whose value stands here, with it."""
        found = self.value.get("env")
        pairs = [
            (item.text("name"), item.get("value")) for item in (found.items if found is not None else ())
        ]
        return {
            name: value
            for name, value in pairs
            if name is not None
            and value is not None
            and isinstance(value.data, str)
            and "$(" not in value.data
        }

    @property
    def environment_is_known(self) -> bool:
        """Whether no variable comes from elsewhere as a whole."""
        return "envFrom" not in self.value.members

    def names_variable(self, name: str) -> bool:
        found = self.value.get("env")
        return any(item.text("name") == name for item in (found.items if found is not None else ()))

    def limit(self, name: str) -> str | None:
        return self.value.text("resources", "limits", name)

    @property
    def has_accelerator(self) -> bool:
        """By a limit or request of a device, whoever makes it, or by a claim."""
        resources = self.value.get("resources")
        if resources is None:
            return False
        for kind in ("limits", "requests"):
            part = resources.get(kind)
            for name, amount in (part.members if part is not None else {}).items():
                if _ACCELERATOR.fullmatch(name) and str(amount.data) not in {"0", "0.0"}:
                    return True
        return "claims" in resources.members

    @property
    def gpus(self) -> int:
        """How many whole NVIDIA GPUs; 0 where it is not said here."""
        amount = self.limit("nvidia.com/gpu") or ""
        return int(amount) if amount.isdecimal() else 0

    @cached_property
    def mounts(self) -> tuple[tuple[str, str, Value], ...]:
        """Path, name of the volume, and the mapping."""
        found = self.value.get("volumeMounts")
        return tuple(
            (item.text("mountPath") or "", item.text("name") or "", item)
            for item in (found.items if found is not None else ())
        )

    def mount_over(self, path: str) -> tuple[str, str, Value] | None:
        """The innermost mount that holds `path`."""
        held = [mount for mount in self.mounts if is_under(path, mount[0])]
        return max(held, key=lambda mount: len(mount[0]), default=None)

    def option(self, *names: str) -> str | None:
        """The value of a command line option: `--name value` or `--name=value`; `-` and `_` are one."""
        wanted = {name.replace("_", "-") for name in names}
        for words in self.commands:
            for at, word in enumerate(words):
                name, equals, value = word.partition("=")
                if name.startswith("--") and name.replace("_", "-") in wanted:
                    value = value if equals else next(iter(words[at + 1 : at + 2]), "")
                    return None if value.startswith("--") or "$" in value or "{{" in value else value
        return None


@dataclass(frozen=True, kw_only=True)
class Pod:
    """`kind` and `owner`: of the object that makes it. `spec` holds its volumes and containers."""

    kind: str
    document: Value
    owner: Value
    spec: Value
    containers: tuple[Container, ...]
    init_containers: tuple[Container, ...] = ()
    role: Role | None = None
    """Given from outside; else each container's own is asked."""

    @property
    def whole(self) -> bool:
        """False for a patch or a template: what is absent may stand in the object that it goes into."""
        if self.kind in _MERGED:
            return False
        if self.kind in _APPS:
            return self.owner.get("selector") is not None
        if self.kind in {"Job", "CronJob"}:
            return self.spec.get("restartPolicy") is not None
        return True

    @property
    def is_system(self) -> bool:
        """Of the cluster's own: device plugins, monitoring."""
        space = self.document.text("metadata", "namespace") or ""
        return self.kind == "DaemonSet" or space in {"kube-system", "gpu-operator", "monitoring"}

    @cached_property
    def volumes(self) -> Mapping[str, Value]:
        """Volumes by name, as far as they stand here."""
        owners = (self.spec, self.document.get("spec", "workflowSpec"), self.document.get("spec"))
        lists = [owner.get("volumes") for owner in owners if owner is not None]
        return {
            item.text("name") or "": item
            for found in lists
            if found is not None
            for item in found.items
            if item.members
        }

    def role_of(self, container: Container) -> Role | None:
        if self.role is not None:
            return self.role
        if self.kind in _TRAINING_KINDS:
            return Role.TRAIN
        roles = [role for words in container.commands if (role := role_of_command(words)) is not None]
        found = roles[-1] if roles else role_of_image(container.image)
        if found is Role.TRAIN and self.kind in _APPS:
            return None  # what is started again for ever is no training
        return Role.SERVE if found is None and self.kind == "InferenceService" else found


def is_under(path: str, folder: str) -> bool:
    folder = folder.rstrip("/") or "/"
    return path == folder or path.startswith(folder if folder == "/" else folder + "/")


def pods_of(document: Value) -> tuple[Pod, ...]:
    """Every pod of one object, in the order they are written."""
    return tuple(_pods(document, document, document.text("kind") or "", document.get("spec") or document))


def all_containers(document: Value) -> Iterator[Container]:
    """Those of every pod, what runs first included."""
    for pod in pods_of(document):
        yield from pod.init_containers
        yield from pod.containers


def _pods(value: Value, document: Value, kind: str, owner: Value) -> Iterator[Pod]:
    if value.get("jobTemplate", "spec") is not None:
        owner = value.get("jobTemplate", "spec") or owner
    elif value.get("template") is not None and value.get("template", "spec") is not None:
        owner = value
    if (pod := _pod(value, document, kind, owner)) is not None:
        yield pod
        return
    for child in (*value.items, *value.members.values()):
        yield from _pods(child, document, kind, owner)


def _pod(value: Value, document: Value, kind: str, owner: Value) -> Pod | None:
    made = tuple(_containers(value, kind))
    if not made:
        return None
    found = value.get("initContainers")
    first = tuple(Container(item) for item in (found.items if found is not None else ()) if item.get("image"))
    return Pod(
        kind=kind,
        document=document,
        owner=owner,
        spec=value,
        containers=made,
        init_containers=first,
        role=Role.SERVE if kind in _MERGED else None,
    )


def _containers(value: Value, kind: str) -> Iterator[Container]:
    found = value.get("containers")
    if found is not None:
        yield from (Container(item) for item in found.items if item.get("image") or kind in _MERGED)
    elif kind == "InferenceService":
        model = value.get("model")
        if model is not None and model.get("modelFormat") is not None:
            yield Container(model)
    else:
        for key in ("container", "script"):
            single = value.get(key)
            if single is not None and single.get("image"):
                yield Container(single)


def seconds_slept(script: str) -> int | None:
    """How long the `sleep`s of a shell text take together; None where a condition decides."""
    shell = read_shell(script)
    if not shell.understood or set(re.findall(r"[a-z]+", script)) & _LOOPS:
        return None
    total = 0
    for command in shell.commands:
        if command.values[0].rpartition("/")[2] == "sleep":
            match = re.fullmatch(r"(\d+)(s|m)?", command.values[1] if len(command.values) > 1 else "")
            if match is None:
                return None
            total += int(match[1]) * (60 if match[2] == "m" else 1)
    return total
