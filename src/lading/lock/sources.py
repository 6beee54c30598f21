"""Where a locked wheel's bytes are opened: the store, a wheel folder, its URL, else wherever uv finds it.

Opening checks the length alone; whoever streams the bytes checks the sha256 while they pass.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lading.errors import FetchFailed, LadingError
from lading.fetch.source import ByteSource, LocalFile
from lading.lock.indexes import find_links, local_folders, uv_environment
from lading.lock.links import linked_wheels
from lading.lock.model import LockedWheel
from lading.lock.sizes import local_path
from lading.lock.torch_index import torch_index
from lading.lock.uv import Uv
from lading.oci.digest import Digest
from lading.project.accelerators import is_accelerator

if TYPE_CHECKING:
    from lading.fetch.http import Fetcher
    from lading.store import Store

_CHUNK_BYTES = 1 << 20


def open_wheel(
    wheel: LockedWheel,
    *,
    store: Store,
    fetcher: Fetcher,
    environment: Mapping[str, str],
    folder: Path,
    project_find_links: Iterable[str] = (),
) -> ByteSource:
    """The bytes of `wheel`; `folder` is the project's, where uv reads `[tool.uv]`. The caller closes it.

    Raises FetchFailed naming every place that was tried.
    """
    places = (*project_find_links, *find_links(environment))
    here = _local(wheel, store, places)
    if here is not None:
        return here
    if fetcher.offline:
        raise FetchFailed(
            f"{wheel.filename} is not in the store and in no wheel folder, and --offline forbids fetching it",
            place=wheel.filename,
            hints=("run the same command once without --offline",),
        )
    tried: list[str] = []
    if wheel.url is not None:
        source = _opened(wheel, wheel.url, fetcher, folder, tried)
        if source is not None:
            return source
    for url in _located(wheel, places, fetcher, environment, folder, tried):
        source = _opened(wheel, url, fetcher, folder, tried)
        if source is not None:
            return source
    raise FetchFailed(
        f"{wheel.filename} (sha256 {wheel.sha256[:12]}…) is nowhere to be had: "
        + ("; ".join(tried) or "no index and no wheel folder offers it"),
        place=wheel.filename,
        hints=(f"lading lock --upgrade {wheel.name}", "name the index that has it: export UV_INDEX=…"),
    )


def _local(wheel: LockedWheel, store: Store, places: Iterable[str]) -> LocalFile | None:
    digest = Digest.from_hex(wheel.sha256)
    if store.blobs.has_intact(digest):  # few and small ones are kept: reading them twice costs nothing
        return LocalFile(store.blobs.path(digest))
    for directory in local_folders(places):
        if is_this_wheel(directory / wheel.filename, wheel):
            return LocalFile(directory / wheel.filename)
    return None


def is_this_wheel(path: Path, wheel: LockedWheel) -> bool:
    """Whether the file at `path` has the wheel's length and sha256."""
    try:
        if path.stat().st_size != wheel.size_bytes:
            return False
        state = hashlib.sha256()
        with path.open("rb", buffering=0) as file:
            while chunk := file.read(_CHUNK_BYTES):
                state.update(chunk)
    except OSError:
        return False
    return state.hexdigest() == wheel.sha256


def _opened(
    wheel: LockedWheel, url: str, fetcher: Fetcher, folder: Path, tried: list[str]
) -> ByteSource | None:
    """The file at `url` when it is as long as the lock says; the reason else goes to `tried`."""
    path = local_path(url, folder)
    if path is not None:
        return LocalFile(path) if is_this_wheel(path, wheel) else None
    try:
        source = fetcher.open_file(url)
    except FetchFailed as error:
        tried.append(error.message)
        return None
    if source.size_bytes == wheel.size_bytes:
        return source
    source.close()
    tried.append(f"{source.name} is {source.size_bytes} bytes long, the lock says {wheel.size_bytes}")
    return None


def _located(
    wheel: LockedWheel,
    places: Iterable[str],
    fetcher: Fetcher,
    environment: Mapping[str, str],
    folder: Path,
    tried: list[str],
) -> list[str]:
    """URLs that pages of links and uv's indexes give for this very file."""
    urls = []
    for place in places:
        try:
            urls += [url for filename, url in linked_wheels(place, fetcher) if filename == wheel.filename]
        except FetchFailed as error:
            tried.append(error.message)
    try:
        urls += _asked_uv(wheel, Uv(folder=folder, environment=_environment_for(wheel, environment)))
    except LadingError as error:
        tried.append(error.message)
    return urls


def _environment_for(wheel: LockedWheel, environment: Mapping[str, str]) -> dict[str, str]:
    """uv's, with the index of PyTorch's builds that the wheel's version (`2.9.1+cu126`) names."""
    build = wheel.version.partition("+")[2]
    known = uv_environment(environment, build if is_accelerator(build) else "any")
    index = torch_index(environment, build) if is_accelerator(build) else None
    if index is not None:
        known["UV_INDEX"] = " ".join(filter(None, (index, known.get("UV_INDEX"))))
    return known


def _asked_uv(wheel: LockedWheel, uv: Uv) -> list[str]:
    """uv knows the indexes, their order and their credentials; asking it for one pin gives the URL again."""
    import tomllib

    from packaging.pylock import Pylock
    from packaging.utils import parse_wheel_filename

    tag = next(iter(parse_wheel_filename(wheel.filename)[3]))
    platform = ["--python-platform", _uv_platform(tag.platform)] if tag.platform != "any" else []
    python = ["--python-version", _python_of(tag.interpreter)] if tag.interpreter.startswith("cp3") else []
    with tempfile.TemporaryDirectory(prefix="lading-wheel-") as scratch:
        pin = Path(scratch) / "pin.in"
        pin.write_text(f"{wheel.name}=={wheel.version}\n")
        text = uv.run(
            (
                "pip",
                "compile",
                str(pin),
                "--no-deps",
                "--no-build",
                "--format",
                "pylock.toml",
                *platform,
                *python,
            ),
            doing=f"looking for {wheel.filename}",
        )
    pylock = Pylock.from_dict(tomllib.loads(text))
    return [
        found.url
        for package in pylock.packages
        for found in package.wheels or ()
        if found.url and found.filename == wheel.filename and found.hashes.get("sha256") == wheel.sha256
    ]


def _uv_platform(tag: str) -> str:
    machine = "aarch64" if tag.endswith("aarch64") else "x86_64"
    return f"{machine}-manylinux_2_40"


def _python_of(interpreter: str) -> str:
    return f"3.{interpreter[3:]}"
