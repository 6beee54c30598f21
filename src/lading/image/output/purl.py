"""Package URLs (the purl specification): names of packages that scanners understand. Pure."""

from __future__ import annotations

from urllib.parse import quote

from lading.lock.model import LockedInterpreter, LockedPackage, LockedWheel
from lading.oci.digest import Digest


def wheel_purl(wheel: LockedWheel) -> str:
    """`pkg:pypi/torch@2.13.0%2Bcpu`."""
    return f"pkg:pypi/{_encoded(wheel.name)}@{_encoded(wheel.version)}"


def debian_purl(package: LockedPackage) -> str:
    """`pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=bookworm`."""
    distribution = package.suite.partition("-")[0].partition("/")[0]
    return (
        f"pkg:deb/debian/{_encoded(package.name)}@{_encoded(package.version)}"
        f"?arch={_encoded(package.architecture)}&distro={_encoded(distribution)}"
    )


def interpreter_purl(interpreter: LockedInterpreter) -> str:
    """`pkg:generic/python@3.11.2-6%2Bdeb12u6`."""
    return f"pkg:generic/python@{_encoded(interpreter.build)}"


def image_purl(name: str, digest: Digest, architecture: str) -> str:
    """`pkg:oci/digits@sha256%3A…?arch=amd64`."""
    return (
        f"pkg:oci/{_encoded(name.rpartition('/')[2])}@{quote(digest, safe='')}?arch={_encoded(architecture)}"
    )


def _encoded(text: str) -> str:
    return quote(text, safe=":")
