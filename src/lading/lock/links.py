"""Wheel folders ("find-links"): which wheels a folder or an HTML page of links offers."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit

from lading.lock.indexes import local_folders

if TYPE_CHECKING:
    from lading.fetch.http import Fetcher

_HREF = re.compile(rb"<a\s[^>]*?href\s*=\s*[\"']([^\"'>]+)[\"']", re.IGNORECASE)
_LARGEST_PAGE_BYTES = 32 << 20


def listed_filenames(places: Iterable[str], fetcher: Fetcher) -> tuple[str, ...]:
    """File names of the wheels in `places`, sorted. Raises FetchFailed for a page that cannot be read."""
    found = set()
    places = tuple(places)
    for folder in local_folders(places):
        found |= {path.name for path in folder.glob("*.whl")}
    for place in places:
        found |= {filename for filename, _ in linked_wheels(place, fetcher)}
    return tuple(sorted(found))


def linked_wheels(place: str, fetcher: Fetcher) -> Iterator[tuple[str, str]]:
    """File name and URL of each wheel that the page at `place` links to; nothing for a local folder."""
    if not place.startswith(("http://", "https://")):
        return
    page = fetcher.get_bytes(place, limit_bytes=_LARGEST_PAGE_BYTES)
    for match in _HREF.finditer(page):
        url = urljoin(place, html.unescape(match[1].decode(errors="replace")))
        filename = unquote(urlsplit(url).path).rpartition("/")[2]
        if filename.endswith(".whl"):
            yield filename, url
