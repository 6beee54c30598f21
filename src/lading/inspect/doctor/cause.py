"""Causes and their register. A cause is one function over evidence; its docstring is its page. Pure."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from lading.errors import OutsideError
from lading.inspect.doctor.model import Finding, Severity, Sign, explain_command


class Area(Enum):
    """What a cause is about. Those of a run are given a run's evidence, all others the host's."""

    KERNEL = "kernel and namespaces"
    CGROUPS = "control groups"
    STORAGE = "storage"
    NETWORK = "network"
    SOURCES = "where packages come from"
    ANSWERS = "what answers (with --online)"
    REGISTRY = "registries"
    ENGINE = "Docker and Podman"
    DRIVER = "GPU driver"
    DEVICES = "GPU devices"
    TOOLKIT = "GPUs in containers"
    CUDA = "driver, CUDA and GPU"
    GPU = "state of GPUs"
    FABRIC = "NCCL, InfiniBand, NUMA"
    RUN = "runs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    id: str
    """Words and hyphens: the name of its page."""
    title: str
    area: Area
    severity: Severity
    source: str
    exit_status: int
    check: Callable[[Any], Iterator[Sign]]

    @property
    def page(self) -> str:
        """Why it matters, what shows it, what mends it."""
        return inspect.cleandoc(self.check.__doc__ or "")


Check = TypeVar("Check", bound=Callable[..., Iterator[Sign]])
CAUSES: dict[str, Cause] = {}


def cause(
    id: str,
    title: str,
    area: Area,
    severity: Severity,
    source: str,
    *,
    exit_status: int = OutsideError.exit_status,
) -> Callable[[Check], Check]:
    """Enter a function into the register."""

    def enter(check: Check) -> Check:
        CAUSES[id] = Cause(
            id=id,
            title=title,
            area=area,
            severity=severity,
            source=source,
            exit_status=exit_status,
            check=check,
        )
        return check

    return enter


def all_causes() -> dict[str, Cause]:
    """Every cause by its id, area by area."""
    from lading.inspect.doctor import causes

    causes.register()
    order = list(Area)
    return dict(sorted(CAUSES.items(), key=lambda item: (order.index(item[1].area), item[0])))


def diagnose(areas: Iterable[Area], evidence: object) -> tuple[Finding, ...]:
    """What the causes of `areas` find in `evidence`, the worst first."""
    wanted = frozenset(areas)
    found = [
        Finding(
            cause=cause.id,
            severity=cause.severity,
            title=cause.title,
            proof=sign.proof,
            remedy=sign.remedy or explain_command(cause.id),
            exit_status=cause.exit_status,
        )
        for cause in all_causes().values()
        if cause.area in wanted
        for sign in cause.check(evidence)
    ]
    return tuple(sorted(found, key=lambda finding: -finding.severity))


HOST_AREAS = tuple(area for area in Area if area is not Area.RUN)
