"""The rule about claims for storage that pods on several nodes want at once. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lading.inspect.lint.documents import objects_beside
from lading.inspect.lint.model import Severity, Spot
from lading.inspect.lint.pods import Pod, pods_of
from lading.inspect.lint.rule import Kind, rule
from lading.inspect.lint.surroundings import Surroundings
from lading.inspect.lint.workflows import spec_of, templates_of
from lading.inspect.lint.yaml_file import Value


@rule(
    "LDK012", "One node's claim for pods on many", Kind.MANIFESTS, Severity.ERROR,
    "kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes", looks_around=True,
)  # fmt: skip
def shared_claim(documents: tuple[Value, ...], around: Surroundings) -> Iterator[Spot]:
    """A claim with `ReadWriteOnce` is mounted on one node. Pods that run at the same time on other nodes wait
    for it for ever (`Multi-Attach error`). Said where the claim stands in the same file or folder, and where
    no rule of placement holds the pods together.

    Bad:

        kind: PersistentVolumeClaim
        spec: {accessModes: [ReadWriteOnce]}
        ---
        kind: Job
        spec: {parallelism: 4, …}

    Good:

        kind: PersistentVolumeClaim
        spec: {accessModes: [ReadWriteMany]}
    """
    asking: list[tuple[int, Value]] = []
    for document in documents:
        yield from _parallel_steps(document)
        for pod in pods_of(document):
            count = _at_once(pod)
            if count < 2 or {"affinity", "nodeName", "nodeSelector"} & pod.spec.members.keys():
                continue
            names = (volume.get("persistentVolumeClaim", "claimName") for volume in pod.volumes.values())
            asking += [(count, name) for name in names if name is not None and isinstance(name.data, str)]
    if not asking:
        return
    claims = {
        document.text("metadata", "name")
        for document in (*documents, *objects_beside(around))
        if document.text("kind") == "PersistentVolumeClaim"
        and (modes := document.get("spec", "accessModes")) is not None
        and modes.data == ["ReadWriteOnce"]
    }
    for count, name in asking:
        if name.data in claims:
            message = f"{count} pods mount the ReadWriteOnce claim {name.data}, which one node can"
            yield Spot(start=name.start, message=message)


def _parallel_steps(document: Value) -> Iterator[Spot]:
    """Steps of an Argo workflow that run at the same time on one claim made for it."""
    spec = spec_of(document) if (document.text("apiVersion") or "").startswith("argoproj.io/") else None
    held = spec.get("volumeClaimTemplates") if spec is not None else None
    if spec is None or held is None or {"affinity", "nodeSelector", "parallelism"} & spec.members.keys():
        return
    templates = {template.name: template for template in templates_of(spec)}
    for claim in held.items:
        modes, name = claim.get("spec", "accessModes"), claim.text("metadata", "name")
        if modes is None or modes.data != ["ReadWriteOnce"]:
            continue
        mounting = {
            template.name
            for template in templates.values()
            if any(
                name == mounted
                for pod in pods_of(template.value)
                for one in pod.containers
                for _, mounted, _ in one.mounts
            )
            and not {"affinity", "nodeSelector"} & template.value.members.keys()
        }
        for template in templates.values():
            for one, other in template.at_once():
                if one.template in mounting and other.template in mounting:
                    message = f"{one.name} and {other.name} run at once on the ReadWriteOnce claim {name}"
                    if one is other:
                        message = f"{one.name} runs many times at once on the ReadWriteOnce claim {name}"
                    yield Spot(start=modes.start, message=message)
                    return


def _at_once(pod: Pod) -> int:
    key = "parallelism" if pod.kind in {"Job", "CronJob"} else "replicas"
    if pod.kind not in {"Job", "CronJob", "Deployment", "ReplicaSet"}:
        return 1
    return int(count) if (count := pod.owner.text(key) or "").isdecimal() else 1
