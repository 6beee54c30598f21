"""Files with registry credentials. Pure; sees no secret."""

from __future__ import annotations

from collections.abc import Iterator

from lading.inspect.doctor.cause import Area, cause
from lading.inspect.doctor.host import Host
from lading.inspect.doctor.model import Severity, Sign


@cause(
    "credentials-broken", "The file with registry credentials cannot be read", Area.REGISTRY,
    Severity.ERROR, "containers-auth.json(5)",
)  # fmt: skip
def credentials_broken(host: Host) -> Iterator[Sign]:
    """The file is no JSON, so no tool reads any log-in from it. Mostly a comma too many after an edit by
    hand, or a variable of CI that was pasted twice.
    """
    for file in host.log_ins:
        if file.fault:
            yield Sign(proof=(f"{file.path}: {file.fault}",), remedy=f"python3 -m json.tool {file.path}")


@cause(
    "credentials-open", "Others can read the registry passwords", Area.REGISTRY, Severity.WARNING,
    "docker login writes with mode 0600",
)  # fmt: skip
def credentials_open(host: Host) -> Iterator[Sign]:
    """The file holds passwords, base64 but not encrypted, and group or others may read it."""
    for file in host.log_ins:
        if file.holds_secrets and file.mode & 0o077:
            yield Sign(proof=(f"{file.path}: mode {file.mode:04o}",), remedy=f"chmod 600 {file.path}")


@cause(
    "helper-missing", "A credential helper is named and not installed", Area.REGISTRY, Severity.ERROR,
    "docker-credential-helpers: programs named docker-credential-NAME",
)  # fmt: skip
def helper_missing(host: Host) -> Iterator[Sign]:
    """Log-ins are kept by a program that is not in PATH: `desktop` and `desktop.exe` come with Docker
    Desktop, `ecr-login` and `gcloud` with those of the clouds. Push and pull fail, for public images too.
    Without the program, take its line out of the file and log in again.
    """
    for file in host.log_ins:
        for helper, use in file.missing_helpers:
            yield Sign(
                proof=(
                    f"{file.path} asks docker-credential-{helper} for {use}",
                    "there is no such program in PATH",
                ),
                remedy=f"which docker-credential-{helper}",
            )


@cause(
    "helper-without-desktop", "The credential helper needs a desktop session", Area.REGISTRY,
    Severity.WARNING, "docker-credential-secretservice talks to the D-Bus of a session",
)  # fmt: skip
def helper_without_desktop(host: Host) -> Iterator[Sign]:
    """`secretservice` keeps log-ins in the keyring of a desktop. Over ssh and in CI there is none: `Cannot
    autolaunch D-Bus without X11`. `pass`, or no helper and a file of mode 0600, work there.
    """
    for file in host.log_ins:
        for helper in file.headless_helpers:
            yield Sign(
                proof=(
                    f"{file.path} names the helper {helper}",
                    "DBUS_SESSION_BUS_ADDRESS and DISPLAY are not set",
                ),
                remedy="dbus-run-session -- lading push",
            )


@cause(
    "log-in-empty", "A log-in is written down without a password", Area.REGISTRY, Severity.WARNING,
    "docker login with a helper leaves an empty entry in `auths`",
)  # fmt: skip
def log_in_empty(host: Host) -> Iterator[Sign]:
    """`{"auths": {"registry.example": {}}}` without a helper: the file was copied from a machine whose
    helper has the password. Requests go out without credentials, and private images are `not found`.
    """
    for file in host.log_ins:
        for registry in file.empty:
            yield Sign(
                proof=(f"{file.path}: the entry of {registry} is empty, and no helper is named",),
                remedy=f"docker login {registry}",
            )


@cause(
    "log-in-garbled", "A log-in is not base64 of USER:PASSWORD", Area.REGISTRY, Severity.ERROR,
    "containers-auth.json(5): auth",
)  # fmt: skip
def log_in_garbled(host: Host) -> Iterator[Sign]:
    """The field `auth` cannot be decoded: mostly a password that was pasted as it is, or `base64` that broke
    the line (`base64 -w0` does not).
    """
    for file in host.log_ins:
        for registry in file.garbled:
            yield Sign(
                proof=(f"{file.path}: `auth` of {registry} is not base64 of USER:PASSWORD",),
                remedy=f"docker login {registry}",
            )


@cause(
    "log-in-expired", "A registry token has expired", Area.REGISTRY, Severity.WARNING,
    "the end that AWS's tokens and JSON Web Tokens carry",
)  # fmt: skip
def log_in_expired(host: Host) -> Iterator[Sign]:
    """The password is a token that says itself until when it holds: 12 hours for Amazon's ECR. Log in again,
    or use a helper that fetches a new one each time (`docker-credential-ecr-login`).
    """
    for file in host.log_ins:
        for registry, end in file.expired:
            if end < host.now:
                yield Sign(
                    proof=(f"{file.path}: the token of {registry} ended {end:%Y-%m-%d %H:%M} UTC",),
                    remedy=f"docker login {registry}",
                )
