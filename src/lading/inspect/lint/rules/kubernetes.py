"""Rules about what Kubernetes is asked for: GPUs, memory, rights, time. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lading.inspect.lint.model import Severity, Spot
from lading.inspect.lint.pods import Container, Pod, all_containers, pods_of
from lading.inspect.lint.roles import Role, plain_image
from lading.inspect.lint.rule import Kind, rule
from lading.inspect.lint.yaml_edit import add_member, replace_scalar
from lading.inspect.lint.yaml_file import Value

_GPU = "nvidia.com/gpu"
_GPU_IMAGES = frozenset({"vllm/vllm-openai", "huggingface/text-generation-inference", "lmsysorg/sglang"})
_OTHER_BUILD = re.compile(r"cpu|rocm|intel|xpu|npu|xeon|gaudi|neuron|tpu|hpu", re.IGNORECASE)
_THREADS = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "OMP_THREAD_LIMIT"
)  # fmt: skip
_RIGHTS = frozenset({"SYS_PTRACE", "SYS_ADMIN", "ALL"})
_ARCHITECTURE = re.compile(r"(?:^|[-_./])(amd64|x86[-_]64|arm64|arm64v8|aarch64)(?:$|[-_./:])")
_NAMES_OF_ARM = frozenset({"arm64", "arm64v8", "aarch64"})
_GUIDE = "kubernetes.io/docs/tasks/manage-gpus/scheduling-gpus"


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

    The mend adds the limit. A patch, or a runtime of KServe, may get its limits elsewhere and is left alone.
    """
    whole = [pod for pod in pods_of(document) if pod.whole]
    for container in (one.value for pod in whole for one in (*pod.init_containers, *pod.containers)):
        resources = container.get("resources")
        requested = container.get("resources", "requests", _GPU)
        limits = container.get("resources", "limits")
        if resources is None or requested is None or (limits is not None and _GPU in limits.members):
            continue
        edit = None
        if not re.fullmatch(r"\d+", str(requested.data)):
            pass
        elif limits is not None:
            edit = add_member(limits, _GPU, int(requested.data))
        elif "limits" not in resources.members:
            edit = add_member(resources, "limits", {_GPU: int(requested.data)})
        yield Spot(
            start=requested.start,
            message=f"{_GPU} is requested without a limit: the pod is refused",
            edits=(edit,) if edit is not None else (),
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
    for container in (one.value for one in all_containers(document)):
        requested, limit = (container.get("resources", kind, _GPU) for kind in ("requests", "limits"))
        if requested is None or limit is None:
            continue
        if not all(re.fullmatch(r"\d+", str(value.data)) for value in (requested, limit)):
            continue
        if int(requested.data) != int(limit.data):
            edit = replace_scalar(requested, limit.data)
            yield Spot(
                start=requested.start,
                message=f"requests {requested.data} and limits {limit.data} of {_GPU} differ: "
                "the pod is refused",
                edits=(edit,) if edit is not None else (),
            )


@rule("LDK003", "A fraction of a GPU", Kind.KUBERNETES, Severity.ERROR, _GUIDE)
def fraction(document: Value) -> Iterator[Spot]:
    """Extended resources are whole numbers; a fraction is refused. GPUs are shared by MIG or time slicing.

    Bad:

        limits: {nvidia.com/gpu: 0.5}

    Good:

        limits: {nvidia.com/mig-1g.5gb: 1}
    """
    for container in (one.value for one in all_containers(document)):
        for kind in ("requests", "limits"):
            value = container.get("resources", kind, _GPU)
            if value is None or not isinstance(value.data, str):
                continue
            if re.fullmatch(r"\d*\.\d*[1-9]\d*|\d+m", value.data) and not re.fullmatch(
                r"\d*000m", value.data
            ):
                yield Spot(start=value.start, message=f"{value.data} of {_GPU} is no whole number")


@rule(
    "LDK004",
    "A GPU that the scheduler does not know of, or none at all",
    Kind.KUBERNETES,
    Severity.ERROR,
    _GUIDE,
)
def uncounted_gpu(document: Value) -> Iterator[Spot]:
    """Only `limits` give a GPU. `NVIDIA_VISIBLE_DEVICES` set by hand takes GPUs that the scheduler gives to
    others, and a server that is built for CUDA alone does not start on a node without one. Silent where
    a device of any maker is asked for, a claim stands, or another runtime class may give one.

    Bad:

        image: vllm/vllm-openai:v0.9.1
        resources: {}

    Good:

        image: vllm/vllm-openai:v0.9.1
        resources:
          limits: {nvidia.com/gpu: 1}
    """
    for pod in pods_of(document):
        if pod.is_system or not pod.whole or _other_way_to_a_gpu(pod):
            continue
        for container in pod.containers:
            shown = container.environment.get("NVIDIA_VISIBLE_DEVICES")
            if shown is not None and re.fullmatch(r"all|\d+(?:,\d+)*|GPU-\S+", shown.data):
                message = f"{container.name} takes GPUs ({shown.data}) that the scheduler does not count"
                yield Spot(start=shown.start, message=message)
            elif _needs_cuda(container):
                at = container.value.get("image") or container.value
                message = (
                    f"{container.name} runs {plain_image(container.image)}, built for a GPU, without one"
                )
                yield Spot(start=at.start, message=message)


def _other_way_to_a_gpu(pod: Pod) -> bool:
    asked = any(one.has_accelerator for one in (*pod.containers, *pod.init_containers))
    names = ("resourceClaims", "podSpecPatch", "runtimeClassName")
    return asked or any(name in pod.spec.members for name in names)


def _needs_cuda(container: Container) -> bool:
    if plain_image(container.image) not in _GPU_IMAGES or _OTHER_BUILD.search(container.image):
        return False
    privileged = container.value.get("securityContext", "privileged")
    said = container.option("--device")
    return said in {None, "cuda"} and not (privileged is not None and privileged.data is True)


@rule(
    "LDK007", "Rights left over from profiling", Kind.KUBERNETES, Severity.WARNING,
    "kubernetes.io/docs/concepts/security/pod-security-standards",
)  # fmt: skip
def profiling_rights(document: Value) -> Iterator[Spot]:
    """`privileged`, `hostIPC`, `hostPID` and `SYS_PTRACE` come with recipes for profilers and for /dev/shm.
    Training and serving need none of them: a larger /dev/shm is a volume in memory. Said of containers that
    train, serve or hold a GPU, not of the cluster's own agents.

    Bad:

        securityContext: {privileged: true}

    Good:

        securityContext: {allowPrivilegeEscalation: false}
    """
    for pod in pods_of(document):
        ours = [one for one in pod.containers if one.has_accelerator or _trains_or_serves(pod, one)]
        if pod.is_system or not ours:
            continue
        for name, why in (("hostIPC", "memory"), ("hostPID", "processes")):
            found = pod.spec.get(name)
            if found is not None and found.data is True:
                yield Spot(start=found.start, message=f"{name} shares the node's {why} with every other pod")
        for container in ours:
            found = container.value.get("securityContext", "privileged")
            if found is not None and found.data is True:
                yield Spot(start=found.start, message=f"{container.name} is privileged: it owns its node")
            added = container.value.get("securityContext", "capabilities", "add")
            for right in added.items if added is not None else ():
                if str(right.data).removeprefix("CAP_") in _RIGHTS:
                    message = f"{container.name} has {right.data}, which only profilers and debuggers need"
                    yield Spot(start=right.start, message=message)


def _trains_or_serves(pod: Pod, container: Container) -> bool:
    return pod.role_of(container) in {Role.TRAIN, Role.SERVE}


@rule(
    "LDK014", "A job that can hold a GPU for ever", Kind.KUBERNETES, Severity.WARNING,
    "kubernetes.io/docs/concepts/workloads/controllers/job: termination and cleanup",
)  # fmt: skip
def endless_job(document: Value) -> Iterator[Spot]:
    """A job whose processes wait for each other never ends by itself, and its GPU is paid for until somebody
    looks. Without `backoffLimit` a run that fails is repeated six times.

    Bad:

        kind: Job
        spec:
          template: …

    Good:

        kind: Job
        spec:
          activeDeadlineSeconds: 86400
          backoffLimit: 1
          template: …
    """
    for pod in pods_of(document):
        if pod.kind not in {"Job", "CronJob"} or not pod.whole:
            continue
        labels = document.get("metadata", "labels")
        if not any(one.has_accelerator for one in pod.containers) or (
            labels is not None and "kueue.x-k8s.io/max-exec-time-seconds" in labels.members
        ):
            continue
        timed = "activeDeadlineSeconds" in pod.owner.members or "activeDeadlineSeconds" in pod.spec.members
        lacks = [] if timed else ["activeDeadlineSeconds"]
        lacks += [] if {"backoffLimit", "podFailurePolicy"} & pod.owner.members.keys() else ["backoffLimit"]
        if lacks:
            start = pod.owner.keys.get("template", pod.owner.start)
            message = f"a job with a GPU has no {' and no '.join(lacks)}"
            yield Spot(start=start, message=message)


@rule(
    "LDK016", "More threads than processors", Kind.KUBERNETES, Severity.WARNING,
    "kubernetes.io/docs/concepts/configuration/manage-resources-containers", mends=True,
)  # fmt: skip
def too_many_threads(document: Value) -> Iterator[Spot]:
    """A CPU limit is a quota of time: more threads than that use it up early in each period, then all of
    them stand still.

    Bad:

        env: [{name: OMP_NUM_THREADS, value: "32"}]
        resources: {limits: {cpu: "4"}}

    Good:

        env: [{name: OMP_NUM_THREADS, value: "4"}]
        resources: {limits: {cpu: "4"}}

    The mend writes the limit.
    """
    for container in all_containers(document):
        processors = whole_processors(container.limit("cpu") or "")
        for name in _THREADS:
            threads = container.environment.get(name)
            if processors is None or threads is None or not threads.data.isdecimal():
                continue
            if int(threads.data) > processors:
                edit = replace_scalar(threads, str(processors))
                message = (
                    f"{name}={threads.data} with a CPU limit of {container.limit('cpu')}: most stand still"
                )
                yield Spot(start=threads.start, message=message, edits=(edit,) if edit is not None else ())


def whole_processors(limit: str) -> int | None:
    """`4`, `2500m` and `2.5` rounded up."""
    if match := re.fullmatch(r"(\d+)m", limit):
        return max(1, -(-int(match[1]) // 1000))
    if re.fullmatch(r"\d+(?:\.\d+)?", limit):
        return max(1, -int(-float(limit) // 1))
    return None


@rule(
    "LDK017", "An image for another processor than the node", Kind.KUBERNETES, Severity.WARNING,
    "kubernetes.io/docs/reference/labels-annotations-taints: kubernetes.io/arch",
)  # fmt: skip
def other_processor(document: Value) -> Iterator[Spot]:
    """The pod is put on nodes of one architecture, and the image's own name says another: `exec format
    error`.

    Bad:

        nodeSelector: {kubernetes.io/arch: arm64}
        containers: [{name: a, image: "acme/server:1.2-amd64"}]

    Good:

        nodeSelector: {kubernetes.io/arch: amd64}
        containers: [{name: a, image: "acme/server:1.2-amd64"}]
    """
    for pod in pods_of(document):
        wanted = pod.spec.text("nodeSelector", "kubernetes.io/arch")
        wanted = wanted or pod.spec.text("nodeSelector", "beta.kubernetes.io/arch")
        if wanted not in {"amd64", "arm64"}:
            continue
        for container in (*pod.init_containers, *pod.containers):
            said = {match[1] for match in _ARCHITECTURE.finditer(container.image.partition("@")[0])}
            built = {"arm64" if name in _NAMES_OF_ARM else "amd64" for name in said}
            if len(built) == 1 and wanted not in built:
                at = container.value.get("image") or container.value
                yield Spot(
                    start=at.start, message=f"{container.name} is for {built.pop()}, the node is {wanted}"
                )


@rule(
    "LDK018", "A command in the place of arguments", Kind.KUBERNETES, Severity.INFO,
    "kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container",
)  # fmt: skip
def command_for_arguments(document: Value) -> Iterator[Spot]:
    """`command` replaces the image's ENTRYPOINT, `args` its CMD. A `command` that begins with an option drops
    the program itself.

    Bad:

        image: vllm/vllm-openai:v0.9.1
        command: ["--model", "org/name"]

    Good:

        image: vllm/vllm-openai:v0.9.1
        args: ["--model", "org/name"]
    """
    for container in all_containers(document):
        command = container.value.get("command")
        if command is None or not command.items:
            continue
        first = command.items[0].data
        if isinstance(first, str) and first.startswith("-"):
            yield Spot(
                start=command.items[0].start,
                message=f"{container.name} runs {first!r} as a program: `command` replaces the ENTRYPOINT",
            )
