"""Rules about pods that answer requests: probes, the end of a pod, what scales them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lading.inspect.lint.documents import objects_beside
from lading.inspect.lint.model import Edit, Severity, Spot
from lading.inspect.lint.pods import Container, Pod, pods_of, seconds_slept
from lading.inspect.lint.roles import Role, serves_large_models
from lading.inspect.lint.rule import Kind, rule
from lading.inspect.lint.surroundings import Surroundings
from lading.inspect.lint.yaml_edit import add_member, replace_scalar
from lading.inspect.lint.yaml_file import Value

_PROBES = "kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes"
_TERMINATION = "kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination"
_READINESS = re.compile(r"/(?:.*/)?(?:ready|readyz|readiness)")
_LOAD_SECONDS = 120
"""A language model's weights are seldom read, and its kernels seldom captured, in less."""
_STARTUP_TRIES = 60
_DEFAULT_GRACE_SECONDS = 30
_DEFAULT_GRACE = frozenset({"Pod", "Deployment", "StatefulSet", "ReplicaSet", "DaemonSet", "Job", "CronJob"})
"""Kinds whose pods get that; operators such as KServe have defaults of their own."""
_SPARE_SECONDS = 10
_DRAINS = ("--timeout-graceful-shutdown", "--graceful-timeout", "--shutdown-timeout", "--exit-timeout-secs")


def _serving(document: Value) -> Iterator[tuple[Pod, Container]]:
    for pod in pods_of(document):
        for container in pod.containers:
            if pod.role_of(container) is Role.SERVE:
                yield pod, container


def _number(value: Value | None, default: int) -> int | None:
    if value is None:
        return default
    return int(value.data) if isinstance(value.data, str) and value.data.isdecimal() else None


@rule(
    "LDK008",
    "A probe that restarts a server too early",
    Kind.KUBERNETES,
    Severity.WARNING,
    _PROBES,
    mends=True,
)
def early_restart(document: Value) -> Iterator[Spot]:
    """A server of a language model reads gigabytes before it answers. A liveness probe that counts from the
    start restarts it in the middle, again and again; a `startupProbe` holds the others back. And a liveness
    probe that asks for *readiness* restarts a server that only wants no more requests for a while.

    Bad:

        livenessProbe:
          httpGet: {path: /health, port: 8000}

    Good:

        startupProbe:
          httpGet: {path: /health, port: 8000}
          periodSeconds: 10
          failureThreshold: 60
        livenessProbe:
          httpGet: {path: /health, port: 8000}

    The mend adds a `startupProbe` that asks the same and allows ten minutes.
    """
    for _, container in _serving(document):
        liveness = container.value.get("livenessProbe")
        if liveness is None or not liveness.members:
            continue
        path = liveness.text("httpGet", "path")
        if path is not None and _READINESS.fullmatch(path):
            message = f"{container.name} is restarted when {path} says that it is not ready"
            yield Spot(start=container.value.keys.get("livenessProbe", liveness.start), message=message)
        seconds = _until_restart(liveness)
        if (
            seconds is not None
            and seconds < _LOAD_SECONDS
            and "startupProbe" not in container.value.members
            and any(serves_large_models(container.image, words) for words in container.commands or ((),))
        ):
            edit = _startup(container, liveness)
            yield Spot(
                start=container.value.keys.get("livenessProbe", liveness.start),
                message=f"{container.name} is restarted after {seconds} s, while its model loads",
                edits=(edit,) if edit is not None else (),
            )


def _until_restart(liveness: Value) -> int | None:
    delay = _number(liveness.get("initialDelaySeconds"), 0)
    period = _number(liveness.get("periodSeconds"), 10)
    failures = _number(liveness.get("failureThreshold"), 3)
    return None if delay is None or period is None or failures is None else delay + period * failures


def _startup(container: Container, liveness: Value) -> Edit | None:
    handlers = [name for name in ("httpGet", "tcpSocket", "exec", "grpc") if name in liveness.members]
    if len(handlers) != 1:
        return None
    handler = _with_numbers(liveness.data[handlers[0]])
    probe = {handlers[0]: handler, "periodSeconds": 10, "failureThreshold": _STARTUP_TRIES}
    return add_member(container.value, "startupProbe", probe)


def _with_numbers(value: object) -> object:
    """Ports are numbers where they are written as digits; all else of a handler is text."""
    if isinstance(value, dict):
        return {
            key: int(part) if key == "port" and str(part).isdecimal() else _with_numbers(part)
            for key, part in value.items()
        }
    return [_with_numbers(part) for part in value] if isinstance(value, list) else value


