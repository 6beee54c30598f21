"""How a registry is reached: its host name and scheme. Pure.

Plain HTTP is spoken to loopback and to what `LADING_INSECURE_REGISTRIES` names, to nobody else.
"""

from __future__ import annotations

from collections.abc import Mapping

from lading.fetch.address import is_loopback
from lading.oci.reference import DEFAULT_REGISTRY

INSECURE_VARIABLE = "LADING_INSECURE_REGISTRIES"
_DOCKER_HUB_HOST = "registry-1.docker.io"


def registry_host(registry: str) -> str:
    """The host and port that serve `registry`: Docker Hub's is another than its name."""
    return _DOCKER_HUB_HOST if registry == DEFAULT_REGISTRY else registry


def schemes(registry: str, environment: Mapping[str, str]) -> tuple[str, ...]:
    """What to try, best first. Loopback may speak either, as Docker has it."""
    named = {name.strip() for name in environment.get(INSECURE_VARIABLE, "").split(",")}
    if registry in named:
        return ("https", "http")
    return ("http", "https") if is_loopback(host_name(registry)) else ("https",)


def host_name(registry: str) -> str:
    """`registry` without its port and brackets."""
    if registry.startswith("["):
        return registry[1:].partition("]")[0]
    return registry.partition(":")[0]
