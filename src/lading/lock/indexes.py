"""Where wheels may come from: uv's variables, pip's where uv's are unset, and wheel folders.

Pure but for listing wheel folders. Two indexes that offer one name: uv's own rule holds (the first index that
has the name is the only one asked), which keeps a private name from being taken over by a public index.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lading.fetch.address import origin, split_credentials
from lading.lock.torch_index import VARIABLE as TORCH_VARIABLE
from lading.lock.torch_index import torch_backend

_FROM_PIP = {
    "UV_DEFAULT_INDEX": "PIP_INDEX_URL",
    "UV_EXTRA_INDEX_URL": "PIP_EXTRA_INDEX_URL",
    "UV_FIND_LINKS": "PIP_FIND_LINKS",
    "UV_NO_INDEX": "PIP_NO_INDEX",
    "UV_INSECURE_HOST": "PIP_TRUSTED_HOST",
    "SSL_CERT_FILE": "PIP_CERT",
}
_SAME_AS = {"UV_DEFAULT_INDEX": ("UV_INDEX_URL",), "UV_EXTRA_INDEX_URL": ("UV_INDEX",)}
_INDEXES = (
    "UV_INDEX",
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    TORCH_VARIABLE,
)
_COMMA_SEPARATED = {"UV_FIND_LINKS"}
_HOST_BOUND = (
    "UV_PYTHON",
    "UV_SYSTEM_PYTHON",
    "UV_BREAK_SYSTEM_PACKAGES",
    "UV_MANAGED_PYTHON",
    "UV_NO_MANAGED_PYTHON",
    "UV_PYTHON_PREFERENCE",
    "UV_PROJECT",
    "UV_WORKING_DIR",
    "UV_WORKING_DIRECTORY",
    "UV_PROJECT_ENVIRONMENT",
    "UV_FROZEN",
    "UV_LOCKED",
    "UV_NO_BINARY",
    "UV_NO_BINARY_PACKAGE",
    "UV_ONLY_BINARY",
    "UV_CUSTOM_COMPILE_COMMAND",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "PYTHONPATH",
    "PYTHONHOME",
)
"""Variables that would let the host's Python or another project decide."""


def uv_environment(
    environment: Mapping[str, str], accelerator: str, find_links: Iterable[str] = ()
) -> dict[str, str]:
    """The environment uv runs in. `find_links` are the project's own wheel folders (paths or URLs)."""
    result = {name: value for name, value in environment.items() if name not in _HOST_BOUND}
    for ours, theirs in _FROM_PIP.items():
        known = any(result.get(name) for name in (ours, *_SAME_AS.get(ours, ())))
        if not known and (value := environment.get(theirs)):
            result[ours] = ",".join(value.split()) if ours in _COMMA_SEPARATED else value
    named = (_absolute(place) for place in _split(result.get("UV_FIND_LINKS", "")))
    if folders := ",".join((*find_links, *named)):
        result["UV_FIND_LINKS"] = folders
    result.pop("UV_TORCH_BACKEND", None)
    backend = torch_backend(environment, accelerator)
    if backend is not None and not result.get(TORCH_VARIABLE):
        result["UV_TORCH_BACKEND"] = backend
    result["UV_PYTHON_DOWNLOADS"] = "never"
    result["UV_NO_PROGRESS"] = "1"
    result["NO_COLOR"] = "1"
    return result


def find_links(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Wheel folders and pages named by uv's variable, or by pip's where that is unset."""
    return tuple(_split(environment.get("UV_FIND_LINKS") or environment.get("PIP_FIND_LINKS") or ""))


def local_folders(places: Iterable[str]) -> tuple[Path, ...]:
    """Those of `places` that are folders here, as absolute paths."""
    folders = []
    for place in places:
        if place.startswith("file:"):
            path = Path(unquote(urlsplit(place).path))
        elif "://" in place:
            continue
        else:
            path = Path(place).expanduser()
        if path.is_dir():
            folders.append(path.absolute())
    return tuple(folders)


def index_credentials(
    environment: Mapping[str, str], declared: Mapping[str, str] | None = None
) -> dict[str, tuple[str, str]]:
    """Origin → user name and password, from the userinfo of configured index URLs and from uv's variables.

    `declared` are the indexes that the project's own uv configuration names: name → URL.
    """
    result: dict[str, tuple[str, str]] = {}
    for name, url in (*configured_indexes(environment), *(declared or {}).items()):
        if not url.startswith(("http://", "https://")):
            continue
        try:
            bare, credentials = split_credentials(url)
            place = origin(bare)
        except ValueError:  # no such port or address: uv will say so
            continue
        if credentials := credentials or _named_credentials(name, environment):
            result.setdefault(place, credentials)
    return result


def configured_indexes(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Name (or nothing) and URL of every index that the variables name."""
    known = uv_environment(environment, "cpu")
    for variable in _INDEXES:
        for entry in _split(known.get(variable, "")):
            name, equals, url = entry.partition("=")
            yield (name, url) if equals and "://" not in name else ("", entry)


def _named_credentials(name: str, environment: Mapping[str, str]) -> tuple[str, str] | None:
    """UV_INDEX_<NAME>_USERNAME and _PASSWORD, as uv reads them for a named index."""
    key = re.sub(r"[^A-Z0-9]", "_", name.upper())
    user = environment.get(f"UV_INDEX_{key}_USERNAME")
    password = environment.get(f"UV_INDEX_{key}_PASSWORD")
    return (user or "", password or "") if name and (user or password) else None


def _absolute(place: str) -> str:
    """A folder relative to where lading was started: uv runs elsewhere, in the project's folder."""
    return place if "://" in place else str(Path(place).expanduser().absolute())


def _split(value: str) -> Iterator[str]:
    for entry in re.split(r"[\s,]+", value):
        if entry:
            yield entry
