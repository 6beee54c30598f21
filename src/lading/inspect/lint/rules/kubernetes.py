"""Rules about Kubernetes manifests. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lading.inspect.lint.model import Edit, Severity, Spot
from lading.inspect.lint.rule import Kind, rule
from lading.inspect.lint.yaml_file import Value

_GPU = "nvidia.com/gpu"
_GUIDE = "kubernetes.io/docs/tasks/manage-gpus/scheduling-gpus"


def containers(document: Value) -> Iterator[Value]:
    """Every container of every pod template, wherever it stands; templates of Argo steps too."""
    for value in document.walk():
        for key in ("containers", "initContainers"):
            found = value.get(key)
            yield from (item for item in (found.items if found is not None else ()) if item.get("image"))
        if (single := value.get("container")) is not None and single.get("image"):
            yield single


@rule("LDK001", "A GPU is requested without a limit", Kind.KUBERNETES, Severity.ERROR, _GUIDE, mends=True)
def request_without_limit(document: Value) -> Iterator[Spot]:
    """GPUs are given by `limits`; a request alone is refused by the API server.

    Bad:

        resources:
          requests:
            nvidia.com/gpu: 1

    Good:

        resources:
          requests:
            nvidia.com/gpu: 1
          limits:
            nvidia.com/gpu: 1

    The mend adds the limit.
    """
    for container in containers(document):
        resources = container.get("resources")
        requested = container.get("resources", "requests", _GPU)
        limits = container.get("resources", "limits")
        if resources is None or requested is None or (limits is not None and _GPU in limits.members):
            continue
        edits: tuple[Edit, ...] = ()
        line, own = f"{_GPU}: {requested.data}", resources.keys.get("requests")
        if own is None or resources.flow or not re.fullmatch(r"\d+", str(requested.data)):
            pass
        elif limits is None and "limits" not in resources.keys:
            gap = "\n" + " " * resources.column
            edits = (Edit(start=own, end=own, text=f"limits:{gap}  {line}{gap}"),)
        elif limits is not None and limits.keys and not limits.flow:
            first = min(limits.keys.values())
            edits = (Edit(start=first, end=first, text=f"{line}\n{' ' * limits.column}"),)
        yield Spot(
            start=requested.start,
            message=f"{_GPU} is requested without a limit: the pod is refused",
            edits=edits,
        )


@rule("LDK002", "GPU requests and limits differ", Kind.KUBERNETES, Severity.ERROR, _GUIDE, mends=True)
def request_unlike_limit(document: Value) -> Iterator[Spot]:
    """Extended resources cannot be overcommitted: the two must be equal, or the pod is refused.

    Bad:

        requests: {nvidia.com/gpu: 1}
        limits: {nvidia.com/gpu: 2}

    Good:

        limits: {nvidia.com/gpu: 2}

    The mend writes the limit's number into the request, since the limit is what is given.
    """
    for container in containers(document):
        requested, limit = (container.get("resources", kind, _GPU) for kind in ("requests", "limits"))
        if requested is None or limit is None:
            continue
        if not all(re.fullmatch(r"\d+", str(value.data)) for value in (requested, limit)):
            continue
        if int(requested.data) != int(limit.data):
            plain = requested.start != limit.start
            edit = Edit(start=requested.start, end=requested.start + len(requested.data), text=limit.data)
            yield Spot(
                start=requested.start,
                message=f"requests {requested.data} and limits {limit.data} of {_GPU} differ: "
                "the pod is refused",
                edits=(edit,) if plain and not requested.quoted else (),
            )


@rule("LDK003", "A fraction of a GPU", Kind.KUBERNETES, Severity.ERROR, _GUIDE)
def fraction(document: Value) -> Iterator[Spot]:
    """Extended resources are whole numbers; a fraction is refused. GPUs are shared by MIG or time slicing.

    Bad:

        limits: {nvidia.com/gpu: 0.5}

    Good:

        limits: {nvidia.com/mig-1g.5gb: 1}
    """
    for container in containers(document):
        for kind in ("requests", "limits"):
            value = container.get("resources", kind, _GPU)
            if value is None or not isinstance(value.data, str):
                continue
            if re.fullmatch(r"\d*\.\d*[1-9]\d*|\d+m", value.data) and not re.fullmatch(
                r"\d*000m", value.data
            ):
                yield Spot(start=value.start, message=f"{value.data} of {_GPU} is no whole number")


@rule(
    "LDK006", "A memory volume without a size limit", Kind.KUBERNETES, Severity.WARNING,
    "kubernetes.io/docs/concepts/storage/volumes/#emptydir",
)  # fmt: skip
def memory_volume(document: Value) -> Iterator[Spot]:
    """`medium: Memory` counts against the containers' memory limits, and without `sizeLimit` it can
    grow until the pod is killed.

    Bad:

        emptyDir: {medium: Memory}

    Good:

        emptyDir: {medium: Memory, sizeLimit: 8Gi}
    """
    for value in document.walk():
        volumes = value.get("volumes")
        for volume in volumes.items if volumes is not None else ():
            folder = volume.get("emptyDir")
            if folder is not None and folder.text("medium") == "Memory" and "sizeLimit" not in folder.members:
                yield Spot(
                    start=folder.start,
                    message="a volume in memory without `sizeLimit` grows until the pod is killed",
                )
