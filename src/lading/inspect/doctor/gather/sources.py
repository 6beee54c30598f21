"""Where Debian packages and wheels would come from, by this host's settings. Nothing is asked."""

from __future__ import annotations

from pathlib import Path

from lading.errors import OutsideError
from lading.fetch.address import display_url
from lading.inspect.doctor.host import Sources
from lading.inspect.doctor.machine import Machine, is_folder
from lading.lock.debian.mirror import discover_mirrors
from lading.lock.indexes import find_links, uv_environment

_ANY_SUITE = "trixie"
"""One mirror serves all suites."""


def gather_sources(machine: Machine) -> Sources:
    environment = machine.environment
    try:
        mirror = display_url(discover_mirrors(environment, _ANY_SUITE, apt=machine.path("/etc/apt")).archive)
    except OutsideError:
        mirror = ""
    named = [Path(place).expanduser() for place in find_links(environment) if "://" not in place]
    return Sources(
        mirror=mirror,
        verifier=machine.which("gpgv") or machine.which("sqv") or "",
        uv_certificates=bool(uv_environment(environment, "cpu").get("SSL_CERT_FILE")),
        missing_folders=tuple(str(place) for place in named if not is_folder(machine.folder / place)),
    )
