"""Which interpreter on this host compiles bytecode for an image of another platform. Pure.

What CPython marshals depends on its exact release and not on the processor (both platforms are little-endian,
64 bits wide), so the same release built for this host does it, and nothing is emulated. The lock holds that
build whenever it is made for both platforms; a test compares with the other platform's own under qemu.
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
    for variant in ours:
        if _release(variant.interpreter) == _release(interpreter):
            return variant
    raise ProjectError(
        f"bytecode for {platform} needs Python {interpreter.build}, and for {host} the lock holds"
        f" {ours[0].interpreter.build}",
        place="lading.lock",
        hints=("lading lock --upgrade", "lading build --no-bytecode"),
    )


def _release(interpreter: LockedInterpreter) -> tuple[str, str, str]:
    """What two builds of one source share: no rebuild number (`+b1`), no processor."""
    build = _REBUILD.sub("", interpreter.build)
    if interpreter.provider == "standalone":
        build = build.partition("-unknown-")[0].rpartition("-")[0]
    return interpreter.provider, interpreter.version, build
