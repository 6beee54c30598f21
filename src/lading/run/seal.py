"""The seal: a fingerprint over everything that decides what a run comes to. Pure.

CPU, memory and time limits are recorded elsewhere and not sealed: they decide how fast, not what. Secrets
are sealed by name only. `SEAL_FORMAT` goes up whenever the meaning of a term changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lading.oci.digest import Digest
from lading.oci.json import canonical_json

SEAL_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    digest: Digest
    terms: Mapping[str, Any]
    """The JSON document that was hashed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One term in which two seals differ; None where a side lacks it."""

    term: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.term}: {_shown(self.before)} → {_shown(self.after)}"


def make_seal(
    *,
    image_config: Digest,
    command: tuple[str, ...],
    params: Mapping[str, str | int | float | bool],
    environment: Mapping[str, str],
    secrets: tuple[str, ...],
    inputs: Mapping[str, Digest],
    mounts: Mapping[str, str],
    user: str,
    network: bool,
    roles: int = 1,
    gpus: Mapping[str, int] | None = None,
) -> Seal:
    """Seal one run. `mounts` maps a target in the container to `ro` or `rw`: what lies there is an input's
    digest or the run's own, never a host path. Raises ValueError for a NaN or infinite parameter."""
    terms = {
        "format": SEAL_FORMAT,
        "image": str(image_config),
        "command": list(command),
        "params": dict(params),
        "environment": dict(environment),
        "secrets": sorted(secrets),
        "inputs": {name: str(digest) for name, digest in inputs.items()},
        "mounts": dict(mounts),
        "user": user,
        "network": network,
        "roles": roles,
        "gpus": dict(gpus) if gpus is not None else None,
    }
    return Seal(digest=Digest.of(canonical_json(terms)), terms=terms)


def explain_difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Which terms differ between two seals' documents, sorted: `image`, `params.lr`, `inputs.digits` …"""
    old, new = _flatten(before), _flatten(after)
    return tuple(
        Difference(term=term, before=old.get(term), after=new.get(term))
        for term in sorted({*old, *new})
        if (term in old, old.get(term)) != (term in new, new.get(term))
        # JSON's 1, 1.0 and true are equal in Python and different in a seal.
        or canonical_json(old.get(term)) != canonical_json(new.get(term))
    )


def _flatten(terms: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in terms.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{key}": inner for key, inner in value.items()}
        else:
            flat[name] = value
    return flat


def _shown(value: Any) -> str:
    if value is None:
        return "absent"
    if isinstance(value, str) and value.startswith("sha256:"):
        return value[7:19]
    if isinstance(value, list):
        return " ".join(str(item) for item in value)
    return str(value)
