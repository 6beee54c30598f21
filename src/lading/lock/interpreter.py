"""Which Python an image runs: the Debian suite's own, or a standalone build named by URL and sha256.

Standalone builds are found through uv's catalogue, honouring uv's own mirror variable; their sha256
comes from the checksum file beside the release.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import unquote

from lading.errors import FetchFailed, ProjectError, ResolutionFailed
from lading.fetch.address import display_url
from lading.fetch.transport import HttpStatus
from lading.lock.model import LockedBase, LockedInterpreter, LockedPackage
from lading.lock.uv import Uv
from lading.oci.platform import Platform
from lading.project.model import ImageSettings
from lading.project.values import SUITES

if TYPE_CHECKING:
    from lading.fetch.http import Fetcher
    from lading.lock.base.probe import FoundPython

STANDALONE_EXECUTABLE = "/opt/python/bin/python{version}"
_LARGEST_CHECKSUMS_BYTES = 4 << 20
_UPSTREAM = re.compile(r"(?:\d+:)?(\d+\.\d+\.\d+)")


def choose_base_provider(settings: ImageSettings, found: FoundPython | None) -> str:
    """`base` or `standalone`, for a base image whose Python is `found`. Raises ProjectError."""
    wanted = settings.python
    fits = found is not None and wanted in ("", found.version)
    if settings.interpreter == "base" and not fits:
        there = f"Python {found.version}" if found is not None else "no Python on its PATH"
        raise ProjectError(
            f"the base image {settings.base} has {there}"
            + (f", and {wanted} is asked for" if found is not None else ""),
            place="[image] interpreter",
            hints=('interpreter = "standalone"',),
        )
    if settings.interpreter == "standalone":
        return "standalone"
    return "base" if fits else "standalone"


def base_interpreter(found: FoundPython, base: LockedBase) -> LockedInterpreter:
    """The base image's own Python: its build is the image's, byte for byte."""
    return LockedInterpreter(
        provider="base",
        version=found.version,
        build=f"{found.exact} of {base.digest}",
        executable=found.executable,
    )


def choose_provider(settings: ImageSettings) -> str:
    """`debian` or `standalone`. Raises ProjectError for a provider that cannot give this Python."""
    _, _, suite = settings.base.partition(":")
    offered = SUITES.get(suite)
    if settings.interpreter == "debian" and offered != settings.python:
        raise ProjectError(
            f"Debian {suite} has Python {offered}, not {settings.python}",
            hints=('interpreter = "standalone"', f'python = "{offered}"'),
        )
    if settings.interpreter in ("debian", "standalone"):
        return settings.interpreter
    return "debian" if offered == settings.python else "standalone"


def debian_interpreter(python_version: str, packages: Iterable[LockedPackage]) -> LockedInterpreter:
    """The suite's Python as the locked packages hold it. Raises ResolutionFailed when they do not."""
    held = tuple(packages)
    name = f"python{python_version}-minimal"
    minimal = next((package for package in held if package.name == name), None)
    if minimal is None:
        raise ResolutionFailed(f"the suite's packages hold no {name}")
    return LockedInterpreter(
        provider="debian",
        version=python_version,
        build=minimal.version,
        executable=f"/usr/bin/python{python_version}",
        packages=tuple(sorted({package.name for package in held if package.role == "interpreter"})),
    )


def full_version(interpreter: LockedInterpreter) -> str:
    """`3.11.2`: what the marker python_full_version says inside the image."""
    text = interpreter.build
    if interpreter.provider == "standalone":
        text = text.partition("-")[2]
    match = _UPSTREAM.match(text)
    return match[1] if match else interpreter.version


def standalone_interpreter(
    python_version: str,
    platform: Platform,
    *,
    uv: Uv,
    fetcher: Fetcher,
    kept: LockedInterpreter | None = None,
) -> LockedInterpreter:
    """The newest standalone build of `python_version` for `platform`, or `kept` where it still fits.

    Raises ResolutionFailed where uv's catalogue has none, FetchFailed where no checksum can be had.
    """
    if kept is not None and kept.provider == "standalone" and kept.version == python_version:
        return kept
    url = _newest_build(python_version, platform, uv)
    return LockedInterpreter(
        provider="standalone",
        version=python_version,
        build=_build_name(url),
        executable=STANDALONE_EXECUTABLE.format(version=python_version),
        url=display_url(url),
        sha256=_published_sha256(url, fetcher),
        size_bytes=fetcher.size_bytes(url),
    )


def _newest_build(python_version: str, platform: Platform, uv: Uv) -> str:
    """The URL that uv's catalogue, through uv's mirror variable, gives for the highest patch version."""
    request = f"cpython-{python_version}-linux-{platform.machine}-gnu"
    listed = uv.run(
        ("python", "list", request, "--all-versions", "--only-downloads", "--output-format", "json"),
        doing=f"looking for a standalone Python {python_version}",
    )
    builds = [
        build
        for build in json.loads(listed)
        if build["url"] and build["variant"] == "default" and build["libc"] == "gnu"
        if build["arch"] == platform.machine and build["implementation"] == "cpython"
    ]
    if not builds:
        raise ResolutionFailed(
            f"there is no standalone build of Python {python_version} for {platform}",
            hints=("choose another python in [image]",),
        )
    newest = max(builds, key=lambda build: tuple(build["version_parts"].values()))
    return str(newest["url"])


def _build_name(url: str) -> str:
    """`cpython-3.12.16+20261110-x86_64-unknown-linux-gnu-install_only_stripped`: names the bytes."""
    return unquote(url.rpartition("/")[2]).removesuffix(".tar.gz").removesuffix(".tar.zst")


def _published_sha256(url: str, fetcher: Fetcher) -> str:
    """From `SHA256SUMS` in the release's folder, else from the file's own `.sha256`."""
    filename = unquote(url.rpartition("/")[2])
    try:
        sums = fetcher.get_bytes(
            f"{url.rpartition('/')[0]}/SHA256SUMS", limit_bytes=_LARGEST_CHECKSUMS_BYTES
        ).decode(errors="replace")
    except HttpStatus as error:
        if error.status != 404:
            raise
        return _single_sha256(f"{url}.sha256", fetcher)
    for line in sums.splitlines():
        sha256, _, name = line.partition(" ")
        if name.strip().lstrip("*") == filename:
            return _checked_sha256(sha256, url)
    raise FetchFailed(f"the release's SHA256SUMS does not name {filename}", place=display_url(url))


def _single_sha256(url: str, fetcher: Fetcher) -> str:
    text = fetcher.get_bytes(url, limit_bytes=4096).decode(errors="replace")
    return _checked_sha256(text.split()[0] if text.split() else "", url)


def _checked_sha256(text: str, url: str) -> str:
    if re.fullmatch(r"[0-9a-fA-F]{64}", text) is None:
        raise FetchFailed(f"{display_url(url)} has no readable sha256 beside it", place=display_url(url))
    return text.lower()
