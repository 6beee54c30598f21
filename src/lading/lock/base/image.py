"""A registry image is fetched, looked into, and becomes a LockedBase. Thin.

Its layers come into the store, each checked by its digest; the probe of a manifest is kept, so that a second
lock asks the registry for the digest alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from email.parser import HeaderParser

from lading.errors import FetchFailed, ProjectError
from lading.fetch.transport import HttpStatus
from lading.lock.base.probe import Probe, is_probed, probe
from lading.lock.model import LockedBase, LockedBaseLayer
from lading.oci.manifest import MEDIA_LAYER_GZIP, MEDIA_LAYER_TAR
from lading.oci.platform import Platform
from lading.oci.reference import Reference
from lading.registry.client import Registry, open_registry
from lading.registry.pull import RemoteImage, find_image, pull_layers
from lading.registry.stack import read_stack
from lading.store import Store

_DOCKER_LAYERS = {
    "application/vnd.docker.image.rootfs.diff.tar.gzip": MEDIA_LAYER_GZIP,
    "application/vnd.docker.image.rootfs.diff.tar": MEDIA_LAYER_TAR,
}
"""The same bytes under an older name."""
_OWN_BUSINESS = frozenset({"pip", "setuptools", "wheel"})
"""What an environment brings its own version of, whatever is below it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundBase:
    locked: LockedBase
    probe: Probe


def find_base(
    name: str, platform: Platform, *, store: Store, environment: Mapping[str, str], offline: bool
) -> FoundBase:
    """The image `name` for `platform`, in the store, and what it holds.

    Raises ProjectError (no such image, or one that cannot be a base), FetchFailed, DigestMismatch.
    """
    reference = Reference.parse(name)
    with open_registry(reference.registry, store, environment, offline=offline) as registry:
        image = _found(registry, reference, platform, store)
        pull_layers(registry, image, store)
    stack = read_stack(store, (layer.digest for layer in image.manifest.layers), is_probed)
    env = dict(image.config.env)
    found = probe(stack, env, name)
    return FoundBase(locked=_locked(reference, image, env, found), probe=found)


def _found(registry: Registry, reference: Reference, platform: Platform, store: Store) -> RemoteImage:
    try:
        return find_image(registry, reference, platform, store)
    except HttpStatus as error:
        if error.status not in (401, 403, 404):
            raise
        raise ProjectError(
            f"the base image {reference} is not there, or not for us: {error.message}",
            place="[image] base",
            hints=(f"docker login {reference.registry}",) if error.status != 404 else (),
        ) from None
    except FetchFailed as error:
        if error.place == str(reference):
            raise ProjectError(error.message, place="[image] base", hints=error.hints) from None
        if isinstance(error, HttpStatus) or error.hints:
            raise
        raise FetchFailed(
            f"the base image {reference} cannot be had: {error.message}",
            place="[image] base",
            hints=("lading doctor --online", f"lading pull {reference}   # where it can be reached"),
        ) from None


def _locked(reference: Reference, image: RemoteImage, env: Mapping[str, str], found: Probe) -> LockedBase:
    return LockedBase(
        reference=reference.qualified,
        digest=image.digest,
        layers=tuple(
            LockedBaseLayer(
                digest=layer.digest,
                diff_id=diff_id,
                size_bytes=layer.size_bytes,
                media_type=_DOCKER_LAYERS.get(layer.media_type, layer.media_type),
            )
            for layer, diff_id in zip(image.manifest.layers, image.config.diff_ids, strict=True)
        ),
        env=env,
        environment=found.python.environment if found.python is not None else "",
        distribution=found.distribution,
        glibc_minor=found.glibc_minor,
        held={
            name: str(HeaderParser().parsestr(text, headersonly=True)["Version"])
            for name, text in sorted(found.metadata.items())
            if name not in _OWN_BUSINESS
        },
    )
