"""Who we are to a registry: what `docker login` and `podman login` left behind. Read, never written.

Files: `REGISTRY_AUTH_FILE`, `$XDG_RUNTIME_DIR/containers/auth.json`, `~/.config/containers/auth.json`,
`$DOCKER_CONFIG/config.json`, `~/.docker/config.json`; the first that knows the registry decides. Helpers are
programs named `docker-credential-NAME` (docker/docker-credential-helpers: protocol). A secret is in no
message, log or repr.
"""

from __future__ import annotations

import base64
import binascii
import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lading.errors import OutsideError
from lading.oci.reference import DEFAULT_REGISTRY

_HELPER_SECONDS = 20
_DOCKER_HUB_KEYS = (
    "https://index.docker.io/v1/",
    "index.docker.io",
    DEFAULT_REGISTRY,
    "registry-1.docker.io",
)
_TOKEN_USER = "<token>"
_NOT_FOUND = "credentials not found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A user name and password, or an identity token that is exchanged for access tokens."""

    user: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)


def find_credential(registry: str, repository: str, environment: Mapping[str, str]) -> Credential | None:
    """What is known for `registry`, the longest matching path first; None where nothing is.

    Raises OutsideError for a file that is no JSON, and for a helper that hangs, fails or talks nonsense.
    """
    for path in credential_files(environment):
        document = _read(path)
        if document is not None:
            credential = _in_document(document, registry, repository, path, environment)
            if credential is not None:
                return credential
    return None


def credential_files(environment: Mapping[str, str]) -> Iterator[Path]:
    """Where credentials may be, in the order in which they are looked for."""
    home = Path(environment.get("HOME") or "~").expanduser()
    if named := environment.get("REGISTRY_AUTH_FILE"):
        yield Path(named)
    if runtime := environment.get("XDG_RUNTIME_DIR"):
        yield Path(runtime) / "containers/auth.json"
    yield Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "containers/auth.json"
    if docker := environment.get("DOCKER_CONFIG"):
        yield Path(docker) / "config.json"
    else:
        yield home / ".docker/config.json"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    except (OSError, ValueError) as error:
        raise OutsideError(
            "the file with registry credentials cannot be read: it is no JSON"
            if isinstance(error, ValueError)
            else f"the file with registry credentials cannot be read: {error.strerror}",
            place=str(path),
        ) from None
    if not isinstance(document, dict):
        raise OutsideError("the file with registry credentials holds no JSON object", place=str(path))
    return document


def _in_document(
    document: Mapping[str, Any],
    registry: str,
    repository: str,
    path: Path,
    environment: Mapping[str, str],
) -> Credential | None:
    keys = _keys(registry, repository)
    helpers = document.get("credHelpers")
    if isinstance(helpers, dict):
        for key in keys:
            if isinstance(helper := helpers.get(key), str):
                return _from_helper(helper, key, environment)
    entries = document.get("auths")
    known = {_normal(key): value for key, value in entries.items()} if isinstance(entries, dict) else {}
    for key in keys:
        entry = known.get(_normal(key))
        if isinstance(entry, dict) and (found := entry_credential(entry, path)) is not None:
            return found
    store = document.get("credsStore")
    if isinstance(store, str) and store:
        for key in keys:
            if (credential := _from_helper(store, key, environment)) is not None:
                return credential
    return None


def _keys(registry: str, repository: str) -> tuple[str, ...]:
    """What an entry for this registry may be called, most exact first (containers-auth.json(5))."""
    if registry == DEFAULT_REGISTRY:
        return _DOCKER_HUB_KEYS
    parts = repository.split("/")
    paths = [f"{registry}/{'/'.join(parts[:count])}" for count in range(len(parts), 0, -1)]
    return (*paths, registry)


def entry_registry(key: str) -> str:
    """The registry that a key of `auths` or `credHelpers` is for. Pure."""
    return DEFAULT_REGISTRY if key in _DOCKER_HUB_KEYS else _normal(key).partition("/")[0]


def _normal(key: str) -> str:
    """Docker has written `https://HOST/v1/` for HOST."""
    rest = key.partition("://")[2] or key
    return rest.removesuffix("/").removesuffix("/v1").removesuffix("/v2")


def entry_credential(entry: Mapping[str, Any], path: Path) -> Credential | None:
    """What an entry of `auths` says; None where it says nothing. Raises OutsideError. Pure."""
    if token := entry.get("identitytoken"):
        return Credential(identity_token=str(token))
    if isinstance(entry.get("username"), str) and isinstance(entry.get("password"), str):
        return Credential(user=entry["username"], password=entry["password"])
    if not (encoded := entry.get("auth")):
        return None
    try:
        user, colon, password = base64.b64decode(str(encoded), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        colon = user = password = ""
    if not colon:
        raise OutsideError(
            "an `auth` of the registry credentials is not base64 of USER:PASSWORD", place=str(path)
        )
    return Credential(user=user, password=password.rstrip("\0"))


def _from_helper(helper: str, server: str, environment: Mapping[str, str]) -> Credential | None:
    name = f"docker-credential-{helper}"
    program = None if "/" in helper else shutil.which(name, path=environment.get("PATH"))
    if program is None:
        raise OutsideError(
            f"the registry credentials are in {name}, which is not on PATH",
            place=name,
            hints=(f"which {name}",),
        )
    try:
        done = subprocess.run(
            [program, "get"],
            input=server.encode(),
            capture_output=True,
            timeout=_HELPER_SECONDS,
            env=dict(environment),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise OutsideError(
            f"{name} gave no answer in {_HELPER_SECONDS} seconds",
            place=name,
            hints=(f"echo {server} | {name} get",),
        ) from None
    except OSError as error:
        raise OutsideError(f"{name} cannot be started: {error.strerror}", place=name) from None
    if done.returncode != 0:
        said = (done.stdout + done.stderr).decode("utf-8", "replace")
        if _NOT_FOUND in said.lower():
            return None
        raise OutsideError(
            f"{name} ended with exit code {done.returncode}",
            place=name,
            hints=(f"echo {server} | {name} get",),
        )
    return _helper_answer(done.stdout, name)


def _helper_answer(output: bytes, name: str) -> Credential:
    try:
        document = json.loads(output)
        user, secret = document["Username"], document["Secret"]
    except (ValueError, KeyError, TypeError):
        user = secret = None
    if not isinstance(user, str) or not isinstance(secret, str):
        # What it said is left out on purpose: it may hold the secret.
        raise OutsideError(f"{name} answered something that is no credential", place=name)
    return (
        Credential(identity_token=secret) if user == _TOKEN_USER else Credential(user=user, password=secret)
    )
