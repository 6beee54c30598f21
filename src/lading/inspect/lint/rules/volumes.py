"""Rules about the volumes of pods: shared memory, datasets, checkpoints, caches. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lading.inspect.lint.model import Edit, Severity, Spot
from lading.inspect.lint.pods import Container, Pod, is_under, pods_of
from lading.inspect.lint.roles import Role, role_of_command
from lading.inspect.lint.rule import Kind, rule
from lading.inspect.lint.yaml_edit import add_member, add_to_list
from lading.inspect.lint.yaml_file import Value

_VOLUMES = "kubernetes.io/docs/concepts/storage/volumes"
_SHARED_MEMORY = {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "8Gi"}}
_DATASET = re.compile(
    r"(?:[a-z0-9]+[-_])*(?:datasets?|imagenet|train(?:ing)?[-_]data)(?:[-_](?:pvc|vol|volume))?"
)
_OUTPUT_OPTIONS = (
    "--output-dir", "--checkpoint-dir", "--checkpoint-path", "--ckpt-dir", "--save-dir", "--save-path",
    "--checkpoints",
)  # fmt: skip
_CACHES = ("HF_HOME", "HF_HUB_CACHE", "TORCH_HOME", "TRITON_CACHE_DIR", "NUMBA_CACHE_DIR", "MPLCONFIGDIR")
_DRIVER = re.compile(
    r"/usr/(?:local/)?nvidia(?:/.*)?|/usr/lib(?:64|/x86_64-linux-gnu)?/?(?:nvidia.*|libcuda.*|libnvidia.*)"
    r"|/usr/local/cuda(?:-[\d.]+)?(?:/.*)?|/dev/nvidia.*"
)
_MODELS = re.compile(r".*/(?:models?|checkpoints?|huggingface|hf[-_]cache|weights)(?:/.*)?", re.IGNORECASE)
_LASTING = ("persistentVolumeClaim", "nfs", "csi", "hostPath")


@rule(
    "LDK005", "Many workers without shared memory", Kind.KUBERNETES, Severity.WARNING,
    f"{_VOLUMES}/#emptydir; pytorch.org/docs: multiprocessing, file descriptors and /dev/shm", mends=True,
)  # fmt: skip
def no_shared_memory(document: Value) -> Iterator[Spot]:
    """Workers of a DataLoader and NCCL's processes on one node pass tensors through /dev/shm, which is 64 MB
    unless a volume in memory lies there: `Bus error`, hours into a run. With `hostIPC` it is the node's.

    Bad:

        args: [torchrun, --nproc-per-node=4, train.py]

    Good:

        volumeMounts: [{name: shm, mountPath: /dev/shm}]
        volumes: [{name: shm, emptyDir: {medium: Memory, sizeLimit: 8Gi}}]

    The mend adds both; the size counts only as far as it is used.
    """
    for pod in pods_of(document):
        host = pod.spec.get("hostIPC")
        if not pod.whole or (host is not None and host.data is True) or "podSpecPatch" in pod.spec.members:
            continue
        for container in pod.containers:
            trains = pod.role_of(container) is Role.TRAIN
            if trains and (why := _many_workers(container)) and container.mount_over("/dev/shm") is None:
                yield Spot(
                    start=container.value.start,
                    message=f"{container.name} starts {why} with 64 MB of /dev/shm",
                    edits=_with_shared_memory(pod, container),
                )


def _many_workers(container: Container) -> str | None:
    processes = container.option("--nproc-per-node", "--nproc_per_node", "--num-processes")
    if processes in {"gpu", "auto"} and container.gpus > 1:
        return f"{container.gpus} processes"
    if processes is not None and processes.isdecimal() and int(processes) > 1:
        return f"{processes} processes"
    if container.gpus > 1 and any(
        role_of_command(words) is Role.TRAIN and words[0] in {"deepspeed", "accelerate", "torchrun"}
        for words in container.commands
    ):
        return f"on {container.gpus} GPUs"
    loaders = container.option("--num-workers", "--dataloader-num-workers", "--workers")
    return f"{loaders} loaders" if loaders is not None and loaders.isdecimal() and int(loaders) > 0 else None


def _with_shared_memory(pod: Pod, container: Container) -> tuple[Edit, ...]:
    mounted = add_to_list(container.value, "volumeMounts", {"name": "shm", "mountPath": "/dev/shm"})
    known = pod.volumes.get("shm")
    if known is not None:
        right = known.text("emptyDir", "medium") == "Memory"
        return (mounted,) if right and mounted is not None else ()
    volume = add_to_list(pod.spec, "volumes", _SHARED_MEMORY)
    return (volume, mounted) if volume is not None and mounted is not None else ()


@rule(
    "LDK006", "A memory volume without a size limit", Kind.KUBERNETES, Severity.WARNING,
    f"{_VOLUMES}/#emptydir", mends=True,
)  # fmt: skip
def memory_volume(document: Value) -> Iterator[Spot]:
    """`medium: Memory` counts against the containers' memory limits, and without `sizeLimit` it can
    grow until the pod is killed.

    Bad:

        emptyDir: {medium: Memory}

    Good:

        emptyDir: {medium: Memory, sizeLimit: 8Gi}

    The mend writes the memory limit of the pod's one container, which is where it ends today.
    """
    limits = {
        found.start: pod.containers[0].limit("memory")
        for pod in pods_of(document)
        if len(pod.containers) == 1 and not pod.init_containers
        if (found := pod.spec.get("volumes")) is not None
    }
    for value in document.walk():
        volumes = value.get("volumes")
        for volume in volumes.items if volumes is not None else ():
            folder = volume.get("emptyDir")
            if folder is not None and folder.text("medium") == "Memory" and "sizeLimit" not in folder.members:
                limit = limits.get(volumes.start) if volumes is not None else None
                edit = add_member(folder, "sizeLimit", limit) if limit is not None else None
                yield Spot(
                    start=folder.start,
                    message="a volume in memory without `sizeLimit` grows until the pod is killed",
                    edits=(edit,) if edit is not None else (),
                )


@rule(
    "LDK011", "Checkpoints where they are lost", Kind.KUBERNETES, Severity.WARNING,
    f"{_VOLUMES}: a container's files are gone when it ends, an emptyDir with its pod",
)  # fmt: skip
def lost_checkpoints(document: Value) -> Iterator[Spot]:
    """Training writes its checkpoints into the container, or into an `emptyDir`: the node is drained, and the
    days are lost. Silent where something else of the pod could carry them away: a second container, a second
    command, a tracking server, an artifact of Argo.

    Bad:

        args: [torchrun, train.py, --output-dir, /out]

    Good:

        args: [torchrun, train.py, --output-dir, /out]
        volumeMounts: [{name: runs, mountPath: /out}]
        volumes: [{name: runs, persistentVolumeClaim: {claimName: runs}}]
    """
    for pod in pods_of(document):
        if len(pod.containers) != 1 or not pod.whole or "podSpecPatch" in pod.spec.members:
            continue
        container = pod.containers[0]
        path = container.option(*_OUTPUT_OPTIONS)
        if pod.role_of(container) is not Role.TRAIN or not path or not path.startswith("/"):
            continue
        if not container.runs_one_command or _leaves_otherwise(pod, container, path):
            continue
        mount = container.mount_over(path)
        volume = pod.volumes.get(mount[1]) if mount is not None else None
        if mount is None:
            lost = f"{path} lies in the container: its checkpoints go with it"
        elif volume is not None and "emptyDir" in volume.members:
            lost = f"{path} lies in an emptyDir: its checkpoints go with the pod"
        else:
            continue
        yield Spot(start=container.value.start, message=f"{container.name}: {lost}")


def _leaves_otherwise(pod: Pod, container: Container, path: str) -> bool:
    artifacts = pod.spec.get("outputs", "artifacts")
    if any(
        is_under(path, one.text("path") or "-") for one in (artifacts.items if artifacts is not None else ())
    ):
        return True
    tracked = any(name.startswith(("MLFLOW_", "WANDB_", "CLEARML_")) for name in _variables(container))
    pushed = any("push" in word or "://" in word for words in container.commands for word in words)
    return tracked or pushed or not container.environment_is_known


def _variables(container: Container) -> Iterator[str]:
    found = container.value.get("env")
    yield from (item.text("name") or "" for item in (found.items if found is not None else ()))


@rule("LDK013", "A dataset that can be written to", Kind.KUBERNETES, Severity.WARNING, _VOLUMES, mends=True)
def writable_dataset(document: Value) -> Iterator[Spot]:
    """What training reads it should not be able to change: one wrong path, and every later run learns from
    other data. Said of volumes whose name says dataset, in a pod where nothing is told to write there.

    Bad:

        volumeMounts: [{name: dataset, mountPath: /dataset}]

    Good:

        volumeMounts: [{name: dataset, mountPath: /dataset, readOnly: true}]

    The mend adds `readOnly: true`.
    """
    for pod in pods_of(document):
        for container in pod.containers:
            if pod.role_of(container) not in {Role.TRAIN, Role.SERVE}:
                continue
            for path, name, mount in container.mounts:
                last = path.rstrip("/").rpartition("/")[2].lower()
                named = _DATASET.fullmatch(last) or _DATASET.fullmatch(name.lower())
                if named is None or "readOnly" in mount.members or _written(pod, container, path, name):
                    continue
                edit = add_member(mount, "readOnly", True)
                yield Spot(
                    start=mount.start,
                    message=f"{container.name} may write to {path}: a dataset is read only",
                    edits=(edit,) if edit is not None else (),
                )


def _written(pod: Pod, container: Container, path: str, name: str) -> bool:
    """Whether the volume may be meant to be filled here, or is not one that outlives the pod."""
    volume = pod.volumes.get(name)
    if volume is None or not any(kind in volume.members for kind in _LASTING):
        return True
    claim = volume.get("persistentVolumeClaim", "readOnly") or volume.get("csi", "readOnly")
    if claim is not None and claim.data is True:
        return True
    others = [one for one in (*pod.containers, *pod.init_containers) if one is not container]
    if any(mounted == name for one in others for _, mounted, _ in one.mounts):
        return True
    outputs = (container.option(option) for option in (*_OUTPUT_OPTIONS, "--cache-dir", "--data-cache-dir"))
    kept = [value.data for value in container.environment.values()]
    return any(is_under(used, path) for used in outputs if used) or any(is_under(used, path) for used in kept)


@rule(
    "LDK015", "A cache on a read-only root", Kind.KUBERNETES, Severity.WARNING,
    "huggingface.co/docs/huggingface_hub: environment variables; triton, numba: cache folders", mends=True,
)  # fmt: skip
def unwritable_cache(document: Value) -> Iterator[Spot]:
    """With `readOnlyRootFilesystem` the folder that `HF_HOME` or `TRITON_CACHE_DIR` names cannot be written
    unless a volume lies there: the first download or kernel fails.

    Bad:

        securityContext: {readOnlyRootFilesystem: true}
        env: [{name: HF_HOME, value: /cache}]

    Good:

        securityContext: {readOnlyRootFilesystem: true}
        env: [{name: HF_HOME, value: /cache}]
        volumeMounts: [{name: cache, mountPath: /cache}]

    The mend mounts an `emptyDir` there.
    """
    for pod in pods_of(document):
        if not pod.whole or "podSpecPatch" in pod.spec.members:
            continue
        for container in pod.containers:
            sealed = container.value.get("securityContext", "readOnlyRootFilesystem")
            if sealed is None or sealed.data is not True or container.names_variable("HF_HUB_OFFLINE"):
                continue
            for name in _CACHES:
                folder = container.environment.get(name)
                if folder is None or not folder.data.startswith("/") or container.mount_over(folder.data):
                    continue
                yield Spot(
                    start=folder.start,
                    message=f"{name}={folder.data} cannot be written: the root is read-only",
                    edits=_with_cache(pod, container, name, folder.data),
                )


def _with_cache(pod: Pod, container: Container, variable: str, path: str) -> tuple[Edit, ...]:
    name = variable.lower().replace("_", "-")
    if name in pod.volumes or len(pod.containers) != 1:
        return ()
    mounted = add_to_list(container.value, "volumeMounts", {"name": name, "mountPath": path})
    volume = add_to_list(pod.spec, "volumes", {"name": name, "emptyDir": {}})
    return (volume, mounted) if volume is not None and mounted is not None else ()


@rule(
    "LDK020", "Models or driver files of one node", Kind.KUBERNETES, Severity.WARNING,
    "kubernetes.io/docs/concepts/storage/volumes/#hostpath",
)  # fmt: skip
def node_files(document: Value) -> Iterator[Spot]:
    """A `hostPath` holds what somebody once put on one node: another node has other weights, or none.
    NVIDIA's device plugin puts the driver's files into every container that asks for a GPU; a second set,
    mounted by hand, is of another version after the next upgrade.

    Bad:

        volumes: [{name: models, hostPath: {path: /mnt/models}}]

    Good:

        volumes: [{name: models, persistentVolumeClaim: {claimName: models}}]
    """
    for pod in pods_of(document):
        if pod.is_system:
            continue
        for volume in pod.volumes.values():
            path = volume.get("hostPath", "path")
            if path is None or not isinstance(path.data, str):
                continue
            if _DRIVER.fullmatch(path.data):
                yield Spot(
                    start=path.start, message=f"{path.data} is the node's driver: a GPU limit brings it"
                )
            elif _MODELS.fullmatch(path.data):
                yield Spot(
                    start=path.start, message=f"{path.data} is on one node: other nodes hold other files"
                )