@rule(
    "LDK009", "Less time to end than the end takes", Kind.KUBERNETES, Severity.ERROR, _TERMINATION, mends=True
)
def short_grace(document: Value) -> Iterator[Spot]:
    """The grace period holds everything: the `preStop` hook, then the server's own drain. When it is over,
    the container is killed with its requests in flight.

    Bad:

        terminationGracePeriodSeconds: 30
        lifecycle: {preStop: {exec: {command: [sleep, "30"]}}}

    Good:

        terminationGracePeriodSeconds: 60
        lifecycle: {preStop: {exec: {command: [sleep, "30"]}}}

    The mend allows ten seconds more than both take.
    """
    for pod in pods_of(document):
        grace_value = pod.spec.get("terminationGracePeriodSeconds")
        grace = _number(grace_value, _DEFAULT_GRACE_SECONDS)
        for container in pod.containers:
            hook, drain = _hook_seconds(container), _drain_seconds(container)
            if grace is None or hook is None or grace > hook + drain or (hook == 0 and drain == 0):
                continue
            if grace_value is None and (not pod.whole or pod.kind not in _DEFAULT_GRACE):
                continue
            edit = _longer(pod, grace_value, hook + drain + _SPARE_SECONDS)
            lifecycle = container.value.get("lifecycle")
            start = lifecycle.start if hook and lifecycle is not None else container.value.start
            takes = " and ".join(
                f"{what} takes {seconds} s"
                for what, seconds in (("preStop", hook), ("the drain", drain))
                if seconds
            )
            yield Spot(
                start=start,
                message=f"{container.name} is killed after {grace} s, but {takes}",
                edits=(edit,) if edit is not None else (),
            )


def _hook_seconds(container: Container) -> int | None:
    """0 without a hook; None where nobody can tell."""
    hook = container.value.get("lifecycle", "preStop")
    if hook is None:
        return 0
    if (told := hook.text("sleep", "seconds")) is not None:
        return int(told) if told.isdecimal() else None
    command = hook.get("exec", "command")
    words = command.data if command is not None else None
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        return None
    if words[0].rpartition("/")[2] == "sleep":
        return seconds_slept(" ".join(words))
    if words[0].rpartition("/")[2] in {"sh", "bash"} and len(words) == 3 and words[1].endswith("c"):
        return seconds_slept(words[2])
    return None


def _drain_seconds(container: Container) -> int:
    told = container.option(*_DRAINS)
    return int(told) if told is not None and told.isdecimal() else 0


def _longer(pod: Pod, grace: Value | None, seconds: int) -> Edit | None:
    if grace is not None:
        return replace_scalar(grace, str(seconds))
    return add_member(pod.spec, "terminationGracePeriodSeconds", seconds)


@rule(
    "LDK010",
    "A server that leaves before its traffic does",
    Kind.KUBERNETES,
    Severity.INFO,
    _TERMINATION,
    mends=True,
)
def no_drain(document: Value) -> Iterator[Spot]:
    """A pod that ends is taken out of its Service at the same time as it is told to stop, and requests keep
    coming for some seconds. A `preStop` that waits is what hides each rollout from the clients.

    Bad:

        containers: [{name: server, image: "vllm/vllm-openai:v0.9.1"}]

    Good:

        lifecycle: {preStop: {sleep: {seconds: 10}}}

    The mend adds that; it needs Kubernetes 1.30, older ones an `exec` of `sleep`.
    """
    for pod, container in _serving(document):
        if pod.kind != "Deployment" or not pod.whole or not container.value.get("ports"):
            continue
        if container.value.get("lifecycle") is not None or "lifecycle" in container.value.members:
            continue
        grace = _number(pod.spec.get("terminationGracePeriodSeconds"), _DEFAULT_GRACE_SECONDS)
        fits = grace is not None and grace > 10 + _drain_seconds(container)
        edit = (
            add_member(container.value, "lifecycle", {"preStop": {"sleep": {"seconds": 10}}})
            if fits
            else None
        )
        yield Spot(
            start=container.value.start,
            message=f"{container.name} has no preStop: each rollout cuts off requests",
            edits=(edit,) if edit is not None else (),
        )


@rule(
    "LDK019", "A GPU server scaled by its CPU", Kind.MANIFESTS, Severity.INFO,
    "kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale: custom metrics",
    looks_around=True,
)  # fmt: skip
def scaled_by_cpu(documents: tuple[Value, ...], around: Surroundings) -> Iterator[Spot]:
    """A server that waits for its GPU uses little CPU, however long its queue is: it is never scaled up.
    Requests in flight, or the length of the queue, say how busy it is.

    Bad:

        kind: HorizontalPodAutoscaler
        spec: {metrics: [{type: Resource, resource: {name: cpu, …}}]}

    Good:

        kind: HorizontalPodAutoscaler
        spec: {metrics: [{type: Pods, pods: {metric: {name: requests_waiting}, …}}]}
    """
    scalers = [one for one in documents if one.text("kind") == "HorizontalPodAutoscaler"]
    if not scalers:
        return
    on_gpu = {
        (pod.kind, document.text("metadata", "name"))
        for document in (*documents, *objects_beside(around))
        for pod in pods_of(document)
        if any(container.has_accelerator for container in pod.containers)
    }
    for scaler in scalers:
        kind, name = (scaler.text("spec", "scaleTargetRef", key) for key in ("kind", "name"))
        place = _only_cpu(scaler)
        if (kind, name) in on_gpu and place is not None:
            message = f"{name} works on a GPU and is scaled by its CPU, which idles meanwhile"
            yield Spot(start=place.start, message=message)


def _only_cpu(document: Value) -> Value | None:
    metrics = document.get("spec", "metrics")
    if metrics is None:
        return document.get("spec", "targetCPUUtilizationPercentage")
    names = {
        item.text("resource", "name") or item.text("containerResource", "name") for item in metrics.items
    }
    return metrics.items[0] if names == {"cpu"} else None
