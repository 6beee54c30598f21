"""Where Debian packages and wheels come from. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lading.inspect.doctor.cause import Area, cause
from lading.inspect.doctor.host import Host
from lading.inspect.doctor.model import Severity, Sign


@cause(
    "mirror-unknown", "No Debian mirror is known", Area.SOURCES, Severity.WARNING,
    "LADING_DEBIAN_MIRROR; sources.list(5)",
)  # fmt: skip
def mirror_unknown(host: Host) -> Iterator[Sign]:
    """Images stand on a Debian suite unless `[image] base` says otherwise. Its packages come from the mirror
    that apt uses here; on another distribution, and in most containers, apt names none. lading names none
    of its own.
    """
    if not host.sources.mirror:
        yield Sign(
            proof=("LADING_DEBIAN_MIRROR is not set", "/etc/apt names no archive of Debian's"),
            remedy="export LADING_DEBIAN_MIRROR=https://mirror.example/debian",
        )


@cause(
    "verifier-missing", "Nothing here can check Debian's signatures", Area.SOURCES, Severity.WARNING,
    "gpgv(1), sqv(1)",
)  # fmt: skip
def verifier_missing(host: Host) -> Iterator[Sign]:
    """Indexes of Debian are taken only with a good signature, which `gpgv` or `sqv` checks. Debian and
    Ubuntu have it; Fedora has it in `gnupg2`, Arch in `gnupg`.
    """
    if host.sources.mirror and not host.sources.verifier:
        yield Sign(proof=("neither gpgv nor sqv is in PATH",), remedy="sudo apt-get install gpgv")


@cause(
    "wheel-folder-missing", "A folder of wheels is named and not there", Area.SOURCES, Severity.ERROR,
    "UV_FIND_LINKS, PIP_FIND_LINKS",
)  # fmt: skip
def wheel_folder_missing(host: Host) -> Iterator[Sign]:
    """uv ends at a folder that it cannot read, before anything is resolved: a disk that is not mounted, or a
    path of another machine.
    """
    for path in host.sources.missing_folders:
        variable = "UV_FIND_LINKS" if host.environment.get("UV_FIND_LINKS") else "PIP_FIND_LINKS"
        yield Sign(proof=(f"{variable} names {path}: no such folder",), remedy=f"unset {variable}")
