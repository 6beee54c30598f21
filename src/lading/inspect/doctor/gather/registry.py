"""Files with registry credentials: what is in them, never the secrets themselves."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lading.errors import OutsideError
from lading.inspect.doctor.host import LogIns
from lading.inspect.doctor.machine import Machine, is_file, read_text
from lading.registry.credentials import Credential, credential_files, entry_credential, entry_registry

_NEEDS_A_DESKTOP = "secretservice"


def gather_log_ins(machine: Machine) -> tuple[LogIns, ...]:
    return tuple(_file(machine, path) for path in credential_files(machine.environment) if is_file(path))


def _file(machine: Machine, path: Path) -> LogIns:
    mode = path.stat().st_mode & 0o777
    try:
        document = json.loads(read_text(path))
    except ValueError as error:
        return LogIns(path=str(path), mode=mode, fault=f"it is no JSON: {error}")
    if not isinstance(document, dict):
        return LogIns(path=str(path), mode=mode, fault="it holds no JSON object")
    helpers = dict(_helpers(document))
    missing = {name: use for name, use in helpers.items() if machine.which(_program(name)) is None}
    desktop = any(machine.environment.get(name) for name in ("DBUS_SESSION_BUS_ADDRESS", "DISPLAY"))
    entries = document.get("auths")
    empty, garbled, expired, secrets = [], [], [], False
    for registry, entry in (entries if isinstance(entries, dict) else {}).items():
        try:
            credential = entry_credential(entry, path) if isinstance(entry, dict) else None
        except OutsideError:
            garbled.append(registry)
            continue
        secrets = secrets or credential is not None
        if credential is None and not helpers:
            empty.append(registry)
        elif credential is not None and (end := expiry_of(credential)) is not None:
            expired.append((registry, end))
    return LogIns(
        path=str(path),
        mode=mode,
        holds_secrets=secrets,
        missing_helpers=tuple(missing.items()),
        headless_helpers=tuple(
            name for name in helpers if name == _NEEDS_A_DESKTOP and not desktop and name not in missing
        ),
        empty=tuple(empty),
        garbled=tuple(garbled),
        known=tuple(
            dict.fromkeys(
                entry_registry(key)
                for table in (entries, document.get("credHelpers"))
                for key in (table if isinstance(table, dict) else ())
            )
        ),
        expired=tuple(expired),
    )


def _helpers(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Helper → what it is asked for."""
    if isinstance(named := document.get("credHelpers"), dict):
        for registry, helper in named.items():
            if isinstance(helper, str):
                yield helper, registry
    if isinstance(store := document.get("credsStore"), str) and store:
        yield store, "every registry"


def _program(helper: str) -> str:
    return f"docker-credential-{helper}"


def expiry_of(credential: Credential) -> datetime | None:
    """When a token ends that says so itself: those of AWS, and JSON Web Tokens. Pure."""
    for secret in (credential.password, credential.identity_token):
        parts = secret.split(".")
        for text in (secret, parts[1] if len(parts) == 3 else ""):
            document = _decoded(text)
            end = document.get("expiration", document.get("exp"))
            if isinstance(end, int) and 0 < end < 1 << 33:
                return datetime.fromtimestamp(end, UTC)
    return None


def _decoded(text: str) -> dict[str, Any]:
    if not re.fullmatch(r"[A-Za-z0-9+/_-]{16,}={0,2}", text):
        return {}
    try:
        padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
        document = json.loads(base64.b64decode(padded, altchars=b"-_" if {"-", "_"} & set(text) else None))
    except (ValueError, binascii.Error):
        return {}
    return document if isinstance(document, dict) else {}
