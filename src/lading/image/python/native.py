"""Which interpreter on this host compiles bytecode for an image of another platform. Pure.

What CPython marshals depends on its exact release and not on the processor (both platforms are little-endian,
64 bits wide), so the same release built for this host does it, and nothing is emulated. The lock holds that
build whenever it is made for both platforms; a test compares with the other platform's own under qemu.

A base image's Python counts as the same where one index has the base for both platforms and both say the
same release. A Python of another maker would write bytecode that works too, and maybe other bytes: a layer
would depend on the machine that made it, so none is taken.
"""

from __future__ import annotations

import re

from lading.errors import ProjectError
from lading.lock.model import Lock, LockedInterpreter, LockedVariant
from lading.oci.platform import Platform

_REBUILD = re.compile(r"\+b\d+$")


def native_variant(
    lock: Lock, interpreter: LockedInterpreter, platform: Platform, host: Platform
) -> LockedVariant:
    """The locked variant for `host` whose interpreter is the same release as `interpreter`.

    `platform` is the image's. Raises ProjectError where the lock holds none.
    """
    ours = [variant for variant in lock.variants if variant.platform == str(host)]
    if not ours:
        raise ProjectError(
            f"bytecode for {platform} is compiled on {host} by the same Python for {host},"
            f" and the lock holds nothing for {host}",
            place="lading.lock",
            hints=(
                f'platform = ["{host}", "{platform}"] under [image], then: lading lock',
                "lading build --no-bytecode",
            ),
        )
    release = _release(interpreter)
    if release is None:
        raise ProjectError(
            f"bytecode for {platform} is compiled by the same Python for {host}, and nothing in the base says"
            f" which release of Python {interpreter.version} it has",
            place="[image] base",
            hints=("choose a base with its Python's patchlevel.h", "lading build --no-bytecode"),
        )
    for variant in ours:
        if _release(variant.interpreter) == release:
            return variant
    raise ProjectError(
        f"bytecode for {platform} needs Python {interpreter.build}, and for {host} the lock holds"
        f" {ours[0].interpreter.build}",
        place="lading.lock",
        hints=("lading lock --upgrade", "lading build --no-bytecode"),
    )


def _release(interpreter: LockedInterpreter) -> tuple[str, str, str] | None:
    """What two builds of one source share, without rebuild number (`+b1`) or processor; None: not known."""
    build = _REBUILD.sub("", interpreter.build)
    if interpreter.provider == "standalone":
        build = build.partition("-unknown-")[0].rpartition("-")[0]
    if interpreter.provider == "base":
        build = build.partition(" of ")[0]
        if build == interpreter.version:
            return None
    return interpreter.provider, interpreter.version, build
