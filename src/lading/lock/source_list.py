"""Which source archives the configured indexes offer of one distribution, and stand-ins for them.

uv is always run without building, so an archive's metadata is unknown to it. A stand-in is a wheel that says
only a name and a version: with those in place uv chooses the version that all requirements allow, and that
one is built. Sources: PEP 503, 592, 691 (simple indexes), PEP 625 (names of source archives).
"""

from __future__ import annotations

import html
import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit

from packaging.utils import InvalidSdistFilename, canonicalize_name, parse_sdist_filename
from packaging.version import InvalidVersion

from lading.errors import FetchFailed
from lading.fetch.transport import HttpStatus
from lading.lock.indexes import local_folders

if TYPE_CHECKING:
    from lading.fetch.http import Fetcher
    from lading.lock.uv import Uv

_ANCHOR = re.compile(r"<a\s([^>]*)>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"([a-z-]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", re.IGNORECASE)
_OPTION = re.compile(r"^--(?:extra-)?index-url (\S+)$", re.MULTILINE)
_LARGEST_PAGE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    version: str
    filename: str
    url: str
    sha256: str | None
    requires_python: str | None = None


def offered_sources(
    name: str, places: Iterable[str], arguments: Iterable[str], *, uv: Uv, fetcher: Fetcher
) -> dict[str, SourceFile]:
    """Version → archive: of wheel folders, else of the first index that has the name (uv's own rule).

    `arguments` are options of uv that name the project's own indexes. Raises FetchFailed.
    """
    found: dict[str, SourceFile] = {}
    for folder in local_folders(places):
        for path in sorted(folder.iterdir()):
            _add(found, name, path.name, path.as_uri(), None, None)
    for place in places:
        if place.startswith(("http://", "https://")):
            _read_page(found, name, place, fetcher)
    if found:
        return found
    options = uv.run(
        ("pip", "compile", "/dev/null", *arguments, "--emit-index-url", "--no-header", "--no-build"),
        doing="asking which indexes there are",
    )
    for index in _OPTION.findall(options):
        try:
            _read_page(found, name, f"{index.rstrip('/')}/{name}/", fetcher)
        except HttpStatus as error:
            if error.status not in (403, 404):
                raise
            continue
        break
    return found


def _read_page(found: dict[str, SourceFile], name: str, url: str, fetcher: Fetcher) -> None:
    if url.startswith("file:"):
        path = Path(unquote(urlsplit(url).path))
        page = path / "index.html" if path.is_dir() else path
        if not page.is_file():
            return
        content = page.read_bytes()
    else:
        content = fetcher.get_bytes(url, limit_bytes=_LARGEST_PAGE_BYTES)
    for entry in _entries(content, url):
        _add(found, name, *entry)


def _entries(content: bytes, url: str) -> Iterator[tuple[str, str, str | None, str | None]]:
    """File name, URL, sha256 and Requires-Python of each file that is not yanked. Pure."""
    if content.lstrip()[:1] == b"{":
        try:
            files: list[dict[str, Any]] = json.loads(content).get("files", [])
        except (ValueError, AttributeError) as error:
            raise FetchFailed(f"{url} is no page of an index: {error}", place=url) from error
        for file in files:
            if not file.get("yanked"):
                sha256 = file.get("hashes", {}).get("sha256")
                yield file["filename"], urljoin(url, file["url"]), sha256, file.get("requires-python")
        return
    for anchor in _ANCHOR.findall(content.decode(errors="replace")):
        found = {
            key.lower(): html.unescape(double or single) for key, double, single in _ATTRIBUTE.findall(anchor)
        }
        if "href" not in found or "data-yanked" in found:
            continue
        target = urljoin(url, found["href"])
        fragment = urlsplit(target).fragment
        sha256 = fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else None
        filename = unquote(urlsplit(target).path).rpartition("/")[2]
        yield filename, target.partition("#")[0], sha256, found.get("data-requires-python")


def _add(
    found: dict[str, SourceFile],
    name: str,
    filename: str,
    url: str,
    sha256: str | None,
    requires_python: str | None,
) -> None:
    try:
        of, version = parse_sdist_filename(filename)
    except (InvalidSdistFilename, InvalidVersion):
        return
    known = found.get(str(version))
    better = known is None or (known.filename.endswith(".zip") and filename.endswith(".tar.gz"))
    if of == canonicalize_name(name) and better:
        found[str(version)] = SourceFile(
            version=str(version), filename=filename, url=url, sha256=sha256, requires_python=requires_python
        )


def write_stand_in(folder: Path, name: str, version: str, requires_python: str | None = None) -> Path:
    """A wheel that says nothing but its name and version."""
    stem = f"{name.replace('-', '_')}-{version}"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    if requires_python:
        metadata += f"Requires-Python: {requires_python}\n"
    files = {
        f"{stem}.dist-info/METADATA": metadata,
        f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: lading\n"
        "Root-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in files) + f"{stem}.dist-info/RECORD,,\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, text in {**files, f"{stem}.dist-info/RECORD": record}.items():
            archive.writestr(zipfile.ZipInfo(path, (1980, 1, 2, 0, 0, 0)), text)
    wheel = folder / f"{stem}-py3-none-any.whl"
    wheel.write_bytes(buffer.getvalue())
    return wheel
