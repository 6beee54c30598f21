"""From checked settings and facts about the folder to the values of the model. Pure.

What is written goes first; what is not has the model's defaults or what detection found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lading.project.additions import additions
from lading.project.interpreters import PythonChoice
from lading.project.limits import Limits
from lading.project.model import (
    CondaEnvironment,
    DataSource,
    Finding,
    GpuRequest,
    ImageSettings,
    ServeSettings,
    SourceBuild,
    Task,
)
from lading.project.values import TARGETS

SERVING_RUNTIME = ("onnxruntime",)
"""What a serve image holds when nothing else is written: models are served from ONNX."""


def image_settings(
    written: Mapping[str, Any], python: PythonChoice, conda: CondaEnvironment | None = None
) -> ImageSettings:
    """`[image]` with all its defaults filled in."""
    plain = {
        key: value
        for key, value in additions(written).items()
        if key not in {"python", "base", "interpreter", "accelerator", "platform"}
    }
    if "accelerator" in written:
        plain["accelerators"] = written["accelerator"]
    elif conda is not None and conda.accelerator is not None:
        plain["accelerators"] = (conda.accelerator,)
    if "platform" in written:
        plain["platforms"] = written["platform"]
    return ImageSettings(python=python.python, base=python.base, interpreter=python.interpreter, **plain)


def target_settings(
    image: ImageSettings, targets: Mapping[str, Mapping[str, Any]]
) -> dict[str, ImageSettings]:
    """Every target: `[image]` with `[image.TARGET]` laid over it. Lists replace, tables are merged."""
    settled = {}
    for name in dict.fromkeys((*TARGETS, *targets)):
        written = dict(targets.get(name, {}))
        base = default_target(name, image)
        if "groups" in written:
            base = replace(base, only=None)
        elif "only" in written:
            base = replace(base, groups=())
        written = additions(written)
        for key in ("env", "labels"):
            if key in written:
                written[key] = {**getattr(image, key), **written[key]}
        settled[name] = replace(base, **written)
    return settled


def default_target(name: str, image: ImageSettings) -> ImageSettings:
    """A target of which nothing is written."""
    if name == "serve" and image.only is None:
        # Groups of [image] are what training needs; the model server and its runtime must stay.
        # Nor does the model server start what the project's own code would.
        return replace(
            image,
            only=SERVING_RUNTIME,
            groups=(),
            entrypoint=(),
            command=None,
            workdir=None,
            ports=(),
            healthcheck=None,
        )
    return image


def serve_groups(image: ImageSettings, targets: Mapping[str, Mapping[str, Any]]) -> tuple[Finding, ...]:
    """A word about `[image] groups`, which the serve image does not have."""
    written = targets.get("serve", {})
    if not image.groups or "groups" in written or "only" in written:
        return ()
    return (
        Finding(
            what="serve image",
            value=", ".join(SERVING_RUNTIME),
            because="groups of [image] are not in it; [image.serve] groups or only would change that",
        ),
    )


def limits(written: Mapping[str, Any]) -> Limits:
    return Limits(
        cpus=written.get("cpus"),
        memory_bytes=written.get("memory"),
        shm_bytes=written.get("shm"),
        pids=written.get("pids"),
        timeout_seconds=written.get("timeout"),
    )


_TASK_FIELDS = ("run", "target", "params", "inputs", "outputs", "env", "secrets", "gate", "network")


def task_from(name: str, written: Mapping[str, Any]) -> Task:
    """One task; `run` is there."""
    gpus = written.get("gpus")
    return Task(
        name=name,
        **{key: written[key] for key in _TASK_FIELDS if key in written},
        limits=limits(written),
        gpus=GpuRequest(count=gpus["count"], memory_bytes=gpus.get("memory")) if gpus else None,
    )


def serve_from(written: Mapping[str, Any], model: str, sample: str | None) -> ServeSettings:
    """`[serve]`, with the detected model and sample where none is written."""
    plain = {key: written[key] for key in ("host", "port", "bake") if key in written}
    if "grace" in written:
        plain["grace_seconds"] = written["grace"]
    return ServeSettings(
        model=written.get("model", model),
        sample=written.get("sample", sample),
        limits=limits(written),
        **plain,
    )


def data_sources(written: Mapping[str, Mapping[str, Any]]) -> dict[str, DataSource]:
    return {name: DataSource(name=name, **table) for name, table in written.items() if "source" in table}


def source_builds(written: Mapping[str, Mapping[str, Any]]) -> dict[str, SourceBuild]:
    """`[image.build.NAME]` by name."""
    return {
        name: SourceBuild(
            needs=tuple(table.get("needs", ())),
            apt=tuple(table.get("apt", ())),
            env=table.get("env", {}),
            memory_bytes=table.get("memory"),
            timeout_seconds=table.get("timeout"),
        )
        for name, table in written.items()
    }
